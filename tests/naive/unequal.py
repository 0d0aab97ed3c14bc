"""Nests whose instances differ, in the most obvious way: every instance is walked by itself.

An instance is named by the index that it has in each spatial loop outside of it. In the last pass over a
dimension a spatial loop has as many instances as it says there, and the others do nothing. Reads are those of
the fullest of the instances that hold the same tile.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem, Tensor
from tests.naive import dense
from tests.naive.imperfect import Box, PassLoop, Visit, common, size, tile

Index = tuple[int, ...]


def list_loops(mapping: Mapping) -> list[PassLoop]:
    """Return the loops that run more than once, outermost first; rows are outside of columns."""
    covered: dict[str, int] = defaultdict(lambda: 1)
    loops = []
    for number, level in reversed(list(enumerate(mapping.levels))):
        spatial = [(True, loop) for loop in (*level.spatial_x, *level.spatial_y)]
        for is_spatial, loop in [*spatial, *((False, loop) for loop in reversed(level.temporal))]:
            if loop.factor > 1:
                step = covered[loop.dimension]
                last = loop.last or loop.factor
                loops.append(PassLoop(number, is_spatial, loop.dimension, loop.factor, step, last))
            covered[loop.dimension] *= loop.factor
    return loops[::-1]


@dataclass(frozen=True)
class Instance:
    """One instance of a level: the loops outside of it, and its index in each of them that is spatial."""

    level: int
    outside: tuple[PassLoop, ...]
    inside: tuple[PassLoop, ...]
    index: dict[PassLoop, int]

    def comes_to(self, d: str, depth: int, ending: bool) -> set[int]:
        """Return the positions along a dimension, from the first, that loops from `depth` on come to."""
        loop = next((one for one in self.outside[depth:] if one.dimension == d), None)
        if loop is None:
            inside = (one for one in self.inside if one.dimension == d)
            return set(range(1 + sum(((o.last if ending else o.bound) - 1) * o.step for o in inside)))
        bound = loop.last if ending else loop.bound
        chosen = [self.index[loop]] if loop.spatial else range(bound)
        after = self.outside.index(loop) + 1
        return {
            i * loop.step + p
            for i in chosen
            if i < bound
            for p in self.comes_to(d, after, ending and i == bound - 1)
        }

    def iterations(self, depth: int, ending: bool) -> int:
        """Return in how many iterations of a temporal loop the instance has something to do."""
        loop = self.outside[depth]
        bound = loop.last if ending else loop.bound
        return sum(
            bool(self.comes_to(loop.dimension, depth + 1, ending and i == bound - 1)) for i in range(bound)
        )

    def differs(self, depth: int) -> bool:
        """Say whether the last iteration in which it works, of all passes, is shorter inside."""
        loop = self.outside[depth]
        final = self.iterations(depth, True) == loop.last
        other = self.comes_to(loop.dimension, depth + 1, False)
        return self.comes_to(loop.dimension, depth + 1, final) != other

    def visits(self, depth: int, visit: Visit, adding: PassLoop | None) -> Iterator[Visit]:
        """Yield the visits, the second iteration of a loop standing for later ones, as `imperfect` does."""
        if depth == len(self.outside):
            yield visit
            return
        loop = self.outside[depth]
        d, ending = loop.dimension, visit.ending[loop.dimension]
        bound = loop.last if ending else loop.bound
        if loop.spatial:
            chosen = [(self.index[loop], 1)] if self.index[loop] < bound else []
        else:
            count = self.iterations(depth, ending)
            chosen = [(0, 1), (1, count - 1)][:count]
            if count > 2 and self.differs(depth):
                chosen = [(0, 1), (1, count - 2), (count - 1, 1)]
                if loop is adding:
                    chosen = [(0, 1), (1, count - 1), (count - 1, 0)]
        for i, weight in chosen:
            position = visit.position | {d: visit.position[d] + i * loop.step}
            inner = Visit(visit.weight * weight, position, visit.ending | {d: ending and i == bound - 1})
            yield from self.visits(depth + 1, inner, adding)

    def every_visit(self, depth: int, visit: Visit) -> Iterator[Visit]:
        """Yield all visits in order, one by one."""
        if depth == len(self.outside):
            yield visit
            return
        loop = self.outside[depth]
        d, ending = loop.dimension, visit.ending[loop.dimension]
        bound = loop.last if ending else loop.bound
        for i in [self.index[loop]] if loop.spatial else range(bound):
            if i < bound:
                position = visit.position | {d: visit.position[d] + i * loop.step}
                ends = visit.ending | {d: ending and i == bound - 1}
                yield from self.every_visit(depth + 1, Visit(1, position, ends))


@dataclass(frozen=True)
class Nest:
    """A problem, a mapping, and its loops."""

    problem: Problem
    mapping: Mapping

    @property
    def loops(self) -> list[PassLoop]:
        """All loops."""
        return list_loops(self.mapping)

    @property
    def start(self) -> Visit:
        """Where every walk begins."""
        every = self.problem.dimensions
        return Visit(1, dict.fromkeys(every, 0), dict.fromkeys(every, True))

    def spatial(self, outer: int, inner: int) -> list[PassLoop]:
        """Return the spatial loops of levels `outer` to `inner`, that one excluded."""
        return [loop for loop in self.loops if loop.spatial and outer <= loop.level < inner]

    def instance(self, level: int, index: dict[PassLoop, int]) -> Instance:
        """Return one instance of a level."""
        outside = tuple(loop for loop in self.loops if loop.level < level)
        return Instance(level, outside, tuple(loop for loop in self.loops if loop.level >= level), index)

    def instances(self, level: int) -> list[Instance]:
        """Return all instances of a level that ever have something to do; the number of levels: units."""
        loops = self.spatial(0, level)
        every = [
            self.instance(level, dict(zip(loops, index, strict=True)))
            for index in itertools.product(*(range(loop.bound) for loop in loops))
        ]
        return [one for one in every if self.works(one)]

    def works(self, one: Instance) -> bool:
        """Say whether an instance ever has something to do."""
        return all(one.comes_to(d, 0, True) for d in self.problem.dimensions)

    def visits(self, one: Instance) -> list[Visit]:
        """Return the visits of an instance, some of which stand for several."""
        if not self.works(one):
            return []
        above = one.outside[-1] if one.outside else None
        adds_up = above is not None and not above.spatial and above.level == one.level - 1
        adding = above if adds_up and one.level < len(self.mapping.levels) else None
        return list(one.visits(0, self.start, adding))

    def transfers(self, one: Instance, tensor: Tensor) -> int:
        """Return the words moved into an instance, by the rules of `imperfect.count_transfers`."""
        words = 0
        held: Box | None = None
        before: tuple[int, ...] | None = None
        for visit in self.visits(one):
            if one.level == len(self.mapping.levels):
                words += visit.weight  # a compute unit takes a word in each step
                continue
            wanted = tile(tensor, list(one.inside), visit)
            fetched = size(wanted)
            if held is not None:
                doubles = [sum(new) - sum(old) for new, old in zip(wanted, held, strict=True)]
                move = tuple((abs(x) + 1) // 2 * (1 if x >= 0 else -1) for x in doubles)
                if not any(move) or before in (None, move):
                    fetched -= common(wanted, held)
                    before = move if any(move) else before
                else:
                    before = None
            words += visit.weight * fetched
            held = wanted
        return words

    def transfers_in_order(self, one: Instance, tensor: Tensor) -> int:
        """Return the words moved into an instance that keeps what overlaps, every visit walked in order."""
        words = 0
        held: Box | None = None
        for visit in one.every_visit(0, self.start):
            wanted = tile(tensor, list(one.inside), visit)
            words += size(wanted) - (common(wanted, held) if held is not None else 0)
            held = wanted
        return words

    def served(self, one: Instance, tensor: Tensor, child: int) -> int:
        """Return the words that an instance hands out: once to all below it that hold the same tile."""
        loops = self.spatial(one.level, child)
        most: dict[Any, int] = defaultdict(int)
        for index in itertools.product(*(range(loop.bound) for loop in loops)):
            below = self.instance(child, one.index | dict(zip(loops, index, strict=True)))
            place = []
            for level in range(one.level, child):
                here = [(loop, i) for loop, i in zip(loops, index, strict=True) if loop.level == level]
                some, at = [loop for loop, _ in here], tuple(i for _, i in here)
                place.append(dense.position(tensor, list(some), at))
            most[tuple(place)] = max(most[tuple(place)], self.transfers(below, tensor))
        return sum(most.values())

    def accumulated(self, one: Instance, tensor: Tensor, within: int) -> int:
        """Return how many words of an output are in tiles of level `within` that come to an instance."""
        side = dict.fromkeys(self.problem.dimensions, 1)
        for loop in self.loops:
            if loop.level >= within:
                side[loop.dimension] *= loop.bound
        starts = {
            d: [
                at
                for at in range(0, bound, side[d])
                if all(
                    at // loop.step % loop.bound == i for loop, i in one.index.items() if loop.dimension == d
                )
            ]
            for d, bound in self.problem.dimensions.items()
        }
        words: set[Index] = set()
        for chosen in itertools.product(*starts.values()):
            first = dict(zip(starts, chosen, strict=True))
            last = {d: min(at + side[d], self.problem.dimensions[d]) - 1 for d, at in first.items()}
            box = [
                range(
                    sum(term.coefficient * first[term.dimension] for term in rank),
                    sum(term.coefficient * last[term.dimension] for term in rank) + 1,
                )
                for rank in tensor.ranks
            ]
            words.update(itertools.product(*box))
        return len(words)

    def count(self, one: Instance, tensor: Tensor, child: int, drains: bool) -> dict[str, int]:
        """Return the reads, fills and updates of one instance, which may read what it sends up."""
        served, moved = self.served(one, tensor, child), self.transfers(one, tensor)
        new, fresh = (
            self.accumulated(one, tensor, within) if tensor.is_output else 0 for within in (child, one.level)
        )
        return {
            "reads": max(0, served - new) + (moved if drains and tensor.is_output and one.level else 0),
            "fills": max(0, moved - fresh) if one.level else 0,
            "updates": served if tensor.is_output else 0,
        }


def evaluate(architecture: Architecture, problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Return what `compare.assert_same` takes: counts are means over the instances that work."""
    nest = Nest(problem, mapping)
    steps = math.prod(loop.bound for loop in nest.loops if not loop.spatial)
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    energy, cycles, total = {}, {}, 0.0
    for number, level in enumerate(architecture.levels):
        instances = nest.instances(number)
        read = written = 0.0
        for tensor in problem.tensors:
            if tensor.name not in mapping.levels[number].keep:
                continue
            inner = range(number + 1, len(mapping.levels))
            child = next((i for i in inner if tensor.name in mapping.levels[i].keep), len(mapping.levels))
            rows = [nest.count(one, tensor, child, level.drain_read) for one in instances]
            first = next(visit for visit in nest.visits(instances[0]))
            bits = dense.bits_of(architecture, problem, number, tensor.name)
            prices = {"reads": level.energy.read, "fills": level.energy.write, "updates": level.energy.update}
            counts[level.name, tensor.name] = {
                "tile_words": size(tile(tensor, list(instances[0].inside), first)),
                "instances": len(instances),
            } | {key: sum(row[key] for row in rows) / len(rows) for key in prices}
            energy[level.name, tensor.name] = sum(
                dense.count_accesses(architecture, number, bits, row[key]) * price
                for row in rows
                for key, price in prices.items()
            )
            words = bits / level.word_bits
            read += rows[0]["reads"] * words / steps
            written += (rows[0]["fills"] + rows[0]["updates"]) * words / steps
        cycles[level.name] = dense.stretch(level, steps, read, written)
    price = architecture.compute.energy_pj
    assert isinstance(price, float)
    total = sum(energy.values()) + problem.computes * price
    return {
        "counts": counts,
        "energy": energy,
        "cycles": cycles,
        "steps": steps,
        "total_energy": total,
        "total_cycles": max(steps, *cycles.values()),
        "operations": sum(
            visit.weight for one in nest.instances(len(mapping.levels)) for visit in nest.visits(one)
        ),
    }
