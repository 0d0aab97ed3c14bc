"""What passes between two levels, and how many instances share it, as closed forms in the loop bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from procrustes_model.explanation.closed_forms import (
    Brings,
    Expr,
    Gcd,
    Loop,
    Move,
    Part,
    SymbolicNest,
    coefficient_of,
    less_one,
    product,
    total,
)

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Tensor

Offsets = dict[str, tuple[Expr, Expr]]
Listed = dict[str, tuple[int, ...]]
"""Per dimension: how many positions its loops take, and how far apart they lie."""


@dataclass(frozen=True)
class Transfers:
    """Words that pass between one instance of a level and the level that serves it, in the whole run.

    Attributes
    ----------
    level : str
        The storage level, or the compute level.
    is_compute : bool
        Whether it is the compute level: every step of the nest then passes one word.
    tile : Part
        Words that one instance holds.
    overlap : Part or None
        Words that stay when the tile slides; None where nothing does.
    moves : tuple of Move
        One per temporal loop above, outermost first.
    words : Part
    """

    level: str
    is_compute: bool
    tile: Part
    overlap: Part | None
    moves: tuple[Move, ...]
    words: Part


@dataclass(frozen=True)
class Sharing:
    """How many different tiles the instances of one fan-out hold at a moment.

    Attributes
    ----------
    level, below : str
        The level that fans out, and the one it fans out to.
    loops : tuple of Loop
        The spatial loops; those in `shared` do not move the tile.
    shared : tuple of Loop
    instances : int
    distinct : Part
    counted : bool
        Whether `distinct` was counted one by one, because no closed form is known for such an index.
    """

    level: str
    below: str
    loops: tuple[Loop, ...]
    shared: tuple[Loop, ...]
    instances: int
    distinct: Part
    counted: bool


def compute_steps(nest: SymbolicNest, name: str) -> Transfers:
    """Return what one compute unit takes: a word per step of the nest."""
    steps = product(loop.symbol for loop in nest.loops if loop.axis == "temporal")
    tile = nest.part(f"tile_{name}", sympy.Integer(1))
    return Transfers(name, True, tile, None, (), nest.part(f"steps_{name}", steps))


def find_transfers(nest: SymbolicNest, tensor: Tensor, level: int, name: str) -> Transfers:
    """Return what passes between one instance of `level` and the level above it that keeps `tensor`."""
    extents = nest.extents(tensor, nest.below(level))
    above = nest.temporal_above(level)
    tile = nest.part(f"tile_{name}", product(extents))
    steps = [nest.step(tensor, loop) for loop in above]
    numbers = [[nest.value(one) for one in step] for step in steps]
    anchor = max((j for j, step in enumerate(numbers) if any(step)), default=None)
    overlap = None
    if anchor is not None:
        stays = [
            sympy.Max(0, (extent - step).doit()) if step != 0 else extent
            for extent, step in zip(extents, steps[anchor], strict=True)
        ]
        if math.prod(nest.value(one) for one in stays):
            overlap = nest.part(f"overlap_{name}", product(stays))
    moves = tuple(_move(above, numbers, j, anchor, overlap) for j in range(len(above)))
    formula, uses = _transfer_formula(moves, tile, overlap)
    return Transfers(name, False, tile, overlap, moves, nest.part(f"transfers_{name}", formula, uses))


def _move(
    above: Sequence[Loop], steps: Sequence[Sequence[int]], j: int, anchor: int | None, overlap: Part | None
) -> Move:
    """Say what the tile does when loop `j` steps.

    Every loop inside it goes from its second iteration, which stands for all later ones, to its first.

    Parameters
    ----------
    above : sequence of Loop
        Temporal loops above the level, outermost first.
    steps : sequence of sequence of int
        Per loop, by how much a step moves the index of every rank.
    j : int
    anchor : int or None
        The innermost loop that moves the tile, if any.
    overlap : Part or None
        What stays when that loop steps.
    """
    loop = above[j]
    times = (loop.bound - 1) * math.prod(one.bound for one in above[:j])
    if anchor is None or j > anchor:
        return Move(loop, times, "nothing", f"{loop.dimension} does not index it: the tile stays")
    name, inner = str(above[anchor].symbol), steps[j + 1 :]
    move = [s - sum(one[r] for one in inner) for r, s in enumerate(steps[j])]
    brings: Brings = "whole tile"
    if not any(move):
        return Move(loop, times, "nothing", "undoes the way back of the loops inside: the tile stays")
    if j == anchor:
        brings = "new part" if overlap else "whole tile"
        reason = "slides the tile, the overlap stays" if overlap else "moves the tile past all that it held"
    elif move == list(steps[anchor]) and overlap:
        brings, reason = "new part", f"moves as {name} does: the slide goes on"
    elif move == list(steps[anchor]):
        reason = f"moves as {name} does, past all that the tile held"
    elif not any(steps[j]):
        reason = f"{loop.dimension} does not index it, but the loops inside start over"
    elif overlap:
        reason = f"moves otherwise than {name} does: no overlap is kept"
    else:
        reason = "moves the tile on"
    return Move(loop, times, brings, reason)


def _transfer_formula(moves: Sequence[Move], tile: Part, overlap: Part | None) -> tuple[Expr, list[Part]]:
    """Return the first tile and all moves, added up, and the parts used in that.

    The outer loops that always bring whole tiles come out as factors: the first tile and one for each of
    the n - 1 steps are n.
    """
    full = next((j for j, move in enumerate(moves) if move.brings != "whole tile"), len(moves))
    symbols = [move.loop.symbol for move in moves]
    terms = [tile.symbol]
    for j in range(full, len(moves)):
        if moves[j].brings == "nothing":
            continue
        if moves[j].brings == "new part" and overlap:
            words = total([tile.symbol, -overlap.symbol])
        else:
            words = tile.symbol
        terms.append(product([*symbols[full:j], less_one(symbols[j]), words]))
    slides = overlap is not None and any(move.brings == "new part" for move in moves)
    return product([*symbols[:full], total(terms)]), [tile, overlap] if overlap and slides else [tile]


def find_sharing(nest: SymbolicNest, tensor: Tensor, level: int, names: Sequence[str]) -> Sharing:
    """Return how many different tiles the spatial loops of `level` give to the instances below."""
    loops = nest.fanout(level)
    offsets: Offsets = {}
    for dimension in dict.fromkeys(loop.dimension for loop in loops):
        count = product(loop.symbol for loop in loops if loop.dimension == dimension)
        size = product(loop.symbol for loop in nest.below(level + 1) if loop.dimension == dimension)
        offsets[dimension] = (count, size)
    formula, counted = _distinct(nest, tensor, offsets)
    still = tuple(loop for loop in loops if not _ranks(tensor, loop.dimension))
    distinct = nest.part(f"distinct_{names[level + 1]}", formula)
    instances = math.prod(loop.bound for loop in loops)
    return Sharing(names[level], names[level + 1], tuple(loops), still, instances, distinct, counted)


def find_touched(nest: SymbolicNest, tensor: Tensor, level: int, within: int, name: str) -> Part:
    """Return how many different words of `tensor` are in the tiles of `within` that come to one of `level`.

    Those are the words that the instance accumulates and, where tiles have gaps, what lies in these.
    """
    sides = {
        dimension: math.prod(loop.bound for loop in nest.below(within) if loop.dimension == dimension)
        for dimension in {loop.dimension for loop in nest.loops}
    }
    if _has_gaps(nest, tensor, sides):
        return nest.part(f"touched_{name}", sympy.Integer(_count_covered(nest, tensor, level, sides)))
    own = [loop for loop in nest.loops if loop.axis == "temporal" or loop.level >= level]
    one = sympy.Integer(1)
    offsets: Offsets = {}
    listed: Listed = {}
    for dimension in dict.fromkeys(loop.dimension for loop in own):
        mine = [loop for loop in own if loop.dimension == dimension]
        offsets[dimension] = (product(loop.symbol for loop in mine), one)
        held = _list_held(nest, dimension, mine)
        if held[-1] + 1 != len(held):
            listed[dimension] = held
    return nest.part(f"touched_{name}", _distinct(nest, tensor, offsets, listed)[0])


def _has_gaps(nest: SymbolicNest, tensor: Tensor, sides: dict[str, int]) -> bool:
    """Say whether a tile is a box with words that no computation reaches; `sides` : of the tile."""
    box = math.prod(
        1 + sum(term.coefficient * (sides.get(term.dimension, 1) - 1) for term in rank)
        for rank in tensor.ranks
    )
    offsets = {d: (sympy.Integer(side), sympy.Integer(1)) for d, side in sides.items()}
    return box > nest.value(_distinct(nest, tensor, offsets)[0])


def _count_covered(nest: SymbolicNest, tensor: Tensor, level: int, sides: dict[str, int]) -> int:
    """Count the words in the tiles that come to an instance one by one, at the mapping's bounds."""
    own = [loop for loop in nest.loops if loop.axis == "temporal" or loop.level >= level]
    words = 1
    for group in _connected({d: mine for d in sides if (mine := _ranks(tensor, d))}):
        ranks = sorted(set().union(*(_ranks(tensor, d) for d in group)))
        boxes: set[tuple[tuple[int, int], ...]] = {((0, 0),) * len(ranks)}
        for d in group:
            held = _list_held(nest, d, [loop for loop in own if loop.dimension == d])
            steps = [coefficient_of(tensor, rank, d) for rank in ranks]
            boxes = {
                tuple(
                    (low + step * at, high + step * (at + sides[d] - 1))
                    for (low, high), step in zip(box, steps, strict=True)
                )
                for box in boxes
                for at in held
                if at % sides[d] == 0
            }
        words *= len({point for box in boxes for point in itertools.product(*map(_between, box))})
    return words


