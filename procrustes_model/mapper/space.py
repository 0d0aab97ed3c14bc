"""The mapspace of a problem on an architecture, as arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import (
    Bools,
    Floats,
    Ints,
    NestArrays,
)
from procrustes_model.kernels.dense.buffers import make_costs, make_room
from procrustes_model.kernels.search.arrays import SKEWED, Lattice, Model, Orders
from procrustes_model.kernels.search.finish import Bench
from procrustes_model.kernels.search.lattice import spatial_vectors
from procrustes_model.kernels.search.walk import Freedom
from procrustes_model.mapper.constraints import Rules, make_rules, with_machine
from procrustes_model.mapper.deadline import Deadline, OutOfTime
from procrustes_model.mapper.dense_model import make_model
from procrustes_model.mapper.lattice import list_divisors, list_primes, make_lattice
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.mapper.orders import MayFollow, Order, Profiles, find_mirror, group_orders, list_orders
from procrustes_model.mapper.size import Packing, count_orders, count_splits, list_chains
from procrustes_model.mapper.sparse_cost import SparseCost
from procrustes_model.model.batch import BatchEvaluator
from procrustes_model.model.design import Design, lower_dense
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem

MOST_BYTES = 1_000_000_000
"""Room for tables over the lattice: of the two gigabytes that a search may take, what it can plan for."""

GRACE = 0.2
"""Seconds that counting the mappings may take when the time is over."""

HURRIED = 0.5
"""Share of the time left that may go to bounds which the search itself does not need."""

MOST_DIMENSIONS = 16
"""Tables hold an entry for every set of dimensions."""

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


def _classes(model: Model) -> tuple[Ints, Ints]:
    """Group dimensions by their effect as innermost loop: a sliding dimension stands alone."""
    groups: dict[tuple[tuple[bool, ...], int], list[int]] = {}
    for d in np.flatnonzero(model.bounds > 1).tolist():
        slides = any(
            model.kind[t] == SKEWED or np.count_nonzero(model.coefficient[t, r]) > 1
            for t, r in np.argwhere(model.coefficient[:, :, d])
        )
        groups.setdefault((tuple(model.irrelevant[:, d].tolist()), d if slides else -1), []).append(d)
    members = np.full((max(len(groups), 1), len(model.bounds)), -1, np.int64)
    members[0, 0] = 0
    kind = np.zeros(len(model.bounds), np.int64)
    for c, group in enumerate(groups.values()):
        members[c, : len(group)] = group
        kind[group] = c
    return kind, members


_OrderKey = tuple[tuple[int, ...], tuple[int, ...], bytes, bytes, bytes, bool]


class _Lister(Protocol[R_co]):
    """Lists or groups orders."""

    def __call__(
        self, loops: Sequence[int], coefficient: Ints, kind: Ints, may_follow: MayFollow, *, loose: bool
    ) -> R_co: ...


_ORDERS: dict[_OrderKey, list[Order]] = {}
_GROUPS: dict[_OrderKey, dict[Order, dict[Order, Profiles]]] = {}
_MOST_KNOWN = 2**14
_MOST_GROUPED = 2**9
"""Sets of loops whose orders are kept: of groups fewer, for they hold all orders."""


def _find_orders(
    known: dict[_OrderKey, R],
    most: int,
    find: _Lister[R],
    model: Model,
    loops: int,
    before: Bools,
    deadline: Deadline,
) -> R:
    """Return what `find` says of the orders of `loops` (bits); kept, for layers differ in their bounds only.

    `before`: bool[D, D], whether the first dimension's loop must lie outside the second's.
    """
    coefficient, kind, loose = model.coefficient, model.kind, bool(model.rules.forgetful)
    named = tuple(d for d in range(len(before)) if loops >> d & 1)
    key = (named, coefficient.shape, coefficient.tobytes(), kind.tobytes(), before.tobytes(), loose)
    if key not in known:

        def may_follow(d: int, rest: list[int]) -> bool:
            deadline.check()
            return not any(before[d, e] for e in rest if e != d)

        if len(known) >= most:
            known.clear()
        known[key] = find(named, coefficient, kind, may_follow, loose=loose)
    return known[key]


def _make_orders(model: Model, rules: Rules, deadline: Deadline, *, free: bool) -> Orders:
    levels, dimensions = len(model.pack), len(model.bounds)
    looped = sum(1 << d for d in range(dimensions) if model.bounds[d] > 1)
    rows = np.zeros((levels, 1 << dimensions, 2), np.int64)
    listed: list[tuple[int, ...]] = []
    known: dict[bytes, int] = {}
    for level in range(levels):
        outside = rules.outside[level]
        twin = known.setdefault(outside.tobytes(), level)
        if twin != level:
            rows[level] = rows[twin]
            continue
        for loops in range(1 << dimensions):
            if loops & ~looped:
                continue
            found = _find_orders(_ORDERS, _MOST_KNOWN, list_orders, model, loops, outside, deadline)
            rows[level, loops] = len(listed), len(listed) + len(found)
            listed += found
    table = np.full((len(listed), dimensions), -1, np.int64)
    for i, order in enumerate(listed):
        table[i, : len(order)] = order
    mirror = find_mirror(model.coefficient, model.bounds) if free else np.full(dimensions, -1, np.int64)
    kind, members = _classes(model)
    return Orders(table, rows, kind, members, mirror)


@dataclass
class Space:
    """All mappings of a problem on an architecture that constraints allow.

    Attributes
    ----------
    architecture : Architecture
    problem : Problem
    design : SparseDesign, optional
        What is zero.
    cost : SparseCost or None
        What mappings cost where something is.
    evaluator : BatchEvaluator
        Of what is reported.
    rules : Rules
    model : Model
        Where something is zero, with prices that no mapping undercuts.
    deadline : Deadline
        Of whatever is asked of it.
    divisors : int64[D, n]
        As in `Lattice`.
    counts : int64[D]
    """

    architecture: Architecture
    problem: Problem
    constraints: Constraints
    design: SparseDesign | None = None
    deadline: Deadline = field(default_factory=Deadline)
    cost: SparseCost | None = field(init=False, default=None)
    evaluator: BatchEvaluator = field(init=False)
    rules: Rules = field(init=False)
    model: Model = field(init=False)
    divisors: Ints = field(init=False)
    counts: Ints = field(init=False)
    _size: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        design = self.design or self._lower()
        self.evaluator = BatchEvaluator(design)
        problem = design.problem
        self.divisors, self.counts = list_divisors(problem.bounds)
        self.constraints = with_machine(self.constraints, self.architecture)
        self.rules = make_rules(self.constraints, self.architecture, self.problem, self.divisors)
        self.model = make_model(design, self.rules.least_units)
        if self.design is not None:
            self._keep_what_saves(self.design)
            self.cost = SparseCost(self.problem, self.design, Relaxation(self.design, self.rules.keep))
            self.model = self.cost.relaxation.relax(self.model)

    def _lower(self) -> Design:
        """Return what is evaluated where nothing is zero."""
        return lower_dense(self.architecture, self.problem)

    def under(self, constraints: Constraints) -> Space:
        """Return the space under other constraints, as far as walks and counts need it."""
        changed = copy(self)
        changed.constraints, changed._size = with_machine(constraints, self.architecture), None
        changed.rules = make_rules(changed.constraints, self.architecture, self.problem, self.divisors)
        if self.design is not None:
            changed._keep_what_saves(self.design)
        changed.model = self.model._replace(least_units=changed.rules.least_units)
        return changed

    @cached_property
    def lattice(self) -> Lattice:
        """All combinations of divisors of the bounds, which only proofs need.

        Raises
        ------
        SpecError
            When tables over them would not fit into memory.
        OutOfTime
        """
        self.check_memory()
        return make_lattice(self.model.bounds, self.deadline)

    @cached_property
    def orders(self) -> Orders:
        """Candidate orders of temporal loops.

        Raises
        ------
        OutOfTime
        """
        free = not self.constraints.levels and (self.cost is None or not self.cost.minds_dimensions)
        return _make_orders(self.model, self.rules, self.deadline, free=free)

    @cached_property
    def parts(self) -> Ints:
        """Of every spatial vector of a level the part on x, int64[L, V]."""
        return np.array([self._spatial(level) for level in range(self.levels)])

    @property
    def points(self) -> int:
        """Number of points of the lattice."""
        return math.prod(self.counts.tolist())

    @contextmanager
    def hurried(self, share: float = HURRIED, grace: float = 0.0) -> Iterator[None]:
        """Let what is done inside take no more than a share of the time that is left, or `grace` seconds."""
        whole = self.deadline
        self.deadline = whole.part(share, grace)
        try:
            yield
        finally:
            self.deadline = whole

    @property
    def fits_memory(self) -> bool:
        """Whether the tables of a proof fit into memory."""
        return self.points <= self._most_points and len(self.counts) <= MOST_DIMENSIONS

    @property
    def _most_points(self) -> int:
        levels, (tensors, _, dimensions) = self.levels, self.model.coefficient.shape
        axes = sum(len(Counter(list_primes(bound))) for bound in self.model.bounds.tolist())
        classes = dimensions + 1
        row = 2 * dimensions + axes + classes * (tensors + 2 * levels) + 4 * tensors + 8 * levels + 16
        return int(MOST_BYTES // (8 * row))

    def check_memory(self) -> None:
        """Raise unless the tables of a proof fit into memory.

        Raises
        ------
        SpecError
        """
        if self.fits_memory:
            return
        if (dimensions := len(self.counts)) > MOST_DIMENSIONS:
            raise SpecError(
                Issue(
                    f"the problem has {dimensions} dimensions, more than the {MOST_DIMENSIONS} that a proof"
                    " has memory for",
                    "the method 'random'; or leave out dimensions of bound 1",
                    self.problem.name,
                )
            )
        many = sorted(zip(self.counts.tolist(), self.problem.dimensions.items(), strict=True), reverse=True)
        most = ", ".join(f"{name}={bound} has {count}" for count, (name, bound) in many[:3])
        raise SpecError(
            Issue(
                f"the bounds have {self.points:,} combinations of divisors ({most}), more than the"
                f" {self._most_points:,} that a proof has memory for",
                "the method 'random', which needs none of them; or bounds with fewer divisors",
                self.problem.name,
            )
        )

    def _keep_what_saves(self, design: SparseDesign) -> None:
        """Let levels keep the tensors whose accesses the design saves there.

        Raises
        ------
        SpecError
            Where constraints bypass them.
        """
        keep = self.rules.keep
        for level, target in design.saved_at:
            if keep[level, target] == 0:
                name, tensor = self.architecture.levels[level].name, self.problem.tensors[target].name
                message = (
                    f"{name} bypasses '{tensor}', whose accesses the sparse design {design.name} saves there"
                )
                raise SpecError(Issue(message, "remove the bypass or the action", self.constraints.name))
            keep[level, target] = 1

    def stored(self, level: int, kept: Bools, tiles: Ints) -> Floats:
        """Return the words that tiles take in a level at least.

        Parameters
        ----------
        level : int
        kept : bool[T]
        tiles : int64[T, n]
            Elements.

        Returns
        -------
        float64[n]
        """
        if self.cost is None:
            return np.asarray((self.model.machine.scale[level, kept, None] * tiles[kept]).sum(axis=0))
        stored = self.cost.relaxation.stored
        return sum((stored(level, int(t), tiles[t]) for t in np.flatnonzero(kept)), np.zeros(tiles.shape[1]))

    @property
    def power(self) -> float:
        """What every mapping spends per cycle, in pJ."""
        return self.model.machine.power

    @property
    def levels(self) -> int:
        """Number of storage levels."""
        return len(self.architecture.levels)

    @property
    def mesh(self) -> list[int]:
        """Instances below each instance of every level."""
        return [math.prod(self.architecture.fanout(level)) for level in range(self.levels)]

    def _spatial(self, level: int) -> Ints:
        columns, rows = self.architecture.fanout(level)
        _, on_x, on_y = self.rules.factors[level]
        return spatial_vectors(self.lattice, columns, rows, on_x, on_y)

    def group_orders(self, level: int, loops: int) -> dict[Order, dict[Order, Profiles]]:
        """Return `group_orders` of a set of loops (bits) at a level; kept.

        Raises
        ------
        OutOfTime
        """
        outside, most = self.rules.outside[level], _MOST_GROUPED
        return _find_orders(_GROUPS, most, group_orders, self.model, loops, outside, self.deadline)

    def patterns(self) -> Iterator[Bools]:
        """Yield every choice of what levels keep, bool[L, T]."""
        for _, pattern in self.numbered_patterns():
            yield pattern

    def numbered_patterns(self, *, inside_first: bool = False) -> Iterator[tuple[int, Bools]]:
        """Yield every choice of what levels keep with its number, from 0.

        Parameters
        ----------
        inside_first : bool
            Whether what outer levels keep changes before what inner ones keep does.
        """
        free = np.argwhere(self.rules.keep < 0)
        weight = 2 ** np.arange(len(free))[::-1].astype(object)
        if inside_first:
            rows = np.argsort(free[:, 0], kind="stable")[::-1]
            free, weight = free[rows], weight[rows]
        for choice in range(1 << len(free)):
            pattern, number = self.rules.keep != 0, 0
            for i, (level, tensor) in enumerate(free):
                if choice >> (len(free) - 1 - i) & 1:
                    pattern[level, tensor] = False
                    number += int(weight[i])
            if self.design is None or self.design.works(pattern):
                yield number, pattern

    def freedom(self) -> Freedom:
        """Return what the random walk may do."""
        primes = [
            (d, prime) for d, bound in enumerate(self.model.bounds) for prime in list_primes(int(bound))
        ]
        rules = self.rules
        return Freedom(
            np.array(primes, np.int64).reshape(-1, 2),
            rules.factors,
            rules.outside,
            rules.keep,
            bool(rules.factors.all()),
            bool(rules.outside.any()),
        )

    def start(self) -> Ints:
        """Return where walks begin: of every prime factor of `freedom`, level * 3 + 0 (time), 1 (x) or 2 (y).

        That is the outermost level, or where a tensor begins that must be whole there: spread over instances
        outside of it as far as there are any, else at that level.
        """
        problem, machine, factors = self.model.problem, self.model.machine, self.rules.factors
        free = machine.fanout.copy()
        slots = []
        for d, prime in self.freedom().primes.tolist():
            home = int(machine.home[problem.rank[:, d] >= 0].max(initial=0))
            adds = problem.rank[problem.output, d] < 0
            slot = 3 * home
            for level in range(int(machine.home[problem.output]) if adds else 0, home):
                for axis in range(2):
                    allowed = factors[level, 1 + axis, d, : self.counts[d]].sum() > 1
                    if slot == 3 * home and allowed and free[level, axis] >= prime:
                        free[level, axis] //= prime
                        slot = 3 * level + 1 + axis
            slots.append(slot)
        return np.array(slots, np.int64)

    def begin(self, nests: NestArrays) -> Ints:
        """Place mappings where walks begin, without regard to orders; return `start`."""
        slots = self.start()
        nests.temporal[:] = nests.spatial[:] = 1
        for (d, prime), slot in zip(self.freedom().primes.tolist(), slots.tolist(), strict=True):
            level, kind = divmod(slot, 3)
            if kind == 0:
                nests.temporal[:, level, d] *= prime
            else:
                nests.spatial[:, level, kind - 1, d] *= prime
        nests.keep[:] = self.rules.keep != 0
        return slots

    def nests(self, mappings: int) -> NestArrays:
        """Allocate a batch of mappings."""
        levels, dimensions, tensors = self.levels, len(self.model.bounds), len(self.model.kind)
        return NestArrays(
            np.ones((mappings, levels, dimensions), np.int64),
            np.tile(np.arange(dimensions), (mappings, levels, 1)),
            np.ones((mappings, levels, 2, dimensions), np.int64),
            np.ones((mappings, levels, tensors), np.bool_),
        )

    def bench(self, mappings: int = 1) -> Bench:
        """Allocate room to evaluate as many mappings at a time."""
        levels, dimensions, tensors = self.levels, len(self.model.bounds), len(self.model.kind)
        return Bench(
            self.nests(mappings),
            make_room(mappings, levels, dimensions, tensors),
            make_costs(mappings, self.model.machine),
        )

    def size(self) -> int | None:
        """Count the mappings: factorisations, orders of every level's loops, and what levels keep.

        Each mapping counts once: loops of one iteration have no order. Fan-out of single dimensions and
        constraints are respected; capacity, fan-out of dimensions together and least utilisation are not.

        Returns
        -------
        int or None
            None where it is too large, or there is no time, to be counted.
        """
        if self._size is None:
            packing = Packing(self.levels, 64 + 2 * self.levels)

            def list_loops() -> list[dict[int, int]]:
                every = range(self.levels)
                return [packing.unpack(self._ways(d, every, packing)[-1]) for d in range(len(self.counts))]

            self._size = self.count_mappings(list_loops)
        return self._size

    def count_mappings(self, list_loops: Callable[[], list[dict[int, int]]]) -> int | None:
        """Count mappings in what time is left for that, and a moment more.

        Parameters
        ----------
        list_loops : callable
            Returns for each dimension the ways to split it, by the set of levels that have a loop of it.

        Returns
        -------
        int or None
        """
        try:
            with self.hurried(1.0, GRACE):
                ordered = count_orders(list_loops(), list_chains(self.rules.outside), self.deadline)
        except OutOfTime:
            return None
        return None if ordered is None else ordered << int((self.rules.keep < 0).sum())

    def count_factorisations(self, d: int) -> int:
        """Count the ways to write the bound of dimension `d` as allowed factors."""
        return self._ways(d, range(self.levels), Packing(0, 0))[-1]

    def find_products(self, d: int, levels: Iterable[int]) -> Bools:
        """Say of every divisor of dimension `d` whether allowed factors of some levels can make it."""
        return np.array([ways > 0 for ways in self._ways(d, levels, Packing(0, 0))])

    def _ways(self, d: int, levels: Iterable[int], packing: Packing) -> list[int]:
        """Return for every divisor of dimension `d` the ways to make it of factors of some levels, packed."""
        divisors = self.divisors[d, : self.counts[d]]
        allowed = []
        for level in levels:
            for kind, most in enumerate((math.inf, *self.architecture.fanout(level))):
                allowed.append(self.rules.factors[level, kind, d, : len(divisors)] & (divisors <= most))
        return count_splits(divisors, int(self.model.bounds[d]), allowed, packing, self.deadline)

    def to_mapping(self, nests: NestArrays, name: str, last: Ints | None = None) -> Mapping:
        """Return a batch of one as users write it; `last`: int64[1, L, 3, D], in time, on x and on y."""
        dimensions, levels = list(self.problem.dimensions), []
        for i, level in enumerate(self.architecture.levels):
            every = range(len(dimensions))
            loops = []
            for kind, order in enumerate((nests.order[0, i], every, every)):
                factors = nests.temporal[0, i] if kind == 0 else nests.spatial[0, i, kind - 1]
                short = factors if last is None else last[0, i, kind]
                loops.append(
                    tuple(
                        Loop(dimension=dimensions[d], factor=int(factors[d]), last=int(short[d]))
                        for d in order
                        if factors[d] > 1
                    )
                )
            levels.append(
                LevelMapping(
                    level=level.name,
                    temporal=loops[0],
                    spatial_x=loops[1],
                    spatial_y=loops[2],
                    keep=tuple(
                        tensor.name
                        for tensor, keep in zip(self.problem.tensors, nests.keep[0, i], strict=True)
                        if keep
                    ),
                )
            )
        return Mapping(name=name, levels=tuple(levels))
