"""Mappings that cost the same where nothing is zero, and may not where something is.

The search tries one order for each way of reuse, and one way to lay a spatial vector over x and y. Where
something is zero this still suffices for all but actions. Of two orders, one that reuses no less moves no
more of any tensor over any link. Tiles are the same, and so are their zeros, their metadata, their size, and
the work of every processing element. What a sparse design makes of a transfer grows with it, each link for
itself: words kept, words of metadata, whole accesses, cycles. So the order that reuses more costs no more.

What an action saves depends on the box of the leader, and the box may depend on more (`sensitivity`): on
which loops are inside the first one that moves the target, and on what an access of several words takes in.
There one order is measured for each that boxes tell apart and no other makes superfluous, and every split.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.candidates import list_candidates
from procrustes_model.mapper.incumbent import Incumbent, select
from procrustes_model.mapper.optimal.sensitivity import EVERY, Sensitivity
from procrustes_model.mapper.orders import Order, Profiles, is_dominated
from procrustes_model.mapper.space import Space

MOST = 1000
"""Variants of one mapping that are measured; of a mapping with more, only itself."""

LISTED = 5040
"""Orders of a level's loops that are looked at: those of seven."""

BLOCK = 4096
"""Variants that are made at a time."""


@dataclass
class Variants:
    """Lists the variants of mappings that keep the same.

    Attributes
    ----------
    space : Space
    keep : bool[L, T]
    minds : Sensitivity
    left_out : bool
        Whether a mapping had too many of them.
    """

    space: Space
    keep: Bools
    minds: Sensitivity = field(init=False)
    left_out: bool = False
    _orders: dict[tuple[int, Order, bytes], Ints] = field(default_factory=dict)
    _splits: dict[tuple[int, tuple[int, ...]], Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.space.cost is not None
        self.minds = self.space.cost.minds(self.keep)

    def list_whole(
        self, last: Ints, labels: Ints, marks: Floats, incumbent: Incumbent, room: int
    ) -> Iterator[tuple[int, NestArrays]]:
        """Yield whole mappings that bounds do not exclude, with the first row of the labels they are of.

        Parameters
        ----------
        last : int64[n]
            Spatial vectors of the innermost level.
        labels, marks : int64[n, W], float64[n, 3]
            Where only the innermost level's loops are to be decided.
        incumbent : Incumbent
            What they have to beat.
        room : int
            Mappings at a time.

        Yields
        ------
        first : int
        nests : NestArrays
            To be used before the next ones are asked for.
        """
        space, innermost = self.space, self.space.levels - 1
        position, nests = np.zeros(2, np.int64), space.nests(max(room, 2 * len(space.model.bounds)))
        while position[0] < len(labels):
            first = int(position[0])
            written = list_candidates(
                space.model,
                space.lattice,
                space.orders,
                self.keep,
                space.parts,
                last,
                space.rules.factors[innermost, 0],
                space.rules.outside[innermost],
                self.minds.innermost,
                labels,
                marks,
                incumbent.goal,
                position,
                nests,
            )
            if written:
                yield first, select(nests, slice(written))

    def expand(self, nests: NestArrays) -> Iterator[NestArrays]:
        """Yield mappings with all their variants, some at a time.

        Parameters
        ----------
        nests : NestArrays
            As the search lists them; the loops of the innermost level in every order that matters.
        """
        if not self.minds.any:
            yield nests
            return
        made: list[NestArrays] = []
        room, last = BLOCK, len(nests.temporal) - 1
        for n in range(last + 1):
            made.append(self._variants(nests, n))
            room -= len(made[-1].temporal)
            if room <= 0 or n == last:
                yield NestArrays(*(np.concatenate(parts) for parts in zip(*made, strict=True)))
                made, room = [], BLOCK

    def _variants(self, nests: NestArrays, n: int) -> NestArrays:
        choices = list(self._choices(nests, n))
        total = math.prod(len(found) for _, _, found in choices)
        if total > MOST:
            self.left_out, choices, total = True, [], 1
        made, stride = select(nests, np.full(total, n)), 1
        for array, level, found in choices:
            made[array][:, level] = found[np.arange(total) // stride % len(found)]
            stride *= len(found)
        return made

    def _choices(self, nests: NestArrays, n: int) -> Iterator[tuple[int, int, Ints]]:
        """Yield what may be put in place of part of a mapping: which array, level, and int64[m, ...]."""
        details, split = self.minds.of(nests, n, self.space.model.coefficient)
        looped = (nests.temporal[n] > 1).any(axis=1)
        # Where the innermost level has no loop, the innermost loop of all stands further out.
        last = int(np.flatnonzero(looped)[-1]) if looped.any() else -1
        for level in range(self.space.levels):
            whole = self.minds.innermost and level == last < self.space.levels - 1
            if looped[level] and (whole or details[level].any()):
                order = [int(d) for d in nests.order[n, level][::-1] if nests.temporal[n, level, d] > 1]
                found = self._orders_like(level, tuple(order), details[level])
                yield NestArrays._fields.index("order"), level, found
            if split[level]:
                spread = tuple(nests.spatial[n, level].prod(axis=0).tolist())
                yield NestArrays._fields.index("spatial"), level, self._splits_of(level, spread)

    def _orders_like(self, level: int, order: Order, details: Ints) -> Ints:
        """Return the orders (int64[m, D], outermost first) in whose place the search tries this one.

        Of those that boxes cannot tell apart, one for each way of reuse that no other makes superfluous.
        `details` : int64[T], what boxes see.
        """
        key = (level, order, details.tobytes())
        if key not in self._orders:
            rest = [d for d in range(len(self.space.model.bounds)) if d not in order]
            listed = [order] * (MOST + 1)
            if math.factorial(len(order)) <= LISTED:
                listed = self._told_apart(level, order, details)
            self._orders[key] = np.array([[*one[::-1], *rest] for one in listed], np.int64)
        return self._orders[key]

    def _told_apart(self, level: int, order: Order, details: Ints) -> list[Order]:
        """Return, of the group of an order, what boxes tell apart; itself in place of what they do not."""
        groups = self.space.group_orders(level, sum(1 << d for d in order))
        if level == self.space.levels - 1 and (details == EVERY).any():
            return [one for group in groups.values() for one in group]  # the search tries one of all
        alike: dict[Hashable, dict[Profiles, Order]] = {}
        own = self._seen(order, details)
        for one, reuse in groups[order].items():
            seen = self._seen(one, details)
            found = alike.setdefault(seen, {})
            if seen == own or any(is_dominated(reuse, other) for other in found):
                continue
            for other in [other for other in found if is_dominated(other, reuse)]:
                del found[other]
            found[reuse] = one
        return [order, *(one for found in alike.values() for one in found.values())]

    def _seen(self, order: Order, details: Ints) -> Hashable:
        return (order[0] if self.minds.innermost else None, self.minds.see(order, details))

    def _splits_of(self, level: int, spread: tuple[int, ...]) -> Ints:
        """Return all ways (int64[m, 2, D]) to lay spatial factors over x and y."""
        key = (level, spread)
        if key not in self._splits:
            lattice, allowed = self.space.lattice, self.space.rules.factors[level]
            columns, rows = self.space.architecture.fanout(level)
            divisors = []
            for d, product in enumerate(spread):
                known = {int(f): i for i, f in enumerate(lattice.divisors[d, : lattice.counts[d]])}
                divisors.append(
                    [
                        x
                        for x, i in known.items()
                        if product % x == 0 and allowed[1, d, i] and allowed[2, d, known[product // x]]
                    ]
                )
            on_x = np.array(list(itertools.product(*divisors)), np.int64).reshape(-1, len(spread))
            on_y = np.array(spread, np.int64) // on_x
            fits = (on_x.prod(axis=1) <= columns) & (on_y.prod(axis=1) <= rows)
            self._splits[key] = np.stack((on_x, on_y), axis=1)[fits]
        return self._splits[key]
