"""The mapspace of a problem on an architecture, as arrays."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import (
    Bools,
    Floats,
    Ints,
    NestArrays,
    ProblemArrays,
)
from procrustes_model.kernels.dense.buffers import make_costs, make_room
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, SLIDING, Columns, Lattice, Model, Orders
from procrustes_model.kernels.search.finish import Bench
from procrustes_model.kernels.search.lattice import spatial_vectors
from procrustes_model.kernels.search.walk import Freedom
from procrustes_model.mapper.constraints import Constraints, Rules, make_rules
from procrustes_model.mapper.optimal.relaxation import Relaxation
from procrustes_model.mapper.orders import find_mirror, list_orders
from procrustes_model.mapper.sparse_cost import SparseCost
from procrustes_model.model.batch import BatchEvaluator
from procrustes_model.model.design import Design, lower_dense
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import Compute, Price


def list_primes(number: int) -> list[int]:
    """Return the prime factors of `number`, with repetition."""
    primes, candidate = [], 2
    while candidate * candidate <= number:
        while number % candidate == 0:
            primes.append(candidate)
            number //= candidate
        candidate += 1
    return primes + [number] * (number > 1)


def make_lattice(bounds: Ints) -> Lattice:
    """Return the lattice of the divisors of `bounds` (int64[D])."""
    powers = [Counter(list_primes(int(bound))) for bound in bounds]
    axes = [(d, prime, most) for d, of in enumerate(powers) for prime, most in of.items()]
    counts = np.array([math.prod(most + 1 for most in of.values()) for of in powers], np.int64)
    points = np.arange(math.prod(counts.tolist()))
    exponents = np.zeros((len(points), len(axes)), np.int64)
    value = np.ones((len(points), len(powers)), np.int64)
    axis_stride = np.ones(len(axes), np.int64)
    packed, spare, shift, weight = np.zeros_like(points), 0, 0, 1
    for axis, (d, prime, most) in enumerate(axes):
        axis_stride[axis] = weight
        exponents[:, axis] = points // weight % (most + 1)
        value[:, d] *= prime ** exponents[:, axis]
        if shift + most.bit_length() < 62:
            packed += exponents[:, axis] << shift
        shift += most.bit_length() + 1
        spare |= 1 << (shift - 1)
        weight *= most + 1
    stride = np.ones(len(counts), np.int64)
    stride[1:] = np.cumprod(counts[:-1])
    indices = points[:, None] // stride % counts
    divisors = np.ones((len(counts), int(counts.max())), np.int64)
    for d, count in enumerate(counts):
        divisors[d, :count] = value[np.arange(count) * stride[d], d]
    spare = spare if shift <= 62 else 0
    return Lattice(stride, divisors, counts, indices, value, axis_stride, exponents, packed, spare)


def _coefficients(problem: ProblemArrays) -> Ints:
    tensors, dimensions = problem.rank.shape
    most = int(np.diff(problem.rank_start).max())
    matrix = np.zeros((tensors, max(most, 1), dimensions), np.int64)
    for t in range(tensors):
        for r, rank in enumerate(range(problem.rank_start[t], problem.rank_start[t + 1])):
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                matrix[t, r, problem.term_dimension[term]] += problem.term_coefficient[term]
    return matrix


def _columns(levels: int, tensors: int) -> Columns:
    shared, home, fresh, whole, part, step, run, traffic = (3 + i * tensors for i in range(8))
    path = traffic + 2 * levels
    order = path + 2 * levels
    return Columns(shared, home, fresh, whole, part, step, run, traffic, path, order, width=order + levels)


def _make_model(design: Design, least_units: int) -> Model:
    problem, machine = design.problem, design.machine
    coefficient, mesh = _coefficients(problem), machine.fanout.prod(axis=1).tolist()
    kind = np.where(problem.skewed, SKEWED, np.where(problem.sliding, SLIDING, SIMPLE)).astype(np.int64)
    output = np.arange(len(kind)) == problem.output
    price = machine.price[:, :, : Price.UPDATE + 1] * machine.split[:, :, None]
    return Model(
        problem=problem,
        machine=machine,
        coefficient=coefficient,
        output=output,
        kind=kind,
        irrelevant=np.asarray(~coefficient.any(axis=1)),
        bounds=problem.bounds,
        computes=problem.computes,
        pack=machine.pack,
        energy=price,
        served=machine.served,
        word=price / machine.pack[:, :, None] + machine.served,
        whole=True,
        moved=np.ones((*machine.pack.shape, 2)),
        work=1.0,
        uneven=False,
        bandwidth=machine.bandwidth,
        limited=bool(np.isfinite(machine.bandwidth).any()),
        rules=design.rules,
        base=problem.computes * (float(machine.compute_price[Compute.DONE]) + machine.served_compute),
        least_units=least_units,
        rough=np.array([math.prod(mesh[: max(level - 1, 0)]) > 1 for level in range(len(mesh))]),
        columns=_columns(*machine.pack.shape),
    )


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


@functools.lru_cache(maxsize=2**14)
def _list_orders(
    loops: tuple[int, ...], shape: tuple[int, ...], coefficient: bytes, kind: bytes, outside: bytes
) -> list[tuple[int, ...]]:
    """Return the orders of `loops`; kept, for layers of a network differ in their bounds only."""
    before = np.frombuffer(outside, np.bool_).reshape(shape[-1], shape[-1])

    def may_follow(d: int, rest: list[int]) -> bool:
        return not any(before[d, e] for e in rest if e != d)

    return list_orders(
        loops, np.frombuffer(coefficient, np.int64).reshape(shape), np.frombuffer(kind, np.int64), may_follow
    )


def _make_orders(model: Model, rules: Rules, *, free: bool) -> Orders:
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
            found = _list_orders(
                tuple(d for d in range(dimensions) if loops >> d & 1),
                model.coefficient.shape,
                model.coefficient.tobytes(),
                model.kind.tobytes(),
                outside.tobytes(),
            )
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
    lattice : Lattice
    """

    architecture: Architecture
    problem: Problem
    constraints: Constraints
    design: SparseDesign | None = None
    cost: SparseCost | None = field(init=False, default=None)
    evaluator: BatchEvaluator = field(init=False)
    rules: Rules = field(init=False)
    model: Model = field(init=False)
    lattice: Lattice = field(init=False)
    orders: Orders = field(init=False)
    parts: Ints = field(init=False)

    def __post_init__(self) -> None:
        design = self.design or lower_dense(self.architecture, self.problem)
        self.evaluator = BatchEvaluator(design)
        problem = design.problem
        self.lattice = make_lattice(problem.bounds)
        self.rules = make_rules(self.constraints, self.architecture, self.problem, self.lattice.divisors)
        self.model = _make_model(design, self.rules.least_units)
        free = not self.constraints.levels
        if self.design is not None:
            self._keep_what_saves(self.design)
            self.cost = SparseCost(self.problem, self.design, Relaxation(self.design, self.rules.keep))
            self.model = self.cost.relaxation.relax(self.model)
            free = free and not self.cost.minds_dimensions
        self.orders = _make_orders(self.model, self.rules, free=free)
        self.parts = np.array([self._spatial(level) for level in range(self.levels)])

    def _keep_what_saves(self, design: SparseDesign) -> None:
        """Let levels keep the tensors whose accesses the design saves there.

        Raises
        ------
        SpecError
            Where constraints bypass them.
        """
        keep = self.rules.keep
        for level, target in zip(design.actions.level.tolist(), design.actions.target.tolist(), strict=True):
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
            return np.asarray(tiles[kept].sum(axis=0), float)
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

    def patterns(self) -> Iterator[Bools]:
        """Yield every choice of what levels keep, bool[L, T]."""
        choices = [(1, 0) if keep < 0 else (int(keep),) for keep in self.rules.keep.flat]
        for pattern in itertools.product(*choices):
            keep = np.array(pattern, np.bool_).reshape(self.rules.keep.shape)
            if self.design is None or self.design.works(keep):
                yield keep

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
            make_costs(mappings, levels, tensors),
        )

    def size(self) -> int:
        """Count the mappings: factorisations, orders of every level's loops, and what levels keep.

        Fan-out of single dimensions and constraints on factors are respected; capacity, and fan-out of
        dimensions together, are not.
        """
        total = 1
        for d in range(len(self.model.bounds)):
            total *= self.count_factorisations(d)
        total *= math.factorial(len(self.model.bounds)) ** self.levels
        return int(total * 2 ** int((self.rules.keep < 0).sum()))

    def count_factorisations(self, d: int) -> int:
        """Count the ways to write the bound of dimension `d` as allowed factors."""
        return self.count_products(d, range(self.levels)).get(int(self.model.bounds[d]), 0)

    def count_products(self, d: int, levels: Iterable[int]) -> dict[int, int]:
        """Count by product the ways to choose factors of dimension `d` at some levels."""
        divisors = self.lattice.divisors[d, : self.lattice.counts[d]].tolist()
        ways = {1: 1}
        for level in levels:
            for kind, most in enumerate((math.inf, *self.architecture.fanout(level))):
                allowed = self.rules.factors[level, kind, d]
                factors = [f for f, ok in zip(divisors, allowed, strict=False) if ok and f <= most]
                after: dict[int, int] = {}
                for done, count in ways.items():
                    for factor in factors:
                        if int(self.model.bounds[d]) % (done * factor) == 0:
                            after[done * factor] = after.get(done * factor, 0) + count
                ways = after
        return ways

    def to_mapping(self, nests: NestArrays, name: str, last: Ints | None = None) -> Mapping:
        """Return a batch of one, with last passes where some are shorter, as users read and write it."""
        dimensions, levels = list(self.problem.dimensions), []
        shorter = nests.temporal if last is None else last
        for i, level in enumerate(self.architecture.levels):
            temporal = [
                (dimensions[d], int(nests.temporal[0, i, d]), int(shorter[0, i, d]))
                for d in nests.order[0, i]
            ]
            spatial = [
                tuple(
                    Loop(dimension=name, factor=int(f))
                    for name, f in zip(dimensions, row, strict=True)
                    if f > 1
                )
                for row in nests.spatial[0, i]
            ]
            levels.append(
                LevelMapping(
                    level=level.name,
                    temporal=tuple(Loop(dimension=d, factor=f, last=r) for d, f, r in temporal if f > 1),
                    spatial_x=spatial[0],
                    spatial_y=spatial[1],
                    keep=tuple(
                        tensor.name
                        for tensor, keep in zip(self.problem.tensors, nests.keep[0, i], strict=True)
                        if keep
                    ),
                )
            )
        return Mapping(name=name, levels=tuple(levels))
