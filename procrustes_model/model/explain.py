"""Where a number comes from: the accesses of one tensor at one level as closed forms in the loop bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from procrustes_model.errors import Issue, SpecError
from procrustes_model.model.closed_forms import (
    Brings,
    Expr,
    Loop,
    Move,
    Part,
    SymbolicNest,
    coefficient_of,
    gcd,
    less_one,
    product,
    total,
)

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem, Tensor


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


@dataclass(frozen=True)
class Explanation:
    """The numbers of one tensor at one level, and how they come about.

    Attributes
    ----------
    architecture, problem, mapping, level : str
        Names.
    tensor : Tensor
    bounds : dict
        Loop symbol to bound.
    extents : tuple of Part
        Per rank of the tensor, what one instance holds.
    arrivals : Transfers or None
        Between this level and the one above it that keeps the tensor; None at the outermost.
    above : str or None
        Name of that level.
    departures : Part
        Words that pass between one instance and the next level inside that keeps the tensor, or the compute level.
    served : Transfers
        The same, for one instance of that inner level.
    sharing : tuple of Sharing
        One per fan-out between the two.
    touched : Part or None
        For an output, the distinct words that one instance ever holds.
    instances, tile, reads, fills, updates : Part
        Instances used; the rest is per instance.
    """

    architecture: str
    problem: str
    mapping: str
    level: str
    tensor: Tensor
    bounds: dict[Expr, Expr]
    instances: Part
    extents: tuple[Part, ...]
    tile: Part
    above: str | None
    arrivals: Transfers | None
    served: Transfers
    sharing: tuple[Sharing, ...]
    departures: Part
    touched: Part | None
    reads: Part
    fills: Part
    updates: Part

    def to_text(self) -> str:
        """Return the explanation as plain text of at most 100 columns."""
        from procrustes_model.report.explanation import format_explanation

        return format_explanation(self)


def explain(
    architecture: Architecture, problem: Problem, mapping: Mapping, level: str, tensor: str
) -> Explanation:
    """Derive the accesses of `tensor` at `level` symbolically.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
        As `load_mapping` returns it for this architecture and problem.
    level : str
        Name of a storage level that keeps the tensor.
    tensor : str

    Returns
    -------
    Explanation
        Its values equal those of `evaluate`; they are found without the kernels.

    Raises
    ------
    SpecError
        When there is no such level or tensor, or the level does not keep the tensor.
    """
    index, spec = _find(architecture, problem, mapping, level, tensor)
    nest = SymbolicNest(problem, mapping)
    keepers = [i for i, one in enumerate(mapping.levels) if tensor in one.keep]
    outer = [i for i in keepers if i < index]
    child = next((i for i in keepers if i > index), len(mapping.levels))
    names = [one.level for one in mapping.levels] + [architecture.compute.name]

    instances = nest.part(
        f"instances_{level}", product(o.symbol for o in nest.loops if o.level < index and o.axis != "temporal")
    )
    extents = tuple(
        nest.part(f"extent_{level}", extent) for extent in nest.extents(spec, nest.below(index))
    )
    arrivals = _transfers(nest, spec, index, level)
    served = _compute_steps(nest, names[-1]) if child == len(mapping.levels) else (
        _transfers(nest, spec, child, names[child])
    )
    sharing = tuple(_sharing(nest, spec, i, names) for i in range(index, child) if nest.fanout(i))
    uses = [served.words, *(one.distinct for one in sharing)]
    departures = nest.part(f"departures_{level}", product(one.symbol for one in uses), uses)
    touched = nest.part(f"touched_{level}", _touched(nest, spec, index)) if spec.is_output else None
    reads, fills, updates = _actions(nest, arrivals.words if outer else None, departures, touched)
    return Explanation(
        architecture=architecture.name,
        problem=problem.name,
        mapping=mapping.name,
        level=level,
        tensor=spec,
        bounds=nest.bounds,
        instances=instances,
        extents=extents,
        tile=arrivals.tile,
        above=names[outer[-1]] if outer else None,
        arrivals=arrivals if outer else None,
        served=served,
        sharing=sharing,
        departures=departures,
        touched=touched,
        reads=reads,
        fills=fills,
        updates=updates,
    )


def _find(
    architecture: Architecture, problem: Problem, mapping: Mapping, level: str, tensor: str
) -> tuple[int, Tensor]:
    """Return the index of `level` and the tensor; SpecError where either is not there, or not kept."""
    from procrustes_model.spec.words import did_you_mean

    issues = []
    levels = [one.level for one in mapping.levels]
    tensors = {one.name: one for one in problem.tensors}
    if level == architecture.compute.name:
        issues.append(Issue(f"'{level}' computes and stores nothing", f"storage levels are {', '.join(levels)}"))
    elif level not in levels:
        issues.append(
            Issue(f"architecture '{architecture.name}' has no level '{level}'", did_you_mean(level, levels))
        )
    if tensor not in tensors:
        issues.append(Issue(f"problem '{problem.name}' has no tensor '{tensor}'", did_you_mean(tensor, tensors)))
    if issues:
        raise SpecError(issues)
    index = levels.index(level)
    if tensor not in mapping.levels[index].keep:
        keepers = [one.level for one in mapping.levels if tensor in one.keep]
        raise SpecError(
            Issue(f"level '{level}' does not keep tensor '{tensor}'", f"it is kept at {', '.join(keepers)}")
        )
    return index, tensors[tensor]


def _actions(
    nest: SymbolicNest, arrivals: Part | None, departures: Part, touched: Part | None
) -> tuple[Part, Part, Part]:
    """Return reads, fills and updates; an output skips the first read and fill of every word it touches."""
    zero = sympy.Integer(0)
    if touched is None:
        fills = nest.part("fills", arrivals.symbol, [arrivals]) if arrivals else nest.part("fills", zero)
        return nest.part("reads", departures.symbol, [departures]), fills, nest.part("updates", zero)
    reads = nest.part("reads", departures.symbol - touched.symbol, [departures, touched])
    fills = nest.part("fills", zero)
    if arrivals:
        fills = nest.part("fills", arrivals.symbol - touched.symbol, [arrivals, touched])
    return reads, fills, nest.part("updates", departures.symbol, [departures])


def _touched(nest: SymbolicNest, tensor: Tensor, level: int) -> Expr:
    """Return the size of the box of all words that one instance of `level` holds in the whole run."""
    loops = [loop for loop in nest.loops if loop.axis == "temporal" or loop.level >= level]
    return product(nest.extents(tensor, loops))


def _compute_steps(nest: SymbolicNest, name: str) -> Transfers:
    """Return what passes between one compute unit and the level that serves it: a word per step of the nest."""
    steps = product(loop.symbol for loop in nest.loops if loop.axis == "temporal")
    tile = nest.part(f"tile_{name}", sympy.Integer(1))
    return Transfers(name, True, tile, None, (), nest.part(f"steps_{name}", steps))


def _transfers(nest: SymbolicNest, tensor: Tensor, level: int, name: str) -> Transfers:
    """Return what passes between one instance of `level` and the level above it that keeps `tensor`."""
    extents = nest.extents(tensor, nest.below(level))
    above = nest.temporal_above(level)
    tile = nest.part(f"tile_{name}", product(extents))
    steps = [nest.step(tensor, loop) for loop in above]
    numbers = [[nest.value(one) for one in step] for step in steps]
    anchor = max((j for j, step in enumerate(numbers) if any(step)), default=None)
    overlap = None
    if anchor is not None:
        stays = [sympy.Max(0, (extent - step).doit()) for extent, step in zip(extents, steps[anchor], strict=True)]
        if math.prod(nest.value(one) for one in stays):
            overlap = nest.part(f"overlap_{name}", product(stays))
    moves = tuple(_move(above, numbers, j, anchor, overlap) for j in range(len(above)))
    formula, uses = _transfer_formula(moves, tile, overlap)
    return Transfers(name, False, tile, overlap, moves, nest.part(f"transfers_{name}", formula, uses))


def _move(
    above: Sequence[Loop], steps: Sequence[Sequence[int]], j: int, anchor: int | None, overlap: Part | None
) -> Move:
    """Say what the tile does when loop `j` steps, while every loop inside it goes from its second iteration to its first.

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
        return Move(loop, times, "nothing", f"the tensor is not indexed by {loop.dimension}: the tile stays")
    name, inner = str(above[anchor].symbol), steps[j + 1 :]
    move = [s - sum(one[r] for one in inner) for r, s in enumerate(steps[j])]
    brings: Brings = "whole tile"
    if not any(move):
        return Move(loop, times, "nothing", "its step undoes the way back of the loops inside: the tile stays")
    if j == anchor:
        brings = "new part" if overlap else "whole tile"
        reason = "slides the tile, the overlap stays" if overlap else "moves the tile past all that it held"
    elif move == list(steps[anchor]) and overlap:
        brings, reason = "new part", f"moves the tile as {name} does: the slide goes on"
    elif move == list(steps[anchor]):
        reason = f"moves the tile as {name} does, past all that it held"
    elif not any(steps[j]):
        reason = f"not indexed by {loop.dimension}, but the loops inside start over: fetched again"
    elif overlap:
        reason = f"moves the tile otherwise than {name} does: no overlap is kept"
    else:
        reason = "moves the tile on"
    return Move(loop, times, brings, reason)


