"""Machines with what there is beside plain storage, drawn at random."""

from __future__ import annotations

import random
from typing import Any

TOPOLOGIES = ("link", "bus", "mesh", "tree", "crossbar")


def furnish(rng: random.Random, machine: dict[str, Any], tensors: list[str], output: str) -> None:
    """Add networks, widths, shared ports, rates, gated leakage and passing words to a machine's content."""
    content = machine["architecture"]
    levels = content["levels"]
    content["clock"] = f"{rng.choice([200, 1000])} MHz"
    if rng.random() < 0.5:
        content["bits"] = {name: rng.choice([1, 4, 8, 16]) for name in tensors if rng.random() < 0.6}
    if rng.random() < 0.5:
        content["sum_bits"] = rng.choice([16, 24, 48])
    instances = 1
    for index, level in enumerate(levels):
        instances *= level.get("mesh_x", 1) * level.get("mesh_y", 1)
        if rng.random() < 0.6:
            level["network"] = make_network(rng)
        if instances > 1 and rng.random() < 0.3:
            level["cluster_size"] = rng.choice([n for n in range(2, instances + 1) if instances % n == 0])
        if rng.random() < 0.3:
            level |= {"leakage_mw": rng.choice([0.5, 20]), "leakage_gated": rng.random() < 0.7}
        if index and rng.random() < 0.2:
            level["through"] = [rng.choice([name for name in tensors if name != output])]
    for level in levels:
        if rng.random() < 0.3:
            level["energy_pj"] = {**level["energy_pj"], "idle": rng.choice([0.01, 2.0])}
        if rng.random() < 0.2:
            level |= {"double_buffered": False, "write_bandwidth": rng.choice([0.5, 2])}
        elif "capacity_words" in level and rng.random() < 0.5:
            level |= {"double_buffered": True, "capacity_words": 2 * level["capacity_words"] + 1}
    compute(rng, content["compute"], len(tensors) == 3, instances > 1)
    components = []
    for number in range(rng.choice([0, 0, 1, 2])):
        use: dict[str, Any] = {
            "level": rng.choice(levels)["name"],
            "action": rng.choice(["read", "fill", "update"]),
        }
        if rng.random() < 0.6:
            use["role"] = rng.choice(["read", "written"])
        component = {"name": f"U{number}", "instances": rng.choice([1, 3]), "energy_pj": rng.choice([0, 2.5])}
        if rng.random() < 0.6:
            component["per_cycle"] = rng.choice([0.5, 1, 8])
        components.append(component | {"use": use})
    content["components"] = components


def compute(rng: random.Random, unit: dict[str, Any], paired: bool, spread: bool) -> None:
    """Let energy and cycles of computations follow operands, and the array fill and drain."""
    if paired and rng.random() < 0.5:
        unit["energy_pj"] = rng.choice(["0.31 * w * x / 64", "w + x", {"forward": "x / 4"}])
    if rng.random() < 0.5:
        unit["cycles_per_compute"] = rng.choice([0.5, 3, *(["ceil(w / 4)", "w * x / 256"] if paired else [])])
    if spread and rng.random() < 0.4:
        unit["fill_drain_cycles"] = rng.choice([1, 10.5])


def make_network(rng: random.Random) -> dict[str, Any]:
    """Return a network that costs something."""
    network: dict[str, Any] = {"topology": rng.choice(TOPOLOGIES), "sums": rng.choice(["return", "stay"])}
    network["hop_pj_per_bit"] = rng.choice([0.02, 1.5])
    if rng.random() < 0.3:
        network["energy_pj_per_bit"] = rng.choice([0.1, 3])
    if rng.random() < 0.3:
        network |= {"wire_pj_per_bit_mm": 0.24, "hop_mm": 0.7}
    if rng.random() < 0.3:
        network["bits_per_cycle"] = rng.choice([4, 64, 0.5])
    return network


def settle(rng: random.Random, machine: dict[str, Any], tensors: list[str]) -> None:
    """Let some tensors begin and end further in."""
    levels = machine["architecture"]["levels"]
    for name in tensors:
        if rng.random() < 0.5:
            level = rng.choice(levels[1:])
            if name not in level.get("tensors", [name]):
                level["tensors"].append(name)
            level.setdefault("resident", []).append(name)
            level["loaded"] = rng.random() < 0.4


def add_beside(rng: random.Random, machine: dict[str, Any], tensors: list[str]) -> None:
    """Add wide sums, networks, bandwidths, components, or tensors that begin further in."""
    content, kind = machine["architecture"], rng.random()
    content["clock"] = "200 MHz"
    if kind < 0.6:
        content["bits"] = {name: rng.choice([4, 8, 16]) for name in tensors}
        content["sum_bits"] = rng.choice([16, 24, 32, 48])
    for level in content["levels"]:
        if kind > 0.4 and rng.random() < 0.7:
            level["network"] = make_network(rng)
        if "capacity_words" in level:
            level["capacity_words"] *= rng.choice([1, 2])
        if rng.random() < 0.3:
            port = rng.choice(["read", "write", "shared"])
            level[f"{port}_bandwidth"] = rng.choice([0.25, 0.5, 1, 2])
    if rng.random() < 0.3:
        use = {"level": rng.choice(content["levels"])["name"], "action": rng.choice(["read", "update"])}
        use["role"] = "written" if use["action"] == "update" else "read"
        content["components"] = [{"name": "U", "energy_pj": 1, "per_cycle": rng.choice([0.5, 1]), "use": use}]
    if rng.random() < 0.3:
        settle(rng, machine, tensors)
