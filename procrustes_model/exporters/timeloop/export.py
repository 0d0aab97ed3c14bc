"""A model to the text of Timeloop's files, checked by reading it back."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.exporters.timeloop.check import differences
from procrustes_model.exporters.timeloop.machine import write_architecture, write_energies
from procrustes_model.exporters.timeloop.mapping import write_mapping
from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.exporters.timeloop.problem import DISTRIBUTIONS, write_problem
from procrustes_model.exporters.timeloop.sparse import write_design
from procrustes_model.files import write_atomically
from procrustes_model.importers.timeloop import translate
from procrustes_model.importers.timeloop.words import NEWEST, WIRE
from procrustes_model.model.sparse.densities import choose_densities
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.model.uneven import refuse_uneven
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.density import Density
from procrustes_model.spec.level_roles import place_levels
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.zeros import Zeros

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LETTER = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Exported:
    """Files of Timeloop.

    Attributes
    ----------
    texts : dict of str to str
        By file name.
    notes : tuple of str
        What a reader should know: what no number depends on and those files do not hold.
    """

    texts: dict[str, str]
    notes: tuple[str, ...]


def gather(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    zeros: Zeros | None = None,
    file: str | None = None,
) -> Model:
    """Return what belongs together, checked as an evaluation checks it.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
    zeros : Zeros, optional
        A sparse design with densities and masks of its own.
    file : str, optional
        Where the problem was read, for messages.

    Raises
    ------
    SpecError
        Where the sparse design does not fit the others.
    """
    if zeros is None:
        return Model(architecture, problem, mapping, file=file)
    lower_sparsity(architecture, problem, zeros.sparsity, zeros.densities, zeros.masks)
    design, _ = place_levels(zeros.sparsity, architecture, problem)
    densities = choose_densities(design.phase(problem.phase), zeros.densities, problem)
    densities |= {name: Density(model="mask", mask=str(name)) for name in zeros.masks}
    return Model(architecture, problem, mapping, design, densities, file)


def export_timeloop(model: Model, rules: str = NEWEST) -> Exported:
    """Return a model as files of Timeloop 0.4.

    Parameters
    ----------
    model : Model
    rules : {'2025', '2022', '2020'}
        The year of the tool that is to count: the design's rules must be its.

    Returns
    -------
    Exported

    Raises
    ------
    SpecError
        With everything that those files cannot say and that a number depends on.
    """
    refuse_uneven(
        model.mapping, "in Timeloop's files all tensors of a level have their tiles at the same loops"
    )
    issues = [*_names(model), *_unsaid(model)]
    if issues:
        raise SpecError(issues)
    contents = {
        "architecture": write_architecture(model),
        "ERT": write_energies(model),
        "problem": write_problem(model),
        "mapping": write_mapping(model),
        "sparse": write_design(model),
    }
    texts = {f"{name}.yaml": _yaml(content) for name, content in contents.items() if content is not None}
    back = _read_back(texts, rules)
    issues = differences(model, back)
    if issues:
        raise SpecError(issues)
    return Exported(texts, tuple(_notes(model)))


def _names(model: Model) -> Iterator[Issue]:
    """Yield an issue for each name that those files cannot hold."""
    machine = model.architecture
    for path, name in (
        *((("architecture", "levels", i), level.name) for i, level in enumerate(machine.levels)),
        (("architecture", "compute"), machine.compute.name),
    ):
        if not _NAME.fullmatch(name) or WIRE in name.lower():
            hint = f"letters, digits and underscores may, and not '{WIRE}', which means networks there"
            yield machine.issue(f"'{name}' cannot name a component of Timeloop", hint, path)
    for tensor in model.problem.tensors:
        if not _NAME.fullmatch(tensor.name):
            hint = "letters, digits and underscores may"
            yield model.of_problem(f"'{tensor.name}' cannot name a data space of Timeloop", hint, ("shape",))
    for name in model.problem.dimensions:
        if not _LETTER.fullmatch(name):
            message = f"the dimension '{name}' needs a name of one letter in Timeloop"
            yield model.of_problem(message, "rename it", ("dimensions", name))


def _unsaid(model: Model) -> Iterator[Issue]:
    """Yield an issue for each part that the writers have no words for."""
    for index, level in enumerate(model.mapping.levels):
        both = {one.dimension for one in level.spatial_x} & {one.dimension for one in level.spatial_y}
        for name in sorted(both):
            message = f"{name} lies on both axes below {level.level}"
            yield model.mapping.issue(
                message, "in Timeloop it lies on one: spread it at a level between", index
            )
    for number, action in enumerate(model.phase.actions):
        if action.kind == "skip_positions":
            message = f"positions of {action.target} are chosen"
            yield model.of_design(message, "Timeloop 0.4 has no such action", ("actions", number))
    for name, density in model.densities.items():
        if density.model not in DISTRIBUTIONS and density.average != 1:
            message = f"a density of {name} of model '{density.model}'"
            hint = "Timeloop 0.4 has the models hypergeometric and fixed"
            yield model.of_design(message, hint, ("densities", name))
    yield from _unsaid_formats(model)


def _unsaid_formats(model: Model) -> Iterator[Issue]:
    for level in model.architecture.levels:
        for tensor in model.problem.tensors:
            format_ = model.format_of(tensor.name, level.name) if level.stores else None
            if format_ is None:
                continue
            path = ("formats", tensor.name, level.name)
            if not format_.ranks:
                message = f"{tensor.name} at {level.name} is stored as '{format_.kind}'"
                hint = "Timeloop has formats rank by rank: 'ranks' under 'rules: {format_ranks: loops}'"
                yield model.of_design(message, hint, path)
                continue
            if level.metadata is None and any(
                rank.metadata_bits or rank.payload_bits for rank in format_.ranks
            ):
                message = f"metadata of {tensor.name} lie with the data at {level.name}"
                yield model.of_design(message, "in Timeloop they have a store: 'metadata' of the level", path)
            for number, rank in enumerate(format_.ranks):
                open_ = [key for key in rank.form.keys if getattr(rank, key) is None]
                if open_:
                    message = f"{' and '.join(open_)} of a rank {rank.kind} of {tensor.name} at {level.name}"
                    hint = "Timeloop needs them stated"
                    yield model.of_design(message, hint, (*path, "ranks", number))


def _yaml(content: dict[str, Any]) -> str:
    import yaml

    head = "# For Timeloop 0.4, by procrustes export timeloop\n"
    plain = json.loads(json.dumps(content))
    return head + str(yaml.safe_dump(plain, sort_keys=False, width=110, default_flow_style=None))


def _read_back(texts: dict[str, str], rules: str) -> Model:
    """Return what the importer makes of files.

    Raises
    ------
    SpecError
        Where it refuses them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        try:
            files = translate([folder], rules=rules).files
            return _load(files)
        except SpecError as error:
            message = "what Timeloop's files would say is refused"
            raise SpecError([Issue(f"{message}: {one.message}", one.hint) for one in error.issues]) from None


def _load(files: dict[str, dict[str, Any]]) -> Model:
    architecture, problem = load_architecture(files["architecture.yaml"]), load_problem(files["problem.yaml"])
    written = files.get("sparsity.yaml", files.get("rules.yaml"))
    design = None if written is None else load_sparsity(written)
    roomy = () if design is None else design.forward.roomy
    mapping = load_mapping(files["mapping.yaml"], architecture, problem, roomy)
    densities = {} if design is None else design.forward.densities
    return Model(architecture, problem, mapping, design, densities)


def _notes(model: Model) -> Iterator[str]:
    machine = model.architecture
    if any(area is not None for area in machine.area.parts.values()):
        yield "areas are left out: no count, cycle or energy depends on them"
    if machine.clock_ghz is not None:
        yield "the clock is left out: what leaks is said per cycle"
    if any(level.stores and level.tensors is not None for level in machine.levels):
        yield "which tensors a level may keep is left out: the mapping says which it keeps"
    yield "Timeloop adds energy of networks that it infers: compare energies of levels and compute units"


def write_files(exported: Exported, folder: Path) -> list[Path]:
    """Write files into a folder, made where it is not there, and return them.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    for name, text in exported.texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in exported.texts]
