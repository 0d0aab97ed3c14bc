"""The options that say what is zero: which phase, which densities, which masks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import FILE, TEXT, WHOLE, Form, one_of
from procrustes_model.mapper.request import SearchRequest
from procrustes_model.options import Request, again, option
from procrustes_model.spec.text.densities import parse_tensor_densities
from procrustes_model.vocabulary import ALL_PHASES, PHASES, Phase

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity
    from procrustes_model.spec.zeros import Zeros


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


_WORDS: Form[str] = one_of("phase", [one.value for one in PhaseChoice])
_PHASE = replace(_WORDS, take=lambda value: PhaseChoice(_WORDS.take(value)))


@dataclass(frozen=True, kw_only=True)
class SparseOptions(Request):
    """What the command line says is zero in one problem."""

    sparsity: str | None = again(SearchRequest, "sparsity", None)
    phase: PhaseChoice | None = option(None, _PHASE, "Training phase of the layer; 'all' adds them up.")
    densities: str | None = option(
        None,
        TEXT,
        "Nonzeros / elements by tensor (W weights, X input, Y output).",
        metavar="W=0.1,X=0.5",
        flags=("--density",),
    )
    masks: Path | None = option(
        None,
        FILE,
        "Masks: .npz by tensor name, .npy for the sparse tensor, or .npz of 'procrustes masks'.",
    )
    layer: str | None = option(
        None,
        TEXT,
        "Layer of --masks, where the file has several ('procrustes masks').",
        metavar="NAME",
    )
    step: int | None = option(None, WHOLE, "Recorded step of --masks. Default: the last.", metavar="N")

    def check(self) -> None:
        """Raise a SpecError where an option is given without the one that it belongs to."""
        if self.sparsity is None and self.given("densities", "masks"):
            raise SpecError(
                Issue("--density and --masks need a sparse design", "such as --sparsity procrustes")
            )
        for name in self.given("layer", "step"):
            if self.masks is None:
                raise SpecError(Issue(f"{name} chooses among masks", "add --masks FILE"))

    def in_phases(self, problem: Problem) -> list[Problem]:
        """Return a problem in the phases that are meant; itself where none is named."""
        if self.phase is None:
            return [problem]
        from procrustes_model.workloads.phases import in_phase

        return [in_phase(problem, phase) for phase in self.phase.phases]

    def find(self, problem: Problem) -> Zeros | None:
        """Return what is zero in a problem in its phase; None without a sparse design.

        Densities that the options give replace those that a file of masks knows.

        Raises
        ------
        SpecError
            See `parse_densities`, `find_masks` and `find_layer_masks`.
        """
        if self.sparsity is None:
            return None
        from procrustes_model.spec.load import load_sparsity
        from procrustes_model.spec.zeros import Zeros
        from procrustes_model.training.masks import is_mask_file

        design = load_sparsity(self.sparsity)
        given = parse_densities(self.densities, problem)
        if self.masks is not None and is_mask_file(self.masks):
            recorded, masks = find_layer_masks(self.masks, self.layer, self.step, problem, frozenset(given))
            return Zeros(design, recorded | given, masks)
        found = find_masks(self.masks, problem, design)
        if self.layer is not None or self.step is not None:
            raise SpecError(
                Issue(
                    "--layer and --step choose among recorded masks; this file has masks by tensor",
                    "leave them out",
                    str(self.masks),
                )
            )
        return Zeros(design, given, found)


def find_layer_masks(
    path: Path,
    layer: str | None,
    step: int | None,
    problem: Problem,
    stated: Collection[str] = frozenset(),
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return recorded densities of what the problem reads, and masks of its weights and what else is known.

    Tensors whose density is `stated` have no mask here, but for weights.

    Raises
    ------
    SpecError
        When the file is broken, has no such layer or step, or a mask has another shape than its tensor.
    """
    from procrustes_model.training.masks import load_mask_densities
    from procrustes_model.workloads.mask_profile import densities_in_phase
    from procrustes_model.workloads.recorded_masks import masks_in_phase

    found = load_mask_densities(path)
    row, column = found.find_step(step), found.find_layer(layer)
    masks = masks_in_phase(str(path), found.names[column], found.steps[row], problem, leave_out=stated)
    densities = densities_in_phase(found, column, row, problem)
    return {name: value for name, value in densities.items() if name not in masks}, masks


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
    from procrustes_model.model.sparse.masks import list_arrays, strangers

    inside = list_arrays(path)
    names = [tensor.name for tensor in problem.tensors]
    if inside is not None:
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
