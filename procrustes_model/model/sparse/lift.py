"""From what sparse kernels fill in for one mapping to a `SparseResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import BALANCING, FILL, READ, UPDATE
from procrustes_model.kernels.sparse.capacity import exceeds
from procrustes_model.kernels.sparse.costs import slowest_counts
from procrustes_model.model.components import lift_components, lift_leakage
from procrustes_model.model.lift import as_count, lift_compute, lift_level, lift_networks, slowest_of
from procrustes_model.model.lower import own_bits
from procrustes_model.model.result import LevelResult, Specs
from procrustes_model.model.sparse.buffers import SparseBuffers
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.result import (
    Imbalance,
    SparseComputes,
    SparseCounts,
    SparseResult,
    SparseTensorCounts,
    sparse_of,
)
from procrustes_model.model.sparse.spread import find_uneven
from procrustes_model.vocabulary import Status

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sparsity import SparsePhase


def lift_sparse(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    design: SparseDesign,
    phase: SparsePhase,
    buffers: SparseBuffers,
) -> SparseResult:
    """Return the result of a batch of one.

    Raises
    ------
    SpecError
        When its tiles do not fit.
    """
    levels = _lift_levels(architecture, problem, mapping, phase, buffers)
    if buffers.status[0] == Status.BAD_CAPACITY:
        described = buffers.counts.described[0].sum(axis=1).tolist()
        raise SpecError(_overfull(design, problem, levels, described, mapping))
    actual, gated, skipped = (float(number) for number in buffers.counts.computes[0])
    compute = lift_compute(architecture, design, as_count(actual), buffers.dense, buffers.costs)
    used = buffers.dense.instances[0, :-1, None, None].astype(float)
    words = buffers.counts.actual[0] * used
    costs, dense = buffers.costs, buffers.dense
    networks = lift_networks(architecture, problem, dense, costs)
    components = lift_components(
        architecture, problem, design.components, words, actual, costs, int(costs.cycles[0].max())
    )
    cycles, bottleneck = slowest_of(levels, compute, (*networks, *components))
    imbalance = _lift_imbalance(design, problem, buffers, actual + gated)
    balanced = imbalance.tensor if imbalance is not None and imbalance.in_cycles else None
    uneven = [problem.tensors[t].name for t in find_uneven(design, buffers)]
    return SparseResult(
        architecture=architecture.name,
        problem=problem.name,
        phase=problem.phase,
        mapping=mapping.name,
        levels=levels,
        compute=compute,
        cycles=cycles,
        bottleneck=bottleneck,
        components=components,
        networks=networks,
        leakage=lift_leakage(architecture, dense.instances[0], cycles),
        clock_ghz=architecture.clock_ghz,
        bits=own_bits(architecture, problem),
        specs=Specs(architecture, problem, mapping),
        sparsity=design.name,
        densities=tuple((t.name, float(design.densities.average[i])) for i, t in enumerate(problem.tensors)),
        computes=SparseComputes(problem.computes, actual, gated, skipped),
        imbalance=imbalance,
        assumed_even=tuple(name for name in uneven if name != balanced),
    )


def _overfull(
    design: SparseDesign,
    problem: Problem,
    levels: tuple[LevelResult, ...],
    described: list[float],
    mapping: Mapping,
) -> list[Issue]:
    """Return an issue for every level whose tiles do not fit."""
    issues = []
    for i, level in enumerate(levels):
        dense = design.capacity_size == "dense"
        words = {counts.tensor: sparse_of(counts).stored_words for counts in level.tensors}
        if dense:
            scale = {tensor.name: design.machine.scale[i, t] for t, tensor in enumerate(problem.tensors)}
            words = {counts.tensor: counts.tile_words * scale[counts.tensor] for counts in level.tensors}
        stored = sum(words.values()) if dense else level.used_words
        sizes = [f"{tensor} {one:,.0f}" for tensor, one in words.items()]
        if level.capacity_words is not None and stored > level.capacity_words:
            taken = _more_than(stored, level.capacity_words)
            issues.append(
                mapping.issue(
                    f"tiles at level '{level.name}' take {taken} words ({design.capacity_size} size), "
                    f"its capacity is {level.capacity_words:,} ({', '.join(sizes)})",
                    "move a factor to a level further out, or let the design spill",
                    i,
                )
            )
        room = int(design.machine.metadata.capacity[i])
        if exceeds(described[i], room):
            message = (
                f"metadata at level '{level.name}' take {described[i]:,.0f} words, their store has {room:,}"
            )
            issues.append(mapping.issue(message, "move a factor to a level further out", i))
    return issues or [mapping.issue("tiles do not fit")]


def _more_than(words: float, capacity: int) -> str:
    """Return words as text, in whole ones where that says that they are more than fit."""
    return f"{words:,.0f}" if round(words) > capacity else f"{words:,.2f}"


def _triple(numbers: Any) -> tuple[float, float, float]:
    return float(numbers[READ]), float(numbers[FILL]), float(numbers[UPDATE])


def _lift_levels(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    phase: SparsePhase,
    buffers: SparseBuffers,
) -> tuple[LevelResult, ...]:
    levels = []
    for i, spec in enumerate(architecture.levels):
        tensors = tuple(
            _lift_tensor(
                spec.name,
                tensor.name,
                tensor.is_output,
                i,
                t,
                phase.format_of(tensor.name, spec.name).kind,
                buffers,
                passes=tensor.name not in mapping.levels[i].keep,
            )
            for t, tensor in enumerate(problem.tensors)
            if tensor.name in mapping.levels[i].keep or buffers.dense.accesses[0, i, t].any()
        )
        held = float(buffers.counts.held[0, i])
        levels.append(lift_level(architecture, i, tensors, as_count(held), buffers.dense, buffers.costs))
    return tuple(levels)


def _lift_tensor(
    level: str,
    tensor: str,
    is_output: bool,
    i: int,
    t: int,
    format_name: str,
    buffers: SparseBuffers,
    *,
    passes: bool,
) -> SparseTensorCounts:
    counts, costs, dense = buffers.counts, buffers.costs, buffers.dense
    actual, energy = _triple(counts.actual[0, i, t]), _triple(costs.energy[0, i, t])
    accesses = dense.accesses[0, i, t]
    return SparseTensorCounts(
        level=level,
        tensor=tensor,
        is_output=is_output,
        instances=int(dense.instances[0, i]),
        tile_words=0 if passes else int(dense.tile[0, i, t]),
        reads=as_count(actual[READ]),
        fills=as_count(actual[FILL]),
        updates=as_count(actual[UPDATE]),
        read_energy_pj=energy[READ],
        fill_energy_pj=energy[FILL],
        update_energy_pj=energy[UPDATE],
        sparse=SparseCounts(
            dense=(int(accesses[READ]), int(accesses[FILL]), int(accesses[UPDATE])),
            actual=actual,
            gated=_triple(counts.gated[0, i, t]),
            skipped=_triple(counts.skipped[0, i, t]),
            metadata=_triple(counts.metadata[0, i, t]),
            gated_metadata=_triple(counts.gated_metadata[0, i, t]),
            skipped_metadata=_triple(counts.skipped_metadata[0, i, t]),
            metadata_energy_pj=_triple(costs.metadata[0, i, t]),
            gated_energy_pj=_triple(costs.saved[0, i, t, 0]),
            skipped_energy_pj=_triple(costs.saved[0, i, t, 1]),
            stored_words=float(counts.stored[0, i, t]),
            used_instances=float(dense.instances[0, i] * buffers.use.tensors[0, i, t]),
            stored_metadata_words=float(counts.described[0, i, t]),
            format=format_name,
        ),
    )


def _lift_imbalance(
    design: SparseDesign, problem: Problem, buffers: SparseBuffers, busy: float
) -> Imbalance | None:
    tensor, tiles = design.balance.tensor, buffers.tiles
    if tensor < 0:
        return None
    cut = int(tiles.cut[0])
    met = float(buffers.met[0])
    return Imbalance(
        tensor=problem.tensors[tensor].name,
        policy=design.policy.name,
        counted=design.is_counted,
        parts=int(tiles.parts[0]),
        rounds=int(tiles.rounds[0]),
        tile_elements=int(tiles.elements[0]),
        cut=None if cut < 0 else list(problem.dimensions)[cut],
        before=float(buffers.before[0]) / met if met else 1.0,
        after=float(buffers.counts.work[0]) / met if met else 1.0,
        in_cycles=bool(slowest_counts(busy, problem.computes, met)),
        pointer_reads=float(buffers.counts.pointers[0]),
        pointer_energy_pj=float(buffers.costs.beside[0, BALANCING]),
    )
