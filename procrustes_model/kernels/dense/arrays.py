"""The arrays that kernels take, grouped into a few named tuples.

Sizes: N mappings, L storage levels (outermost first), D dimensions, T tensors, K ranks and M terms of
all tensors together. A rank's index expression is the sum of its terms, coefficient times dimension.

Every kernel runs over a whole batch: one mapping is a batch of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from procrustes_model.kernels.jit import by_reference
from procrustes_model.vocabulary import Action, Compute, Price, Status

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

READ, FILL, UPDATE = (action.value for action in Action)
"""Positions of the actions in the last axis of counts and energies: `vocabulary.Action` for kernels."""

METADATA, SAVED, METADATA_GATED, METADATA_SKIPPED = (
    price.value
    for price in (
        Price.METADATA_READ,
        Price.GATED_READ,
        Price.METADATA_GATED_READ,
        Price.METADATA_SKIPPED_READ,
    )
)
"""Where prices of metadata, of saved accesses and of gated metadata begin: `vocabulary.Price`."""

DONE, GATED_COMPUTE, SKIPPED_COMPUTE = (kind.value for kind in Compute)
"""Positions in the last axis of computations and of their prices: `vocabulary.Compute` for kernels."""

OK, OVERFLOW, BAD_FACTORS, BAD_FANOUT, BAD_KEEP, BAD_CAPACITY, BAD_DESIGN, BAD_HOME, BAD_RANKS = (
    status.value for status in Status
)
"""What can be said of a mapping: `vocabulary.Status` for kernels."""

COUNT_LIMIT = 2**62
"""Counts are exact integers up to here, and an error beyond."""

UNLIMITED = 2**63 - 1
"""Capacity, in words, of a level that states none: all fits, also tiles that together exceed 2^62."""


@by_reference
class ProblemArrays(NamedTuple):
    """A problem.

    Attributes
    ----------
    bounds : int64[D]
    rank_start : int64[T + 1]
        The ranks of tensor t are ``rank_start[t]`` to ``rank_start[t + 1]``.
    term_start : int64[K + 1]
        The terms of rank k are ``term_start[k]`` to ``term_start[k + 1]``.
    term_dimension, term_coefficient : int64[M]
    rank : int64[T, D]
        The rank that the dimension indexes; -1 where it does not index the tensor.
    coefficient : int64[T, D]
        Its coefficient there.
    sliding : bool[T]
        Whether a rank sums two dimensions or more: tiles may overlap.
    skewed : bool[T]
        Whether a dimension indexes two ranks: `rank` and `coefficient` do not tell all.
    output : int
        Index of the tensor that is written.
    gapped : bool
        Whether tiles of the output may have words that no computation reaches: where a coefficient is above
        1, or a dimension indexes two ranks.
    computes : int
        Operations: the product of the bounds.
    """

    bounds: Ints
    rank_start: Ints
    term_start: Ints
    term_dimension: Ints
    term_coefficient: Ints
    rank: Ints
    coefficient: Ints
    sliding: Bools
    skewed: Bools
    output: int
    gapped: bool
    computes: int


@by_reference
class WireArrays(NamedTuple):
    """The networks of a machine, each below one instance of a level.

    Attributes
    ----------
    topology : int64[L]
        `vocabulary.Topology`; -1 where there is no network.
    enter, hop : float64[L]
        pJ per bit that enters a network, and per bit and hop.
    sums_return : bool[L]
        Whether partial sums that the level reads for what is below come back over its network.
    bits_per_cycle : float64[L]
        Of one network; infinite where unlimited.
    any : bool
        Whether there is a network that costs energy or time.
    """

    topology: Ints
    enter: Floats
    hop: Floats
    sums_return: Bools
    bits_per_cycle: Floats
    any: bool


@by_reference
class SumArrays(NamedTuple):
    """Partial sums that are wider than what leaves.

    Attributes
    ----------
    output : int
        The tensor; -1 where partial sums are as wide as its elements.
    bits, pack, split : int64[L]
        Of a partial sum, as `MachineArrays` has them of an element.
    scale : float64[L]
    """

    output: int
    bits: Ints
    pack: Ints
    split: Ints
    scale: Floats


@by_reference
class RateArrays(NamedTuple):
    """Components that do so much in a cycle and no more: C of them.

    Attributes
    ----------
    words : float64[C, L, T, 3]
        Uses per word read, filled, updated.
    computes : float64[C]
        Uses per operation that is done.
    per_cycle : float64[C]
        Uses in a cycle, of all instances.
    """

    words: Floats
    computes: Floats
    per_cycle: Floats


@by_reference
class MetadataArrays(NamedTuple):
    """Where levels keep metadata: beside their data, or in a store of its own.

    Attributes
    ----------
    bits : int64[L]
        Of one word of metadata.
    pack : int64[L]
        Such words that one access moves.
    scale : float64[L]
        Words of the level that one of them takes at the ports of the data; 0 where it has ports of its own.
    room : float64[L]
        Words of the level that one bit takes there; 0 in a store of its own.
    capacity : int64[L]
        Words of metadata that an own store holds; the largest int64 where unlimited, and without one.
    """

    bits: Ints
    pack: Ints
    scale: Floats
    room: Floats
    capacity: Ints


@by_reference
class WaitArrays(NamedTuple):
    """When compute units wait, whatever bandwidths are.

    Attributes
    ----------
    any : bool
        Whether they ever do.
    array : int
        The level below which the array is that fills and drains.
    fill_drain : float
        Cycles that it takes for each of its tiles.
    serial : bool[L]
        Levels that are not written while units compute.
    """

    any: bool
    array: int
    fill_drain: float
    serial: Bools


@by_reference
class MachineArrays(NamedTuple):
    """An architecture as a problem meets it.

    Attributes
    ----------
    bits : int64[L, T]
        Of one element.
    word_bits : int64[L]
        Of one word of the level, in which capacities and bandwidths are.
    scale : float64[L, T]
        Words of the level that one element takes: its bits over those of a word.
    pack, split : int64[L, T]
        Elements that one access moves, and accesses that one element takes: one of the two is 1.
    price : float64[L, T, P]
        pJ per access, by `vocabulary.Price`.
    bandwidth : float64[L, 3]
        Words of the level per cycle and instance to read, to write, and both together; infinite where
        unlimited.
    capacity : int64[L]
        Words of the level; the largest int64 where unlimited.
    fanout : int64[L, 2]
        Instances below one instance of the level, on x and y.
    compute_price : float64[3]
        pJ per operation that is done, gated, skipped.
    served : float64[L, T, 3]
        pJ that components spend per word read, filled, updated.
    served_compute : float
        pJ that components spend per operation that is done.
    serves : bool
        Whether any component spends energy per word.
    power : float
        pJ per cycle, spent whatever is done.
    used_power : float64[L + 1]
        pJ per cycle and instance that a mapping uses; last, of the compute units.
    cycles_per_compute : float
        Cycles that a compute unit takes for an operation.
    ports : int64[L]
        Instances that accesses are charged for at most: as many as have ports of their own.
    memory : int64[L]
        Levels with the same number are one memory: its tensors stand at several loops of the nest. They are
        neighbours, with one instance below each; together they have one capacity and one set of ports.
    home : int64[T]
        The outermost level that may keep the tensor: there it begins and ends.
    loads : bool[L]
        Whether what begins at a level is written there once.
    drains : bool[L]
        Whether a sum that is sent up is read there.
    through : bool[L, T]
        Tensors that a level which does not keep them takes in and gives out again, word by word.
    wires : WireArrays
    sums : SumArrays
    rates : RateArrays
    metadata : MetadataArrays
    waits : WaitArrays
    """

    bits: Ints
    word_bits: Ints
    scale: Floats
    pack: Ints
    split: Ints
    price: Floats
    bandwidth: Floats
    capacity: Ints
    fanout: Ints
    compute_price: Floats
    served: Floats
    served_compute: float
    serves: bool
    power: float
    used_power: Floats
    cycles_per_compute: float
    ports: Ints
    memory: Ints
    home: Ints
    loads: Bools
    drains: Bools
    through: Bools
    wires: WireArrays
    sums: SumArrays
    rates: RateArrays
    metadata: MetadataArrays
    waits: WaitArrays


@by_reference
class RuleArrays(NamedTuple):
    """Where counting follows a published model.

    Attributes
    ----------
    all_fills : bool
        The first fill of an output, which has nothing to fetch, counts too.
    forgetful : bool
        A tile that stays forgets how it moved before.
    whole_words : bool
        Expected counts are rounded.
    dearest : bool
        All accesses of a tensor at a level together cost the dearest action.
    dense_wires : bool
        Networks carry what moves if nothing is zero, and no metadata.
    """

    all_fills: bool
    forgetful: bool
    whole_words: bool
    dearest: bool
    dense_wires: bool


@by_reference
class NestArrays(NamedTuple):
    """Mappings.

    Attributes
    ----------
    temporal : int64[N, L, D]
        Temporal factors.
    order : int64[N, L, D]
        The dimensions of each level's temporal loops, outermost first.
    spatial : int64[N, L, 2, D]
        Factors on x and y, over the instances below the level.
    keep : bool[N, L, T]
    """

    temporal: Ints
    order: Ints
    spatial: Ints
    keep: Bools


@by_reference
class LoopArrays(NamedTuple):
    """The geometry of nests. Temporal loops with a bound above 1 are listed innermost first.

    Attributes
    ----------
    listed : int64[N]
        How many.
    dimension, bound : int64[N, L * D]
    step : int64[N, L * D]
        How many elements of its dimension one iteration moves: all that lies inside the loop.
    outer : int64[N, L * D]
        Product of the bounds of the loops outside.
    start : int64[N, L + 1]
        The loops outside level l are ``start[l]`` and up.
    below : int64[N, L + 1, D]
        Elements of each dimension covered by the loops at and below a level.
    spread : int64[N, L, D]
        Positions of each dimension among the instances below a level, x and y together.
    reach : int64[N, L, D]
        Elements of each dimension that one instance of a level sees over the whole run.
    """

    listed: Ints
    dimension: Ints
    bound: Ints
    step: Ints
    outer: Ints
    start: Ints
    below: Ints
    spread: Ints
    reach: Ints


@by_reference
class CountArrays(NamedTuple):
    """What counting yields.

    Attributes
    ----------
    accesses : int64[N, L, T, 3]
        Words read, filled, updated per instance; 0 where the level does not keep the tensor.
    tile : int64[N, L, T]
        Words of the tile that one instance would hold.
    moved : int64[N, L, T]
        Words transferred into one instance over the run.
    distinct : int64[N, L, T]
        Different tiles among the instances below one instance of a level.
    instances : int64[N, L + 1]
        Instances used; the last entry counts the compute units.
    complete : bool[N, L, 2]
        Whether sums that come to a level are complete: when they leave the instances further in that keep
        them, and when they arrive. Found where partial sums are wider than what leaves.
    """

    accesses: Ints
    tile: Ints
    moved: Ints
    distinct: Ints
    instances: Ints
    complete: Bools


@by_reference
class Room(NamedTuple):
    """Room to count N mappings.

    Attributes
    ----------
    loops : LoopArrays
    touched : int64[N, L, 2]
        Output words that are read for the first time, and filled: those in tiles of what is served, and in
        the instance's own. That is what the instance accumulates, and gaps in these tiles.
    counts : CountArrays
    status : int64[N]
        OK, or why a mapping is not valid.
    """

    loops: LoopArrays
    touched: Ints
    counts: CountArrays
    status: Ints


@by_reference
class CostArrays(NamedTuple):
    """What a mapping costs.

    Attributes
    ----------
    energy : float64[N, L, T, 3]
        pJ of words read, filled, updated, over all used instances.
    metadata : float64[N, L, T, 3]
        pJ of their metadata; no mappings where there is none.
    saved : float64[N, L, T, 2, 3]
        pJ of gated and of skipped accesses, by action; no mappings where there are none.
    wires : float64[N, L, T]
        pJ of the networks below levels.
    traffic : float64[N, L]
        Bits that enter the network below one instance of a level, over the run.
    beside : float64[N, 3]
        pJ of computing, of balancing, and of components.
    total : float64[N]
        pJ of everything; NaN where the mapping is not valid.
    cycles : int64[N, 2 L + C + 1]
        By level, by the network below it, by component that has a rate; last, of the compute units.
    limit : int64[N, L]
        What sets a level's cycles: 0 compute, 1 read, 2 write, 3 shared bandwidth.
    """

    energy: Floats
    metadata: Floats
    saved: Floats
    wires: Floats
    traffic: Floats
    beside: Floats
    total: Floats
    cycles: Ints
    limit: Ints


COMPUTING, BALANCING, COMPONENTS = range(3)
"""Positions in the last axis of `CostArrays.beside`."""
