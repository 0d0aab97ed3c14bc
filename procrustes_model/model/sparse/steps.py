"""The sparse evaluation of a block of mappings, kernel by kernel."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.accesses import check_capacity, count_drains
from procrustes_model.kernels.dense.arrays import (
    BAD_DESIGN,
    OK,
    READ,
    Bools,
    Floats,
    NestArrays,
)
from procrustes_model.kernels.imbalance.counted import measure_work
from procrustes_model.kernels.imbalance.joint import measure_joint_work
from procrustes_model.kernels.imbalance.memo import MemoArrays, expected_work
from procrustes_model.kernels.imbalance.tiles import count_pointers, find_tiles
from procrustes_model.kernels.pipeline import Scope, count_nests
from procrustes_model.kernels.sparse.actions import save_accesses, save_computes, save_whole_computes
from procrustes_model.kernels.sparse.boxes import find_boxes, find_joined_boxes
from procrustes_model.kernels.sparse.capacity import (
    add_stored,
    check_held,
    describe_full,
    grow_stored,
    spill,
)
from procrustes_model.kernels.sparse.chosen import choose_ranks
from procrustes_model.kernels.sparse.combine import combine_accesses, combine_computes
from procrustes_model.kernels.sparse.costs import cost_sparse, find_steps
from procrustes_model.kernels.sparse.drains import count_expected_drains
from procrustes_model.kernels.sparse.empty import find_empty
from procrustes_model.kernels.sparse.empty_on_masks import (
    fill_density,
    fill_density_by_mask,
    find_empty_by_mask,
)
from procrustes_model.kernels.sparse.entries import fill_entries, fill_entries_by_mask
from procrustes_model.kernels.sparse.formats import compress, find_compressed
from procrustes_model.kernels.sparse.fullest import FoundArrays, fill_fullest
from procrustes_model.kernels.sparse.listed import fill_listed
from procrustes_model.kernels.sparse.packing import find_spaced_boxes, skip_steps
from procrustes_model.kernels.sparse.sizes_on_masks import fill_fullest_by_mask, fit_jointly
from procrustes_model.kernels.sparse.whole import count_held, keep_strongest
from procrustes_model.model.sparse.buffers import Memo, SparseBuffers
from procrustes_model.model.sparse.leftover import (
    choose_positions,
    count_in_whole_words,
    fill_loops,
    find_held_tiles,
    pack,
)
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.policies import NO_POLICY

SCOPE = Scope(known=False, fit=False)
"""Zeros decide what fits."""

NO_WORK = np.zeros((0, 0), np.int64)
"""Nothing is kept of the work of single processing elements."""


def evaluate_block(
    design: SparseDesign,
    nests: NestArrays,
    buffers: SparseBuffers,
    memo: Memo,
    *,
    before: bool = False,
    check: bool = True,
) -> None:
    """Evaluate a block of mappings.

    Parameters
    ----------
    design : SparseDesign
    nests : NestArrays
    buffers : SparseBuffers
        Filled in; as many entries as mappings.
    memo : Memo
        Of this design only.
    before : bool
        Whether to find the work without balancing too.
    check : bool
        Whether tiles that do not fit make a mapping invalid.
    """
    problem, machine, balance, status = design.problem, design.machine, design.balance, buffers.status
    loops, dense, counts, costs = buffers.loops, buffers.dense, buffers.counts, buffers.costs
    count_nests(problem, design.roomy, design.rules, SCOPE, nests, None, buffers.room, costs.cycles)
    status[(status == OK) & ~design.works(nests.keep)] = BAD_DESIGN
    find_tiles(problem, loops, balance, design.densities.group, buffers.tiles)
    _save(design, nests, buffers)
    drained = np.zeros(counts.held.shape)
    if machine.drains.any():
        count_expected_drains(machine, nests.keep, problem.output, dense, counts.actual, drained)
    _fit(design, nests, buffers, memo.found, drained, check)
    _balance(design, nests, buffers, memo.work, before)
    counts.actual[:, :, problem.output, READ] += drained
    balanced = balance.tensor >= 0
    use = buffers.use
    find_steps(dense.instances, use.units, problem.computes, buffers.met, balanced, counts, costs.cycles)
    cost_sparse(problem, machine, nests.keep, buffers.room, design.rules, balance, use, counts, costs)
    if machine.drains.any():  # last: what is expected of drained sums does not follow from these
        count_drains(machine, dense.moved, nests.keep, problem.output, dense.accesses)


def _save(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find what zeros save, of accesses, computations and stored words."""
    problem, actions, boxes, counts = design.problem, design.actions, buffers.boxes, buffers.counts
    densities, masks, saved, status = design.densities, design.masks, buffers.saved, buffers.status
    if len(actions.level):
        find = find_joined_boxes if actions.joined else find_boxes
        find(problem, nests, buffers.loops, design.machine.pack, actions, boxes)
        if design.pack.spaced.any():
            find_spaced_boxes(problem, nests, buffers.loops, design.compressed, actions, boxes)
        find_empty(problem, densities, boxes, buffers.empty)
        if masks.known.any():
            find_empty_by_mask(problem, densities, masks, boxes, status, buffers.empty)
        if actions.strongest:
            keep_strongest(actions, buffers.empty, boxes)
    if design.counting.masks == "independent":
        masks = masks._replace(known=np.zeros_like(masks.known))
    combine_accesses(problem, actions, densities, masks, boxes, buffers.empty, status, saved)
    accesses, tile = buffers.dense.accesses, buffers.dense.tile
    save_accesses(accesses, nests.keep, problem.output, saved, actions, counts)
    find_compressed(nests.keep, design.formats.compressed, buffers.compressed)
    combine_computes(
        problem, actions, densities, masks, boxes, buffers.empty, buffers.compressed, status, saved
    )
    whole = actions.whole and np.sum(masks.known) < 2
    if whole:
        save_whole_computes(
            problem.computes, problem.output, actions, densities, buffers.compressed, saved, counts
        )
    else:
        save_computes(problem.computes, saved, actions.dropped, counts)
    fill_density(design.densities, buffers.density)
    if design.masks.known.any():
        fill_density_by_mask(problem, buffers.loops, design.masks, buffers.status, buffers.density)
    if design.formats.terms.run.any():
        _count_entries(design, nests, buffers)
    if design.has_loop_ranks:
        fill_loops(design, nests, buffers)
    elif design.formats.ranks.listed.any():
        fill_listed(
            problem,
            buffers.loops,
            densities,
            masks,
            design.formats,
            nests.keep,
            tile,
            status,
            buffers.listed,
        )
    if design.choices is not None:
        choose_ranks(
            problem,
            buffers.loops,
            densities,
            design.masks.known,
            design.formats,
            design.choices,
            nests.keep,
            tile,
            status,
            buffers.listed,
        )
    compress(
        problem,
        buffers.loops,
        nests.keep,
        buffers.dense.tile,
        accesses,
        buffers.density,
        saved.tilt,
        design.formats,
        buffers.listed,
        buffers.tiles,
        counts,
    )
    if design.packs:
        choose_positions(design, nests, buffers)
    if design.has_loop_ranks or (whole and design.compressed.any()):
        count_in_whole_words(design, nests, buffers)
    else:
        if design.counting.empty_tiles == "unused":
            find_held_tiles(design, nests, buffers)
            count_held(buffers.use.tensors, counts)
        if len(design.pack.level):
            skip_steps(buffers.use, actions, counts)
    if design.packs:
        pack(design, nests, buffers)


