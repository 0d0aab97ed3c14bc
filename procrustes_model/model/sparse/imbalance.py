"""The work of every processing element, before and after balancing: what a histogram is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import Source
from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.dense.nest import flatten
from procrustes_model.kernels.imbalance.counted import measure_work
from procrustes_model.kernels.imbalance.tiles import find_tiles
from procrustes_model.kernels.jit import once
from procrustes_model.kernels.sparse.masks import MaskArrays
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.sparse.buffers import SparseBuffers, make_buffers
from procrustes_model.model.sparse.lower import SparseDesign, lower_sparsity
from procrustes_model.model.sparse.masks import MOST_BYTES, check_tables, lower_masks, tensor_shape
from procrustes_model.model.uneven import refuse_uneven
from procrustes_model.spec.level_roles import place_levels
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import Sparsity

_ENOUGH_ELEMENTS = 1 << 16
_MOST_MASKS = 100
"""Masks are drawn until so many processing elements have been seen, or so many masks."""
_BYTES_PER_ELEMENT = 80
"""Work without and with balancing, of each mask, of all, and relative to the mean."""


@dataclass(frozen=True, slots=True)
class WorkOf:
    """What work was measured of.

    Attributes
    ----------
    architecture, problem, mapping, sparsity : str
        Names.
    phase : str or None
    tensor : str
        Whose nonzeros are the work.
    policy : str
        Of balancing.
    cut : str or None
        The dimension along which tiles are cut; None where they cannot be.
    basis : str
        'counted' on a mask, 'sampled' on random masks, or 'even' by a density that knows no imbalance.
    masks : int
        How many masks were counted or drawn.
    """

    architecture: str
    problem: str
    mapping: str
    sparsity: str
    phase: str | None
    tensor: str
    policy: str
    cut: str | None
    basis: str
    masks: int


@dataclass(frozen=True, slots=True)
class ImbalanceHistogram:
    """How many processing elements have how much work, relative to the mean of their array-level tile.

    Attributes
    ----------
    of : WorkOf
    edges : float64[bins + 1]
        From 0 up; all but the first lie halfway between whole amounts of work, so that no bin holds more
        of these than another.
    before, after : int64[bins]
        Processing elements without and with balancing.
    slowest_before, slowest_after : int64[bins]
        Array-level tiles, by the work of their slowest element.
    ratio_before, ratio_after : float
        Work of the slowest elements over that of the mean, all array-level tiles added up: what imbalance
        multiplies the cycles by.
    """

    of: WorkOf
    edges: Floats
    before: Ints
    after: Ints
    slowest_before: Ints
    slowest_after: Ints
    ratio_before: float
    ratio_after: float


@dataclass(frozen=True, slots=True)
class WorkArrays:
    """Work of processing elements with different tiles, in every array-level tile.

    Attributes
    ----------
    of : WorkOf
    before, after : float64[rounds, parts]
        Work relative to the mean of the array-level tile, without and with balancing. A tile without work
        is even.
    cycles_before, cycles_after : int64[rounds]
        Work of the slowest one, in computation positions of the tensor.
    mean : float64[rounds]
        Of all of them. Rounds of several masks follow each other.
    """

    of: WorkOf
    before: Floats
    after: Floats
    cycles_before: Ints
    cycles_after: Ints
    mean: Floats

    @property
    def ratios(self) -> tuple[float, float]:
        """Work of the slowest over the mean, all array-level tiles added up, before and after."""
        total = float(self.mean.sum())
        if total == 0:
            return 1.0, 1.0
        return float(self.cycles_before.sum()) / total, float(self.cycles_after.sum()) / total

    def histogram(self, bins: int = 40) -> ImbalanceHistogram:
        """Return how many elements have how much work.

        Parameters
        ----------
        bins : int
            At most; at least 1.
        """
        top = max(1.0, float(self.before.max()), float(self.after.max()))
        working = self.mean[self.mean > 0]
        mean = float(working.mean()) if len(working) else 1.0
        step = max(1, math.ceil((top * mean + 0.5) / bins))
        count = math.ceil((top * mean + 0.5) / step)
        edges: Floats = (np.arange(count + 1, dtype=np.float64) * step - 0.5) / mean
        edges[0], edges[-1] = 0.0, max(float(edges[-1]), top)
        ratio_before, ratio_after = self.ratios
        return ImbalanceHistogram(
            of=self.of,
            edges=edges,
            before=np.histogram(self.before, edges)[0],
            after=np.histogram(self.after, edges)[0],
            slowest_before=np.histogram(self.before.max(axis=1), edges)[0],
            slowest_after=np.histogram(self.after.max(axis=1), edges)[0],
            ratio_before=ratio_before,
            ratio_after=ratio_after,
        )


def measure_imbalance(
    architecture: Source | Architecture,
    problem: Source | Problem,
    mapping: Source | Mapping,
    sparsity: Source | Sparsity,
    masks: AbstractMapping[str, Any] | None = None,
    *,
    densities: AbstractMapping[str, Any] | str | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> WorkArrays:
    """Find the work of every processing element: counted on a mask, or on random masks of a known density.

    Capacities are not checked.

    Parameters
    ----------
    architecture, problem, mapping, sparsity : path, str, mapping or object
        The sparse design balances a tensor.
    masks, densities : mapping, optional
        As `evaluate` takes them. Without a mask of the balanced tensor, masks with its number of nonzeros
        are drawn, every one equally likely.
    samples : int, optional
        Random masks. By default 1 to 100, until 65,536 processing elements have been seen.
    seed : int
        Of the random masks.

    Returns
    -------
    WorkArrays

    Raises
    ------
    SpecError
        When nothing is balanced, masks or densities do not fit, or loops do not divide their bounds.
    """
    architecture, problem = load_architecture(architecture), load_problem(problem)
    sparsity, _ = place_levels(load_sparsity(sparsity), architecture, problem)
    mapping = load_mapping(mapping, architecture, problem, sparsity.phase(problem.phase).roomy)
    refuse_uneven(mapping)
    if mapping.imperfect:
        raise SpecError(mapping.issue("sparse evaluation takes loops that divide their bounds"))
    design = once(lambda: lower_sparsity(architecture, problem, sparsity, densities, masks))
    return once(lambda: _measure(design, architecture, problem, mapping, sparsity, samples, seed))


def _measure(
    design: SparseDesign,
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    sparsity: Sparsity,
    samples: int | None,
    seed: int,
) -> WorkArrays:
    tensor = design.balance.tensor
    if tensor < 0:
        raise SpecError(
            sparsity.issue(
                "nothing is balanced in this phase",
                "give 'balancing' a 'tensor'",
                problem.phase,
                ("balancing",),
            )
        )
    buffers = make_buffers(design, 1)
    flatten(lower_mapping(problem, mapping), buffers.loops)
    find_tiles(design.problem, buffers.loops, design.balance, design.densities.group, buffers.tiles)
    name, cut = problem.tensors[tensor].name, int(buffers.tiles.cut[0])
    basis, work = _find_work(design, problem, buffers, samples, seed)
    before, after = (np.concatenate(side) for side in zip(*work, strict=True))
    mean = before.mean(axis=1, keepdims=True)
    even = np.where(mean > 0, mean, 1.0)
    return WorkArrays(
        WorkOf(
            architecture.name,
            problem.name,
            mapping.name,
            sparsity.name,
            problem.phase,
            name,
            design.policy.name,
            None if cut < 0 else list(problem.dimensions)[cut],
            basis,
            0 if basis == "even" else len(work),
        ),
        np.where(mean > 0, before / even, 1.0),
        np.where(mean > 0, after / even, 1.0),
        before.max(axis=1),
        after.max(axis=1),
        mean[:, 0],
    )


def _find_work(
    design: SparseDesign, problem: Problem, buffers: SparseBuffers, samples: int | None, seed: int
) -> tuple[str, list[tuple[Floats | Ints, Floats | Ints]]]:
    """Return on what basis work is found, and the work without and with balancing, mask by mask."""
    tensor, tiles = design.balance.tensor, buffers.tiles
    elements = int(tiles.rounds[0]) * int(tiles.parts[0])
    _check_memory(elements)
    if design.is_counted:
        return "counted", [_count_work(design, buffers, design.masks)]
    rule = design.density_rules[tensor]
    if rule.draw is None or tiles.alike[0] == tiles.pieced[0] == 0:
        return "even", [_even_work(design, buffers)]
    name = problem.tensors[tensor].name
    number = samples or min(_MOST_MASKS, math.ceil(_ENOUGH_ELEMENTS / elements))
    _check_memory(elements, number)
    check_tables(problem, design.problem, [name])
    rng = np.random.default_rng(seed)
    work: list[tuple[Floats | Ints, Floats | Ints]] = []
    for _ in range(number):
        mask = rule.draw(*_drawn_from(design, problem), rng)
        work.append(_count_work(design, buffers, lower_masks(problem, design.problem, {name: mask})))
    return "sampled", work


def _check_memory(elements: int, masks: int = 1) -> None:
    """Raise a SpecError where the work of all elements would take more than `MOST_BYTES`."""
    needed = _BYTES_PER_ELEMENT * elements * masks
    if needed > MOST_BYTES:
        of = f" for each of {masks:,} masks" if masks > 1 else ""
        message = (
            f"work is listed of {elements:,} processing elements{of}, which would take {needed / 1e9:.1f} GB"
        )
        hint = "take a mapping with larger tiles below the array" + (
            ", or fewer samples" if masks > 1 else ""
        )
        raise SpecError(Issue(f"{message}, more than {MOST_BYTES / 1e9:g}", hint))


def _drawn_from(design: SparseDesign, problem: Problem) -> tuple[tuple[int, ...], int, tuple[int, int], int]:
    """Return what masks of the balanced tensor are drawn from; see `DensityRule.draw`."""
    densities, t = design.densities, design.balance.tensor
    tensor = problem.tensors[t]
    n, m, along = (int(number) for number in densities.group[t])
    dimension = list(problem.dimensions)[along] if along >= 0 else None
    grouped = (any(term.dimension == dimension for term in rank) for rank in tensor.ranks)
    axis = next((i for i, found in enumerate(grouped) if found), -1)
    return tensor_shape(problem, tensor.name), int(densities.nonzeros[t]), (n, m), axis


def _count_work(design: SparseDesign, buffers: SparseBuffers, masks: MaskArrays) -> tuple[Ints, Ints]:
    """Return the work of every element without and with balancing, int64[rounds, parts] each."""
    shape = int(buffers.tiles.rounds[0]), int(buffers.tiles.parts[0])
    before, after = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    measure_work(
        design.problem,
        buffers.loops,
        design.balance,
        buffers.tiles,
        masks,
        buffers.before,
        buffers.counts.work,
        buffers.status,
        before,
        after,
    )
    return before, after


def _even_work(design: SparseDesign, buffers: SparseBuffers) -> tuple[Floats, Floats]:
    """Return the same for a density that puts as many nonzeros into every tile."""
    share = float(design.densities.met[design.balance.tensor])
    shape = int(buffers.tiles.rounds[0]), int(buffers.tiles.parts[0])
    work = np.full(shape, share * float(buffers.tiles.volume[0]))
    return work, work
