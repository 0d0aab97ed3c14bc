"""Two results side by side on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.network.compare import ALL
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_energy, four_digits, whole_count

if TYPE_CHECKING:
    from procrustes_model.network.compare import Comparison, Line

_TITLES = ("Level", "Tensor", "Quantity", "A", "B", "B/A")
_NAMES = {"energy_pj": "energy", "edp_j_cycles": "EDP"}


def format_comparison(comparison: Comparison, style: Style | None = None, *, everything: bool = False) -> str:
    """Return two results as a table, level by level.

    Parameters
    ----------
    comparison : Comparison
    style : Style, optional
        Plain, 80 columns wide by default.
    everything : bool
        What is equal, too, and each phase where there are several.
    """
    style = style or Style()
    lines = [
        *labelled("A", [comparison.names[0]], style),
        *labelled("B", [comparison.names[1]], style),
    ]
    if comparison.different:
        said = [*comparison.different, "ratios compare different questions"]
        lines += labelled("Different", said, style)
    parts = comparison.parts if everything or ALL not in comparison.parts else (ALL,)
    equal = 0
    for part in parts:
        chosen = [line for line in comparison.lines if line.part == part]
        shown = [line for line in chosen if everything or not line.equal or line.level == ""]
        equal += len(chosen) - len(shown)
        rows = [_row(line, shown[number - 1] if number else None) for number, line in enumerate(shown)]
        new = [
            number for number, line in enumerate(shown) if number and line.level != shown[number - 1].level
        ]
        sheet = sheet_of(_TITLES, rows, left=_TITLES[:3], keys=3, rules=frozenset(new))
        title = [f"{part[0].upper()}{part[1:]} phases" if part == ALL else f"{part[0].upper()}{part[1:]}"]
        lines += ["", *(title if len(comparison.parts) > 1 else []), format_sheet(sheet, style)]
    if equal:
        lines += ["", f"{equal} more numbers are equal; --all shows them"]
    return "\n".join(lines)


def _row(line: Line, before: Line | None) -> list[str]:
    """Return the cells of a line; a level or tensor that stands above is not repeated."""
    same_level = before is not None and before.level == line.level
    same_tensor = same_level and before is not None and before.tensor == line.tensor
    ratio = line.ratio
    return [
        "" if same_level else line.level or "Total",
        "" if same_tensor else line.tensor,
        _NAMES.get(line.quantity, line.quantity),
        *(_number(line.quantity, value) for value in (line.a, line.b)),
        "" if ratio is None else "=" if line.equal else four_digits(ratio),
    ]


def _number(quantity: str, value: float | None) -> str:
    if value is None:
        return "none"
    if quantity == "energy_pj":
        return format_energy(value)
    return four_digits(value) if quantity == "edp_j_cycles" else whole_count(value)