def _count_entries(design: SparseDesign, nests: NestArrays, buffers: SparseBuffers) -> None:
    """Find the entries of tiles in formats that have them: expected, or counted on masks."""
    problem, loops, terms = design.problem, buffers.loops, design.formats.terms
    entries = buffers.counts.entries
    fill_entries(problem, loops, design.densities, terms, buffers.dense.tile, buffers.density, entries)
    if design.masks.known.any():
        fill_entries_by_mask(problem, loops, design.masks, terms, nests.keep, buffers.status, entries)


def _fit(
    design: SparseDesign,
    nests: NestArrays,
    buffers: SparseBuffers,
    found: FoundArrays,
    drained: Floats,
    check: bool,
) -> None:
    """Check what has to fit, or spill what does not."""
    machine, tile, counts, status = design.machine, buffers.dense.tile, buffers.counts, buffers.status
    formats, known, together = design.formats, design.masks.known, np.zeros(counts.held.shape)
    exact = design.choices is None  # of open formats the sizes that are moved are the least there are
    if exact and design.capacity_size not in ("dense", "average"):
        problem, loops = design.problem, buffers.loops
        fill_fullest(problem, loops, design.densities, formats, known, tile, buffers.fullest, found)
        if known.any():
            fill_fullest_by_mask(
                problem, loops, design.masks, formats, nests.keep, tile, status, buffers.fullest
            )
        if np.sum(known) > 1 and not design.adds_sizes:
            fit_jointly(
                problem,
                loops,
                design.masks,
                formats,
                buffers.tiles,
                tile,
                nests.keep,
                design.share,
                counts.stored,
                status,
                together,
            )
        grow_stored(
            problem,
            loops,
            formats,
            buffers.tiles,
            tile,
            buffers.fullest,
            buffers.listed,
            counts.stored,
            counts.described,
        )
    apart = formats.room == 0
    if apart.any():
        if exact and design.capacity_size == "dense":
            problem, loops, described = design.problem, buffers.loops, counts.described
            describe_full(problem, loops, formats, buffers.tiles, tile, buffers.listed, described)
        if check:
            words = np.where(apart, counts.described.sum(axis=2), 0.0)
            check_held(machine.metadata.capacity, words, status)
    _widen_sums(design, nests.keep, buffers)
    add_stored(counts.stored, together, known, formats.compressed, counts.held)
    if design.capacity_size == "dense":
        if check:
            check_capacity(machine, nests.keep, buffers.dense, status)
    elif design.overflow == "spill":
        spill(machine.capacity, buffers.dense.instances, nests.keep, counts, drained, status)
    elif check:
        check_held(machine.capacity, counts.held, status)


