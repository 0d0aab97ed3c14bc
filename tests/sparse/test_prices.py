"""Prices of accesses that are gated or skipped and of metadata, and metadata in a store of their own."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.report.terminal.resolved import format_resolved
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.architecture_written import write_architecture

pytestmark = pytest.mark.quick
PROBLEM = load_problem(
    {"problem": {"name": "fc", "shape": "fully_connected", "dimensions": {"C": 16, "K": 8, "N": 4}}}
)
NEST = {
    "name": "nest",
    "levels": [{"level": "DRAM"}, {"level": "Buffer", "temporal": "C=16 K=8 N=4"}],
}


def machine(energy: dict[str, Any], **level: Any) -> Architecture:
    base = {"word_bits": 32, "energy_pj": {"read": 1, "write": 2}}
    buffer = {"name": "Buffer", "word_bits": 32, "energy_pj": energy, **level}
    levels = [{"name": "DRAM", **base}, buffer]
    return load_architecture({"architecture": {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}})


def run(architecture: Architecture, **design: Any) -> Any:
    density = {"Weights": {"model": "fixed", "density": 0.25}}
    sparsity = load_sparsity({"sparsity": {"name": "d", "densities": density} | design})
    mapping = load_mapping({"mapping": NEST}, architecture, PROBLEM)
    return evaluate(architecture, PROBLEM, mapping, sparsity=sparsity)


PRICES = {"read": 1, "write": 2, "gated": {"read": 0.5, "write": 0.25, "update": 0.125}, "skipped": 0.0625}


@pytest.mark.parametrize(("kind", "price"), [("gate", 0.5), ("skip", 0.0625)])
def test_saved_reads_cost_their_price(kind: str, price: float) -> None:
    actions = [{"level": "Buffer", kind: "Inputs", "on": ["Weights"]}]
    priced, free = (run(machine(one), actions=actions) for one in (PRICES, {"read": 1, "write": 2}))
    saved = 16 * 8 * 4 * 0.75
    assert priced.energy_pj - free.energy_pj == pytest.approx(saved * price)
    counts = priced.tensor("Buffer", "Inputs").sparse
    assert sum(counts.gated_energy_pj) + sum(counts.skipped_energy_pj) == pytest.approx(saved * price)


def test_saved_updates_cost_their_own() -> None:
    actions = [{"level": "Buffer", "gate": "Outputs", "on": ["Weights"]}]
    counts = run(machine(PRICES), actions=actions).tensor("Buffer", "Outputs").sparse
    updates, reads = 16 * 8 * 4 * 0.75, (16 - 1) * 8 * 4 * 0.75
    assert counts.gated_energy_pj == pytest.approx((reads * 0.5, 0, updates * 0.125), rel=0.02)


def test_metadata_have_prices_and_words_of_their_own() -> None:
    formats = {"Weights": {"Buffer": "bitmask"}}
    shared = run(machine({"read": 1, "write": 2}), formats=formats).tensor("Buffer", "Weights").sparse
    assert shared.metadata[0] == 16 * 8 * 4 / 32
    assert shared.stored_words == 32 + 4
    own = machine(
        {"read": 1, "write": 2, "metadata": {"read": 0.25, "write": 0.5}},
        metadata={"word_bits": 8, "words_per_access": 2, "capacity_words": 16},
    )
    counts = run(own, formats=formats).tensor("Buffer", "Weights").sparse
    assert counts.metadata[:2] == (16 * 8 * 4 / 8, 16 * 8 / 8)
    assert counts.metadata_energy_pj[:2] == (16 * 8 * 4 / 16 * 0.25, 16 * 8 / 16 * 0.5)
    assert counts.stored_words == 32
    again = load_architecture({"architecture": write_architecture(own.model_dump(mode="json"))})
    assert again == own
    assert "metadata" in format_resolved(own)


def test_metadata_of_gated_accesses_have_their_price() -> None:
    formats, actions = (
        {"Weights": {"Buffer": "bitmask"}},
        [{"level": "Buffer", "gate": "Weights", "on": ["Inputs"]}],
    )
    zeros = {name: {"model": "fixed", "density": 0.25} for name in ("Weights", "Inputs")}
    energy = {"read": 1, "write": 2}
    own = {**energy, "metadata": {"read": 1, "write": 2, "update": 2, "gated": 0.125}}
    plain, priced = (
        run(machine(one), formats=formats, actions=actions, densities=zeros)
        .tensor("Buffer", "Weights")
        .sparse
        for one in (energy, own)
    )
    words = 16 * 8 * 4 / 32
    assert plain.metadata[0] == priced.metadata[0] == words
    assert plain.metadata_energy_pj[0] == words
    assert priced.metadata_energy_pj[0] == words * (0.25 + 0.75 * 0.125)


def test_metadata_of_skipped_accesses_have_their_price() -> None:
    formats, actions = (
        {"Weights": {"Buffer": "bitmask"}},
        [{"level": "Buffer", "skip": "Weights", "on": ["Inputs"]}],
    )
    zeros = {name: {"model": "fixed", "density": 0.25} for name in ("Weights", "Inputs")}
    own = {"read": 1, "write": 2, "metadata": {"read": 1, "write": 2, "update": 2, "skipped": 0.125}}
    architecture = machine(own)
    counts = run(architecture, formats=formats, actions=actions, densities=zeros).sparse("Buffer", "Weights")
    words = 16 * 8 * 4 / 32
    assert (counts.metadata[0], counts.skipped_metadata[0]) == (0.25 * words, 0.75 * words)
    assert counts.metadata_energy_pj[0] == words * (0.25 + 0.75 * 0.125)
    written = write_architecture(architecture.model_dump(mode="json"))
    assert load_architecture({"architecture": written}) == architecture


def test_a_store_of_metadata_may_be_too_small() -> None:
    formats = {"Weights": {"Buffer": "coordinate"}}
    energy = {"read": 1, "write": 2}
    for size, least in (("average", 32 * 7 // 8), ("maximum", 32 * 7 // 8), ("dense", 128 * 7 // 8)):
        capacity = {"size": size} if size != "dense" else {}
        fits = machine(energy, metadata={"word_bits": 8, "capacity_words": least})
        run(fits, formats=formats, capacity=capacity)
        small = machine(energy, metadata={"word_bits": 8, "capacity_words": least - 1})
        with pytest.raises(SpecError, match=f"metadata at level 'Buffer' take {least} words"):
            run(small, formats=formats, capacity=capacity)


def test_ports_of_data_carry_no_metadata_of_another_store() -> None:
    formats = {"Weights": {"Buffer": "bitmask"}}
    energy = {"read": 1, "write": 2}
    shared = run(machine(energy, read_bandwidth=1), formats=formats)
    store = machine(energy, read_bandwidth=1, metadata={"word_bits": 8})
    own = run(store, formats=formats)
    assert shared.level("Buffer").cycles - own.level("Buffer").cycles == 16 * 8 * 4 / 32
    together = run(store, formats=formats, rules={"metadata_ports": "shared"})
    assert together.level("Buffer").cycles == shared.level("Buffer").cycles
    with pytest.raises(SpecError, match="in a store of their own: none share ports"):
        run(machine(energy, read_bandwidth=1), formats=formats, rules={"metadata_ports": "shared"})


def test_prices_per_bit_are_those_of_all_bits_of_an_access() -> None:
    per_bit = {
        "read": 0.5,
        "write": "0.25 * 2",
        "idle": 3,
        "gated": 0.125,
        "metadata": {"read": 1, "write": 2},
    }
    level = {"name": "B", "word_bits": 16, "words_per_access": 4, "energy_pj_per_bit": per_bit}
    content = {"name": "m", "levels": [level], "compute": {"energy_pj": 1}}
    plain = load_architecture({"architecture": content}).levels[0].energy
    assert plain.by_action == (32, 32, 32)
    assert (plain.gated.read, plain.idle) == (8, 3)
    assert plain.metadata is not None
    assert plain.metadata.by_action == (64, 128, 128)
    level["metadata"] = {"word_bits": 8}
    own = load_architecture({"architecture": content}).levels[0].energy.metadata
    assert own is not None
    assert own.by_action == (8, 16, 16)
    for wrong, message in (
        ({"energy_pj": {"read": 1, "write": 1}}, "both given"),
        ({"energy_pj_per_bit": 3}, "must be"),
    ):
        with pytest.raises(SpecError, match=message):
            load_architecture({"architecture": {**content, "levels": [{**level, **wrong}]}})
    with pytest.raises(SpecError, match="unknown key 'reed'"):
        load_architecture(
            {"architecture": {**content, "levels": [{**level, "energy_pj_per_bit": {"reed": 1}}]}}
        )
