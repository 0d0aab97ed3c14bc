"""Tables of rows: every row can be asked for, and is what it says; formulas against tables of them."""

from __future__ import annotations

import csv
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from procrustes_model.energies.analog import adc_energy
from procrustes_model.energies.compute import _COLUMNS as COMPUTE
from procrustes_model.energies.estimate import KEYS, EstimateError
from procrustes_model.energies.estimators import CLASSES, ESTIMATORS, LEVEL_ACTIONS, UNIT_ACTIONS
from procrustes_model.energies.rows import pick, read_table
from procrustes_model.energies.wire import _COLUMNS as WIRE
from tests.conftest import ROOT

DATA = ROOT / "tests" / "data" / "energies"
WORDS = ("read", "quoted", "derived", "estimate", "recalled")


def tables(kind: str, **asked: Any) -> dict[str, float]:
    """Return what the tables say of a class."""
    actions = LEVEL_ACTIONS if CLASSES[kind].is_level else UNIT_ACTIONS
    figures = ESTIMATORS["tables"].estimate(kind, actions, asked).figures
    return {key: one.value for key, one in figures.items()}


def asked_of(row: Any, columns: dict[str, str]) -> dict[str, Any]:
    """Return all keys that a row states."""
    return {
        key: float(row[column]) if KEYS[key].unit else row[column]
        for key, column in columns.items()
        if row[column]
    }


@pytest.mark.parametrize(("table", "columns"), [("compute", COMPUTE), ("wire", WIRE)])
def test_every_row_can_be_asked_for(table: str, columns: dict[str, str]) -> None:
    rows = read_table(table)
    for row in rows:
        same = [one for one in rows if one.get("component") == row.get("component")]
        assert pick(table, same, columns, asked_of(row, columns)) is row


@pytest.mark.parametrize(("table", "columns"), [("dram", {"memory": "memory", "scope": "scope"})])
def test_every_sort_of_dram_can_be_asked_for(table: str, columns: dict[str, str]) -> None:
    for row in read_table(table):
        assert pick(table, read_table(table), columns, asked_of(row, columns)) is row


def test_every_design_can_be_asked_for() -> None:
    for row in read_table("analog"):
        found = tables(row["class"], design=row["design"])
        assert found["energy_pj"] == float(row["energy_pj"])


@pytest.mark.parametrize("table", ["compute", "dram", "analog", "wire", "regfile"])
def test_every_row_says_how_sure_it_is(table: str) -> None:
    for row in read_table(table):
        assert row["source"]
        assert any(word in row["provenance"] for word in WORDS), row


def test_what_is_recalled_says_so() -> None:
    figures = (
        ESTIMATORS["tables"]
        .estimate("adder", UNIT_ACTIONS, {"type": "int", "width": 16, "technology": 45, "family": "horowitz"})
        .figures
    )
    assert "quoted" in figures["energy_pj"].origin and "recalled" not in figures["energy_pj"].origin
    assert "recalled: from general knowledge, not checked against any text" in figures["area_um2"].origin
    guess = (
        ESTIMATORS["tables"].estimate("multiplier", UNIT_ACTIONS, {"type": "fp8", "technology": 45}).figures
    )
    assert "estimate by others" in guess["energy_pj"].origin


def test_units_by_hand() -> None:
    """Horowitz: a multiply of 8 bits 0.2 pJ, an add of 32 bits 0.1 pJ; Aladdin: 24.35 and 7.928 pJ."""
    horowitz = {"type": "int", "width": 8, "technology": 45, "family": "horowitz"}
    assert tables("mac", **horowitz, accumulator=32) == {"energy_pj": 0.3}
    assert tables("mac", **horowitz, accumulator=8) == {"energy_pj": 0.23}
    aladdin = tables("mac", type="fp", width=32, technology=40)
    assert aladdin["energy_pj"] == pytest.approx(24.35215 + 7.928188, rel=1e-9)
    assert aladdin["area_um2"] == pytest.approx(4905.719 + 2063.594, rel=1e-9)
    assert tables("dram", memory="LPDDR4", scope="device", width=64) == {"read": 256.0, "write": 256.0}
    wire = {"technology": 40, "design": "full swing repeated", "per": "transition"}
    assert tables("wire", **wire, length=2, width=32)["energy_pj"] == pytest.approx(0.24 * 64)


def test_register_files_are_those_of_the_table() -> None:
    with (DATA / "regfile_derived.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found = tables(
                "regfile", entries=int(row["entries"]), width=int(row["width_bits"]), technology=40
            )
            assert found["read"] == found["write"] == pytest.approx(float(row["energy_pj"]), abs=1e-5)
            assert found["leakage_mw"] == pytest.approx(float(row["leakage_mw"]), rel=5e-6, abs=1e-6)
            assert found["area_um2"] == pytest.approx(float(row["area_um2"]), rel=5e-6, abs=0.1)


