"""The options that say what is zero: which phase, which densities, which masks."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrustes_model.cli.inputs import complete_shipped
from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import ALL_PHASES, PHASES, Phase, Role

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity

_DENSITIES = "write TENSOR=NUMBER,... with numbers from 0 to 1, such as W=0.1,X=0.5"


class PhaseChoice(StrEnum):
    """Training phases as the command line names them."""

    FORWARD = Phase.FORWARD.short
    BACKWARD = Phase.BACKWARD.short
    WEIGHT_UPDATE = Phase.WEIGHT_UPDATE.short
    ALL = ALL_PHASES

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that are meant."""
        return PHASES if self is PhaseChoice.ALL else (Phase.parse(self.value),)


def _complete_sparsity(incomplete: str) -> list[str]:
    return complete_shipped("sparsity", incomplete)


SparsityOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Sparse design: file or name.", autocompletion=_complete_sparsity),
]
PhaseOption = Annotated[
    PhaseChoice | None, typer.Option(help="Training phase of the layer; 'all' adds them up.")
]
DensityOption = Annotated[
    str | None,
    typer.Option(metavar="W=0.1,X=0.5", help="Nonzeros / elements by tensor (W weights, X input, Y output)."),
]
MasksOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Masks: .npz by tensor name, .npy for the sparse tensor, or .npz of 'procrustes masks'.",
    ),
]
LayerOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Layer of --masks, where the file has several ('procrustes masks')."),
]
StepOption = Annotated[
    int | None, typer.Option(metavar="N", help="Recorded step of --masks. Default: the last.")
]


@dataclass(frozen=True)
class Zeros:
    """What the options say is zero.

    Attributes
    ----------
    density : str, optional
        Densities as text, such as ``W=0.1``.
    masks : Path, optional
        A file of masks.
    layer : str, optional
    step : int, optional
        Which of the masks in a file of 'procrustes masks' is meant.
    """

    density: str | None = None
    masks: Path | None = None
    layer: str | None = None
    step: int | None = None

    def check(self, sparsity: str | None) -> None:
        """Raise a SpecError where an option is given without the one that it belongs to."""
        if sparsity is None and (self.density or self.masks):
            raise SpecError(
                Issue("--density and --masks need a sparse design", "such as --sparsity procrustes")
            )
        for option, value in (("--layer", self.layer), ("--step", self.step)):
            if value is not None and self.masks is None:
                raise SpecError(Issue(f"{option} chooses among masks", "add --masks FILE"))

    def arguments(self, sparsity: str | None, problem: Problem) -> dict[str, Any]:
        """Return what is zero, as `evaluate` and `search` take it; nothing without a sparse design."""
        if sparsity is None:
            return {}
        from procrustes_model.spec.load import load_sparsity

        design = load_sparsity(sparsity)
        densities, masks = self.find(problem, design)
        return {"sparsity": design, "densities": densities, "masks": masks}

    def find(self, problem: Problem, sparsity: Sparsity) -> tuple[dict[str, float], dict[str, Any]]:
        """Return densities and masks by tensor, for a problem in its phase.

        Densities that the options give replace those that a file of masks knows.

        Raises
        ------
        SpecError
            See `parse_densities`, `find_masks` and `find_layer_masks`.
        """
        from procrustes_model.training.masks import is_mask_file

        given = parse_densities(self.density, problem)
        if self.masks is not None and is_mask_file(self.masks):
            recorded, masks = find_layer_masks(self.masks, self.layer, self.step, problem)
            return recorded | given, masks
        found = find_masks(self.masks, problem, sparsity)
        if self.layer is not None or self.step is not None:
            raise SpecError(
                Issue(
                    "--layer and --step choose among recorded masks; this file has masks by tensor",
                    "leave them out",
                    str(self.masks),
                )
            )
        return given, dict(found)


