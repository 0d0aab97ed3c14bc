"""Prices of what zeros save, and the store of metadata: what a sparse design needs of a machine."""

from __future__ import annotations

from typing import Any

from procrustes_model.importers.timeloop import words
from procrustes_model.importers.timeloop.energies import Table
from procrustes_model.importers.timeloop.machine import Level, Machine
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.sparse import Design

_KINDS = {"gate": "gated", "skip": "skipped"}


def add_prices(machine: Machine, design: Design, year: words.Year) -> None:
    """Add prices of saved accesses and computations, and of metadata, where a design has such.

    Parameters
    ----------
    machine : Machine
        Its levels and compute units are added to.
    design : Design
    year : Year
    """
    for level in machine.levels:
        name = level.part.name
        if not level.holds or level.table is None:
            continue
        prices = level.content["energy_pj"]
        for key, kind in _KINDS.items():
            if any(key in action and action["level"] == name for action in design.actions):
                _add_saved(prices, kind, level.table, year)
        if any(name in levels for levels in design.formats.values()):
            _add_metadata(level, prices, year)
            for key, kind in _KINDS.items():
                saved = (str(action.get(key)) for action in design.actions if action["level"] == name)
                if any(name in design.formats.get(tensor, ()) for tensor in saved):
                    _add_saved_metadata(prices["metadata"], kind, level.table, year)
    _price_computes(machine, design)


def add_codecs(
    machine: Machine, design: Design, mapped: dict[str, Any] | None, problem: TranslatedProblem
) -> None:
    """Add what compresses and decompresses where a level that stores zeros meets one that does not.

    Parameters
    ----------
    machine : Machine
        Its components are added to.
    design : Design
    mapped : dict or None
        The mapping that comes with the design.
    problem : TranslatedProblem
    """
    kept = {} if mapped is None else {one["level"]: one["keep"] for one in mapped["levels"]}
    for tensor in problem.tensors:
        parent = ""
        for level in machine.levels:
            name = level.part.name
            if tensor not in kept.get(name, ()):
                if mapped is None and level.table is not None and design.compresses:
                    _need_mapping(level)
                continue
            changes = (
                parent and design.compresses_at(parent, tensor) and not design.compresses_at(name, tensor)
            )
            if changes and level.table is not None:
                _add_codec(machine, level, tensor, "decompression", name, "fill")
                if problem.writes(tensor):
                    _add_codec(machine, level, tensor, "compression", parent, "update")
            parent = name


def _need_mapping(level: Level) -> None:
    """Note that what is (de)compressed depends on a mapping."""
    assert level.table is not None
    if any(level.table.find((f"{kind}_count",)) for kind in words.CODECS):
        level.part.node.leave_out(
            f"compression at '{level.part.name}', which depends on what levels keep",
            "there is no mapping; --partial leaves it out",
        )


def _add_codec(machine: Machine, level: Level, tensor: str, kind: str, where: str, action: str) -> None:
    """Add a component for the words of a tensor that are filled, or updated further out."""
    assert level.table is not None
    price = level.table.find((f"{kind}_count",))
    if price:
        use = {"level": where, "tensor": tensor, "action": action}
        title = words.codec_of(level.part.name, kind, tensor)
        machine.components.append({"name": title, "energy_pj": price, "use": use})


def _add_saved(prices: dict[str, Any], kind: str, table: Table, year: words.Year) -> None:
    """Add the price of gated or skipped accesses, unless it is nothing."""
    found = {}
    for action, names in words.SAVED[kind].items():
        more = words.SAVED_OTHERWISE[action] if year.idle else ()
        found[action] = table.find((*names, *more)) or 0.0
    _write_saved(prices, kind, found)


def _write_saved(prices: dict[str, Any], kind: str, found: dict[str, float]) -> None:
    if any(found.values()):
        one = found["read"]
        prices[kind] = one if all(price == one for price in found.values()) else found


def _add_metadata(level: Level, prices: dict[str, Any], year: words.Year) -> None:
    """Add the prices of metadata, and the store that they lie in."""
    assert level.table is not None
    more = words.METADATA_OTHERWISE if year.idle else ()
    prices["metadata"] = {
        action: level.table.find((*names, *more)) or 0.0 for action, names in words.METADATA.items()
    }
    width = level.part.find(words.METADATA_WIDTH, 0)
    depth = level.part.find(words.METADATA_DEPTH, 0)
    if width:
        store: dict[str, int] = {"word_bits": width, "words_per_access": 1}
        level.content["metadata"] = store | ({"capacity_words": depth} if depth else {})


def _add_saved_metadata(prices: dict[str, Any], kind: str, table: Table, year: words.Year) -> None:
    """Add the price of metadata of gated or skipped accesses, nothing of skipped ones being the default."""
    found = {}
    for action, names in words.METADATA_SAVED[kind].items():
        more = words.METADATA_SAVED["gated"][action] if kind == "skipped" else ()
        if year.idle:
            more = words.METADATA_SAVED_OTHERWISE[action]
        found[action] = table.find((*names, *more)) or 0.0
    if kind == "gated" or any(found.values()):
        prices[kind] = found


def _price_computes(machine: Machine, design: Design) -> None:
    """Add the price of skipped computations, and find that of gated ones as a share of a done one."""
    table, done = machine.compute_table, machine.compute.get("energy_pj")
    if table is None or done is None:
        return
    prices = {"gated": 0.0, "skipped": 0.0}
    if "gate" in design.compute:
        prices["gated"] = table.find(words.GATED_COMPUTES) or 0.0
    if "skip" in design.compute:
        prices["skipped"] = table.find(words.SKIPPED_COMPUTES) or 0.0
    if done and not prices["skipped"] and prices["gated"] <= done:
        design.gated_energy = prices["gated"] / done
        return
    machine.compute |= {f"{kind}_energy_pj": price for kind, price in prices.items() if price}
