"""What the machine does beside what the model says, and why the two need not be the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from procrustes_model import SparseResult
from procrustes_model.model.result import ACTIONS, TensorCounts
from procrustes_model.model.sparse.result import sparse_of
from procrustes_model.spec.problem import Tensor
from tests.naive.dense import (
    bounding_box,
    touched,
    walk_transfers,
    walk_transfers_in_order,
)
from tests.naive.machine.nest import Nest
from tests.naive.machine.run import Machine, Run


class Reason(Enum):
    """Why a number of the model need not be what the machine counts, and how often it is."""

    BLOCKS = "pointers of blocks that are moved in parts"
    FIRST = "sums read in register files"
    SHARED = "sums that come back to memories which share them"
    SLIDING_WALK = "tiles of a sliding tensor that fall back"
    SLIDING_ZEROS = "nonzeros of a sliding operand"
    SLIDING_BLOCKS = "pointers of a sliding operand"
    SLIDING_SUMS = "sums of a sliding output"
    SLIDING_POINTERS = "pointers of the balancer, for a sliding operand"


@dataclass(frozen=True)
class Finding:
    """One number of both.

    Attributes
    ----------
    what : tuple of str
        Level, tensor, action, and words or bits.
    modelled, simulated : float
        Over all instances.
    reason : Reason or None
        None: they must be equal.
    """

    what: tuple[str, ...]
    modelled: float
    simulated: float
    reason: Reason | None = None

    @property
    def equal(self) -> bool:
        """Whether they are, but for rounding errors."""
        return math.isclose(self.modelled, self.simulated, rel_tol=1e-9, abs_tol=1e-9)


def compare(machine: Machine, run: Run, result: SparseResult) -> list[Finding]:
    """Return all counts of both."""
    findings = [Finding(("computations",), result.computes.actual, run.counts.macs)]
    findings += [
        finding
        for level in result.levels
        for counts in level.tensors
        for finding in _compare_tensor(machine, run, counts)
    ]
    assert result.imbalance is not None
    reason = Reason.SLIDING_POINTERS if machine.nest.is_sliding(machine.balanced) else None
    return [*findings, Finding(("pointers",), result.imbalance.pointer_reads, run.counts.pointers, reason)]


def _compare_tensor(machine: Machine, run: Run, counts: TensorCounts) -> list[Finding]:
    findings, bits = [], {name: machine.word_bits[i] for i, name in enumerate(machine.levels)}
    sparse = sparse_of(counts)
    for action, modelled, metadata in zip(ACTIONS, sparse.actual, sparse.metadata, strict=True):
        access = counts.level, counts.tensor, action
        words, fields = modelled * counts.instances, metadata * counts.instances * bits[counts.level]
        reason = _why_words(machine, *access)
        findings.append(Finding((*access, "words"), words, run.counts.words[access], reason))
        reason = _why_bits(machine, *access)
        findings.append(Finding((*access, "bits"), fields, run.counts.bits[access], reason))
    return findings


def _far_end(machine: Machine, level: str, tensor: str, action: str) -> int | None:
    """Return the inner level of a transfer that is counted at `level`; None: the elements compute."""
    at = machine.levels.index(level)
    if action == "fill":
        return at
    kept = [i for i in range(at + 1, len(machine.levels)) if tensor in machine.nest.mapping.levels[i].keep]
    return kept[0] if kept else None


def _why_words(machine: Machine, level: str, tensor: str, action: str) -> Reason | None:
    nest, end = machine.nest, _far_end(machine, level, tensor, action)
    if nest.tensors[tensor].is_output:
        return _why_sums(machine, level, tensor, action, end)
    if end is None or not nest.is_sliding(tensor):
        return None
    if not walks_agree(nest, nest.tensors[tensor], end):
        return Reason.SLIDING_WALK
    compressed = machine.layouts[machine.levels.index(level), tensor].compressed
    return Reason.SLIDING_ZEROS if compressed else None


def _why_sums(machine: Machine, level: str, tensor: str, action: str, end: int | None) -> Reason | None:
    nest = machine.nest
    if action == "update":
        agree = end is None or walks_agree(nest, nest.tensors[tensor], end)
        return None if agree else Reason.SLIDING_SUMS
    if end is None and action == "read":
        return Reason.FIRST
    at = machine.levels.index(level)
    if nest.sharing(tensor, 0, at) > 1:
        return Reason.SHARED
    if not nest.is_sliding(tensor):
        return None
    one = nest.tensors[tensor]
    if end is not None and not walks_agree(nest, one, end):
        return Reason.SLIDING_WALK
    return Reason.SLIDING_SUMS


def _why_bits(machine: Machine, level: str, tensor: str, action: str) -> Reason | None:
    nest, end = machine.nest, _far_end(machine, level, tensor, action)
    layout = machine.layouts[machine.levels.index(level), tensor]
    if end is None or not layout.compressed:
        return None
    if nest.is_sliding(tensor) and not walks_agree(nest, nest.tensors[tensor], end):
        return Reason.SLIDING_WALK
    if layout.kind == "bitmask":
        return None
    if nest.is_sliding(tensor):
        return Reason.SLIDING_BLOCKS
    box = nest.box(tensor, end)
    return None if layout.is_whole(box) else Reason.BLOCKS


def walks_agree(nest: Nest, tensor: Tensor, level: int) -> bool:
    """Say whether the rule of the second iteration gives the words that a walk of every iteration moves."""
    tile = bounding_box(touched(tensor, nest.loops_below(level)))
    outer = nest.loops_of(range(level), spatial=False)
    return walk_transfers(tensor, tile, outer) == walk_transfers_in_order(tensor, tile, outer)