def find_layer_masks(
    path: Path, layer: str | None, step: int | None, problem: Problem
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return recorded densities of what the problem reads, and the mask of its weights.

    Raises
    ------
    SpecError
        When the file is broken, has no such layer or step, or the layer's shape is not that of the weights.
    """
    from procrustes_model.training.masks import load_mask, load_mask_densities
    from procrustes_model.workloads.mask_profile import densities_in_phase, weights_mask

    found = load_mask_densities(path)
    row, column = found.find_step(step), found.find_layer(layer)
    mask = weights_mask(load_mask(path, found.names[column], found.steps[row]), problem, str(path))
    return densities_in_phase(found, column, row, problem), {problem.roles[Role.WEIGHTS]: mask}


def in_phases(problem: Problem, choice: PhaseChoice | None) -> list[Problem]:
    """Return the problem in the phases that are meant; itself where none is named."""
    if choice is None:
        return [problem]
    from procrustes_model.workloads.phases import in_phase

    return [in_phase(problem, phase) for phase in choice.phases]


def parse_densities(text: str | None, problem: Problem) -> dict[str, float]:
    """Return densities by tensor from text such as ``W=0.1,X=0.5``.

    Raises
    ------
    SpecError
        When a tensor is unknown or given twice, or a density is not a number from 0 to 1.
    """
    if text is None:
        return {}
    names = [tensor.name for tensor in problem.tensors]
    return parse_tensor_densities(text, names, problem.roles, problem.name)


def parse_tensor_densities(
    text: str, names: Sequence[str], roles: Mapping[Role, str], where: str
) -> dict[str, float]:
    """Return densities by tensor from text such as ``W=0.1,X=0.5``.

    Parameters
    ----------
    text : str
    names : sequence of str
        Of the tensors that there are.
    roles : dict of Role to str
        Names of those that letters stand for.
    where : str
        What they are tensors of.

    Raises
    ------
    SpecError
        When a tensor is unknown or given twice, or a density is not a number from 0 to 1.
    """
    found: dict[str, float] = {}
    issues = []
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            shown = f"'{part.strip()}' is no density" if part.strip() else f"a density is missing in '{text}'"
            issues.append(Issue(f"--density: {shown}" if text.strip() else "--density is empty", _DENSITIES))
            continue
        role = None if name in names else Role.of_letter(name)
        tensor = name if role is None else roles.get(role, name)
        if tensor not in names:
            known = ", ".join(names)
            issues.append(Issue(f"--density: '{name}' is no tensor of {where}", f"choose from {known}"))
            continue
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            issues.append(Issue(f"--density: '{part.strip()}' is no density", _DENSITIES))
        if tensor in found:
            issues.append(Issue(f"--density: {tensor} is given twice in {text.strip()}", "keep one of them"))
        found[tensor] = number
    if issues:
        raise SpecError(issues)
    return found


def find_masks(path: Path | None, problem: Problem, sparsity: Sparsity) -> dict[str, Path]:
    """Return which tensor's mask is in which file.

    A .npz file has masks under the names of tensors. A .npy file holds the mask of the tensor that the
    design balances.

    Raises
    ------
    SpecError
        When the file is not there or no file of masks, an array of it is named like no tensor, or nothing
        says whose mask it is.
    """
    if path is None:
        return {}
    from procrustes_model.model.sparse.masks import check_mask_file, strangers

    check_mask_file(path)
    if not path.is_file():
        raise SpecError(Issue("--masks: there is no such file", file=str(path)))
    names = [tensor.name for tensor in problem.tensors]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = {member.removesuffix(".npy") for member in archive.namelist()}
        if issues := strangers(inside, problem, path):
            raise SpecError(issues)
        if not inside:
            raise SpecError(Issue("--masks: there is no array in this file", file=str(path)))
        return {name: path for name in names if name in inside}
    tensor = sparsity.phase(problem.phase).balancing.tensor
    if tensor is None:
        raise SpecError(
            Issue(
                f"--masks: nothing says whose mask this is: {sparsity.name} balances no tensor",
                f"write a .npz file with arrays named {', '.join(names)}",
                str(path),
            )
        )
    return {tensor: path}
