"""The least energy of all nests whose loops need not divide the bounds, from numbers of passes alone.

For machines without instances and tensors of which each rank has one dimension. Plain recursion, from the
inside out: of n passes any loop of factor b leaves ceil(n / b). Where a loop first moves a tile, the words of
the whole tensor are moved as often as passes are left in the dimensions that do not index it; a loop with one
iteration in its last pass leaves the elements of that pass to the next one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

Waiting = tuple[tuple[int, str, Fraction, frozenset[str]], ...]
"""Level, tensor, share that is not paid for, and the dimensions in whose last passes that is."""


Point = tuple[tuple[int, ...], tuple[int, ...]]
"""Passes that are left, and elements that are covered, by dimension."""


@dataclass(frozen=True)
class Machine:
    """What a nest is counted on.

    Attributes
    ----------
    bounds : dict of str to int
    tensors : dict of str to frozenset of str
        The dimensions of each.
    output : str
    keep : tuple of frozenset of str
        By level; the outermost keeps all.
    read, fill, update : tuple of Fraction
        Energy of a word, by level.
    capacity : tuple of float
        In words, by level.
    """

    bounds: dict[str, int]
    tensors: dict[str, frozenset[str]]
    output: str
    keep: tuple[frozenset[str], ...]
    read: tuple[Fraction, ...]
    fill: tuple[Fraction, ...]
    update: tuple[Fraction, ...]
    capacity: tuple[float, ...]

    def parent(self, level: int, tensor: str) -> int:
        """Return the next level further out that keeps a tensor."""
        return max(i for i in range(level) if tensor in self.keep[i])

    def words(self, tensor: str) -> int:
        """Return the elements of a tensor."""
        return math.prod(self.bounds[d] for d in self.tensors[tensor])

    def cost(self, level: int, tensor: str, times: Fraction) -> Fraction:
        """Return the energy of moving all of a tensor so often; sums are fetched once less."""
        parent, words = self.parent(level, tensor), self.words(tensor)
        fill = self.fill[level] if level < len(self.keep) else Fraction(0)
        if tensor != self.output:
            return times * words * (self.read[parent] + fill)
        again = (times - 1) * words
        return times * words * self.update[parent] + again * (self.read[parent] + fill)

    def fits(self, level: int, cover: dict[str, int]) -> bool:
        """Say whether tiles of so many elements fit."""
        sizes = (math.prod(cover[d] for d in self.tensors[t]) for t in self.keep[level])
        return sum(sizes) <= self.capacity[level]


@dataclass(frozen=True)
class Loop:
    """A loop over a dimension, of a level, outside of what leaves so many passes and covers so much."""

    level: int
    dimension: str
    factor: int
    passes: dict[str, int]
    cover: int
    right_above: bool

    @property
    def last(self) -> int:
        """Iterations in the last pass."""
        return (self.passes[self.dimension] - 1) % self.factor + 1

    @property
    def left(self) -> int:
        """Passes that it leaves."""
        return -(-self.passes[self.dimension] // self.factor)


def settle(machine: Machine, loop: Loop, waiting: Waiting) -> tuple[Fraction, Waiting]:
    """Return what a loop pays, and what waits after it."""
    paid, rest, d = Fraction(0), [], loop.dimension
    n, bound = loop.passes[d], machine.bounds[d]
    for at, tensor, share, dims in waiting:
        if d not in machine.tensors[tensor]:
            rest.append((at, tensor, share, dims))
            continue
        times = Fraction(
            math.prod(loop.passes[e] for e in machine.bounds if e not in machine.tensors[tensor])
        )
        whole = machine.cost(at, tensor, times)
        if loop.last == 1 and loop.left > 1:
            kept = Fraction(1) if d in dims else Fraction(bound - (n - 1) * loop.cover, bound)
            paid += (1 - kept) * share * whole
            rest.append((at, tensor, share * kept, dims | {d}))
            continue
        paid += share * whole
        if loop.right_above and at == loop.level + 1 and loop.last >= 3:  # the last tile as a whole one
            parent, more = machine.parent(at, tensor), Fraction(n * loop.cover, bound) - 1
            each = machine.read[parent] + machine.fill[at]
            each += machine.update[parent] if tensor == machine.output else 0
            paid += more * times * machine.words(tensor) * each
    return paid, tuple(rest)


def compute_energy(machine: Machine) -> Fraction:
    """Return the energy of what compute units take and give."""
    total, computes = Fraction(0), math.prod(machine.bounds.values())
    for tensor in machine.tensors:
        parent = machine.parent(len(machine.keep), tensor)
        if tensor == machine.output:
            total += computes * machine.update[parent]
            total += (computes - machine.words(tensor)) * machine.read[parent]
        else:
            total += computes * machine.read[parent]
    return total


def least_energy(machine: Machine) -> Fraction | None:
    """Return the least energy of moving words; None where no tiles fit."""
    names = tuple(machine.bounds)

    @cache
    def go(
        level: int, point: Point, used: frozenset[str], waiting: Waiting, *, above: bool
    ) -> Fraction | None:
        n, cover = (dict(zip(names, one, strict=True)) for one in point)
        best: list[Fraction] = []
        if level == 0 and max(n.values()) == 1:
            return sum((share * machine.cost(at, t, Fraction(1)) for at, t, share, _ in waiting), Fraction(0))
        if level > 0 and machine.fits(level, cover):
            begun = tuple((level, t, Fraction(1), frozenset[str]()) for t in sorted(machine.keep[level]))
            found = go(level - 1, point, frozenset(), (*waiting, *begun), above=True)
            best += [found] if found is not None else []
        for d in names:
            for b in range(2, n[d] + 1) if level else [n[d]]:
                if d in used or n[d] == 1:
                    continue
                loop = Loop(level, d, b, n, cover[d], above)
                paid, rest = settle(machine, loop, waiting)
                left = tuple(loop.left if e == d else n[e] for e in names)
                more = tuple(min(cover[e] * b, machine.bounds[e]) if e == d else cover[e] for e in names)
                found = go(level, (left, more), used | {d}, rest, above=False)
                best += [paid + found] if found is not None else []
        return min(best, default=None)

    start = tuple(machine.bounds.values()), tuple(1 for _ in names)
    found = go(len(machine.keep) - 1, start, frozenset(), (), above=False)
    return None if found is None else compute_energy(machine) + found
