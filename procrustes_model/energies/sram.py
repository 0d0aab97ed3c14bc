"""SRAM: a grid of CACTI 7 runs, and how to read between its points.

The logarithm of every figure is bilinear in the logarithms of capacity and width, on the grid of powers of
two of one node and type of transistor. Between nodes it is linear in the logarithm of the node; leakage is
not, and is that of the nearest node.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from procrustes_model.energies.estimate import (
    ACCESS_TIME,
    AREA,
    LEAKAGE,
    Estimate,
    EstimateError,
    Figure,
    TableClass,
    six_digits,
)
from procrustes_model.energies.rows import read_table

COLUMNS = {
    "read": "read_pj",
    "write": "write_pj",
    LEAKAGE: "leakage_mw",
    AREA: "area_um2",
    ACCESS_TIME: "access_ns",
}
"""Columns of the figures."""

MEASURED = {
    "read": (3.9, 14.4, 30.6),
    "write": (2.9, 7.6, 28.0),
    LEAKAGE: (1.4, 6.1, 20.9),
    AREA: (2.3, 7.9, 23.6),
    ACCESS_TIME: (2.6, 8.1, 15.5),
}
"""Error of points between those of the grid against CACTI itself, in %: median, 90th percentile, largest.

On 294 random points with both coordinates off the grid; `tests.energies.test_sram` measures it again.
"""

LEAST_BYTES, MOST_BYTES = 64, 16 * 2**20
LEAST_BITS, MOST_BITS = 8, 2048
LEAST_ROWS = 32
"""Of shallower macros CACTI finds no organisation."""

_SOURCE = "read; CACTI 7, 300 K"


class Point(NamedTuple):
    """A macro: capacity in bytes, width in bits."""

    capacity: int
    width: int


@functools.cache
def _grid() -> dict[tuple[str, float], dict[Point, dict[str, float]]]:
    """Return all points by device and node, with the figure of every key."""
    grid: dict[tuple[str, float], dict[Point, dict[str, float]]] = {}
    for row in read_table("sram"):
        of_node = grid.setdefault((row["device"], float(row["technology_nm"])), {})
        point = Point(int(row["capacity_bytes"]), int(row["width_bits"]))
        of_node[point] = {key: float(row[column]) for key, column in COLUMNS.items()}
    return grid


def _around(value: float) -> list[tuple[int, float]]:
    """Return the powers of two on both sides of a value, with their weights in its logarithm."""
    low = 2 ** math.floor(math.log2(value))
    part = math.log2(value / low)
    return [(low, 1.0)] if part == 0 else [(low, 1 - part), (2 * low, part)]


def _corners(capacity: float, width: float) -> dict[Point, float]:
    """Return the points of the grid of powers of two around a macro, with their weights."""
    return {
        Point(size, bits): of_size * of_bits
        for size, of_size in _around(capacity)
        for bits, of_bits in _around(width)
    }


def _check(capacity: float, width: float, device: str, node: float) -> None:
    """Raise where a macro is outside what the table covers."""
    devices = sorted({one for one, _ in _grid()})
    if device not in devices:
        hint = "write device: lstp or device: hp; hp leaks some 19,000 times as much at 45 nm"
        raise EstimateError(f"the sram table has no device '{device[:40]}'", hint, "device")
    nodes = sorted(one for kind, one in _grid() if kind == device)
    if not nodes[0] <= node <= nodes[-1]:
        message = f"technology {node:g} nm is outside the sram table"
        raise EstimateError(message, f"it goes from {nodes[0]:g} to {nodes[-1]:g} nm", "technology")
    if not LEAST_BYTES <= capacity <= MOST_BYTES:
        message = f"a capacity of {capacity:,.12g} bytes is outside the sram table"
        raise EstimateError(message, f"it goes from {LEAST_BYTES} B to {MOST_BYTES >> 20} MB", "capacity")
    if not LEAST_BITS <= width <= MOST_BITS:
        message = f"a width of {width:g} bits is outside the sram table"
        raise EstimateError(message, f"it goes from {LEAST_BITS} to {MOST_BITS} bits", "width")
    rows = capacity * 8 / width
    if rows < LEAST_ROWS:
        message = f"{capacity:,.12g} bytes, {width:g} bits wide, are {rows:g} rows: outside the sram table"
        hint = f"it starts at {LEAST_ROWS} rows: use class regfile, a larger capacity or a smaller width"
        raise EstimateError(message, hint, "width")


def _mean(points: Mapping[Point, dict[str, float]], weights: Mapping[Point, float], key: str) -> float:
    return math.exp(sum(weight * math.log(points[one][key]) for one, weight in weights.items()))


def _span(values: set[int]) -> str:
    return " and ".join(str(one) for one in sorted(values))


def _covering(corners: Mapping[Point, float], device: str) -> dict[float, dict[Point, dict[str, float]]]:
    """Return the nodes of a device whose grid has all points around a macro."""
    return {
        node: points
        for (kind, node), points in _grid().items()
        if kind == device and corners.keys() <= points.keys()
    }


def _ends(nodes: Iterable[float], node: float) -> tuple[float, float] | None:
    """Return the nodes on both sides of one, which may be itself; None where one side has none."""
    nodes = list(nodes)
    below, above = [one for one in nodes if one <= node], [one for one in nodes if one >= node]
    return (max(below), min(above)) if below and above else None


def _uncovered(corners: Mapping[Point, float], device: str, node: float) -> EstimateError:
    """Return why there are no points around a macro within the ranges."""
    shallow = [one for one in corners if one.capacity * 8 / one.width < LEAST_ROWS]
    if shallow:
        size, bits = shallow[0]
        message = f"the point of {size} B x {bits} bits, next to this macro, has fewer than {LEAST_ROWS} rows"
        hint = f"from {LEAST_ROWS * bits // 8} B on, this width is inside the sram table"
        return EstimateError(message, hint, "capacity")
    widest = next(
        bits
        for bits in (2048, 1024, 512, 256, 128, 64, 32, 16, LEAST_BITS)
        if _ends(_covering(_corners(max(one.capacity for one in corners), bits), device), node)
    )
    message = f"this width is outside the sram table of device {device} at {node:g} nm"
    return EstimateError(message, f"it goes from {LEAST_BITS} to {widest} bits", "width")


def estimate_sram(asked: Mapping[str, Any]) -> Estimate:
    """Return the figures of a macro of one bank with one port.

    Parameters
    ----------
    asked : mapping
        ``capacity`` in bytes, ``width`` in bits, ``technology`` in nm and ``device``.

    Raises
    ------
    EstimateError
        When it is outside the table, with what the table covers.
    """
    if asked["capacity"] is None:
        raise EstimateError(
            "an sram without a capacity has no energy", "such as capacity: 128 KB", "capacity"
        )
    capacity, width, device = float(asked["capacity"]), float(asked["width"]), str(asked["device"]).casefold()
    node = float(asked["technology"])
    _check(capacity, width, device, node)
    exact = _grid().get((device, node), {}).get(Point(int(capacity), int(width)))
    head = f"sram table, {device}"
    if exact is not None and capacity.is_integer() and width.is_integer():
        where = f"{head}, {node:g} nm, {capacity:g} B x {width:g} bits: a row; {_SOURCE}"
        return Estimate({key: Figure(value, where) for key, value in exact.items()})
    corners = _corners(capacity, width)
    covering = _covering(corners, device)
    ends = _ends(covering, node)
    if ends is None:
        raise _uncovered(corners, device, node)
    low, high = ends
    part = 0.0 if low == high else math.log(node / low) / math.log(high / low)
    macro = f"{_span({one.capacity for one in corners})} B x {_span({one.width for one in corners})} bits"
    nearest = min(covering, key=lambda one: (abs(one - node), one))
    found = {}
    for key in COLUMNS:
        if key == LEAKAGE:
            value, nodes = _mean(covering[nearest], corners, key), f"{nearest:g} nm"
            if nearest != node:
                nodes += f", the nearest node to {node:g} nm (leakage is not interpolated over nodes)"
        else:
            logs = [math.log(_mean(covering[one], corners, key)) for one in (low, high)]
            value = math.exp(logs[0] * (1 - part) + logs[1] * part)
            nodes = f"{low:g} nm" if low == high else f"between {low:g} and {high:g} nm"
        median, _, largest = MEASURED[key]
        how = "interpolated between rows" if len(corners) > 1 else "rows"
        error = f", error {median:g} % in the median, {largest:g} % at most" if len(corners) > 1 else ""
        found[key] = Figure(six_digits(value), f"{head}, {nodes}: {how} of {macro}{error}; {_SOURCE}")
    return Estimate(found)


SRAM = TableClass(
    name="sram",
    text="SRAM macro of one bank with one port, by capacity and width (CACTI 7)",
    keys=("technology", "device", "width"),
    required=("technology", "device", "width"),
    is_level=True,
    estimate=estimate_sram,
)
