"""Figures by the class of a part: what wins, what is refused and where, and that nothing else changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.report.terminal.resolved import format_resolved
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.architecture import Architecture, ComputeLevel, StorageLevel
from procrustes_model.spec.load import load_architecture

MACHINE = """\
architecture:
  name: small
  clock: 1 GHz
  technology: 45 nm
  device: lstp
  levels:
    - {name: DRAM, class: dram, memory: LPDDR4, scope: device, word_bits: 16, width: 64 bits}
    - name: Buffer
      class: sram
      capacity: 128 KB
      word_bits: 16
      width: 64 bits
    - name: RegFile
      class: regfile
      technology: 40 nm
      mesh_x: 4
      capacity: 64 words
      word_bits: 16
  compute: {class: mac, type: int, width: 8 bits, accumulator: 32 bits, family: horowitz}
  components:
    - name: Converter
      class: adc
      technology: 32 nm
      resolution: 8 bits
      sample_rate: 1 GHz
      instances: 2
      use: {level: Buffer, action: read}
"""
"""A machine all of whose figures come from tables."""


def changed(*changes: tuple[str, str]) -> str:
    text = MACHINE
    for right, wrong in changes:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    return text


def test_all_figures_come_from_tables(write: Callable[[str | bytes], Path]) -> None:
    machine = load_architecture(write(MACHINE))
    dram, buffer, registers = machine.levels
    assert (dram.words_per_access, dram.energy.by_action) == (4, (256.0, 256.0, 256.0))
    assert buffer.energy.by_action == (32.2859, 26.065, 26.065)
    assert (buffer.leakage_mw, buffer.area_um2, buffer.access_ns) == (0.00334055, 429589.0, 2.1132)
    assert registers.energy.read == pytest.approx(16 * 0.009 + 64 * 6 / 32 * 0.02947, rel=1e-5)
    assert machine.compute.energy_pj == 0.3
    (converter,) = machine.components
    assert converter.energy_pj == pytest.approx(1.71371, rel=1e-4)
    assert machine.clock_ghz == 1.0
    assert machine.leakage_mw == {"Buffer": 0.00334055, "RegFile": pytest.approx(4 * 64 * 16 * 7.395e-5)}
    for part in (*machine.levels, machine.compute, converter):
        assert part.origins
        assert part.leakage_mw is None or "leakage_mw" in part.origins


def test_what_is_written_by_hand_wins(write: Callable[[str | bytes], Path]) -> None:
    by_hand = (
        "capacity: 128 KB\n      energy_pj: {write: 0.5 nJ}\n      leakage_mw: 20 uW\n      area_um2: 1 mm2"
    )
    machine = load_architecture(write(changed(("capacity: 128 KB", by_hand))))
    buffer = machine.levels[1]
    assert buffer.energy.by_action == (32.2859, 500.0, 500.0)
    assert (buffer.leakage_mw, buffer.area_um2) == (0.02, 1e6)
    assert buffer.origins is not None
    assert sorted(buffer.origins) == ["access_ns", "read"]


def test_figures_that_are_all_by_hand_ask_no_table(write: Callable[[str | bytes], Path]) -> None:
    by_hand = "capacity: 100 B\n      energy_pj: {read: 1, write: 1}\n      leakage_mw: 0\n      area_um2: 3"
    machine = load_architecture(write(changed(("capacity: 128 KB", f"{by_hand}\n      access_ns: 1"))))
    assert machine.levels[1].origins is None


ASKING = {
    "crossbar_64x64",
    "dstc_like",
    "eyeriss_v2",
    "eyeriss_v2_pe",
    "gamma_pe",
    "ipu_like",
    "nvdla_like",
    "outerspace_like",
    "simba_like",
    "tensor_core_like",
    "tpu_like",
}
"""Machines that ship and take energies from tables."""


@pytest.mark.parametrize("name", sorted(set(list_shipped("architecture")) - ASKING))
def test_machines_that_ask_no_table_stay_as_they_are(name: str) -> None:
    machine = load_architecture(name)
    new = ("leakage_mw", "access_ns", "origins", "clock_ghz")
    for part in (machine, *machine.levels, machine.compute, *machine.components):
        dump = part.model_dump()
        assert [key for key in new if dump.get(key) is not None] == []
    assert machine.leakage_mw == {}
    assert machine.as_priced == machine


@pytest.mark.parametrize("name", list_shipped("architecture"))
def test_resolved_machines_read_back_equal(name: str, write: Callable[[str | bytes], Path]) -> None:
    machine = load_architecture(name)
    assert load_architecture(write(format_resolved(machine))) == machine


def test_a_machine_from_tables_reads_back_equal(write: Callable[[str | bytes], Path]) -> None:
    machine = load_architecture(write(MACHINE))
    text = format_resolved(machine)
    again = load_architecture(write(text))
    assert again == machine
    assert format_resolved(again).replace("by hand", "x") == text.replace("default", "by hand").replace(
        "as write", "by hand"
    ).replace("by hand", "x")
    assert "read: 32.2859  # from a table: see origins" in text
    assert 'read: "sram table, lstp, 45 nm, 131072 B x 64 bits: a row; read; CACTI 7, 300 K"' in text
    assert "update: 26.065  # as write" in text
    assert "mesh_x: 4  # by hand" in text
    assert "mesh_y: 1  # default" in text
    assert Architecture(**json.loads(machine.model_dump_json())) == machine


# replace this, by that; line, column, message, hint
CASES = [
    (
        "technology: 45 nm\n  device",
        "technology: 45\n  device",
        4,
        15,
        "'technology' must be a number and a unit",
        "45 nm",
    ),
    (
        "technology: 45 nm\n  device",
        "technology: 45 pJ\n  device",
        4,
        15,
        "'45 pJ' has the unit pJ",
        "nm or um",
    ),
    ("technology: 45 nm\n  device", "technology: 0 nm\n  device", 4, 15, "must be more than 0", None),
    ("  device: lstp\n", "", 7, 7, "missing key 'device' for the figures of class sram", "device: lstp"),
    ("device: lstp", "device: low", 5, 11, "no device 'low'", "device: hp"),
    ("  clock: 1 GHz\n", "", 1, 1, "Buffer leaks 0.00334055 mW, and without a clock", "clock: 1 GHz"),
    ("clock: 1 GHz", "clock: 1", 3, 10, "'clock' must be a number and a unit, is 1", "such as '1 GHz'"),
    ("clock: 1 GHz", "clock: 1 ns", 3, 10, "'clock' is a frequency", "Hz, kHz, MHz or GHz"),
    ("clock: 1 GHz", "clock: 0 GHz", 3, 10, "'clock' must be more than 0", None),
    ("capacity: 128 KB", "capacity: 32 MB", 10, 17, "33,554,432 bytes is outside", "64 B to 16 MB"),
    ("capacity: 128 KB", "capacity_words: 8", 10, 23, "16 bytes is outside", "64 B to 16 MB"),
    ("      width: 64 bits\n", "      width: 60 bits\n", 12, 14, "3.75 words of 16 bits", "whole number"),
    ("      width: 64 bits\n", "      width: 64\n", 12, 14, "'width' must be a number and a unit", "64 bits"),
    (
        "      width: 64 bits\n",
        "      width: 64 bits\n      words_per_access: 2\n",
        12,
        14,
        "'width' is 4 words, 'words_per_access' says otherwise",
        "keep one",
    ),
    (
        "      width: 64 bits\n",
        "      width: 64 bits\n      memory: HBM2\n",
        13,
        7,
        "class sram takes no 'memory'",
        "its keys are technology, device, width",
    ),
    ("technology: 40 nm", "technology: 40 um", 15, 19, "40000 nm is outside the regfile table", "40 nm"),
    ("class: regfile", "class: latches", 14, 14, "no table knows the class 'latches' here", "regfile"),
    # Of a level that states no keys of tables, too: those of the machine are meant for it.
    (
        "class: sram",
        "class: srm",
        9,
        14,
        "no table knows the class 'srm' here",
        "did you mean 'sram'? there are",
    ),
    ("class: sram", "class: srm", 9, 14, "no table knows the class 'srm' here", "dram; or give 'energy_pj'"),
    (
        "capacity: 128 KB",
        "capacity: 100.3 KB",
        10,
        17,
        "the capacity 100.3 KB is 51353.6 words of 16 bits",
        "a whole number",
    ),
    ("capacity: 128 KB", "capacity: 128 KB +", 10, 17, "'capacity' must be a number and a unit", "128 KB"),
    ("class: mac, ", "", 19, 3, "missing key 'class'", "class: mac"),
    ("class: mac", "class: sram", 19, 20, "no table knows the class 'sram' here", "mac, adder"),
    ("type: int", "type: 3", 19, 31, "'type' must be text, is 3", "type: int"),
    ("type: int", "type: nit", 19, 31, "no row for type nit", "int, fp, bf16"),
    (", accumulator: 32 bits", "", 19, 3, "'accumulator' tells them apart", "8 bits, 32 bits"),
    (
        "class: adc",
        "class: adc\n      estimator: me",
        23,
        18,
        "unknown estimator 'me'",
        "tables, hwcomponents",
    ),
    ("resolution: 8 bits", "resolution: 80 bits", 24, 19, "80 bits is outside", "from 4 bits to 14 bits"),
    (
        "name: small",
        "name: small\n  mixed_families: 3",
        3,
        19,
        "'mixed_families' must be true or false",
        None,
    ),
    ("capacity: 128 KB", "capacity: 128 KB\n      gated: true", 11, 7, "unknown key 'gated'", None),
    (
        "capacity: 128 KB",
        "capacity: 128 KB\n      area_um2: 3 pJ",
        11,
        17,
        "'area_um2' is an area",
        "um2 or mm2",
    ),
    (
        "capacity: 128 KB",
        "capacity: 128 KB\n      origins: {read: 3}",
        11,
        23,
        "'read' must be text",
        None,
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line", "column", "message", "hint"), CASES)
def test_mistakes(
    right: str,
    wrong: str,
    line: int,
    column: int,
    message: str,
    hint: str | None,
    write: Callable[[str | bytes], Path],
) -> None:
    with pytest.raises(SpecError) as caught:
        load_architecture(write(changed((right, wrong))))
    (issue,) = caught.value.issues
    assert message in issue.message
    assert (issue.line, issue.column) == (line, column)
    assert hint is None or hint in str(issue.hint)


def test_a_class_without_figures_says_what_gives_them(write: Callable[[str | bytes], Path]) -> None:
    text = changed(("  technology: 45 nm\n  device: lstp\n", ""))
    with pytest.raises(SpecError) as caught:
        load_architecture(write(text))
    found = [(one.line, one.column, one.message, one.hint) for one in caught.value.issues]
    keys = "the keys technology, device, width"
    assert found == [
        (6, 7, "missing key 'energy_pj'", f"give it, or for the figures of class sram {keys}"),
        (17, 3, "missing key 'technology' for the figures of class mac", "such as technology: 45 nm"),
    ]


MIXED = """\
    - {name: Adder, class: adder, type: int, width: 32 bits, technology: 40 nm, latency: 1 ns}
