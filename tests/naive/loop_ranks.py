"""Formats whose ranks are loops, step by step from a list of loops: which a rank takes, and its fields."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from procrustes_model import Problem
from procrustes_model.spec.problem import Tensor


@dataclass
class Loop:
    """A loop: its dimension and bound."""

    dimension: str
    bound: int


@dataclass
class Ranked:
    """A tile as a list of ranks, the innermost first."""

    kinds: list[str]
    inward: bool = False
    groups: list[list[str]] = field(default_factory=list)
    fibers: list[int] = field(default_factory=list)
    subtiles: list[int] = field(default_factory=list)


def words_of(tensor: Tensor, extent: dict[str, int]) -> int:
    """Return the words of a tensor over the extent of each dimension, 1 where none is given."""
    sides = (1 + sum(t.coefficient * (extent.get(t.dimension, 1) - 1) for t in rank) for rank in tensor.ranks)
    return math.prod(sides)


def bind(
    problem: Problem,
    tensor: Tensor,
    tile: Ranked,
    own: list[Loop],
    below: dict[str, int],
    child: Ranked | None,
) -> bool:
    """Give the loops of a tile, innermost first, to its ranks; return whether all have one.

    `below` is what lies inside of them, and `child` how the tile inside is ranked where this one takes its
    ranks along.
    """
    del problem
    extent, at_loop, loops = dict(below), [], []
    met: set[str] = set()
    for loop in own:
        extent[loop.dimension] = extent.get(loop.dimension, 1) * loop.bound
        bound = loop.bound
        if child is None and loop.dimension not in met:
            bound *= below.get(loop.dimension, 1)
            met.add(loop.dimension)
        loops.append(Loop(loop.dimension, bound))
        at_loop.append(words_of(tensor, extent))
    taken = [] if child is None else list(range(len(child.fibers)))
    free = [r for r in range(len(tile.kinds)) if r not in taken]
    groups: list[list[Loop]] = []
    begins: list[int] = []
    left = [(loop, words) for loop, words in zip(loops, at_loop, strict=True)]
    if not tile.inward:
        left.reverse()
        free.reverse()
    for r in free:
        while left and left[0][0].bound == 1:
            left.pop(0)
        allowed = tile.groups[r] if tile.groups else []
        if not left:
            break
        if allowed and left[0][0].dimension not in allowed:
            if tile.inward:
                groups.append([])
                begins.append(1)
            else:
                groups.insert(0, [])
                begins.insert(0, at_loop[0])
            continue
        loop, words = left.pop(0)
        groups.append([loop])
        begins.append(words)
        while allowed and left and (left[0][0].bound == 1 or left[0][0].dimension in allowed):
            groups[-1].append(left.pop(0)[0])
    while len(groups) < len(free):
        groups.append([])
        begins.append(at_loop[0])
    if not tile.inward:
        groups.reverse()
        begins.reverse()
    tile.fibers, tile.subtiles = [], [1]
    if child is not None:
        tile.fibers, tile.subtiles = list(child.fibers), list(child.subtiles)
    for group, begin in zip(groups, begins, strict=True):
        sides: dict[str, int] = {}
        for loop in group:
            sides[loop.dimension] = sides.get(loop.dimension, 1) * loop.bound
        tile.fibers.append(words_of(tensor, sides))
        tile.subtiles.append(begin)
    return all(loop.bound == 1 for loop, _ in left)


def empty(model: str, words: int, nonzeros: int, part: int) -> Fraction:
    """Return how likely `part` of so many words are zero."""
    if model == "fixed":
        return max(Fraction(0), 1 - Fraction(part * nonzeros, words))
    if part + nonzeros > words:
        return Fraction(0)
    return Fraction(math.comb(words - part, nonzeros), math.comb(words, nonzeros))


def fields_of(tile: Ranked, model: str, words: int, nonzeros: int) -> list[list[Fraction]]:
    """Return the fields of metadata and payload of every rank, given the nonzeros of the tile."""
    count, every, part = len(tile.kinds), 1, words
    found = [[Fraction(0), Fraction(0)] for _ in range(count)]
    for r in reversed(range(count)):
        fiber, kind = tile.fibers[r], tile.kinds[r]
        if fiber > 1 or r == (0 if tile.inward else count - 1):
            fibers = every * (1 - empty(model, words, nonzeros, part))
            positions = fiber * (1 - empty(model, words, nonzeros, tile.subtiles[r]))
            up = Fraction(math.ceil(positions))
            found[r] = {
                "U": [Fraction(0), Fraction(0)],
                "B": [fibers * fiber, fibers * up],
                "UB": [Fraction(every * fiber), Fraction(every * fiber)],
                "CP": [fibers * up, fibers * up],
                "RLE": [fibers * positions, fibers * positions],
                "UOP": [Fraction(0), fibers * (fiber + 1)],
            }[kind]
        every, part = every * fiber, tile.subtiles[r]
    for one in found:
        if any(one):
            one[1] = Fraction(0)
            break
    return found


def shares_of(model: str, size: int, total: int, density: Fraction, words: int) -> dict[int, Fraction]:
    """Return how likely a tile has how many nonzeros."""
    if model == "fixed":
        exact = words * density
        low = math.floor(exact)
        return {low: 1 - (exact - low)} | ({low + 1: exact - low} if exact > low else {})
    return {
        k: Fraction(math.comb(total, k) * math.comb(size - total, words - k), math.comb(size, words))
        for k in range(max(0, words - size + total), min(words, total) + 1)
    }


def expected(
    tile: Ranked, model: str, size: int, total: int, density: Fraction, words: int, *, sent: bool
) -> tuple[Fraction, list[list[Fraction]], Fraction]:
    """Return the mean nonzeros and fields of a tile, and the share of tiles that are sent."""
    shares = shares_of(model, size, total, density, words)
    used = 1 - shares.get(0, Fraction(0)) if sent else Fraction(1)
    if sent:
        shares = {k: share / used for k, share in shares.items() if k > 0} if used else {}
    mean = sum((k * share for k, share in shares.items()), Fraction(0))
    found = [[Fraction(0), Fraction(0)] for _ in tile.kinds]
    for k, share in shares.items():
        for r, one in enumerate(fields_of(tile, model, words, k)):
            for i in range(2):
                found[r][i] += share * one[i]
    return mean, found, used


def accesses_of(shares: dict[int, Fraction], mean: Fraction, words: int, pack: int) -> Fraction:
    """Return the accesses of `pack` words that tiles take / those that the mean nonzeros of one fill.

    By how much the last one of each makes it more is taken to be half an access without a word; below about
    1 % it counts as full. Of the density the first decimal is looked at.
    """
    if not 0 < mean < words:
        return Fraction(1)
    density = Fraction(max(1, math.floor(float(mean) / words / 0.1)), 10)
    half = Fraction(pack - 1, 2 * pack)
    if words // pack >= math.ceil(half / density / Fraction(1, 100)):
        return Fraction(1)
    taken = sum((share * math.ceil(Fraction(k, pack)) for k, share in shares.items()), Fraction(0))
    return taken * pack / mean
