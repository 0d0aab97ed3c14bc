"""What is left of a block of mappings where zeros leave tiles, words, instances or steps out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, NestArrays
from procrustes_model.kernels.sparse.arrays import BoxArrays
from procrustes_model.kernels.sparse.empty import find_empty
from procrustes_model.kernels.sparse.empty_on_masks import find_empty_by_mask
from procrustes_model.kernels.sparse.loop_tiles import count_loop_metadata, fill_loop_ranks
from procrustes_model.kernels.sparse.packing import pack_instances, pack_positions, use_units
from procrustes_model.kernels.sparse.whole import count_whole, find_held
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.positions import refuse_repeated

if TYPE_CHECKING:
    from procrustes_model.model.sparse.buffers import SparseBuffers


def pack(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find what instances and steps are left where zeros make room."""
    problem, densities, known, status = design.problem, design.densities, design.masks.known, buffers.status
    loops, packs, use, instances = buffers.loops, design.pack, buffers.use, buffers.dense.instances
    use.units[:] = 1.0
    if packs.spaced.any():
        pack_instances(
            problem,
            densities,
            known,
            design.compressed,
            nests,
            loops,
            design.actions,
            packs,
            buffers.boxes,
            buffers.empty,
            instances,
            use,
            status,
        )
    if len(packs.level):
        use_units(problem, densities, nests, packs, instances, use, status)


def choose_positions(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find what steps are left where positions are chosen."""
    packs, use, status = design.pack, buffers.use, buffers.status
    use.steps[:] = 1.0
    if len(packs.level):
        refuse_repeated(design.problem, design.densities, packs, nests, status)
        pack_positions(design.problem, design.densities, nests, buffers.loops, packs, use, status)


def find_held_tiles(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find the share of instances that hold a tile, and how dense the tiles are that are held."""
    mappings, levels, tensors = nests.keep.shape
    extent = np.repeat(buffers.loops.below[:, :levels, None], tensors, axis=2)
    tiles = BoxArrays(np.tile(np.arange(levels), (mappings, 1)), extent, nests.keep)
    empty = np.zeros((mappings, levels, tensors))
    find_empty(design.problem, design.densities, tiles, empty)
    if design.masks.known.any():
        find_empty_by_mask(design.problem, design.densities, design.masks, tiles, buffers.status, empty)
    unused = ~_is_chosen(design) & (design.counting.empty_tiles == "unused")
    find_held(nests.keep, design.compressed, unused, empty, buffers.density, buffers.use.tensors)
    if design.has_loop_ranks:
        ranked = design.formats.ranks.listed > 0
        buffers.density[:, :levels][:, ranked] = buffers.listed.density[:, ranked]
        buffers.use.tensors[:, ranked] = buffers.listed.used[:, ranked]


def fill_loops(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find what tiles hold whose ranks are loops."""
    pack = design.machine.pack
    fill_loop_ranks(
        design.problem,
        nests,
        buffers.loops,
        design.machine.fanout,
        design.densities,
        design.formats,
        pack if design.counting.last_accesses == "by_tile" else np.ones_like(pack),
        design.counting.empty_tiles == "unused",
        _is_chosen(design),
        buffers.dense.tile,
        buffers.status,
        buffers.listed,
    )
    buffers.use.rows[:] = buffers.listed.rows


def _is_chosen(design: SparseDesign) -> Bools:
    """Return what is handed out by position, bool[L, T]: there all instances count as used."""
    chosen = np.zeros_like(design.compressed)
    chosen[design.pack.level, design.pack.target] = True
    return chosen


def count_in_whole_words(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Count what is moved of compressed tensors in whole words."""
    find_held_tiles(design, nests, buffers)
    sums = design.counting.partial_sums == "compressed"
    near = design.counting.format_ranks != "loops"
    accesses, output = buffers.dense.accesses, design.problem.output
    count_whole(
        accesses,
        nests.keep,
        output,
        design.compressed,
        buffers.density,
        sums,
        near,
        buffers.use.steps,
        design.actions,
        buffers.saved,
        buffers.counts,
    )
    if design.has_loop_ranks:
        count_loop_metadata(
            accesses,
            buffers.dense.tile,
            nests,
            design.formats,
            buffers.listed,
            buffers.saved,
            buffers.status,
            buffers.counts,
        )