def _widen_sums(design: SparseDesign, keep: Bools, buffers: SparseBuffers) -> None:
    """Give partial sums that are stored with their zeros the bits that they have."""
    sums, counts = design.machine.sums, buffers.counts
    if sums.output < 0:
        return
    wide = keep[:, :, sums.output] & ~buffers.dense.complete[:, :, 1] & ~design.compressed[:, sums.output]
    words = buffers.dense.tile[:, :, sums.output] * sums.scale
    counts.stored[:, :, sums.output] = np.where(wide, words, counts.stored[:, :, sums.output])


def _balance(
    design: SparseDesign, nests: NestArrays, buffers: SparseBuffers, memo: MemoArrays, before: bool
) -> None:
    """Find the work of the slowest processing element, and what balancing costs."""
    balance, tensor = design.balance, design.balance.tensor
    if tensor < 0:
        return
    find_work(design, buffers, memo, before=before)
    dense, size = buffers.dense, int(design.densities.size[tensor])
    pointers = buffers.counts.pointers
    count_pointers(balance, buffers.tiles, dense, nests.keep, size, pointers)


def find_work(
    design: SparseDesign, buffers: SparseBuffers, memo: MemoArrays, *, before: bool = False
) -> None:
    """Find the work of the slowest processing element: counted on the mask, or expected.

    Parameters
    ----------
    design : SparseDesign
        That balances a tensor.
    buffers : SparseBuffers
        With `loops` and `tiles`; `counts.work` is filled in where `status` is OK.
    memo : MemoArrays
    before : bool
        Whether to find the work without balancing too; on masks it always is.
    """
    balance, tensor, tiles = design.balance, design.balance.tensor, buffers.tiles
    work, status = buffers.counts.work, buffers.status
    chosen = design.counted_together
    if chosen.any():
        measure_joint_work(
            design.problem,
            buffers.loops,
            balance,
            tiles,
            design.masks,
            chosen,
            buffers.before,
            work,
            buffers.met,
            status,
        )
        return
    buffers.met[:] = design.densities.met[tensor]
    if design.is_counted:
        measure_work(
            design.problem,
            buffers.loops,
            balance,
            tiles,
            design.masks,
            buffers.before,
            work,
            status,
            NO_WORK,
            NO_WORK,
        )
        return
    sliding = bool(design.problem.sliding[tensor])
    if before:
        alone = balance._replace(pieces=NO_POLICY.pieces, assignment=int(NO_POLICY.assignment))
        expected_work(design.densities, alone, sliding, tiles, memo, status, buffers.before)
    expected_work(design.densities, balance, sliding, tiles, memo, status, work)
