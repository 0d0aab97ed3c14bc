"""What code on lanes is made for: the shape of a design, and the numbers that it reads while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    DONE,
    UNLIMITED,
    Floats,
    MachineArrays,
    ProblemArrays,
    RuleArrays,
)

LIMIT = 2**52
"""Numbers of designs are exact on lanes below this."""

MOST_BITS, MOST_HELD = 50, 20
"""Bits of a key that says which positions an instance comes to, and of a number in it: these are marked."""


class Shape(NamedTuple):
    """A design but for its numbers. All that code depends on are whole numbers and truth values.

    Attributes
    ----------
    levels : int
    moves : tuple of bool
        By dimension: whether its bound is above 1.
    ranks : tuple
        By tensor, by rank: the dimension and the coefficient of each term with a bound above 1.
    output : int
    fans : tuple of bool
        By level: whether there are several instances below one.
    holds : tuple of bool
        By level: whether its capacity is limited.
    widest : int
        Bits of the widest element.
    pack, split : tuple of tuple of int
        By level, by tensor; as `MachineArrays` has them.
    priced : tuple
        By level, by tensor, by action: whether it costs anything.
    narrow : tuple of tuple of bool
        By level: whether bandwidth to read, to write, and both together is limited.
    shared : tuple of bool
        By level: whether instances share ports.
    loads : tuple of bool
        As `MachineArrays` has them.
    serves, leaks, has_power : bool
        Whether components cost energy per word, levels per cycle and instance, and the whole per cycle.
    slow : bool
        Whether a computation takes another time than a cycle.
    held_bits : int
        Bits of the largest bound where the output slides: positions that instances come to are told apart by
        such numbers. 0: it does not.
    all_fills, forgetful, dearest : bool
        Published rules that are followed; as `RuleArrays` has them.
    """

    levels: int
    moves: tuple[bool, ...]
    ranks: tuple[tuple[tuple[tuple[int, int], ...], ...], ...]
    output: int
    fans: tuple[bool, ...]
    holds: tuple[bool, ...]
    widest: int
    pack: tuple[tuple[int, ...], ...]
    split: tuple[tuple[int, ...], ...]
    priced: tuple[tuple[tuple[bool, ...], ...], ...]
    narrow: tuple[tuple[bool, ...], ...]
    shared: tuple[bool, ...]
    loads: tuple[bool, ...]
    serves: bool
    leaks: bool
    has_power: bool
    slow: bool
    held_bits: int
    all_fills: bool
    forgetful: bool
    dearest: bool

    @property
    def dimensions(self) -> int:
        """How many dimensions."""
        return len(self.moves)

    @property
    def tensors(self) -> int:
        """How many tensors."""
        return len(self.ranks)


def _list_ranks(problem: ProblemArrays) -> tuple[tuple[tuple[tuple[int, int], ...], ...], ...]:
    """Return the terms of every tensor's ranks whose dimensions have bounds above 1."""
    ranks = [
        tuple(
            (int(problem.term_dimension[term]), int(problem.term_coefficient[term]))
            for term in range(problem.term_start[rank], problem.term_start[rank + 1])
            if problem.bounds[problem.term_dimension[term]] > 1
        )
        for rank in range(len(problem.term_start) - 1)
    ]
    starts = problem.rank_start
    return tuple(tuple(ranks[starts[t] : starts[t + 1]]) for t in range(len(starts) - 1))


def _bits_of_bounds(problem: ProblemArrays, ranks: tuple[tuple[tuple[int, int], ...], ...]) -> int:
    """Return the bits of the largest bound of a dimension of ranks that slide; 0: none does."""
    bounds = [int(problem.bounds[d]) for terms in ranks if len(terms) > 1 for d, _ in terms]
    return max(bounds, default=0).bit_length()


def _is_plain(problem: ProblemArrays, machine: MachineArrays) -> bool:
    """Say whether code on lanes counts all that the design has."""
    counted_elsewhere = (
        problem.gapped,
        bool(problem.skewed.any()),
        bool(machine.home.any()),
        bool(machine.through.any()),
        bool(machine.drains.any()),
        machine.wires.any,
        machine.sums.output >= 0,
        machine.waits.any,
        len(machine.rates.per_cycle) > 0,
        len(problem.bounds) > 62,
    )
    return not any(counted_elsewhere)


