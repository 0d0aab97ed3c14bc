"""Memory for the sparse evaluation of a block of mappings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    Bools,
    CostArrays,
    CountArrays,
    Floats,
    Ints,
    LoopArrays,
    Room,
)
from procrustes_model.kernels.dense.buffers import make_costs, make_room
from procrustes_model.kernels.imbalance.memo import MemoArrays, make_memo
from procrustes_model.kernels.sparse.arrays import (
    BoxArrays,
    FullestArrays,
    ListedArrays,
    SavedArrays,
    SparseCountArrays,
    TileArrays,
    UseArrays,
)
from procrustes_model.kernels.sparse.fullest import FoundArrays, make_found
from procrustes_model.model.sparse.lower import SparseDesign


@dataclass(frozen=True, slots=True)
class Memo:
    """What was found of tiles, remembered from block to block; of one design only.

    Attributes
    ----------
    work : MemoArrays
        Their expected work.
    found : FoundArrays
        The nonzeros of those that have to fit.
    """

    work: MemoArrays = field(default_factory=make_memo)
    found: FoundArrays = field(default_factory=make_found)


@dataclass(frozen=True, slots=True)
class SparseBuffers:
    """Memory for a block of N mappings.

    Attributes
    ----------
    room : Room
        Geometry, and counts if nothing were zero.
    boxes : BoxArrays
    empty : float64[N, A, T]
    saved : SavedArrays
    compressed : bool[N, T]
    density : float64[N, L + 1, T]
    tiles : TileArrays
    fullest : FullestArrays
    listed : ListedArrays
    counts : SparseCountArrays
    costs : CostArrays
    use : UseArrays
    before : float64[N]
        Work of the slowest processing element without balancing.
    met : float64[N]
        Share of the computations that is work: that meets nonzeros of what is balanced.
    """

    room: Room
    boxes: BoxArrays
    empty: Floats
    saved: SavedArrays
    compressed: Bools
    density: Floats
    tiles: TileArrays
    fullest: FullestArrays
    listed: ListedArrays
    counts: SparseCountArrays
    costs: CostArrays
    use: UseArrays
    before: Floats
    met: Floats

    @property
    def loops(self) -> LoopArrays:
        """Geometry of the nests."""
        return self.room.loops

    @property
    def dense(self) -> CountArrays:
        """Counts if nothing were zero."""
        return self.room.counts

    @property
    def status(self) -> Ints:
        """What can be said of the mappings, int64[N]."""
        return self.room.status


def make_buffers(design: SparseDesign, mappings: int) -> SparseBuffers:
    """Allocate what `evaluate_block` fills in for a batch of `mappings`."""
    levels, tensors = design.compressed.shape
    dimensions, actions = len(design.problem.bounds), len(design.actions.level)
    kept, ranks = (mappings, levels, tensors), design.formats.ranks.kind.shape[-1]
    return SparseBuffers(
        room=make_room(mappings, levels, dimensions, tensors),
        boxes=BoxArrays(
            level=np.zeros((mappings, actions), np.int64),
            extent=np.ones((mappings, actions, tensors, dimensions), np.int64),
            effective=np.zeros((mappings, actions, tensors), np.bool_),
        ),
        empty=np.zeros((mappings, actions, tensors)),
        saved=SavedArrays(
            left=np.ones((*kept, 2)),
            tilt=np.ones((*kept, 3)),
            removed=np.zeros((mappings, tensors)),
            empty=np.zeros((mappings, tensors)),
            computes=np.ones((mappings, 4)),
        ),
        compressed=np.zeros((mappings, tensors), np.bool_),
        density=np.ones((mappings, levels + 1, tensors)),
        tiles=TileArrays(*(np.zeros(mappings, np.int64) for _ in TileArrays._fields)),
        fullest=FullestArrays(
            nonzeros=np.zeros(kept),
            entries=np.zeros(kept),
            words=np.zeros(kept),
            described=np.zeros(kept),
            share=design.share,
            deviations=design.deviations,
        ),
        listed=ListedArrays(
            bits=np.zeros(kept),
            data=np.zeros(kept),
            fields=np.zeros((*kept, ranks, 2)),
            most_bits=np.zeros(kept),
            most_data=np.zeros(kept),
            fiber=np.ones((*kept, ranks), np.int64),
            density=np.ones(kept),
            used=np.ones(kept),
            rows=np.ones(kept),
        ),
        counts=SparseCountArrays(
            actual=np.zeros((*kept, 3)),
            gated=np.zeros((*kept, 3)),
            skipped=np.zeros((*kept, 3)),
            metadata=np.zeros((*kept, 3)),
            gated_metadata=np.zeros((*kept, 3)),
            metadata_bits=np.zeros((*kept, 3)),
            skipped_metadata=np.zeros((*kept, 3)),
            stored=np.zeros(kept),
            described=np.zeros(kept),
            held=np.zeros((mappings, levels)),
            entries=np.zeros(kept),
            computes=np.zeros((mappings, 3)),
            work=np.ones(mappings),
            pointers=np.zeros(mappings),
        ),
        costs=make_costs(mappings, design.machine, sparse=True),
        use=UseArrays(
            tensors=np.ones(kept),
            units=np.ones(mappings),
            steps=np.ones((*kept, 3)),
            rows=np.ones(kept),
        ),
        before=np.ones(mappings),
        met=np.ones(mappings),
    )
