"""From what kernels fill in for one mapping to a `Result`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import COMPUTING, CostArrays, CountArrays
from procrustes_model.kernels.dense.wires import sum_bits
from procrustes_model.model.components import ComponentResult, lift_components, lift_leakage
from procrustes_model.model.lower import own_bits
from procrustes_model.model.result import (
    ComputeResult,
    LevelResult,
    NetworkResult,
    Result,
    Specs,
    TensorCounts,
)
from procrustes_model.spec.uneven import tensors_by_level
from procrustes_model.vocabulary import Action, Limit, Status

if TYPE_CHECKING:
    from procrustes_model.model.design import Design
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


def as_count(expected: float) -> int | float:
    """Return an expected value as a whole number where it is one, as it is written then."""
    return int(expected) if float(expected).is_integer() else float(expected)


def check_status(status: int, mapping: Mapping) -> None:
    """Raise when a mapping is not valid for another reason than its tiles' sizes.

    Raises
    ------
    SpecError
    """
    if status not in (Status.OK, Status.BAD_CAPACITY):
        raise SpecError(mapping.issue(Status(status).text))


def lift_compute(
    architecture: Architecture, design: Design, computes: float, counts: CountArrays, costs: CostArrays
) -> ComputeResult:
    """Return what the compute units did."""
    return ComputeResult(
        name=architecture.compute.name,
        instances_used=int(counts.instances[0, -1]),
        instances=architecture.instances(len(architecture.levels)),
        computes=computes,
        energy_pj=float(costs.beside[0, COMPUTING]),
        cycles=int(costs.cycles[0, -1]),
        area_um2=architecture.area.parts[architecture.compute.name],
        cycles_per_compute=design.machine.cycles_per_compute,
    )


def lift_level(
    architecture: Architecture,
    index: int,
    tensors: tuple[TensorCounts, ...],
    used_words: float,
    counts: CountArrays,
    costs: CostArrays,
) -> LevelResult:
    """Return one storage level."""
    level = architecture.levels[index]
    return LevelResult(
        name=level.name,
        instances_used=int(counts.instances[0, index]),
        instances=architecture.instances(index),
        capacity_words=level.usable_words,
        used_words=used_words,
        cycles=int(costs.cycles[0, index]),
        limited_by=Limit(costs.limit[0, index]).text,
        tensors=tensors,
        area_um2=architecture.area.parts[level.name],
    )


def slowest_of(
    levels: Sequence[LevelResult],
    compute: ComputeResult,
    beside: Sequence[NetworkResult | ComponentResult],
) -> tuple[int, str]:
    """Return the cycles of the slowest part of a machine, and its name; compute where nothing is slower."""
    parts: list[LevelResult | NetworkResult | ComponentResult] = [*levels, *beside]
    slowest = max(parts, key=lambda one: one.cycles or 0)
    if (slowest.cycles or 0) > compute.cycles:
        return slowest.cycles or 0, slowest.name
    return compute.cycles, compute.name


def lift_networks(
    architecture: Architecture, problem: Problem, counts: CountArrays, costs: CostArrays
) -> tuple[NetworkResult, ...]:
    """Return what went over the networks of a machine."""
    found = []
    for i, level in enumerate(architecture.levels):
        if level.network is None:
            continue
        energy = {
            tensor.name: float(costs.wires[0, i, t])
            for t, tensor in enumerate(problem.tensors)
            if costs.wires[0, i, t]
        }
        limited = level.network.bits_per_cycle is not None
        cycles = int(costs.cycles[0, len(architecture.levels) + i]) if limited else None
        used = int(counts.instances[0, i])
        found.append(NetworkResult(level.name, used, float(costs.traffic[0, i]), energy, cycles))
    return tuple(found)


def lift_dense(
    architecture: Architecture,
    problem: Problem,
    mapping: Mapping,
    design: Design,
    counts: CountArrays,
    costs: CostArrays,
) -> Result:
    """Return the result of a batch of one in which nothing is zero."""
    accesses, tile, instances = counts.accesses[0], counts.tile[0], counts.instances[0]
    energy, kept = costs.energy[0], tensors_by_level(architecture, mapping)
    levels = []
    for i, spec in enumerate(architecture.levels):
        tensors = tuple(
            TensorCounts(
                level=spec.name,
                tensor=tensor.name,
                is_output=tensor.is_output,
                instances=int(instances[i]),
                tile_words=int(tile[i, t]) if tensor.name in kept[i] else 0,
                reads=as_count(accesses[i, t, Action.READ]),
                fills=as_count(accesses[i, t, Action.FILL]),
                updates=as_count(accesses[i, t, Action.UPDATE]),
                read_energy_pj=float(energy[i, t, Action.READ]),
                fill_energy_pj=float(energy[i, t, Action.FILL]),
                update_energy_pj=float(energy[i, t, Action.UPDATE]),
            )
            for t, tensor in enumerate(problem.tensors)
            if tensor.name in kept[i] or accesses[i, t].any()
        )
        own = (
            int(tile[i, t]) * sum_bits(design.machine, i, t, counts.complete[0, i, 1])
            for t, tensor in enumerate(problem.tensors)
            if tensor.name in kept[i]
        )
        whole, rest = divmod(sum(own), spec.word_bits)
        held = whole + rest / spec.word_bits if rest else whole
        levels.append(lift_level(architecture, i, tensors, held, counts, costs))
    compute = lift_compute(architecture, design, problem.computes, counts, costs)
    words = accesses * instances[:-1, None, None].astype(float)
    networks = lift_networks(architecture, problem, counts, costs)
    components = lift_components(
        architecture, problem, design.components, words, problem.computes, costs, int(costs.cycles[0].max())
    )
    cycles, bottleneck = slowest_of(levels, compute, (*networks, *components))
    return Result(
        architecture=architecture.name,
        problem=problem.name,
        phase=problem.phase,
        mapping=mapping.name,
        levels=tuple(levels),
        compute=compute,
        cycles=cycles,
        bottleneck=bottleneck,
        components=components,
        networks=networks,
        leakage=lift_leakage(architecture, instances, cycles),
        clock_ghz=architecture.clock_ghz,
        bits=own_bits(architecture, problem),
        specs=Specs(architecture, problem, mapping),
    )


def check_fit(levels: Sequence[LevelResult], mapping: Mapping) -> None:
    """Raise when the tiles of a level do not fit, with every such level and its tensors.

    Parameters
    ----------
    levels : sequence of LevelResult
        `used_words` is what has to fit.
    mapping : Mapping

    Raises
    ------
    SpecError
    """
    issues: list[Issue] = []
    names = [entry.level for entry in mapping.levels]
    for level in levels:
        if level.capacity_words is None or level.used_words <= level.capacity_words:
            continue
        tiles = ", ".join(f"{t.tensor} {t.tile_words:,}" for t in level.tensors)
        issues.append(
            mapping.issue(
                f"tiles at level '{level.name}' take {level.used_words:,} words, its capacity is"
                f" {level.capacity_words:,}: {level.used_words - level.capacity_words:,} too many ({tiles})",
                "move a factor to a level further out, or bypass a tensor",
                names.index(level.name),
            )
        )
    if issues:
        raise SpecError(issues)