def test_converters_are_those_of_the_package() -> None:
    with (DATA / "adc_model.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            bits, node, rate = (float(row[key]) for key in ("enob_bits", "technology_nm", "samples_per_s"))
            energy, area = adc_energy(bits, node, rate)
            assert energy == pytest.approx(float(row["energy_pj_per_convert"]), rel=2e-4)
            assert area == pytest.approx(float(row["area_um2"]), rel=1e-4)
    found = tables("adc", resolution=8, technology=32, sample_rate=1.0)
    assert found == {
        "energy_pj": pytest.approx(1.71371, rel=1e-4),
        "area_um2": pytest.approx(5971.6, rel=1e-4),
    }


@pytest.mark.parametrize(
    ("kind", "asked", "key", "message", "hint"),
    [
        ("regfile", {"entries": 513, "width": 8, "technology": 40}, "capacity", "513 entries", "1 to 512"),
        ("regfile", {"entries": None, "width": 8, "technology": 40}, "capacity", "without a limit", "512"),
        ("regfile", {"entries": 8, "width": 128, "technology": 40}, "width", "128 bits", "1 to 64 bits"),
        ("regfile", {"entries": 8, "width": 8, "technology": 45}, "technology", "45 nm", "technology: 40 nm"),
        ("dram", {"memory": "LPDDR9", "width": 64}, "memory", "no row for memory LPDDR9", "LPDDR4"),
        ("dram", {"memory": "LPDDR4", "width": 64}, "scope", "2 rows", "as used by Accelergy, device"),
        ("mac", {"type": "int", "width": 8, "technology": 33}, "technology", "33 nm", "7 nm, 16 nm, 28 nm"),
        ("mac", {"type": "fp", "width": 16, "technology": 45}, "family", "3 rows", "horowitz, dally"),
        ("adder", {"type": "fp", "width": 32, "technology": 40}, "latency", "'latency' tells", "1 ns, 2 ns"),
        (
            "adc",
            {"resolution": 3, "technology": 32, "sample_rate": 1},
            "resolution",
            "3 bits",
            "4 bits to 14",
        ),
        ("adc", {"resolution": 8, "technology": 32, "sample_rate": 9}, "sample_rate", "9 GHz", "to 2 GHz"),
        ("adc", {"resolution": 8, "technology": 32}, "sample_rate", "needs 'sample_rate'", "name a 'design'"),
        ("dac", {"design": "x"}, "design", "no row for design x", "DAC 1 bit (ISAAC)"),
        ("wire", {"length": 1, "width": 8, "technology": 11}, "technology", "11 nm", "5 nm, 10 nm"),
    ],
)
def test_what_is_in_no_table(kind: str, asked: dict[str, Any], key: str, message: str, hint: str) -> None:
    with pytest.raises(EstimateError) as caught:
        tables(kind, **asked)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
    assert caught.value.key == key


class Package:
    """A stand-in for hwcomponents: in joules, square metres and watts."""

    __version__ = "0.0"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def get_action_cost(self, name: str, given: dict[str, Any], action: str, arguments: Any) -> Any:
        """Return an energy in joules."""
        self.asked.append((name, given, action, arguments))
        if name == "nothing":
            raise ValueError("no model\nfor it")
        return SimpleNamespace(energy={"read": 2e-12, "write": 3e-12, "compute": 0.5e-12}[action])

    def get_area(self, _: str, __: dict[str, Any]) -> float:
        """Return square metres."""
        return 4e-10

    def get_leak_power(self, _: str, __: dict[str, Any]) -> float:
        """Return watts."""
        return 5e-6


def test_a_package_answers_in_our_units(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package()
    monkeypatch.setitem(sys.modules, "hwcomponents", package)  # type: ignore[arg-type]
    asked = {"capacity": 1024, "width": 64, "technology": 45, "attributes": {"n_banks": 2}}
    found = ESTIMATORS["hwcomponents"].estimate("SRAM", LEVEL_ACTIONS, asked).figures
    assert {key: one.value for key, one in found.items()} == pytest.approx(
        {"read": 2.0, "write": 3.0, "area_um2": 400.0, "leakage_mw": 0.005}
    )
    assert found["read"].origin == "estimate by others; hwcomponents 0.0"
    name, given, action, arguments = package.asked[0]
    assert (name, action, arguments) == ("SRAM", "read", {})
    assert given == {"n_banks": 2, "tech_node": pytest.approx(45e-9), "width": 64, "size": 8192}
    unit = ESTIMATORS["hwcomponents"].estimate("IntMAC", UNIT_ACTIONS, {}).figures
    assert unit["energy_pj"].value == pytest.approx(0.5)
    with pytest.raises(EstimateError, match="no figures for the class 'nothing': no model"):
        ESTIMATORS["hwcomponents"].estimate("nothing", UNIT_ACTIONS, {})


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hwcomponents", None)
    with pytest.raises(EstimateError, match="which is not installed") as caught:
        ESTIMATORS["hwcomponents"].estimate("SRAM", LEVEL_ACTIONS, {})
    assert "Python 3.12 or newer" in str(caught.value.hint)
    assert caught.value.key == "estimator"
