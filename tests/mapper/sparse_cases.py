"""Random sparse designs for the random small problems and architectures of `cases`."""

from __future__ import annotations

import random
from typing import Any

from procrustes_model import Architecture, Problem
from procrustes_model.formats import FORMATS
from procrustes_model.mapper.constraints import Constraints
from procrustes_model.policies import POLICIES


def _format(rng: random.Random, dimensions: list[str]) -> Any:
    kind = rng.choice([*(name for name in FORMATS if name != "none"), "bitmask", "csb"])
    if kind in ("bitmask", "csb"):
        partial = rng.choice(["in_proportion", "whole", "dropped"])
        block = rng.choice([2, 4, "tile", "half_tile", rng.sample(dimensions, k=min(2, len(dimensions)))])
        pointer = {"pointer_bits": rng.choice([0, 4, 20])} if kind == "csb" else {}
        return {"kind": kind, "block": block, "partial_blocks": partial, **pointer}
    return {"kind": kind}


def _density(rng: random.Random, dimensions: list[str]) -> Any:
    choice = rng.random()
    if choice < 0.7:
        return rng.choice([0.05, 0.1, 0.3, 0.5, 0.9])
    if choice < 0.85:
        return {"model": "fixed", "density": rng.choice([0.1, 0.25, 0.5])}
    group = rng.choice([2, 4])
    nonzeros = rng.randint(1, group - 1)
    return {"model": "structured", "nonzeros": nonzeros, "group": group, "along": rng.choice(dimensions)}


def make_design(rng: random.Random, problem: dict[str, Any], levels: list[str]) -> dict[str, Any]:
    """Return a sparse design whose parts are chosen at random."""
    tensors: dict[str, Any] = problem["problem"]["shape"]["tensors"]
    own = {
        name: [d for d in problem["problem"]["dimensions"] if any(d in rank for rank in tensor["projection"])]
        for name, tensor in tensors.items()
    }
    operands = [name for name, tensor in tensors.items() if not tensor.get("output")]
    output = next(name for name, tensor in tensors.items() if tensor.get("output"))
    sparse = rng.sample(operands, k=rng.choice([1, 1, 2]))
    design: dict[str, Any] = {
        "name": "case",
        "densities": {name: _density(rng, own[name]) for name in sparse},
        "formats": {},
    }
    if rng.random() < 0.2:
        design["densities"][output] = rng.choice([0.1, 0.5])
        design["formats"][output] = {levels[0]: _format(rng, own[output])}
    for name in sparse:
        if rng.random() < 0.8:
            chosen = levels if rng.random() < 0.6 else rng.sample(levels, k=1)
            design["formats"][name] = {level: _format(rng, own[name]) for level in chosen}
    actions: dict[tuple[str, str, str], dict[str, str]] = {}
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        leader = rng.choice(sparse)
        target = rng.choice([name for name in tensors if name != leader])
        level, kind = rng.choice(levels), rng.choice(["skip", "gate"])
        # Accesses are saved on one and the same tensor once.
        actions.setdefault((level, target, leader), {"level": level, kind: target, "on": leader})
    design["actions"] = list(actions.values())
    if rng.random() < 0.7:
        design["compute"] = {rng.choice(["skip", "skip", "gate"]): rng.choice(sparse)}
    if rng.random() < 0.7:
        balanced = rng.choice(sparse)
        if rng.random() < 0.7:
            design["compute"] = {"skip": balanced}
        design["balancing"] = {
            "policy": rng.choice(list(POLICIES)),
            "tensor": balanced,
            "array": rng.choice(levels[1:]),
        }
        if rng.random() < 0.5:
            design["balancing"] |= {"pointer_level": levels[0], "pointer_reads": 2}
    if rng.random() < 0.4:
        design["capacity"] = {"size": rng.choice(["average", "quantile", "maximum"])}
    if rng.random() < 0.2:
        design["rules"] = {
            "output_fills": rng.choice(["after_first", "all"]),
            "rounding": rng.choice(["exact", "whole_words"]),
            "access_energy": rng.choice(["by_action", "largest"]),
            "stored_zeros": rng.choice(["stored", "metadata_only"]),
        }
        kinds = [one["kind"] for levels in design["formats"].values() for one in levels.values()]
        if not {"run_length", "delta"}.intersection(kinds):
            del design["rules"]["stored_zeros"]  # would have no effect
    return {"sparsity": design}


