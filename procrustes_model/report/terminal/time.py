"""Time, power and throughput as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.report.terminal.units import NO_BREAK, format_power, format_seconds, four_digits

if TYPE_CHECKING:
    from procrustes_model.model.time import Time


def describe_time(time: Time | None) -> tuple[str, ...]:
    """Return time and power, and throughput; nothing where there is no clock.

    Parameters
    ----------
    time : Time or None
    """
    if time is None:
        return ()
    parts = [
        f"{format_seconds(time.seconds)} at {time.clock_ghz:g} GHz",
        format_power(time.power_w),
        f"{four_digits(time.edp_j_s)} J x s",
    ]
    speed = f"{four_digits(time.tops)} TOPS, {four_digits(time.tops_per_w)} TOPS/W, a MAC as two operations"
    return ", ".join(part.replace(" ", NO_BREAK) for part in parts), speed
