"""Names of tensors in specifications that know of no problem: which of them must be mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from procrustes_model.errors import Issue
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.shape import load_shape
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.text.words import closest, did_you_mean
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES, Phase


@cache
def shipped_tensors() -> tuple[str, ...]:
    """Return the names of the tensors of all shapes that ship."""
    names = (tensor.name for shape in list_shipped("shape") for tensor in load_shape(shape).tensors)
    return tuple(dict.fromkeys(names))


def stated_bits(architecture: Architecture, problem: Problem) -> dict[str, int]:
    """Return the bits of elements that are stated by tensor: by the problem, or else by the architecture."""
    return {**architecture.bits, **problem.bits}


def strange_tensors(architecture: Architecture, problem: Problem) -> list[Issue]:
    """Return an issue for every tensor in an architecture that must be a mistake, with its place there.

    What is said of tensors that shapes that ship have is fine: it is for other problems. A component, and
    what begins at a level or passes it, may name no others, whether that matters here or not; what a level
    may keep may be a tensor of any problem, unless it looks misspelt.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    """
    names = [tensor.name for tensor in problem.tensors]
    issues = []
    for number, component in enumerate(architecture.components):
        name = None if component.use is None else component.use.tensor
        if name is not None and name not in names and name not in shipped_tensors():
            message = f"{problem.name} has no tensor '{name}' for component '{component.name}'"
            path: Path = ("architecture", "components", number, "use", "tensor")
            issues.append(architecture.issue(message, did_you_mean(name, names), path))
    for number, level in enumerate(architecture.levels):
        for key in level.tensor_keys:
            stated = getattr(level, key) or ()
            for position, name in enumerate(stated):
                if name in names or name in shipped_tensors():
                    continue
                near = closest(name, names)
                path = ("architecture", "levels", number, key, position)
                if key != "tensors":
                    message = f"{problem.name} has no tensor '{name}' for '{key}' of {level.name}"
                    issues.append(architecture.issue(message, did_you_mean(name, names), path))
                elif near is not None and near not in stated:
                    message = (
                        f"{architecture.name} allows '{name}' at {level.name}, no tensor of {problem.name}"
                    )
                    issues.append(architecture.issue(message, f"did you mean '{near}'?", path))
    return issues


def misspelt_tensors(spec: Architecture | Sparsity, problem: Problem | None) -> list[Issue]:
    """Return an issue for every tensor that a specification names and no problem has.

    Parameters
    ----------
    spec : Architecture or Sparsity
    problem : Problem or None
        Whose tensors may be named beside those of shapes that ship. None: also any that is like none of
        these, which is then a tensor of a problem of the user's.
    """
    own = () if problem is None else tuple(tensor.name for tensor in problem.tensors)
    known = tuple(dict.fromkeys((*own, *shipped_tensors())))
    issues = []
    for name, phase, path in _named_by_machine(spec) if isinstance(spec, Architecture) else _named(spec):
        near = closest(name, known)
        if name in known or (problem is None and near is None):
            continue
        if problem is None:
            message = f"no shape that ships has a tensor '{name}'"
            hint: str | None = f"did you mean '{near}'? Else name a problem that has it: --problem"
        else:
            message = f"neither {problem.name} nor a shape that ships has a tensor '{name}'"
            hint = did_you_mean(name, known)
        if isinstance(spec, Architecture):
            issues.append(spec.issue(message, hint, path))
        else:
            issues.append(spec.issue(message, hint, phase, path))
    return list(dict.fromkeys(issues))


def missing_tensors(design: Sparsity, problems: Iterable[Problem]) -> list[Issue]:
    """Return one issue for all tensors that a sparse design names in a phase and a problem of it lacks.

    Parameters
    ----------
    design : Sparsity
    problems : iterable of Problem
    """
    missing: dict[str, tuple[Problem, Issue]] = {}
    for problem in problems:
        own = [tensor.name for tensor in problem.tensors]
        for name, phase, path in _named(design):
            if phase == (problem.phase or Phase.FORWARD) and name not in own:
                missing.setdefault(name, (problem, design.issue("", did_you_mean(name, own), phase, path)))
    if not missing:
        return []
    names = ", ".join(f"'{name}'" for name in missing)
    problem, place = next(iter(missing.values()))
    message = f"{design.name}: {problem.shape} has no tensor {names}"
    hint = place.hint
    if len(missing) > 1:
        hint = f"it has {', '.join(tensor.name for tensor in problem.tensors)}"
    return [Issue(message, hint, place.file, place.line, place.column)]


def named_tensors(design: Sparsity) -> set[str]:
    """Return the tensors of which a sparse design says anything, in any phase."""
    return {name for name, *_ in _named(design)}


_Place = tuple[str, Phase | None, Path]
"""A tensor's name, and the phase and the path where it stands."""


def _named_by_machine(architecture: Architecture) -> Iterator[_Place]:
    for name in architecture.bits:
        yield name, None, ("architecture", "bits", name)
    for number, level in enumerate(architecture.levels):
        for key in level.tensor_keys:
            for position, name in enumerate(getattr(level, key) or ()):
                yield name, None, ("architecture", "levels", number, key, position)
    for number, component in enumerate(architecture.components):
        if component.use is not None and component.use.tensor is not None:
            yield component.use.tensor, None, ("architecture", "components", number, "use", "tensor")


def _named(design: Sparsity) -> Iterator[_Place]:
    for phase in PHASES:
        stated = design.phase(phase)
        for section, by_tensor in (("densities", stated.densities), ("formats", stated.formats)):
            for name in by_tensor:
                yield name, phase, (section, name)
        for number, action in enumerate(stated.actions):
            yield action.target, phase, ("actions", number, action.kind)
            for name in action.on:
                yield name, phase, ("actions", number, "on")
        for kind, names in (("skip", stated.compute.skip), ("gate", stated.compute.gate)):
            for name in names:
                yield name, phase, ("compute", kind)
        if stated.balancing.tensor is not None:
            yield stated.balancing.tensor, phase, ("balancing", "tensor")