def add_prices(rng: random.Random, architecture: dict[str, Any]) -> None:
    """Give a machine prices of what a design saves and of metadata, stores of these, and units that wait."""
    content = architecture["architecture"]
    for level in content["levels"]:
        if rng.random() < 0.5:
            metadata = {"read": rng.choice([0.1, 3.0]), "write": 0.5}
            metadata |= {"gated": rng.choice([0.01, 5.0])} if rng.random() < 0.5 else {}
            level["energy_pj"] = {**level["energy_pj"], "metadata": metadata}
        if rng.random() < 0.5:
            level["energy_pj"] = {**level["energy_pj"], "gated": 0.2, "skipped": {"read": 0.05, "write": 0.1}}
        if rng.random() < 0.3:
            level["metadata"] = {"word_bits": rng.choice([1, 5]), "words_per_access": rng.choice([1, 3])}
            if rng.random() < 0.5:
                level["metadata"]["capacity_words"] = rng.choice([8, 40])
        if rng.random() < 0.2:
            level |= {"double_buffered": False, "write_bandwidth": 1.5}
    content["compute"] |= {"gated_energy_pj": 0.3, "skipped_energy_pj": rng.choice([0, 0.1])}
    content["compute"]["cycles_per_compute"] = rng.choice([1, 2.5])


def list_ranks(rng: random.Random, content: dict[str, Any]) -> None:
    """Put formats that list their ranks, chosen at random, in place of some of a design's formats."""
    design = content["sparsity"]
    for levels in design["formats"].values():
        for level in levels:
            if rng.random() < 0.8:
                outer = rng.choices(["U", "B", "UB", "CP", "UOP"], k=rng.choice([0, 1, 1, 2]))
                kinds = [*outer, rng.choice(["U", "B", "CP", "RLE"])]
                levels[level] = {"ranks": [{"kind": kind} for kind in kinds]}
    if not any(has_runs(one) for levels in design["formats"].values() for one in levels.values()):
        design.get("rules", {}).pop("stored_zeros", None)


def add_rules(rng: random.Random, content: dict[str, Any]) -> None:
    """Let a design be counted as Timeloop does, by some of its rules at least, and its ranks be loops."""
    design = content["sparsity"]
    if rng.random() < 0.6:
        for levels in design["formats"].values():
            for level in levels:
                kinds = rng.choices(["U", "B", "UB", "CP", "UOP", "RLE"], k=rng.choice([2, 3, 4]))
                begin = {"begin": "innermost"} if rng.random() < 0.4 else {}
                levels[level] = {"ranks": [{"kind": kind} for kind in kinds]} | begin
        design.setdefault("rules", {})["format_ranks"] = rng.choice(["loops", "loops_2022"])
    rules = design.setdefault("rules", {}) | {"rounding": "whole_words"}
    rules |= {"partial_sums": "compressed"} if rng.random() < 0.6 else {}
    rules |= {"empty_tiles": "unused"} if rng.random() < 0.6 else {}
    rules |= {"absent_operands": "absent"} if rng.random() < 0.6 else {}
    if design["actions"] and rng.random() < 0.5:
        rules["several_actions"] = "strongest"
    if not any(has_runs(one) for levels in design["formats"].values() for one in levels.values()):
        rules.pop("stored_zeros", None)
    design["rules"] = rules


def has_runs(form: dict[str, Any]) -> bool:
    """Return whether a format may store zeros that end a run."""
    if "ranks" in form:
        return any(rank["kind"] == "RLE" for rank in form["ranks"])
    return form["kind"] in ("run_length", "delta")


def leaves_out(form: dict[str, Any]) -> bool:
    """Return whether a format leaves zeros out."""
    return "ranks" not in form or any(rank["kind"] in ("B", "CP", "RLE") for rank in form["ranks"])


def drop_idle(content: dict[str, Any], machine: Architecture, problem: Problem, rules: Constraints) -> None:
    """Take out of a design what would have no effect on a machine, and so be refused."""
    design = content["sparsity"]
    bypassed = {(level.level, tensor) for level in rules.levels for tensor in level.bypass}
    able = {(one.name, t.name) for one in machine.levels for t in problem.tensors if one.may_keep(t.name)}
    design["actions"] = [
        action
        for action in design["actions"]
        for target in [action.get("skip") or action.get("gate")]
        if (action["level"], target) in able - bypassed
    ]
    design["formats"] = {
        tensor: kept
        for tensor, by_level in design["formats"].items()
        if (kept := {level: one for level, one in by_level.items() if (level, tensor) in able})
    }
    kept_formats = [one for by_level in design["formats"].values() for one in by_level.values()]
    lacking = [] if any(has_runs(one) for one in kept_formats) else ["stored_zeros"]
    lacking += [] if kept_formats else ["partial_sums", "empty_tiles", "absent_operands"]
    lacking += [] if any("ranks" in one for one in kept_formats) else ["format_ranks"]
    lacking += [] if design["actions"] else ["several_actions"]
    for rule in lacking:
        design.get("rules", {}).pop(rule, None)
    skipped = design.get("compute", {}).get("skip")
    formats = design["formats"].get(skipped, {})
    if skipped and not any((level, skipped) in able for level in formats if leaves_out(formats[level])):
        del design["compute"]