def _between(ends: tuple[int, int]) -> range:
    return range(ends[0], ends[1] + 1)


def _list_held(nest: SymbolicNest, dimension: str, own: Sequence[Loop]) -> tuple[int, ...]:
    """Return the positions of a dimension that some of its loops reach, in order.

    There are holes where another loop of the dimension, which the instance does not run, lies inside one.
    """
    held, step = [0], 1
    for loop in reversed(nest.loops):
        if loop.dimension == dimension:
            if loop in own:
                held = [at + i * step for i in range(loop.bound) for at in held]
            step *= loop.bound
    return tuple(held)


def _ranks(tensor: Tensor, dimension: str) -> set[int]:
    """Return the ranks that `dimension` indexes."""
    return {rank for rank in range(len(tensor.ranks)) if coefficient_of(tensor, rank, dimension)}


def _distinct(
    nest: SymbolicNest, tensor: Tensor, offsets: Offsets, listed: Listed | None = None
) -> tuple[Expr, bool]:
    """Return how many different positions of `tensor` the loops reach, and whether they had to be counted.

    Positions of dimensions that have holes are `listed`.
    """
    listed = listed or {}
    ranks = {dimension: _ranks(tensor, dimension) for dimension in offsets}
    factors, counted = [], False
    for group in _connected({dimension: own for dimension, own in ranks.items() if own}):
        if len(group) == 1:
            factors.append(offsets[group[0]][0])
        elif (
            len(group) == 2
            and not listed.keys() & set(group)
            and ranks[group[0]] == ranks[group[1]]
            and len(ranks[group[0]]) == 1
        ):
            factors.append(_two_in_one_rank(tensor, min(ranks[group[0]]), group, offsets))
        else:
            factors.append(sympy.Integer(_count_offsets(nest, tensor, group, offsets, listed)))
            counted = True
    return product(factors), counted