"""


def test_families_are_not_mixed_silently(write: Callable[[str | bytes], Path]) -> None:
    used = MIXED.replace("}", ", use: {level: Buffer, action: fill}}")
    with pytest.raises(SpecError, match="figures of the families horowitz and aladdin") as caught:
        load_architecture(write(MACHINE + used))
    (issue,) = caught.value.issues
    assert (issue.line, issue.column) == (28, 28)
    assert "mixed_families: true" in str(issue.hint)
    allowed = (MACHINE + used).replace("  clock:", "  mixed_families: true\n  clock:")
    adder = load_architecture(write(allowed)).components[1]
    assert (adder.energy_pj, adder.leakage_mw) == (0.2104162, 0.002249908)


def test_leakage_and_a_clock_go_together() -> None:
    compute = ComputeLevel(energy_pj=1)
    level = StorageLevel(name="DRAM", word_bits=8, energy={"read": 1, "write": 1}, leakage_mw=2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="DRAM leaks, and without a clock that is no energy"):
        Architecture(name="x", levels=(level,), compute=compute)
    machine = Architecture(name="x", levels=(level,), compute=compute, clock_ghz=0.5)
    assert machine.power_pj_per_cycle == 4.0
    assert machine.at_clock(2.0).power_pj_per_cycle == 1.0


@pytest.mark.parametrize("name", ["leakage", "balancing"])
def test_names_that_results_need(name: str, architecture_data: dict[str, Any]) -> None:
    architecture_data["architecture"]["levels"][1]["name"] = name
    with pytest.raises(SpecError, match=f"the name '{name}' is that of"):
        load_architecture(architecture_data)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2", 2),
        ("0.5 pJ", 0.5),
        ("1.5 nJ", 1500),
        ("n * 2 fJ", 0.008),
        ("n", 4),
        ("J", 7),
        ("2 * J", 14),
        ("2 * J pJ", 14),
    ],
)
def test_an_energy_may_have_a_unit(written: str, value: float, architecture_data: dict[str, Any]) -> None:
    content = architecture_data["architecture"]
    content["attributes"] = {"n": 4, "J": 7}
    content["compute"]["energy_pj"] = written
    assert load_architecture(architecture_data).compute.energy_pj == pytest.approx(value, rel=1e-15)


class Package:
    """A stand-in for hwcomponents that remembers what it was told."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def get_action_cost(self, _: str, given: dict[str, Any], __: str, ___: Any) -> SimpleNamespace:
        """Return an energy in joules."""
        self.given.append(given)
        return SimpleNamespace(energy=5e-13)

    def get_area(self, _: str, __: dict[str, Any]) -> float:
        """Return square metres."""
        return 1e-10

    get_leak_power = get_area


