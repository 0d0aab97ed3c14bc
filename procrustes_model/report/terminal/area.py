"""The area of a machine as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.report.terminal.units import NO_BREAK, format_area

if TYPE_CHECKING:
    from procrustes_model.spec.area import Area


def describe_area(area: Area) -> tuple[str, ...]:
    """Return the total of an area, that of each part, and which parts state none; nothing where none does.

    Parameters
    ----------
    area : Area
    """
    if area.total_um2 is None:
        return ()
    total = format_area(area.total_um2) + (" of the parts that state one" if area.unstated else "")
    stated = (f"{name} {format_area(one)}" for name, one in area.parts.items() if one is not None)
    parts = [text.replace(" ", NO_BREAK) for text in stated]
    found = (total, f"all instances: {', '.join(parts)}")
    return (*found, f"not stated: {', '.join(area.unstated)}") if area.unstated else found
