"""What code on lanes is made for under a sparse design, and the numbers that it reads while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    DONE,
    FILL,
    GATED_COMPUTE,
    METADATA,
    METADATA_GATED,
    METADATA_SKIPPED,
    SAVED,
    SKIPPED_COMPUTE,
    UNLIMITED,
    Bools,
    Floats,
    MachineArrays,
    ProblemArrays,
    RuleArrays,
)
from procrustes_model.kernels.lanes.shape import LIMIT, Key, Shape, list_numbers, shape_of
from procrustes_model.kernels.sparse.arrays import (
    DENSE,
    ENTRIES,
    FIXED,
    HALF_TILE,
    HYPERGEOMETRIC,
    SPACED,
    WHOLE_TILE,
    ActionArrays,
    BalanceArrays,
    DensityArrays,
    FormatArrays,
)
from procrustes_model.kernels.sparse.costs import slowest_counts

BLOCKED, WHOLE, HALF = range(3)
"""What a block is: a number of positions, a tile of a processing element, or half of it."""


class Zeros(NamedTuple):
    """A sparse design, as far as it can be counted on lanes.

    Attributes
    ----------
    densities : DensityArrays
    actions : ActionArrays
    formats : FormatArrays
    balance : BalanceArrays
    size : str
        Of tiles that have to fit: 'dense', 'average', 'quantile' or 'maximum'.
    left : float64[L, T, 2]
        As `SavedArrays` has it, of all mappings on which the design has an effect.
    computes : float64[3]
        Computations that are done, gated and skipped: of these mappings, too.
    """

    densities: DensityArrays
    actions: ActionArrays
    formats: FormatArrays
    balance: BalanceArrays
    size: str
    left: Floats
    computes: Floats


class Term(NamedTuple):
    """A term of the metadata of a format; as `TermArrays` has them."""

    quantity: int
    width: int
    first: int
    end: int
    coefficient: float


class Stored(NamedTuple):
    """How a level stores a tensor without its zeros.

    Attributes
    ----------
    block : int
        BLOCKED, WHOLE or HALF.
    word : int
        Bits of a word of metadata.
    """

    terms: tuple[Term, ...]
    block: int
    dropped: bool
    implied: bool
    word: int


class Balance(NamedTuple):
    """Imbalance and balancing; as `BalanceArrays` has them.

    Attributes
    ----------
    varies : bool
        Whether tiles may have different numbers of nonzeros.
    slowest : bool
        Whether the slowest processing element says how long computing takes.
    """

    tensor: int
    array: int
    pieces: int
    pointer_level: int
    varies: bool
    slowest: bool


class SparseShape(NamedTuple):
    """A sparse design but for its numbers. All that code depends on are whole numbers and truth values.

    Attributes
    ----------
    dense : Shape
    stored : tuple of tuple of (Stored or None)
        By level, by tensor; None where zeros are stored.
    varies : tuple of bool
        By tensor: whether tiles that have to fit hold more than the average.
    saves : tuple
        By level, by tensor, skipped and gated: whether any accesses are.
    works : tuple of (int, int)
        Levels that save accesses, and of which tensor: they have to keep it.
    arriving : tuple of int
        Tensors that have to arrive compressed.
    balance : Balance, optional
    array : int
        The level whose tiles are those of processing elements.
    size : str
    apart : tuple of bool
        By level: whether metadata lie in a store of their own whose capacity is limited.
    charged : tuple
        By level, by tensor, by action: whether metadata cost anything, those of what is gated otherwise, and
        those of what is skipped anything.
    saved_prices : tuple
        By level, by tensor, gated and skipped, by action: whether an access that is saved costs anything.
    pack : tuple of int
        By level: words of metadata that one access moves.
    ported : tuple of bool
        By level: whether metadata take the ports of the data.
    """

    dense: Shape
    stored: tuple[tuple[Stored | None, ...], ...]
    varies: tuple[bool, ...]
    saves: tuple[tuple[tuple[bool, bool], ...], ...]
    works: tuple[tuple[int, int], ...]
    arriving: tuple[int, ...]
    balance: Balance | None
    array: int
    size: str
    apart: tuple[bool, ...]
    charged: tuple[tuple[tuple[tuple[bool, bool, bool], ...], ...], ...]
    saved_prices: tuple[tuple[tuple[tuple[bool, ...], ...], ...], ...]
    pack: tuple[int, ...]
    ported: tuple[bool, ...]


def acts_alike(machine: MachineArrays, zeros: Zeros) -> bool:
    """Say whether the design saves the same share of every mapping on which it has an effect.

    So it is where accesses are saved element by element: at the innermost level, with one compute unit each.
    """
    last = len(machine.word_bits) - 1
    alone = bool((machine.fanout[last] == 1).all())
    return all(level == last and alone for level in zeros.actions.level)


def _is_known(problem: ProblemArrays, zeros: Zeros) -> bool:
    """Say whether code on lanes counts all that a sparse design has, but for the number of masks."""
    densities, actions, formats = zeros.densities, zeros.actions, zeros.formats
    counted_elsewhere = (
        densities.library,
        not np.isin(densities.model, (DENSE, FIXED, HYPERGEOMETRIC)).all(),
        (densities.met != densities.average).any(),
        (densities.group[:, 1] > 0).any(),
        zeros.balance.tensor >= 0 and densities.met[zeros.balance.tensor] == 0,
        actions.whole or actions.joined or actions.strongest or actions.chosen.any(),
        (actions.kind == SPACED).any(),
        formats.ranks.listed.any(),
        formats.padded.any(),
        formats.terms.run.any(),
        (formats.terms.quantity == ENTRIES).any(),
        len(problem.rank_start) > 8,
    )
    return not any(counted_elsewhere)


def _list_stored(formats: FormatArrays, level: int, tensor: int) -> Stored | None:
    if not formats.compressed[level, tensor]:
        return None
    terms = formats.terms
    listed = tuple(
        Term(
            int(terms.quantity[level, tensor, m]),
            int(terms.width[level, tensor, m]),
            int(terms.first[level, tensor, m]),
            int(terms.end[level, tensor, m]),
            float(terms.coefficient[level, tensor, m]),
        )
        for m in range(terms.listed[level, tensor])
    )
    kind = {WHOLE_TILE: WHOLE, HALF_TILE: HALF}.get(int(formats.block[level, tensor]), BLOCKED)
    dropped, implied = bool(formats.dropped[level, tensor]), bool(formats.implied[level, tensor])
    return Stored(listed, kind, dropped, implied, int(formats.bits[level]))


def _busy(zeros: Zeros) -> float:
    return float(zeros.computes[DONE] + zeros.computes[GATED_COMPUTE])


def _balance_of(problem: ProblemArrays, zeros: Zeros) -> Balance | None:
    """Return how a design balances; None where nothing is said to be uneven."""
    balance, tensor = zeros.balance, int(zeros.balance.tensor)
    if tensor < 0:
        return None
    met = float(zeros.densities.met[tensor])
    return Balance(
        tensor=tensor,
        array=int(balance.array),
        pieces=int(balance.pieces),
        pointer_level=int(balance.pointer_level),
        varies=bool(zeros.densities.varies[tensor]),
        slowest=bool(slowest_counts(_busy(zeros), problem.computes, met)),
    )


def _works(zeros: Zeros, output: int) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    actions = zeros.actions
    saved = {(int(level), int(t)) for level, t in zip(actions.level, actions.target, strict=True)}
    arriving = tuple(int(t) for t in np.flatnonzero(actions.skip_compute) if t != output)
    return tuple(sorted(saved)), arriving


def sparse_shape_of(
    problem: ProblemArrays, machine: MachineArrays, rules: RuleArrays, zeros: Zeros
) -> SparseShape | None:
    """Return the shape of a sparse design; None where code on lanes does not count all that it has."""
    dense = shape_of(problem, machine, rules)
    if dense is None or not _is_known(problem, zeros) or not acts_alike(machine, zeros):
        return None
    if len(set(machine.memory.tolist())) < len(machine.memory):
        return None
    levels, tensors = range(dense.levels), range(dense.tensors)
    formats, metadata = zeros.formats, machine.metadata
    works, arriving = _works(zeros, dense.output)
    own = [bool(formats.room[level] == 0 and metadata.capacity[level] != UNLIMITED) for level in levels]
    if any(own[level] and metadata.capacity[level] >= LIMIT for level in levels):
        return None
    return SparseShape(
        dense=dense,
        stored=tuple(tuple(_list_stored(formats, level, t) for t in tensors) for level in levels),
        varies=tuple(bool(model == HYPERGEOMETRIC) for model in zeros.densities.model),
        saves=_marks(zeros.left != 1),
        works=works,
        arriving=arriving,
        balance=_balance_of(problem, zeros),
        array=int(formats.array),
        size=zeros.size,
        apart=tuple(own),
        charged=tuple(tuple(_list_charges(machine, level, t) for t in tensors) for level in levels),
        saved_prices=tuple(tuple(_list_saved(machine, level, t) for t in tensors) for level in levels),
        pack=tuple(int(metadata.pack[level]) for level in levels),
        ported=tuple(bool(metadata.scale[level] != 0) for level in levels),
    )


def _list_charges(machine: MachineArrays, level: int, tensor: int) -> tuple[tuple[bool, bool, bool], ...]:
    done, gated, skipped = (
        machine.price[level, tensor, first : first + 3]
        for first in (METADATA, METADATA_GATED, METADATA_SKIPPED)
    )
    marks = zip(done != 0, gated != done, skipped > 0, strict=True)
    return tuple((bool(one), bool(other), bool(last)) for one, other, last in marks)


def _list_saved(machine: MachineArrays, level: int, tensor: int) -> tuple[tuple[bool, ...], ...]:
    costs = machine.price[level, tensor, SAVED : SAVED + 6].reshape(2, 3) != 0
    costs[:, FILL] = False
    return tuple(tuple(bool(one) for one in row) for row in costs)


def _marks(saves: Bools) -> tuple[tuple[tuple[bool, bool], ...], ...]:
    return tuple(tuple((bool(both[0]), bool(both[1])) for both in row) for row in saves)


def _computing(machine: MachineArrays, zeros: Zeros) -> float:
    computes, price = zeros.computes, machine.compute_price
    return float(
        computes[DONE] * price[DONE]
        + computes[GATED_COMPUTE] * price[GATED_COMPUTE]
        + computes[SKIPPED_COMPUTE] * price[SKIPPED_COMPUTE]
    )


def _evenly_saved(problem: ProblemArrays, zeros: Zeros) -> float:
    """Return what else is saved of computations, as `kernels.sparse.costs.find_steps` has it."""
    met = float(zeros.densities.met[zeros.balance.tensor])
    others = _busy(zeros) / (problem.computes * met) if met > 0 else 0.0
    return 1.0 if abs(others - 1) < 1e-9 else others


_Number = Callable[[ProblemArrays, MachineArrays, Zeros, tuple[int, ...]], float]

_NUMBERS: dict[str, _Number] = {
    "left": lambda _, __, zeros, at: zeros.left[at],
    "density": lambda _, __, zeros, at: zeros.densities.average[at],
    "stored_scale": lambda _, __, zeros, at: zeros.formats.scale[at],
    "metadata_room": lambda _, __, zeros, at: zeros.formats.room[at],
    "block": lambda _, __, zeros, at: zeros.formats.block[at],
    "fits": lambda _, machine, __, at: machine.capacity[at] * (1 + 1e-12),
    "fits_apart": lambda _, machine, __, at: machine.metadata.capacity[at] * (1 + 1e-12),
    "metadata_scale": lambda _, machine, __, at: machine.metadata.scale[at],
    "busy": lambda _, __, zeros, ___: _busy(zeros),
    "others": lambda problem, _, zeros, __: _evenly_saved(problem, zeros),
    "met": lambda _, __, zeros, ___: zeros.densities.met[zeros.balance.tensor],
    "balanced_size": lambda _, __, zeros, ___: zeros.densities.size[zeros.balance.tensor],
    "pointer_reads": lambda _, __, zeros, ___: zeros.balance.pointer_reads,
    "pointer_energy": lambda _, __, zeros, ___: zeros.balance.pointer_energy,
    "sparse_computing": lambda _, machine, zeros, __: _computing(machine, zeros),
    "sparse_served_computing": lambda _, machine, zeros, __: zeros.computes[DONE] * machine.served_compute,
}


def list_sparse_numbers(
    problem: ProblemArrays, machine: MachineArrays, zeros: Zeros, keys: list[Key]
) -> Floats:
    """Return the numbers of a sparse design that code reads, float64, in the order of `keys`."""
    return np.array(
        [
            float(_NUMBERS[name](problem, machine, zeros, at))
            if name in _NUMBERS
            else float(list_numbers(problem, machine, [(name, at)])[0])
            for name, at in keys
        ],
        np.float64,
    )
