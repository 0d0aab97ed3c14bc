"""An explanation and its text: every number as a formula, with the bounds put in, and as a result."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sympy.printing.str import StrPrinter

if TYPE_CHECKING:
    from procrustes_model.explanation.closed_forms import Expr, Move, Part
    from procrustes_model.explanation.closed_transfers import Sharing, Transfers
    from procrustes_model.spec.problem import Tensor

_WIDEST = 100
_width: ContextVar[int] = ContextVar("_width", default=_WIDEST)
"""Columns of the text that is being made."""
_ROOM = 20
"""Columns that a reason needs beside what it is the reason of, lest it stand below."""
_INDENT = "  "


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
        Words that pass between one instance and the next level inside that keeps the tensor, or compute.
    served : Transfers
        The same, for one instance of that inner level.
    sharing : tuple of Sharing
        One per fan-out between the two.
    touched : Part or None
        For an output, the distinct words that one instance ever accumulates, and gaps in tiles of what it
        serves.
    covered : Part or None
        The same with the gaps in the instance's own tiles; `touched` where that is no more.
    instances, tile, reads, fills, updates : Part
        Instances used; the rest is per instance.
    place : str
        Where the tile stands among the level's own loops, in words; empty where it is outside of all of them.
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
    covered: Part | None
    reads: Part
    fills: Part
    updates: Part
    place: str = ""

    def to_text(self, width: int = _WIDEST) -> str:
        """Return the explanation as plain text, without a line end after the last.

        Parameters
        ----------
        width : int
            Columns at most.
        """
        before = _width.set(min(width, _WIDEST))
        try:
            parts = [
                *_head(self),
                *_tile(self),
                *_arrivals(self),
                *_departures(self),
                *_touched(self),
                *_result(self),
            ]
            lines = [line for part in parts for line in _fit(part.rstrip())]
        finally:
            _width.reset(before)
        return "\n".join(lines).rstrip()


class _Printer(StrPrinter):  # type: ignore[misc]
    """Prints symbols by name, or as the numbers they stand for, and keeps the order of unevaluated terms."""

    def __init__(self, numbers: dict[Any, int] | None = None, order: str | None = "none") -> None:
        super().__init__({"order": order})
        self._numbers = numbers or {}

    def _as_ordered_terms(self, expr: Any, order: str | None = None) -> list[Any]:
        terms: list[Any] = super()._as_ordered_terms(expr, order=order)
        return sorted(terms, key=lambda term: bool(term.is_number))

    def _print_Symbol(self, symbol: Any) -> str:  # noqa: N802 - the name that sympy looks for
        return str(self._numbers.get(symbol, symbol.name))

    def text(self, expression: Any) -> str:
        """Return `expression` with spaces around every product and quotient, where lines may be broken."""
        return str(self.doprint(expression)).replace("*", " * ").replace("/", " / ").replace(" *  * ", "**")


def _head(e: Explanation) -> list[str]:
    numbers = f"reads {e.reads.value:,}   fills {e.fills.value:,}   updates {e.updates.value:,}"
    title = f"{e.tensor.name} at {e.level}: tile {e.tile.value:,} words"
    short = len(title) + len(numbers) + 3 <= _width.get()
    return [
        *([f"{title}   {numbers}"] if short else [title, numbers]),
        *_wrap(f"of {e.problem} on {e.architecture}, mapping {e.mapping}", ""),
        *_wrap(
            "Symbols are loop bounds, named dimension_level, and _x or _y for loops over columns or rows of "
            "instances; loops of bound 1 are left out. All numbers are words of one instance ("
            f"{e.instances.value:,} used). A form that depends on how bounds compare is the one for these.",
            "",
        ),
        "",
    ]


def _tile(e: Explanation) -> list[str]:
    names = {term.dimension: term.dimension.lower() for rank in e.tensor.ranks for term in rank}
    if len(set(names.values())) < len(names):
        names = {name: name for name in names}
    lines = ["Tile: what one instance holds at a time, the box over all loops from this level inwards"]
    for rank, extent in enumerate(e.extents):
        lines += _equation(f"rank {rank} [{e.tensor.index_text(rank, names)}]", extent, e)
    if e.place:
        text = f"{e.level} has tiles at several loops: of its own, that of {e.tensor.name} is {e.place}."
        lines += _wrap(text, _INDENT)
    return [*lines, *_equation(str(e.tile.symbol), e.tile, e), ""]


def _arrivals(e: Explanation) -> list[str]:
    if e.arrivals is None or e.above is None:
        return [f"Arrivals: none, {e.tensor.name} begins and ends at {e.level}, which holds all of it", ""]
    way = f"from {e.above}" if not e.tensor.is_output else f"from {e.above} and go back to it"
    return [f"Arrivals: tiles that come {way}", *_transfers(e.arrivals, e, show_tile=False), ""]


def _departures(e: Explanation) -> list[str]:
    output = e.tensor.is_output
    lines = [f"Departures: {'sums that come in from' if output else 'words that go out to'} {e.served.level}"]
    if e.served.is_compute:
        way = "gives one sum" if output else "takes one word"
        lines.append(f"{_INDENT}Each {e.served.level} {way} in every step of the temporal loops:")
        lines += _equation(str(e.served.words.symbol), e.served.words, e)
    else:
        lines.append(f"{_INDENT}Each {e.served.level} {'sends up' if output else 'takes'}:")
        lines += _transfers(e.served, e, show_tile=True)
    for sharing in e.sharing:
        lines += _sharing(sharing, e)
    return [*lines, *_equation(str(e.departures.symbol), e.departures, e), ""]


def _transfers(transfers: Transfers, e: Explanation, *, show_tile: bool) -> list[str]:
    lines: list[str] = []
    if show_tile:
        lines += _equation(str(transfers.tile.symbol), transfers.tile, e)
    if transfers.overlap is not None:
        lines += _equation(str(transfers.overlap.symbol), transfers.overlap, e)
    lines += _moves(transfers.moves)
    return lines + _equation(str(transfers.words.symbol), transfers.words, e)


def _moves(moves: Iterable[Move]) -> list[str]:
    """Return one line per loop above: its bound, how often it steps, what a step brings and why."""
    rows: list[tuple[str, str, str, str, str]] = [
        (str(m.loop.symbol), str(m.loop.bound), f"{m.times:,}", m.brings, m.reason) for m in moves
    ]
    if not rows:
        return [f"{_INDENT}no loop above: the tile comes in once"]
    rows.insert(0, ("loop above", "bound", "steps", "brings", "because"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = []
    for name, bound, times, brings, reason in rows:
        start = f"{_INDENT}{name:<{widths[0]}}  {bound:>{widths[1]}}  {times:>{widths[2]}}"
        start += f"  {brings:<{widths[3]}}  "
        if len(start) + min(len(reason), _ROOM) > _width.get():
            lines += [start.rstrip(), *_wrap(reason, _INDENT * 3)]
            continue
        lines += textwrap.wrap(reason, _width.get(), initial_indent=start, subsequent_indent=" " * len(start))
    return lines


def _sharing(sharing: Sharing, e: Explanation) -> list[str]:
    """Say how many tiles the instances of one fan-out hold, and how they share."""
    loops = ", ".join(f"{loop.symbol} = {loop.bound}" for loop in sharing.loops)
    bypass = "" if sharing.level == e.level else f", which {e.tensor.name} passes by,"
    text = f"{sharing.level}{bypass} fans out to {sharing.instances:,} {sharing.below} ({loops}):"
    distinct = sharing.distinct.value
    if distinct == sharing.instances:
        text += " all have different tiles, nothing is shared."
    else:
        how = "add up their sums (spatial reduction)" if e.tensor.is_output else "share one read (multicast)"
        tiles = "one tile" if distinct == 1 else f"{distinct:,} different tiles"
        text += f" they have {tiles}, and those with the same {how}."
    if sharing.shared:
        names = " and ".join(str(loop.symbol) for loop in sharing.shared)
        text += f" {names} {'does' if len(sharing.shared) == 1 else 'do'} not move the tile."
    if sharing.counted:
        text += " The different tiles were counted one by one, for these bounds."
    return [*_wrap(text, _INDENT), *_equation(str(sharing.distinct.symbol), sharing.distinct, e)]


def _touched(e: Explanation) -> list[str]:
    if e.touched is None:
        return []
    parts = [e.touched] if e.covered is None or e.covered is e.touched else [e.touched, e.covered]
    lines = [
        "Touched: distinct words an instance ever adds to; the first sum into each needs no read or fill"
    ]
    if len(parts) > 1:
        text = (
            "Tiles have gaps, words that nothing is added to: those in tiles of what is served count for "
            "reads, those in the instance's own for fills."
        )
        lines += _wrap(text, _INDENT)
    for part in parts:
        lines += _equation(str(part.symbol), part, e)
    return [*lines, ""]


def _result(e: Explanation) -> list[str]:
    lines = ["Result"]
    for part in (e.reads, e.fills, e.updates):
        lines += _equation(str(part.symbol), part, e)
    lines.append("In loop bounds alone")
    for part in (e.reads, e.fills, e.updates):
        lines += _wrap(f"{part.symbol} = {_Printer(order=None).text(part.expression)}", _INDENT, hang=4)
    return lines


def _equation(name: str, part: Part, e: Explanation) -> list[str]:
    """Return ``name = formula = numbers = value`` on one line where it fits, else on one line each."""
    numbers = {symbol: int(bound) for symbol, bound in e.bounds.items()} | {
        one.symbol: one.value for one in part.uses
    }
    steps = [_Printer().text(part.formula), _Printer(numbers).text(part.formula), f"{part.value:,}"]
    unique = [step for step in dict.fromkeys(steps) if step != str(part.value)] or steps[-1:]
    if unique[-1] != steps[-1]:
        unique.append(steps[-1])
    line = f"{_INDENT}{name} = {' = '.join(unique)}"
    if len(line) <= _width.get():
        return [line]
    lines = []
    start = f"{_INDENT}{name} = "
    for step in unique:
        lines += textwrap.wrap(
            step,
            _width.get(),
            initial_indent=start,
            subsequent_indent=" " * (len(start) + 2),
            break_long_words=False,
        )
        start = " " * (len(_INDENT) + len(name)) + " = "
    return lines


def _wrap(text: str, indent: str, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        _width.get(),
        initial_indent=indent,
        subsequent_indent=indent + " " * hang,
        break_long_words=False,
    )


def _fit(line: str) -> list[str]:
    """Return a line, broken where it is wider than the text."""
    if len(line) <= _width.get():
        return [line]
    start = line[: len(line) - len(line.lstrip())]
    return _wrap(line.lstrip(), start, hang=2)