def _transfer_formula(moves: Sequence[Move], tile: Part, overlap: Part | None) -> tuple[Expr, list[Part]]:
    """Return the first tile and all moves, added up, and the parts used in that.

    The outer loops that always bring whole tiles come out as factors: a tile, and a tile for each of the n - 1 steps, are n.
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


def _sharing(nest: SymbolicNest, tensor: Tensor, level: int, names: Sequence[str]) -> Sharing:
    """Count the different offsets that the spatial loops of `level` give to the tiles below."""
    loops = nest.fanout(level)
    offsets: dict[str, tuple[Expr, Expr]] = {}
    for dimension in dict.fromkeys(loop.dimension for loop in loops):
        count = product(loop.symbol for loop in loops if loop.dimension == dimension)
        size = product(loop.symbol for loop in nest.below(level + 1) if loop.dimension == dimension)
        offsets[dimension] = (count, size)
    ranks = {
        d: {r for r in range(len(tensor.ranks)) if coefficient_of(tensor, r, d)} for d in offsets
    }
    factors, counted = [], False
    for group in _connected({d: rank for d, rank in ranks.items() if rank}):
        if len(group) == 1:
            factors.append(offsets[group[0]][0])
        elif len(group) == 2 and ranks[group[0]] == ranks[group[1]] and len(ranks[group[0]]) == 1:
            factors.append(_two_in_one_rank(tensor, min(ranks[group[0]]), group, offsets))
        else:
            factors.append(sympy.Integer(_count_offsets(nest, tensor, group, offsets)))
            counted = True
    shared = tuple(loop for loop in loops if not ranks[loop.dimension])
    distinct = nest.part(f"distinct_{names[level + 1]}", product(factors))
    instances = math.prod(loop.bound for loop in loops)
    return Sharing(names[level], names[level + 1], tuple(loops), shared, instances, distinct, counted)


def _connected(ranks: dict[str, set[int]]) -> list[list[str]]:
    """Group dimensions that share a rank, directly or through others."""
    groups: list[tuple[list[str], set[int]]] = []
    for dimension, mine in ranks.items():
        touching = [group for group in groups if group[1] & mine]
        merged = [d for group in touching for d in group[0]]
        groups = [group for group in groups if group not in touching]
        groups.append(([*merged, dimension], mine.union(*(group[1] for group in touching))))
    return [group[0] for group in groups]


def _two_in_one_rank(
    tensor: Tensor, rank: int, group: Sequence[str], offsets: dict[str, tuple[Expr, Expr]]
) -> Expr:
    """Return how many values ``a*x + b*y`` takes for ``0 <= x < m``, ``0 <= y < n``.

    Two pairs give the same value where they differ by a multiple of ``(b/g, -a/g)``, ``g`` the greatest common divisor.
    """
    (m, a), (n, b) = (
        (offsets[d][0], product([coefficient_of(tensor, rank, d), offsets[d][1]])) for d in group
    )
    divisor = gcd(a.doit(), b.doit())
    twice = product([sympy.Max(0, (m - b / divisor).doit()), sympy.Max(0, (n - a / divisor).doit())])
    return total([product([m, n]), -twice])


def _count_offsets(
    nest: SymbolicNest, tensor: Tensor, group: Sequence[str], offsets: dict[str, tuple[Expr, Expr]]
) -> int:
    """Count different offsets one by one, at the mapping's bounds."""
    found = {(0,) * len(tensor.ranks)}
    for dimension in group:
        count, size = (nest.value(one) for one in offsets[dimension])
        step = [coefficient_of(tensor, rank, dimension) * size for rank in range(len(tensor.ranks))]
        found = {
            tuple(at + i * move for at, move in zip(offset, step, strict=True))
            for offset in found
            for i in range(count)
        }
    return len(found)
