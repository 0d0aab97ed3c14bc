"""Specs to arrays: the only place that knows both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import (
    COUNT_LIMIT,
    UNLIMITED,
    Bools,
    Ints,
    MachineArrays,
    MetadataArrays,
    NestArrays,
    ProblemArrays,
    RateArrays,
    SumArrays,
    WaitArrays,
    WireArrays,
)
from procrustes_model.model.components import Working, has_rate, serves_computes, words_served
from procrustes_model.model.computing import find_computing
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.tensors import stated_bits, strange_tensors
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Action, Compute, Price, Topology

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


def _check_size(problem: Problem) -> None:
    """Raise when operations, or the bounding box of a whole tensor, exceed what counts can hold."""
    if problem.computes > COUNT_LIMIT:
        message = f"{problem.name} has {problem.computes:,} operations, beyond 2^62"
        raise SpecError(Issue(message, "counts would not be exact", file=problem.name))
    for tensor in problem.tensors:
        words = 1
        for rank in tensor.ranks:
            words *= 1 + sum(term.coefficient * (problem.dimensions[term.dimension] - 1) for term in rank)
        if words > COUNT_LIMIT:
            raise SpecError(
                Issue(f"tensor '{tensor.name}' has {words:,} words, beyond 2^62", file=problem.name)
            )


def lower_problem(problem: Problem) -> ProblemArrays:
    """Return `problem` as flat arrays; dimensions and tensors keep their order.

    Raises
    ------
    SpecError
        When a tensor is larger than 2^62 words.
    """
    _check_size(problem)
    index = {name: i for i, name in enumerate(problem.dimensions)}
    rank_start, term_start = [0], [0]
    dimension: list[int] = []
    coefficient: list[int] = []
    rank_of = np.full((len(problem.tensors), len(index)), -1, np.int64)
    coefficient_of = np.zeros((len(problem.tensors), len(index)), np.int64)
    sliding = np.zeros(len(problem.tensors), np.bool_)
    skewed = np.zeros(len(problem.tensors), np.bool_)
    output = 0
    for t, tensor in enumerate(problem.tensors):
        for rank in tensor.ranks:
            for term in rank:
                d = index[term.dimension]
                sliding[t] |= len(rank) > 1
                skewed[t] |= rank_of[t, d] >= 0
                rank_of[t, d] = len(term_start) - 1
                coefficient_of[t, d] = term.coefficient
                dimension.append(d)
                coefficient.append(term.coefficient)
            term_start.append(len(dimension))
        rank_start.append(len(term_start) - 1)
        if tensor.is_output:
            output = t
    return ProblemArrays(
        bounds=np.array(list(problem.dimensions.values()), np.int64),
        rank_start=np.array(rank_start, np.int64),
        term_start=np.array(term_start, np.int64),
        term_dimension=np.array(dimension, np.int64),
        term_coefficient=np.array(coefficient, np.int64),
        rank=rank_of,
        coefficient=coefficient_of,
        sliding=sliding,
        skewed=skewed,
        output=output,
        gapped=bool(skewed[output] or (coefficient_of[output] > 1).any()),
        computes=problem.computes,
    )


def lower_machine(
    architecture: Architecture,
    problem: Problem,
    working: Working,
    gated_energy: float = 0.0,
) -> MachineArrays:
    """Return `architecture` as `problem` meets it, as flat arrays, outermost level first.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    working : dict of str to set of str
        Components that work; the power of all of the architecture's is spent in any case.
    gated_energy : float
        Of a gated computation, as a share of a done one.

    Raises
    ------
    SpecError
        When the architecture names a tensor that does not exist, or a component works on no level.
    """
    if issues := strange_tensors(architecture, problem):
        raise SpecError(issues)
    levels = architecture.levels
    shape = (len(levels), len(problem.tensors))
    ports = [(level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth) for level in levels]
    bits = lower_bits(architecture, problem)
    moved = np.array([level.word_bits * level.words_per_access for level in levels], np.int64)
    price = np.zeros((*shape, len(Price)))
    for i, level in enumerate(levels):
        price[i] = level.energy.prices
    computing = find_computing(architecture, problem)
    compute_price = np.zeros(len(Compute))
    compute_price[Compute.DONE] = computing.done
    compute_price[Compute.GATED] = computing.done * gated_energy if gated_energy else computing.gated
    compute_price[Compute.SKIPPED] = computing.skipped
    served = np.zeros((*shape, len(Action)))
    for component in architecture.components:
        # Also of one that does not work: it is refused where its level does not exist.
        words = words_served(component, architecture, problem, working.get(component.name, ()))
        served += words * component.energy_pj
    per_compute = sum(
        one.energy_pj for one in architecture.components if one.name in working and serves_computes(one)
    )
    word_bits = np.array([level.word_bits for level in levels], np.int64)
    instances = [architecture.instances(i) for i in range(len(levels))]
    pack, split = _lower_packs(bits, moved[:, None])
    return MachineArrays(
        bits=bits,
        word_bits=word_bits,
        scale=bits / word_bits[:, None],
        pack=pack,
        split=split,
        price=price,
        bandwidth=np.array([[math.inf if port is None else port for port in row] for row in ports]),
        capacity=np.array(
            [UNLIMITED if level.usable_words is None else level.usable_words for level in levels],
            np.int64,
        ),
        fanout=np.array([architecture.fanout(i) for i in range(len(levels))], np.int64),
        compute_price=compute_price,
        served=served,
        served_compute=float(per_compute),
        serves=bool(served.any()),
        power=architecture.power_pj_per_cycle,
        used_power=np.array(architecture.used_pj_per_cycle),
        cycles_per_compute=computing.cycles,
        ports=np.array(
            [n // level.cluster_size for n, level in zip(instances, levels, strict=True)], np.int64
        ),
        memory=np.arange(len(levels)),
        home=np.array(
            [find_home(architecture, problem, tensor.name) for tensor in problem.tensors], np.int64
        ),
        loads=np.array([level.loaded for level in levels]),
        drains=_lower_drains(architecture),
        through=np.array(
            [[t.name in level.through and not t.is_output for t in problem.tensors] for level in levels]
        ),
        wires=_lower_wires(architecture),
        sums=_lower_sums(architecture, problem, bits, moved),
        rates=_lower_rates(architecture, problem, working),
        metadata=lower_metadata(architecture),
        waits=_lower_waits(architecture),
    )


def _lower_drains(architecture: Architecture) -> Bools:
    """Return the levels where sums that are sent up are read.

    Raises
    ------
    SpecError
        Where sums have a width of their own: a sum that leaves may be complete, and those read are not.
    """
    for index, level in enumerate(architecture.levels):
        if level.drain_read and architecture.sum_bits is not None:
            message = f"{level.name} reads what it sends up, and partial sums have a width of their own"
            where = ("architecture", "levels", index, "drain_read")
            raise SpecError(architecture.issue(message, "leave out 'drain_read' or 'sum_bits'", where))
    return np.array([level.drain_read for level in architecture.levels])


def _lower_waits(architecture: Architecture) -> WaitArrays:
    """Return when compute units wait, whatever bandwidths are."""
    serial = np.array([level.double_buffered is False for level in architecture.levels])
    fill_drain = architecture.compute.fill_drain_cycles
    return WaitArrays(bool(serial.any() or fill_drain), architecture.array, fill_drain, serial)


def lower_metadata(architecture: Architecture) -> MetadataArrays:
    """Return where levels keep metadata: in words and accesses of the level, or in a store of its own."""
    levels = architecture.levels
    stores = [level.metadata for level in levels]
    kept_in = [level if level.metadata is None else level.metadata for level in levels]
    word = np.array([level.word_bits for level in levels], np.int64)
    own = np.array([store is not None for store in stores])
    limits = [None if store is None else store.capacity_words for store in stores]
    return MetadataArrays(
        bits=np.array([one.word_bits for one in kept_in], np.int64),
        pack=np.array([one.words_per_access for one in kept_in], np.int64),
        scale=np.where(own, 0.0, 1.0),
        room=np.where(own, 0.0, 1 / word),
        capacity=np.array([UNLIMITED if limit is None else limit for limit in limits], np.int64),
    )


def _lower_packs(bits: Ints, moved: Ints) -> tuple[Ints, Ints]:
    """Return the elements that an access of `moved` bits moves, and the accesses that an element takes."""
    return np.maximum(1, moved // bits), np.maximum(1, -(-bits // moved))


def _lower_wires(architecture: Architecture) -> WireArrays:
    """Return the networks below levels."""
    levels = len(architecture.levels)
    topology, enter, hop = np.full(levels, -1, np.int64), np.zeros(levels), np.zeros(levels)
    returns, rate = np.ones(levels, np.bool_), np.full(levels, math.inf)
    for i, level in enumerate(architecture.levels):
        if (network := level.network) is not None:
            topology[i] = Topology[network.topology.upper()]
            enter[i], hop[i] = network.energy_pj_per_bit, network.hop_pj(architecture.area_below(i))
            returns[i] = network.sums == "return"
            rate[i] = network.bits_per_cycle or math.inf
    return WireArrays(topology, enter, hop, returns, rate, any=bool((topology >= 0).any()))


def _lower_sums(architecture: Architecture, problem: Problem, bits: Ints, moved: Ints) -> SumArrays:
    """Return what partial sums take, where they are wider than the output's elements.

    Raises
    ------
    SpecError
        When they are narrower.
    """
    output = next(t for t, tensor in enumerate(problem.tensors) if tensor.is_output)
    width = architecture.sum_bits
    if width is not None and width < bits[:, output].max():
        message = f"partial sums have {width} bits and {problem.output.name} has {bits[:, output].max()}"
        hint = "a sum is at least as wide as what it becomes"
        raise SpecError(architecture.issue(message, hint, ("architecture", "sum_bits")))
    # A column of its own: kernels compile again for an array that has gaps.
    wide = bits[:, output].copy() if width is None else np.full(len(bits), width, np.int64)
    word_bits = np.array([level.word_bits for level in architecture.levels], np.int64)
    pack, split = _lower_packs(wide, moved)
    which = -1 if width is None or (wide == bits[:, output]).all() else output
    return SumArrays(which, wide, pack, split, wide / word_bits)


def _lower_rates(architecture: Architecture, problem: Problem, working: Working) -> RateArrays:
    """Return what components manage in a cycle, of those that work and have a rate."""
    rated = [one for one in architecture.components if has_rate(one, working)]
    words = np.zeros((len(rated), len(architecture.levels), len(problem.tensors), len(Action)))
    for c, one in enumerate(rated):
        words[c] = words_served(one, architecture, problem, working[one.name])
    computes = np.array([float(serves_computes(one)) for one in rated])
    per_cycle = np.array([(one.per_cycle or math.inf) * one.instances for one in rated])
    return RateArrays(words, computes, per_cycle)


def lower_bits(architecture: Architecture, problem: Problem) -> Ints:
    """Return the bits of an element, int64[L, T].

    Those that the problem states of the tensor, or else the architecture, or else those of the level's word.
    What networks and schedules state is what their problems state; `spec.widths` has the whole order.
    """
    tensors = [tensor.name for tensor in problem.tensors]
    issues = [
        architecture.issue(
            f"the problem {problem.name} has no tensor '{name}' for 'bits'",
            did_you_mean(name, tensors),
            ("architecture", "bits", name),
        )
        for name in architecture.bits
        if name not in tensors
    ]
    if issues:
        raise SpecError(issues)
    bits = by_level([level.word_bits for level in architecture.levels], problem)
    for name, own in stated_bits(architecture, problem).items():
        bits[:, tensors.index(name)] = own
    return bits


def own_bits(architecture: Architecture, problem: Problem) -> dict[str, int]:
    """Return the bits that are stated of tensors, but of those that are the word of all levels anyway."""
    words = {level.word_bits for level in architecture.levels}
    stated = stated_bits(architecture, problem)
    names = [tensor.name for tensor in problem.tensors]
    return {name: stated[name] for name in names if name in stated and {stated[name]} != words}


def by_level(values: list[int], problem: Problem) -> Ints:
    """Return a table [level, tensor] in which every tensor has its level's value."""
    return np.repeat(np.array(values, np.int64)[:, None], len(problem.tensors), axis=1)


