"""What a design states and a machine or a mapping leaves without an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.model.sparse.positions import refused_positions
from procrustes_model.spec.density import Density
from procrustes_model.spec.level_roles import place_levels
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Action, SparsePhase, Sparsity


_DENSE = Density(model="dense")


def idle_on(
    architecture: Architecture, sparsity: Sparsity, phase: SparsePhase, problem: Problem
) -> list[Issue]:
    """Return an issue for every action, format and skipped operand that has no effect, whatever the mapping.

    Parameters
    ----------
    architecture : Architecture
        With all levels that the design names.
    sparsity : Sparsity
    phase : SparsePhase
        The design in the problem's phase.
    problem : Problem
    """
    levels = {level.name: level for level in architecture.levels}
    issues = []
    for number, action in enumerate(phase.actions):
        if action.saves_accesses and not levels[action.level].may_keep(action.target):
            message = (
                f"{action.level} of {architecture.name} does not keep '{action.target}': nothing is saved"
            )
            path = ("actions", number, "level")
            issues.append(sparsity.issue(message, "name a level that keeps it", problem.phase, path))
        names = list(levels)
        outside = [
            one for one in names[: names.index(action.level) + 1] if levels[one].may_keep(action.target)
        ]
        if _unknown_positions(phase, action, outside):
            message = f"nothing says which positions of '{action.target}' are not zero: none can be chosen"
            hint = f"give it a format at {action.level}, or further out"
            path = ("actions", number, action.kind)
            issues.append(sparsity.issue(message, hint, problem.phase, path))
    for name, formats in phase.formats.items():
        for level in formats:
            if level in levels and not levels[level].may_keep(name):
                message = f"{level} of {architecture.name} does not keep '{name}': nothing is stored so"
                place = ("formats", name, level)
                issues.append(sparsity.issue(message, "name a level that keeps it", problem.phase, place))
    stores = {level.name for level in levels.values() if level.metadata is not None}
    formatted = {level for formats in phase.formats.values() for level in formats}
    if phase.rules.metadata_ports == "shared" and not (stores & formatted or (stores and "*" in formatted)):
        message = f"no level of {architecture.name} keeps metadata in a store of their own: none share ports"
        at = ("rules", "metadata_ports")
        issues.append(sparsity.issue(message, "take the rule out", problem.phase, at))
    for name in phase.compute.skip:
        holders = [level.name for level in levels.values() if level.may_keep(name)]
        if not any(_is_skipped(phase, problem, name, level) for level in holders):
            message = f"'{name}' never arrives compressed: its zeros cannot be skipped"
            hint = f"give it a format under 'formats', or write 'gate: {name}'"
            issues.append(sparsity.issue(message, hint, problem.phase, ("compute", "skip")))
    return issues


def _leaves_out(phase: SparsePhase, tensor: str, level: str) -> bool:
    """Say whether a level stores a tensor without its zeros."""
    return phase.format_of(tensor, level).leaves_out(phase.rules)


def _unknown_positions(phase: SparsePhase, action: Action, holders: list[str]) -> bool:
    """Say whether no level of some knows which positions of an action's tensor are not zero, and any is."""
    if action.kind != "skip_positions" or phase.densities.get(action.target, _DENSE).average == 1:
        return False
    return not any(_leaves_out(phase, action.target, level) for level in holders)


def _server_of(mapping: Mapping, tensor: str) -> tuple[int, str]:
    """Return the number and name of the innermost level that keeps a tensor: what serves compute units."""
    kept = [(i, level.level) for i, level in enumerate(mapping.levels) if tensor in level.keep]
    return kept[-1]


def _is_skipped(phase: SparsePhase, problem: Problem, tensor: str, level: str) -> bool:
    """Return whether the zeros of a tensor that comes from a level can be skipped.

    They are not stored there; zeros of the output, which does not come from anywhere, always can.
    """
    return tensor == problem.output.name or _leaves_out(phase, tensor, level)


def check_effects(phase: SparsePhase, name: str, problem: Problem, mapping: Mapping) -> None:
    """Raise where a mapping leaves an action or a skipped operand without an effect.

    Parameters
    ----------
    phase : SparsePhase
    name : str
        Of the design.
    problem : Problem
    mapping : Mapping

    Raises
    ------
    SpecError
    """
    issues = []
    places = {level.level: i for i, level in enumerate(mapping.levels)}
    for action in phase.actions:
        if action.saves_accesses and action.target not in mapping.levels[places[action.level]].keep:
            message = (
                f"{action.level} bypasses '{action.target}', whose accesses the design {name} saves there"
            )
            hint = "keep it there, or take the action out of the design"
            issues.append(mapping.issue(message, hint, places[action.level]))
        kept = [
            level.level for level in mapping.levels[: places[action.level] + 1] if action.target in level.keep
        ]
        if _unknown_positions(phase, action, kept[-1:]):
            message = (
                f"{action.level} gets '{action.target}' uncompressed: the design {name} cannot choose among"
            )
            issues.append(mapping.issue(f"{message} its positions", None, places[action.level]))
        elif action.kind == "skip_positions":
            mean = phase.rules.position_use == "mean"
            reason = refused_positions(problem, mapping, places[action.level], action.target, mean=mean)
            if reason is not None:
                hint = "the loops of this level must tell its elements apart, and none further in"
                issues.append(mapping.issue(reason, hint, places[action.level]))
    for tensor in phase.compute.skip:
        number, innermost = _server_of(mapping, tensor)
        if not _is_skipped(phase, problem, tensor, innermost):
            message = f"compute units get '{tensor}' from {innermost}, uncompressed: the design {name} cannot"
            hint = f"keep it where it is compressed, or give it a format at {innermost}"
            issues.append(mapping.issue(f"{message} skip its zeros", hint, number))
    if issues:
        raise SpecError(issues)


def keeping_what_saves(
    sparsity: Sparsity, architecture: Architecture, problem: Problem, mapping: Mapping
) -> Mapping:
    """Return a mapping found without a design, where levels keep the tensors whose accesses it saves there.

    Parameters
    ----------
    sparsity : Sparsity
    architecture : Architecture
        With all levels that the design names.
    problem : Problem
    mapping : Mapping
    """
    placed, _ = place_levels(sparsity, architecture, problem)
    actions = placed.phase(problem.phase).actions
    saved = {(action.level, action.target) for action in actions if action.saves_accesses}
    levels = []
    for level in mapping.levels:
        keep = tuple(
            tensor.name
            for tensor in problem.tensors
            if tensor.name in level.keep or (level.level, tensor.name) in saved
        )
        levels.append(level.model_copy(update={"keep": keep}))
    return mapping.model_copy(update={"levels": tuple(levels)})


def without_idle(sparsity: Sparsity, problem: Problem, mapping: Mapping) -> Sparsity:
    """Return a design without what has no effect on a mapping in the problem's phase.

    Parameters
    ----------
    sparsity : Sparsity
    problem : Problem
    mapping : Mapping
    """
    phase = sparsity.phase(problem.phase)
    kept = {level.level: level.keep for level in mapping.levels}
    actions = tuple(
        action for action in phase.actions if not action.saves_accesses or action.target in kept[action.level]
    )
    skipped = tuple(
        tensor
        for tensor in phase.compute.skip
        if _is_skipped(phase, problem, tensor, _server_of(mapping, tensor)[1])
    )
    compute = phase.compute.model_copy(update={"skip": skipped})
    changed = phase.model_copy(update={"actions": actions, "compute": compute})
    return sparsity.model_copy(update={str(problem.phase or Phase.FORWARD): changed})
