"""Allocate what kernels fill in."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import CostArrays, CountArrays, LoopArrays, MachineArrays, Room


def make_loops(mappings: int, levels: int, dimensions: int) -> LoopArrays:
    """Allocate the geometry of a batch of `mappings` nests."""
    shape = (mappings, levels * dimensions)
    return LoopArrays(
        listed=np.empty(mappings, np.int64),
        dimension=np.empty(shape, np.int64),
        bound=np.empty(shape, np.int64),
        step=np.empty(shape, np.int64),
        outer=np.empty(shape, np.int64),
        start=np.empty((mappings, levels + 1), np.int64),
        below=np.empty((mappings, levels + 1, dimensions), np.int64),
        spread=np.empty((mappings, levels, dimensions), np.int64),
        reach=np.empty((mappings, levels, dimensions), np.int64),
    )


def make_counts(mappings: int, levels: int, tensors: int) -> CountArrays:
    """Allocate the counts of a batch of `mappings` nests."""
    kept = (mappings, levels, tensors)
    return CountArrays(
        accesses=np.empty((*kept, 3), np.int64),
        tile=np.empty(kept, np.int64),
        moved=np.empty(kept, np.int64),
        distinct=np.empty(kept, np.int64),
        instances=np.empty((mappings, levels + 1), np.int64),
        complete=np.zeros((mappings, levels, 2), np.bool_),
    )


def make_room(mappings: int, levels: int, dimensions: int, tensors: int) -> Room:
    """Allocate what counting a batch of `mappings` nests fills in."""
    return Room(
        loops=make_loops(mappings, levels, dimensions),
        touched=np.empty((mappings, levels, 2), np.int64),
        counts=make_counts(mappings, levels, tensors),
        status=np.zeros(mappings, np.int64),
    )


def make_costs(mappings: int, machine: MachineArrays, *, sparse: bool = False) -> CostArrays:
    """Allocate the costs of a batch of `mappings` nests; with metadata and saved accesses where `sparse`."""
    levels, tensors = machine.bits.shape
    expected = mappings if sparse else 0
    return CostArrays(
        energy=np.empty((mappings, levels, tensors, 3)),
        metadata=np.zeros((expected, levels, tensors, 3)),
        saved=np.zeros((expected, levels, tensors, 2, 3)),
        wires=np.zeros((mappings, levels, tensors)),
        traffic=np.zeros((mappings, levels)),
        beside=np.zeros((mappings, 3)),
        total=np.empty(mappings),
        cycles=np.ones((mappings, 2 * levels + len(machine.rates.per_cycle) + 1), np.int64),
        limit=np.empty((mappings, levels), np.int64),
    )