def _connected(ranks: dict[str, set[int]]) -> list[list[str]]:
    """Group dimensions that share a rank, directly or through others."""
    groups: list[tuple[list[str], set[int]]] = []
    for dimension, mine in ranks.items():
        touching = [group for group in groups if group[1] & mine]
        merged = [d for group in touching for d in group[0]]
        groups = [group for group in groups if group not in touching]
        groups.append(([*merged, dimension], mine.union(*(group[1] for group in touching))))
    return [group[0] for group in groups]


def _two_in_one_rank(tensor: Tensor, rank: int, group: Sequence[str], offsets: Offsets) -> Expr:
    """Return how many values ``a*x + b*y`` takes for ``0 <= x < m``, ``0 <= y < n``.

    Two pairs give the same value where they differ by a multiple of ``(b/g, -a/g)``, with ``g`` the greatest
    common divisor of a and b.
    """
    (m, a), (n, b) = (
        (offsets[d][0], product([coefficient_of(tensor, rank, d), offsets[d][1]]).doit()) for d in group
    )
    if a == b:
        return total([m, n, -1])
    divisor = Gcd(a, b)
    twice = product([sympy.Max(0, (m - b / divisor).doit()), sympy.Max(0, (n - a / divisor).doit())])
    return total([product([m, n]), -twice])


def _count_offsets(
    nest: SymbolicNest, tensor: Tensor, group: Sequence[str], offsets: Offsets, listed: Listed
) -> int:
    """Count different positions one by one, at the mapping's bounds."""
    found = {(0,) * len(tensor.ranks)}
    for dimension in group:
        count, size = (nest.value(one) for one in offsets[dimension])
        step = [coefficient_of(tensor, rank, dimension) for rank in range(len(tensor.ranks))]
        found = {
            tuple(at + position * move for at, move in zip(offset, step, strict=True))
            for offset in found
            for position in listed.get(dimension, range(0, count * size, size))
        }
    return len(found)
