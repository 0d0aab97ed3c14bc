"""SRAM: rows as they are, points between them, and how far these are from CACTI itself."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.energies.estimate import EstimateError
from procrustes_model.energies.rows import read_table
from procrustes_model.energies.sram import COLUMNS, MEASURED, estimate_sram
from tests.conftest import ROOT

HELD_OUT = ROOT / "tests" / "data" / "energies" / "sram_heldout.csv"
"""300 runs of CACTI at random capacities and widths, none of which is in the table."""

SCALE = {"area_um2": 1e6}
NAMES = {"read": "read_pj", "write": "write_pj", "leakage_mw": "leak_mw", "area_um2": "area_mm2"} | {
    "access_ns": "access_ns"
}


def values(**asked: Any) -> dict[str, float]:
    """Return the figures of a macro."""
    return {key: one.value for key, one in estimate_sram(asked).figures.items()}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def errors(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return median, 90th percentile and maximum of relative errors in %, with a digit after the point."""
    found = sorted(abs(value / true - 1) * 100 for value, true in pairs)
    picked = (found[len(found) // 2], found[int(0.9 * len(found))], found[-1])
    return (round(picked[0], 1), round(picked[1], 1), round(picked[2], 1))


def test_held_out_points_are_as_far_off_as_is_said() -> None:
    pairs: dict[str, list[tuple[float, float]]] = {key: [] for key in COLUMNS}
    refused = []
    for row in read(HELD_OUT):
        capacity, width = int(row["capacity_bytes"]), int(row["width_bits"])
        try:
            found = values(
                capacity=capacity, width=width, technology=int(row["technology_nm"]), device=row["device"]
            )
        except EstimateError:
            refused.append((capacity, width))
            continue
        for key, column in NAMES.items():
            pairs[key].append((found[key], float(row[column]) * SCALE.get(key, 1.0)))
    assert {key: errors(of_key) for key, of_key in pairs.items()} == MEASURED
    assert {len(of_key) for of_key in pairs.values()} == {294}
    # Next to points of fewer than 32 rows, for which there are none to read between.
    assert all(capacity * 8 / width < 64 for capacity, width in refused)


@pytest.mark.parametrize(
    ("node", "device", "between", "median", "largest"),
    [
        (28, "lstp", (22, 32), 1.4, 21),
        (28, "hp", (22, 32), 2.7, 22),
        (40, "lstp", (32, 45), 0.7, 16),
        (40, "hp", (32, 45), 1.6, 41),
    ],
)
def test_between_nodes_reads_are_as_far_off_as_is_said(
    node: int, device: str, between: tuple[int, int], median: float, largest: float
) -> None:
    """Of nodes that CACTI interpolates itself, against the rule between the nodes on both sides."""
    pairs = []
    part = math.log(node / between[0]) / math.log(between[1] / between[0])
    for row in read_table("sram"):
        if (row["device"], row["technology_nm"]) != (device, str(node)):
            continue
        ends = [
            values(
                capacity=int(row["capacity_bytes"]),
                width=int(row["width_bits"]),
                technology=one,
                device=device,
            )["read"]
            for one in between
        ]
        pairs.append(
            (math.exp((1 - part) * math.log(ends[0]) + part * math.log(ends[1])), float(row["read_pj"]))
        )
    found = errors(pairs)
    assert (found[0], round(found[2])) == (median, largest)


def test_every_row_is_itself() -> None:
    for row in read_table("sram"):
        found = values(
            capacity=int(row["capacity_bytes"]),
            width=int(row["width_bits"]),
            technology=int(row["technology_nm"]),
            device=row["device"],
        )
        assert found == {key: float(row[column]) for key, column in COLUMNS.items()}


def test_a_macro_by_hand() -> None:
    """Of 45 nm, 80 KB and 80 bits: between four points, log2(1.25) of an octave from the smaller."""
    rows = {
        (int(row["capacity_bytes"]) >> 10, int(row["width_bits"])): float(row["read_pj"])
        for row in read_table("sram")
        if (row["device"], row["technology_nm"]) == ("hp", "45")
    }
    part = math.log2(1.25)
    total = 0.0
    for size, of_size in ((64, 1 - part), (128, part)):
        for bits, of_bits in ((64, 1 - part), (128, part)):
            total += of_size * of_bits * math.log(rows[size, bits])
    found = values(capacity=80 * 1024, width=80, technology=45, device="hp")
    assert found["read"] == pytest.approx(math.exp(total), rel=1e-5)


def test_leakage_is_that_of_the_nearest_node() -> None:
    macro = {"capacity": 131072, "width": 64, "device": "lstp"}
    nodes = {node: values(**macro, technology=node) for node in (45, 50, 60, 65)}
    assert nodes[50]["leakage_mw"] == nodes[45]["leakage_mw"]
    assert nodes[60]["leakage_mw"] == nodes[65]["leakage_mw"]
    assert nodes[45]["read"] < nodes[50]["read"] < nodes[60]["read"] < nodes[65]["read"]
    origins = estimate_sram(macro | {"technology": 50}).figures
    assert (
        "the nearest node to 50 nm (leakage is not interpolated over nodes)" in origins["leakage_mw"].origin
    )
    assert "between 45 and 65 nm" in origins["read"].origin


def test_the_type_of_transistor_decides_leakage() -> None:
    """Of 128 KB at 45 nm: 0.0033 mW and 62 mW."""
    macro = {"capacity": 131072, "width": 64, "technology": 45}
    assert values(**macro, device="lstp")["leakage_mw"] == pytest.approx(0.0033, abs=5e-5)
    assert values(**macro, device="hp")["leakage_mw"] == pytest.approx(62, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "key", "message", "hint"),
    [
        ({"capacity": 32}, "capacity", "a capacity of 32 bytes is outside", "from 64 B to 16 MB"),
        ({"capacity": 2**25}, "capacity", "outside the sram table", "from 64 B to 16 MB"),
        ({"capacity": None}, "capacity", "without a capacity", "capacity: 128 KB"),
        ({"width": 4}, "width", "a width of 4 bits is outside", "from 8 to 2048 bits"),
        ({"width": 4096}, "width", "a width of 4096 bits is outside", "from 8 to 2048 bits"),
        ({"capacity": 1024, "width": 512}, "width", "are 16 rows: outside", "starts at 32 rows"),
        ({"technology": 16}, "technology", "16 nm is outside the sram table", "from 22 to 90 nm"),
        ({"technology": 130}, "technology", "130 nm is outside the sram table", "from 22 to 90 nm"),
        ({"device": "lop"}, "device", "no device 'lop'", "device: lstp or device: hp"),
        ({"device": "hp", "width": 2048}, "width", "of device hp at 45 nm", "from 8 to 1024 bits"),
        ({"capacity": 954, "width": 144}, "capacity", "512 B x 256 bits", "from 1024 B on"),
    ],
)
def test_outside_the_table(changes: dict[str, Any], key: str, message: str, hint: str) -> None:
    macro = {"capacity": 131072, "width": 64, "technology": 45, "device": "lstp"} | changes
    with pytest.raises(EstimateError, match=message) as caught:
        estimate_sram(macro)
    assert caught.value.key == key
    assert hint in str(caught.value.hint)
