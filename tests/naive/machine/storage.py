"""What memories hold, in which format, and what is counted of it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from procrustes_model.spec.sparsity import Format
from tests.naive.dense import Point
from tests.naive.machine.nest import Nest, size

Values = NDArray[np.int64]
Access = tuple[str, str, str]
"""Level, tensor, and what is done: read, fill (from further out), update (a sum from further in), write_up (a
sum read to be sent further out)."""


@dataclass
class Counts:
    """What the machine does, over all its memories and elements.

    Attributes
    ----------
    words : Counter
        Words of data by access.
    bits : Counter
        Bits of metadata by access.
    pointers : float
        Pointer reads of the balancer.
    macs : int
    followed : Counter
        By tensor, words that a half needs in the element that works on it, and that are in its own element.
    """

    words: Counter[Access] = field(default_factory=Counter)
    bits: Counter[Access] = field(default_factory=Counter)
    pointers: float = 0.0
    macs: int = 0
    followed: Counter[str] = field(default_factory=Counter)


class Layout:
    """How a level stores a tensor.

    Blocks of csb are what a block's dimensions span; or the (half) tiles of elements; of tensors whose tiles
    overlap, runs of as many positions.
    """

    def __init__(self, nest: Nest, tensor: str, stored: Format, cut: str | None) -> None:
        assert stored.kind in ("none", "bitmask", "csb"), "what Procrustes uses"
        self.kind, self.pointer_bits = stored.kind, stored.pointer_bits
        ranks = nest.tensors[tensor].ranks
        dimensions = [[term.dimension for term in rank] for rank in ranks]
        box = nest.box(tensor, nest.array)
        sides = [1 + max(rank) for rank in zip(*box, strict=True)]
        bounds = size(nest.tensors[tensor], nest.problem)
        halves = stored.block == "half_tile" and cut is not None
        self.run: int | None = None
        self.extents: list[int | None] = []
        if isinstance(stored.block, tuple):
            within = set(stored.block)
            self.extents = [None if set(names) <= within else 1 for names in dimensions]
        elif isinstance(stored.block, int) or nest.is_sliding(tensor):
            self.run = stored.block if isinstance(stored.block, int) else len(box) // (1 + halves)
        else:
            self.extents = [
                side // 2 if halves and cut in names else side
                for side, names in zip(sides, dimensions, strict=True)
            ]
        pairs = zip(bounds, self.extents, strict=False)
        self.volume = math.prod(bound if extent is None else extent for bound, extent in pairs)

    @property
    def compressed(self) -> bool:
        """Whether zeros are left out."""
        return self.kind != "none"

    def bits(self, points: set[Point]) -> int:
        """Return the bits of metadata of some positions: one each, and the pointers of their blocks."""
        if not self.compressed:
            return 0
        if self.kind == "bitmask":
            return len(points)
        if self.run is not None:
            return len(points) + self.pointer_bits * math.ceil(len(points) / self.run)
        return len(points) + self.pointer_bits * len({self._block(point) for point in points})

    def is_whole(self, points: set[Point]) -> bool:
        """Whether some positions are whole blocks."""
        assert self.run is None
        blocks = {self._block(point) for point in points}
        return len(points) == len(blocks) * self.volume

    def _block(self, point: Point) -> Point:
        pairs = zip(point, self.extents, strict=True)
        return tuple(0 if extent is None else at // extent for at, extent in pairs)


class Memory:
    """One memory of a level: what it holds, its two ports.

    Attributes
    ----------
    held : dict
        Values by tensor and position: of a tensor without its zeros, those that are not zero; of an output,
        the sums that exist.
    read, write : Port
    """

    def __init__(self, word_bits: int, read: float | None, write: float | None, tensors: list[str]) -> None:
        self.held: dict[str, dict[Point, int]] = {tensor: {} for tensor in tensors}
        self.read, self.write = Port(word_bits, read), Port(word_bits, write)


class Port:
    """Moves bits, so many a cycle, in the order in which they were asked for.

    Attributes
    ----------
    rate : Fraction or None
        Bits a cycle; None: no limit.
    asked, moved : int
        How often it was asked, and for how many bits.
    """

    def __init__(self, word_bits: int, bandwidth: float | None) -> None:
        self.rate = None if bandwidth is None else Fraction(bandwidth) * word_bits
        self.word_bits = word_bits
        self.waiting: list[tuple[Job, Fraction]] = []
        self.moved = self.asked = 0

    def ask(self, job: Job, words: int, bits: int = 0) -> None:
        """Take part in a job: move words of data and bits of metadata."""
        job.parts += 1
        self.asked += 1
        self.moved += words * self.word_bits + bits
        self.waiting.append((job, Fraction(words * self.word_bits + bits)))

    def settle(self) -> bool:
        """Finish what takes no time; say whether anything was finished."""
        before = len(self.waiting)
        while self.waiting and (self.rate is None or self.waiting[0][1] == 0):
            self.waiting.pop(0)[0].parts -= 1
        return len(self.waiting) < before

    def tick(self) -> bool:
        """Move bits for one cycle; say whether there were any."""
        if not self.waiting or self.rate is None:
            return False
        left = self.rate
        while self.waiting and left > 0:
            job, bits = self.waiting[0]
            done = min(bits, left)
            left -= done
            self.waiting[0] = job, bits - done
            if done == bits:
                self.waiting.pop(0)[0].parts -= 1
        return True


@dataclass
class Job:
    """A transfer: done when all ports that take part are."""

    parts: int = 0

    @property
    def done(self) -> bool:
        """Whether all ports have moved their share."""
        return self.parts == 0