def _is_exact(problem: ProblemArrays, machine: MachineArrays) -> bool:
    """Say whether the numbers of a design are exact as doubles."""
    limited = machine.capacity != UNLIMITED
    rooms = [
        int(machine.capacity[level]) * int(machine.word_bits[level]) for level in np.flatnonzero(limited)
    ]
    numbers = (
        problem.computes,
        *machine.fanout.ravel(),
        *problem.term_coefficient,
        machine.bits.max(),
        *rooms,
    )
    return all(int(number) < LIMIT for number in numbers)


def shape_of(problem: ProblemArrays, machine: MachineArrays, rules: RuleArrays) -> Shape | None:
    """Return the shape of a design; None where code on lanes does not count all that it has."""
    if not _is_plain(problem, machine) or not _is_exact(problem, machine):
        return None
    ranks = _list_ranks(problem)
    if any(len(terms) > 2 for tensor in ranks for terms in tensor):
        return None
    held_bits = _bits_of_bounds(problem, ranks[problem.output])
    if held_bits > MOST_HELD or 2 * (len(machine.word_bits) - 1) * held_bits > MOST_BITS:
        return None
    levels = range(len(machine.word_bits))
    tensors = range(len(ranks))
    return Shape(
        levels=len(levels),
        moves=tuple(bool(bound > 1) for bound in problem.bounds),
        ranks=ranks,
        output=int(problem.output),
        fans=tuple(bool((machine.fanout[level] > 1).any()) for level in levels),
        holds=tuple(bool(machine.capacity[level] != UNLIMITED) for level in levels),
        widest=int(machine.bits.max()),
        pack=tuple(tuple(int(machine.pack[level, t]) for t in tensors) for level in levels),
        split=tuple(tuple(int(machine.split[level, t]) for t in tensors) for level in levels),
        priced=tuple(
            tuple(tuple(bool(price != 0) for price in machine.price[level, t, :3]) for t in tensors)
            for level in levels
        ),
        narrow=tuple(tuple(bool(np.isfinite(port)) for port in machine.bandwidth[level]) for level in levels),
        shared=tuple(bool(machine.ports[level] < LIMIT) for level in levels),
        loads=tuple(bool(machine.loads[level]) for level in levels),
        serves=bool(machine.serves),
        leaks=bool((machine.used_power != 0).any()),
        has_power=bool(machine.power != 0),
        slow=bool(machine.cycles_per_compute != 1),
        held_bits=held_bits,
        all_fills=bool(rules.all_fills),
        forgetful=bool(rules.forgetful),
        dearest=bool(rules.dearest),
    )


Key = tuple[str, tuple[int, ...]]
"""A number that code on lanes reads: its name, and its place there."""

_NUMBERS: dict[str, Callable[[ProblemArrays, MachineArrays, tuple[int, ...]], float]] = {
    "bounds": lambda problem, _, at: problem.bounds[at],
    "computes": lambda problem, *_: problem.computes,
    "fanout": lambda _, machine, at: machine.fanout[at],
    "room": lambda _, machine, at: float(machine.capacity[at]) * float(machine.word_bits[at]),
    "bits": lambda _, machine, at: machine.bits[at],
    "price": lambda _, machine, at: machine.price[at],
    "dearest_price": lambda _, machine, at: machine.price[at[:2]][at[2] : at[2] + 3].max(),
    "ports": lambda _, machine, at: machine.ports[at],
    "scale": lambda _, machine, at: machine.scale[at],
    "bandwidth": lambda _, machine, at: machine.bandwidth[at],
    "served": lambda _, machine, at: machine.served[at],
    "computing": lambda problem, machine, _: float(problem.computes) * machine.compute_price[DONE],
    "served_computing": lambda problem, machine, _: float(problem.computes) * machine.served_compute,
    "used_power": lambda _, machine, at: machine.used_power[at],
    "power": lambda _, machine, *__: machine.power,
    "cycles_per_compute": lambda _, machine, *__: machine.cycles_per_compute,
}


def list_numbers(problem: ProblemArrays, machine: MachineArrays, keys: list[Key]) -> Floats:
    """Return the numbers of a design that code reads, float64, in the order of `keys`."""
    return np.array([float(_NUMBERS[name](problem, machine, at)) for name, at in keys], np.float64)
