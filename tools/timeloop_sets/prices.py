"""Prices that a set's table of energies lacks, from its output.

Where a table has no action that is known, or where the run had no table, that tool takes numbers of
estimators of its own, which no set holds. All accesses of a level then cost the same, so that one of them is
the energy of a tensor divided by its accesses; how many there are of each, and what all of them cost, is what
is compared.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import yaml

from procrustes_model.importers.timeloop.energies import last_name
from procrustes_model.importers.timeloop.words import COMPUTES, READS, WRITES

_ACTIONS = ("reads", "fills", "updates")


def complete_table(folder: Path, path: Path, target: Path, rules: str) -> list[str]:
    """Write a set's table of energies with the prices that it lacks.

    Parameters
    ----------
    folder : Path
        Of the set.
    path : Path
        Its output.
    target : Path
        What is written; nothing where the table has all.
    rules : str
        Under those of 2020, the dearest action of a table is the price of all.

    Returns
    -------
    list of str
        Levels and compute units whose price is the output's.
    """
    file = folder / "ERT.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {"ERT": {}}
    tables = content["ERT"].setdefault("tables", [])
    known = {last_name(table["name"]): table.setdefault("actions", []) for table in tables}
    found = []
    for level in json.loads(path.read_text(encoding="utf-8"))["levels"]:
        exact = level.get("exact") or {}
        actions = known.get(level["name"])
        computes = exact.get("kind") == "arithmetic"
        names = COMPUTES if computes else (*READS, *WRITES)
        if actions and (rules == "2020" or any(one["name"] in names for one in actions)):
            continue
        price = _of_compute(exact) if computes else _of_access(exact, level["specs"])
        if price is None:
            continue
        if actions is None:
            actions = []
            tables.append({"name": level["name"], "actions": actions})
        # Names that nothing else falls back on: what is gated there is free.
        wanted = names[:1] if computes else (READS[1], WRITES[1])
        actions += [{"name": name, "arguments": None, "energy": price} for name in wanted]
        found.append(level["name"])
    if found:
        target.write_text(yaml.safe_dump(content), encoding="utf-8")
    return found


def _of_compute(exact: dict[str, Any]) -> float | None:
    """Return what a computation costs, None where none is done."""
    computes = exact.get("random_computes") or exact.get("algorithmic_computes")
    return exact["energy"] / computes if computes else None


def _of_access(exact: dict[str, Any], specs: dict[str, Any]) -> float | None:
    """Return what an access costs, None where there is none; 0 of a level that holds nothing."""
    block = specs.get("Data block size", specs.get("Block size", 1))
    for index, energy in enumerate(exact.get("energy", ())):
        counts = (exact.get(f"random_{action}", exact.get(action, ()))[index] for action in _ACTIONS)
        accesses = sum(math.ceil(count / block) for count in counts)
        if accesses:
            return float(energy / accesses)
    return None
