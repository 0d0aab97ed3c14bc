"""Evaluates mappings whose instances differ: each is counted as what it is, and all are added up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.accesses import check_capacity
from procrustes_model.kernels.dense.arrays import (
    BAD_FACTORS,
    BALANCING,
    COMPONENTS,
    COMPUTING,
    DONE,
    FILL,
    OK,
    OVERFLOW,
    READ,
    UPDATE,
    Bools,
    CostArrays,
    CountArrays,
    Floats,
    Ints,
    MachineArrays,
    NestArrays,
    ProblemArrays,
    Room,
)
from procrustes_model.kernels.dense.cost import (
    add_up,
    add_waits,
    charge_components,
    count_component_cycles,
    count_cycles,
)
from procrustes_model.kernels.dense.nest import (
    check_homes,
    check_nests,
    count_transfers,
    flatten,
    is_beyond,
    measure_tiles,
)
from procrustes_model.kernels.dense.rounding import count_packs
from procrustes_model.kernels.dense.sharing import count_distinct
from procrustes_model.kernels.dense.wires import charge_wires
from procrustes_model.kernels.imperfect.covered import count_accumulated
from procrustes_model.kernels.imperfect.instances import (
    EVERY,
    ChainArrays,
    Link,
    OneNest,
    count_fetched,
    cover,
    follow_chains,
    make_chains,
    refine,
    serve,
)
from procrustes_model.kernels.imperfect.transfers import fit_bounds, make_passes
from procrustes_model.kernels.jit import kernel


class TotalArrays(NamedTuple):
    """What all instances do together.

    Attributes
    ----------
    words, accesses : float64[N, L, T, 3]
        Read, filled, updated; whole numbers. Accesses move several words, one instance by itself.
    partial : float64[N, L]
        Accesses of updates, were they partial sums, of another width.
    drained : float64[N, L]
        Words of the output that are read to be sent up, among those read.
    """

    words: Floats
    accesses: Floats
    partial: Floats
    drained: Floats


class LastArrays(NamedTuple):
    """What a last pass leaves, both int64[N, L, D].

    Attributes
    ----------
    temporal : int64[N, L, D]
        Iterations of the loops in time.
    filled : int64[N, L, D]
        Instances that work below one of a level.
    """

    temporal: Ints
    filled: Ints


class Manner(NamedTuple):
    """How mappings are counted.

    Attributes
    ----------
    fit : bool
        Tiles must fit.
    all_fills : bool
        As in `RuleArrays`.
    """

    fit: bool
    all_fills: bool


class Counted(NamedTuple):
    """How a tensor is counted at a level: whether it is kept there; `all_fills` as in `RuleArrays`."""

    kept: bool
    all_fills: bool


_MOVED = 3
"""Where the words moved into an instance stand behind what it reads, fills and updates."""


def make_totals(mappings: int, levels: int, tensors: int) -> TotalArrays:
    """Allocate what the instances of a batch do together."""
    shape = (mappings, levels, tensors, 3)
    partial, drained = np.empty((mappings, levels)), np.empty((mappings, levels))
    return TotalArrays(np.empty(shape), np.empty(shape), partial, drained)


@kernel
def count_instances(chains: ChainArrays, levels: int, instances: Ints) -> None:
    """Count the instances of every level that ever work; `instances`, int64[L + 1], is filled in."""
    dimensions = chains.whole.shape[1]
    found = np.empty((2 * levels + 1, 2), np.int64)
    for level in range(levels + 1):
        instances[level] = 1
        for d in range(dimensions):
            members = 0
            for i in range(refine(chains, d, EVERY, 0, level, False, found)):
                members += found[i, 1]
            instances[level] *= members


@kernel
def _count_one(
    problem: ProblemArrays, machine: MachineArrays, nest: OneNest, link: Link, how: Counted, names: Ints,
    row: Ints,
) -> None:  # fmt: skip
    """Count what one instance of a level does with a tensor.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    nest : OneNest
    link : Link
    how : Counted
    names : int64[D]
        The instance's class in each dimension.
    row : int64[4]
        Filled in: words read, filled, updated; words moved into it.
    """
    served = serve(problem, nest, link, names)
    row[READ], row[FILL], row[UPDATE], row[_MOVED] = served, served, 0, 0
    if not how.kept:
        return
    level, tensor, below = link.level, link.tensor, nest.loops.below
    moved = count_fetched(problem, nest, level, tensor, names)
    new = fresh = 0
    if tensor == problem.output:
        row[UPDATE] = served
        new = count_accumulated(problem, nest.chains, level, names, below[nest.n, link.child])
        if not how.all_fills:
            fresh = count_accumulated(problem, nest.chains, level, names, below[nest.n, level])
    row[READ] = max(0, served - new)
    if tensor == problem.output and machine.drains[level] and level > machine.home[tensor]:
        row[READ] += moved
    fills = level > machine.home[tensor] or (machine.loads[level] and tensor != problem.output)
    row[FILL] = max(0, moved - fresh) if fills else 0
    row[_MOVED] = moved


@kernel
def _add_level(
    problem: ProblemArrays, machine: MachineArrays, nest: OneNest, link: Link, how: Counted, first: Ints,
    totals: TotalArrays,
) -> float:  # fmt: skip
    """Add up what the instances of a level do with a tensor.

    Parameters
    ----------
    problem, machine, nest, link, how
        As `_count_one` takes them.
    first : int64[3]
        Filled in: what the first instance reads, fills and updates.
    totals : TotalArrays
        Grow.

    Returns
    -------
    float
        Words that are moved into all instances.
    """
    levels, dimensions = nest.chains.whole.shape
    found = np.empty((dimensions, 2 * levels + 1, 2), np.int64)
    count, names = np.empty(dimensions, np.int64), np.empty(dimensions, np.int64)
    level, tensor, n = link.level, link.tensor, nest.n
    many, moved = 1, 0.0
    for d in range(dimensions):
        refine(nest.chains, d, EVERY, 0, level, True, found[d])
        names[d] = found[d, 0, 0]
        count[d] = refine(nest.chains, d, EVERY, 0, level, False, found[d])
        many *= count[d]
    row = np.empty(4, np.int64)
    _count_one(problem, machine, nest, link, how, names, row)
    for action in range(3):
        first[action] = row[action]
    wide = tensor == machine.sums.output
    for number in range(many):
        members, rest = 1, number
        for d in range(dimensions):
            names[d], members = found[d, rest % count[d], 0], members * found[d, rest % count[d], 1]
            rest //= count[d]
        _count_one(problem, machine, nest, link, how, names, row)
        moved += float(members) * row[_MOVED]
        for action in range(3):
            pack, split = machine.pack[level, tensor], machine.split[level, tensor]
            if wide and action != UPDATE:
                pack, split = machine.sums.pack[level], machine.sums.split[level]
            totals.words[n, level, tensor, action] += float(members) * row[action]
            totals.accesses[n, level, tensor, action] += (
                members * split * count_packs(row[action], pack, True)
            )
        if wide:
            packs = count_packs(row[UPDATE], machine.sums.pack[level], True)
            totals.partial[n, level] += members * machine.sums.split[level] * packs
    return moved


@kernel
def _are_countable(keep: Bools, counts: CountArrays, n: int, steps: int) -> bool:
    """Say whether no count is beyond 2^62, were all passes whole: then counts are no smaller."""
    levels, tensors = keep.shape[1:]
    for tensor in range(tensors):
        words, tiles = steps, 1
        for level in range(levels - 1, -1, -1):
            tiles *= counts.distinct[n, level, tensor]
            if is_beyond(words, tiles):
                return False
            if keep[n, level, tensor]:
                words, tiles = counts.moved[n, level, tensor], 1
    return True


@kernel
def _count_nest(
    problem: ProblemArrays, machine: MachineArrays, nest: OneNest, keep: Bools, all_fills: bool,
    counts: CountArrays, totals: TotalArrays,
) -> None:  # fmt: skip
    """Count all accesses of one mapping."""
    levels, tensors = keep.shape[1:]
    n, wide = nest.n, machine.sums.output
    for tensor in range(tensors):
        child, sent = levels, float(problem.computes)
        size = float(counts.tile[n, 0, tensor])
        for level in range(levels - 1, -1, -1):
            kept = keep[n, level, tensor]
            if not kept and not (machine.through[level, tensor] and level > machine.home[tensor]):
                continue
            link, how = Link(level, child, tensor), Counted(kept, all_fills)
            first = counts.accesses[n, level, tensor]
            moved = _add_level(problem, machine, nest, link, how, first, totals)
            if not kept:
                continue
            if tensor == problem.output and machine.drains[level] and level > machine.home[tensor]:
                totals.drained[n, level] = moved
            if tensor == wide:
                counts.complete[n, level, 0] = sent == size
                counts.complete[n, level, 1] = totals.words[n, level, tensor, UPDATE] == size
            child, sent = level, moved


@kernel
def _count_steps(chains: ChainArrays) -> int:
    """Count the steps of a nest, all passes taken as whole; -1 beyond 2^62."""
    steps = 1
    levels, dimensions = chains.whole.shape
    for level in range(levels):
        for d in range(dimensions):
            if is_beyond(steps, chains.bound[level, d]):
                return -1
            steps *= chains.bound[level, d]
    return steps


@kernel
def count_unequal(
    problem: ProblemArrays, machine: MachineArrays, nests: NestArrays, last: LastArrays, manner: Manner,
    room: Room, totals: TotalArrays, cycles: Ints,
) -> None:  # fmt: skip
    """Count the accesses of mappings whose instances differ.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    nests : NestArrays
    last : LastArrays
    manner : Manner
    room : Room
        Filled in; `accesses` are those of the first instance of a level, which works in every pass.
    totals : TotalArrays
        Filled in.
    cycles : int64[N, C]
        Filled in, the last one of each mapping: the steps of the nest, all passes taken as whole.
    """
    loops, counts, status = room.loops, room.counts, room.status
    mappings, levels, dimensions = last.filled.shape
    flatten(nests, loops)
    fit_bounds(problem, loops)
    check_nests(problem, machine, nests, loops, status)
    chains, passes = make_chains(problem, levels), make_passes(mappings, levels, dimensions)
    final = cycles.shape[1] - 1
    for n in range(mappings):
        cycles[n, final] = 1
        counts.instances[n] = 1
        follow_chains(nests, last.temporal, last.filled, n, chains)
        if not cover(problem, chains):
            status[n] = BAD_FACTORS
    if machine.home.max() > 0:
        check_homes(problem, machine, loops, status)
    measure_tiles(problem, loops.below, counts.tile)
    wide = machine.sums.output >= 0
    if manner.fit and not wide:
        check_capacity(machine, nests.keep, counts, status)
    count_transfers(problem, loops, counts.tile, counts.moved, status)
    count_distinct(problem, loops, counts.distinct, room.touched)
    counts.accesses[:] = 0
    for group in (totals.words, totals.accesses):
        group[:] = 0.0
    totals.partial[:] = 0.0
    totals.drained[:] = 0.0
    for n in range(mappings):
        if status[n] != OK:
            continue
        follow_chains(nests, last.temporal, last.filled, n, chains)
        count_instances(chains, levels, counts.instances[n])
        steps = _count_steps(chains)
        if steps < 0 or not _are_countable(nests.keep, counts, n, steps):
            status[n] = OVERFLOW
            continue
        cycles[n, final] = steps
        passes.last[n] = 1
        nest = OneNest(loops, chains, passes, n)
        _count_nest(problem, machine, nest, nests.keep, manner.all_fills, counts, totals)
    if manner.fit and wide:
        check_capacity(machine, nests.keep, counts, status)


@kernel
def _charge_accesses(
    machine: MachineArrays, counts: CountArrays, totals: TotalArrays, status: Ints, costs: CostArrays
) -> None:
    """Charge every access of every instance, or of every port where instances share one."""
    mappings, levels, tensors, actions = totals.words.shape
    for n in range(mappings):
        if status[n] != OK:
            continue
        for level in range(levels):
            used = counts.instances[n, level]
            share = min(used, machine.ports[level]) / used
            for t in range(tensors):
                for action in range(actions):
                    accesses = totals.accesses[n, level, t, action]
                    sums = t == machine.sums.output and not counts.complete[n, level, 1]
                    if sums and action == UPDATE:
                        accesses = totals.partial[n, level]
                    one = share * accesses * machine.price[level, t, action]
                    costs.energy[n, level, t, action] = one
                    costs.total[n] += one


@kernel
def _find_sent(counts: CountArrays, totals: TotalArrays, output: int, status: Ints) -> Floats:
    """Return words that are right once networks take `moved` off for what goes up: the mean is another."""
    words = totals.words.copy()
    for n in range(len(status)):
        for level in range(words.shape[1]):
            if status[n] == OK and totals.drained[n, level] > 0:
                up = totals.drained[n, level] / counts.instances[n, level]
                words[n, level, output, READ] += counts.moved[n, level, output] - up
    return words


@kernel
def evaluate_unequal(
    problem: ProblemArrays, machine: MachineArrays, nests: NestArrays, last: LastArrays, manner: Manner,
    room: Room, totals: TotalArrays, costs: CostArrays,
) -> None:  # fmt: skip
    """Evaluate mappings whose instances differ.

    Energy adds up over instances. The ports of a level are as busy as those of its first instance; words on
    networks go as far as in a pass that is not the last.

    Parameters
    ----------
    problem, machine, nests, last, manner, room, totals
        As `count_unequal` takes them; then `words` are those of an instance on average.
    costs : CostArrays
        Filled in where the status is OK.
    """
    counts, status = room.counts, room.status
    count_unequal(problem, machine, nests, last, manner, room, totals, costs.cycles)
    costs.total[:] = 0.0
    _charge_accesses(machine, counts, totals, status, costs)
    mappings, levels, tensors, _ = totals.words.shape
    computes = float(problem.computes)
    for n in range(mappings):
        costs.beside[n, COMPUTING] = computes * machine.compute_price[DONE]
        costs.beside[n, BALANCING] = 0.0
        costs.beside[n, COMPONENTS] = computes * machine.served_compute
        for level in range(levels):
            if status[n] == OK:
                totals.words[n, level] /= counts.instances[n, level]
    words, none = totals.words, np.empty((0, 0, 0, 0))
    if machine.wires.any:
        every = np.ones((mappings, levels, tensors))
        sent = _find_sent(counts, totals, problem.output, status)
        charge_wires(problem, machine, nests.keep, room.loops, counts, sent, none, every, costs, status)
    if machine.serves:
        charge_components(machine, words, counts.instances, costs)
    count_cycles(machine, counts.accesses, counts, none, none, costs, status)
    if machine.waits.any:
        add_waits(machine, room.loops, counts.accesses, none, costs, status)
    if len(machine.rates.per_cycle) > 0:
        done = np.full(mappings, computes)
        count_component_cycles(machine, counts.instances, words, done, costs, status)
    add_up(machine, counts.instances, costs, status)
