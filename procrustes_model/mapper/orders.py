"""Loop orders that can matter: one for each way in which tensors can be reused.

A tensor stays where it is while the innermost loops do not index it; so of all orders of a level's loops
only the sets of dimensions inside each tensor's innermost relevant loop count. A tensor with a sliding
window adds the sequence of loops that move it along one rank. Orders that differ in nothing else are equal,
and one with smaller sets is never better.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED

Profile = tuple[str, frozenset[int], tuple[object, ...]]
Profiles = tuple[Profile, ...]
Order = tuple[int, ...]
MayFollow = Callable[[int, list[int]], bool]
"""Whether a dimension may be the next loop outwards while others of a list are still to be placed."""


@dataclass(frozen=True)
class _Reuse:
    """How far the reuse of one tensor is settled, from the innermost loop outwards.

    Attributes
    ----------
    stationary : frozenset of int
        Dimensions inside the innermost relevant loop.
    rank : int
        Rank that slides: -1 while no loop is relevant, -2 where every later loop counts.
    run : tuple
        Relevant loops so far, with the sets of irrelevant ones between them.
    between : frozenset of int
        Irrelevant loops since the last relevant one.
    settled : bool
        Whether loops further out can only multiply.
    """

    stationary: frozenset[int] = frozenset()
    rank: int = -1
    run: tuple[object, ...] = ()
    between: frozenset[int] = frozenset()
    settled: bool = False

    def profile(self) -> Profile:
        """Return what distinguishes this reuse from another."""
        return ("window" if self.run else "plain", self.stationary, self.run)


def _ranks(coefficient: Ints) -> tuple[list[int], list[bool]]:
    """Return by dimension the rank that it indexes, -1 for none, and whether that rank slides."""
    ranks, slides = [], []
    for d in range(coefficient.shape[1]):
        found = np.flatnonzero(coefficient[:, d])
        ranks.append(int(found[0]) if len(found) else -1)
        slides.append(bool(len(found) and np.count_nonzero(coefficient[found[0]]) > 1))
    return ranks, slides


def _add_loop(reuse: _Reuse, d: int, rank: int, slides: bool, kind: int, loose: bool) -> _Reuse:
    """Return the reuse after the loop over `d` is placed outside all before.

    `loose`: loops over any rank that slides may go on with a run.
    """
    if reuse.settled:
        return reuse
    if rank < 0:
        if reuse.run:
            return replace(reuse, between=reuse.between | {d})
        return replace(reuse, stationary=reuse.stationary | {d})
    if not reuse.run:
        if kind == SIMPLE or (kind != SKEWED and not slides):
            return replace(reuse, settled=True)
        return replace(reuse, rank=-2 if kind == SKEWED else rank, run=(d,))
    if reuse.rank in (-2, rank) or (loose and slides):
        return replace(reuse, run=(*reuse.run, reuse.between, d), between=frozenset())
    return replace(reuse, settled=True)


def is_dominated(profiles: Profiles, others: Profiles) -> bool:
    """Say whether an order with the profiles `others` reuses every tensor at least as much."""
    return all(
        mine == theirs or (mine[0] == "plain" and theirs[1] >= mine[1])
        for mine, theirs in zip(profiles, others, strict=True)
    )


class _Walk:
    """Places loops from the innermost outwards and keeps account of what every tensor reuses."""

    def __init__(
        self, loops: Sequence[int], coefficient: Ints, kind: Ints, may_follow: MayFollow, *, loose: bool
    ) -> None:
        self.tensors = range(len(coefficient))
        self.ranks = [_ranks(coefficient[t]) for t in self.tensors]
        self.kind, self.may_follow, self.loose = kind, may_follow, loose
        # a tensor that no loop moves is settled: all loops are inside its innermost relevant one
        self.start = tuple(_Reuse(settled=all(self.ranks[t][0][d] < 0 for d in loops)) for t in self.tensors)

    def choices(self, rest: list[int], reuse: tuple[_Reuse, ...]) -> list[int]:
        """Return the loops of which one has to come next: none of the others can lead to more reuse."""
        open_ = [t for t in self.tensors if not reuse[t].settled]
        choices = [d for d in rest if self.may_follow(d, rest)]
        if not open_:
            return choices[:1]
        if not any(reuse[t].run for t in open_):
            return [d for d in choices if all(self.ranks[t][0][d] < 0 for t in open_)][:1] or choices
        return choices

    def add(self, reuse: tuple[_Reuse, ...], d: int) -> tuple[_Reuse, ...]:
        """Return what is reused after the loop over `d` is placed outside all before."""
        return tuple(
            _add_loop(reuse[t], d, self.ranks[t][0][d], self.ranks[t][1][d], int(self.kind[t]), self.loose)
            for t in self.tensors
        )

    def profiles(self, order: Order) -> Profiles:
        """Return what an order reuses, once loops that can only gain further in are moved there."""
        rest, reuse, wanted = list(order), self.start, list(order)
        while rest:
            choices = self.choices(rest, reuse)
            d = next(d for d in wanted if d in choices)
            rest.remove(d)
            wanted.remove(d)
            reuse = self.add(reuse, d)
        return tuple(one.profile() for one in reuse)

    def own_profiles(self, order: Order) -> Profiles:
        """Return what an order itself reuses."""
        reuse = self.start
        for d in order:
            reuse = self.add(reuse, d)
        return tuple(one.profile() for one in reuse)


def list_orders(
    loops: Sequence[int], coefficient: Ints, kind: Ints, may_follow: MayFollow, *, loose: bool = False
) -> list[Order]:
    """Return one order, innermost first, for each way of reuse that no other makes superfluous.

    Parameters
    ----------
    loops : sequence of int
        Dimensions with a loop.
    coefficient : int64[T, R, D]
    kind : int64[T]
        SIMPLE, SLIDING or SKEWED.
    may_follow : callable
        Whether a dimension may be the next loop outwards while others of a list are still to be placed.
    loose : bool
        Whether loops over any rank that slides may go on with a run (`overlap: innermost`).

    Returns
    -------
    list of tuple of int
        Empty where no order is allowed.
    """
    walk = _Walk(loops, coefficient, kind, may_follow, loose=loose)
    found: dict[Profiles, Order] = {}

    def place(rest: list[int], order: Order, reuse: tuple[_Reuse, ...]) -> None:
        if not rest:
            found.setdefault(tuple(one.profile() for one in reuse), order)
            return
        for d in walk.choices(rest, reuse):
            place([e for e in rest if e != d], (*order, d), walk.add(reuse, d))

    place(list(loops), (), walk.start)
    profiles = list(found)
    return [
        found[mine]
        for mine in profiles
        if not any(other != mine and is_dominated(mine, other) for other in profiles)
    ]


def group_orders(
    loops: Sequence[int], coefficient: Ints, kind: Ints, may_follow: MayFollow, *, loose: bool = False
) -> dict[Order, dict[Order, Profiles]]:
    """Return all orders that are allowed, each under the one of `list_orders` that reuses no less.

    The parameters are those of `list_orders`. With each order comes what it reuses itself.
    """
    walk = _Walk(loops, coefficient, kind, may_follow, loose=loose)
    groups: dict[Order, dict[Order, Profiles]] = {
        order: {} for order in list_orders(loops, coefficient, kind, may_follow, loose=loose)
    }
    profiles = {order: walk.profiles(order) for order in groups}
    for order in itertools.permutations(loops):
        if all(may_follow(d, list(order[i:])) for i, d in enumerate(order)):
            mine = walk.profiles(order)
            leader = next(of for of in groups if mine == profiles[of] or is_dominated(mine, profiles[of]))
            groups[leader][order] = walk.own_profiles(order)
    return groups


def find_mirror(coefficient: Ints, bounds: Ints) -> Ints:
    """Find an exchange of dimensions that leaves every tensor as it is (R with S, P with Q).

    Parameters
    ----------
    coefficient : int64[T, R, D]
    bounds : int64[D]

    Returns
    -------
    int64[D]
        The partner of each dimension; -1 where there is no such exchange.
    """
    dimensions = len(bounds)
    same = list(range(dimensions))

    def shape(order: list[int]) -> list[list[tuple[int, ...]]]:
        return [sorted(map(tuple, matrix[:, order].tolist())) for matrix in coefficient]

    def exchange(i: int, order: list[int]) -> list[int] | None:
        if i == dimensions:
            return order if order != same and shape(order) == shape(same) else None
        if order[i] == i and bounds[i] > 1:
            for k in range(i + 1, dimensions):
                if order[k] == k and bounds[k] == bounds[i]:
                    swapped = order.copy()
                    swapped[i], swapped[k] = k, i
                    if result := exchange(i + 1, swapped):
                        return result
        return exchange(i + 1, order)

    mirror = exchange(0, same)
    return np.array(mirror or [-1] * dimensions, np.int64)