def test_the_package_is_told_the_node_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[str | bytes], Path]
) -> None:
    monkeypatch.setitem(sys.modules, "hwcomponents", package := Package())  # type: ignore[arg-type]
    text = MACHINE.replace("family: horowitz", "estimator: hwcomponents").replace(
        ", accumulator: 32 bits", ""
    )
    compute = load_architecture(write(text)).compute
    assert (compute.energy_pj, compute.area_um2) == (pytest.approx(0.5), pytest.approx(100.0))
    assert compute.leakage_mw == pytest.approx(1e-7)
    assert package.given == [{"tech_node": pytest.approx(45e-9), "width": 8}]


def test_the_package_that_estimates_is_asked(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[str | bytes], Path]
) -> None:
    text = changed(
        ("class: mac, type: int, width: 8 bits", "class: IntMAC, estimator: hwcomponents, width: 8 bits")
    )
    text = text.replace(", accumulator: 32 bits, family: horowitz", "")
    monkeypatch.setitem(sys.modules, "hwcomponents", None)
    with pytest.raises(SpecError, match="which is not installed") as caught:
        load_architecture(write(text))
    (issue,) = caught.value.issues
    assert (issue.line, issue.column) == (19, 39)


@pytest.mark.parametrize(
    ("component", "refused"),
    [
        ("{name: Sum, class: addr, use: {level: Buffer, action: read}}", True),
        ("{name: Sum, class: addr, technology: 40 nm, use: {level: Buffer, action: read}}", True),
        ("{name: Turn, class: arbiter, use: {level: Buffer, action: read}, per_cycle: 1}", False),
        ("{name: Turn, class: arbiter, leakage_mw: 1}", False),
    ],
)
def test_a_component_that_would_cost_nothing(
    component: str, refused: bool, write: Callable[[str | bytes], Path]
) -> None:
    """A class that no table knows gives no figures; none are needed where others are written by hand."""
    path = write(MACHINE + f"    - {component}\n")
    if not refused:
        assert load_architecture(path).components[-1].energy_pj == 0
        return
    with pytest.raises(SpecError, match="no table knows the class 'addr' here; did you mean 'adder'"):
        load_architecture(path)