def lower_mapping(problem: Problem, mapping: Mapping) -> NestArrays:
    """Return `mapping` as a batch of one; dimensions that a level does not loop over come last in order."""
    index = {name: i for i, name in enumerate(problem.dimensions)}
    levels, dimensions = len(mapping.levels), len(index)
    temporal = np.ones((levels, dimensions), np.int64)
    order = np.empty((levels, dimensions), np.int64)
    spatial = np.ones((levels, 2, dimensions), np.int64)
    keep = np.zeros((levels, len(problem.tensors)), np.bool_)
    for i, level in enumerate(mapping.levels):
        looped = [index[loop.dimension] for loop in level.temporal]
        order[i] = looped + [d for d in range(dimensions) if d not in looped]
        for loop in level.temporal:
            temporal[i, index[loop.dimension]] = loop.factor
        for axis, loops in enumerate((level.spatial_x, level.spatial_y)):
            for loop in loops:
                spatial[i, axis, index[loop.dimension]] *= loop.factor
        keep[i] = [tensor.name in level.keep for tensor in problem.tensors]
    return NestArrays(temporal[None], order[None], spatial[None], keep[None])


def lower_last_passes(problem: Problem, mapping: Mapping) -> Ints:
    """Return the factors of a batch of one in the last pass over their dimension.

    Returns
    -------
    int64[1, L, 3, D]
        In time, on x and on y.
    """
    index = {name: i for i, name in enumerate(problem.dimensions)}
    last = np.ones((1, len(mapping.levels), 3, len(index)), np.int64)
    for i, level in enumerate(mapping.levels):
        for kind, loops in enumerate((level.temporal, level.spatial_x, level.spatial_y)):
            for loop in loops:
                last[0, i, kind, index[loop.dimension]] = loop.last or loop.factor
    return last
