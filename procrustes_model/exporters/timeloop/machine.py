"""An architecture as a tree of components, and its energies as a table, of Timeloop 0.4."""

from __future__ import annotations

from typing import Any

from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.importers.timeloop import words
from procrustes_model.importers.timeloop.words import codec_of
from procrustes_model.spec.architecture import StorageLevel

VERSION = 0.4
_ROOT = "system"
_ACTIONS = ("read", "write", "update")
_UNLIMITED, _LIMITED, _FANOUT, _COMPUTE = "DRAM", "SRAM", words.FANOUT_CLASSES[0], "intmac"


def write_architecture(model: Model) -> dict[str, Any]:
    """Return the components, each below the one before it; meshes count instances of the whole machine."""
    machine = model.architecture
    columns = rows = 1
    local = []
    for level in machine.levels:
        columns, rows = columns * level.mesh_x, rows * level.mesh_y
        mesh = {"meshX": columns, "meshY": rows}
        kind = _FANOUT
        if level.stores:
            kind = _UNLIMITED if level.capacity_words is None else _LIMITED
        attributes = _storage(model, level) if level.stores else {"width": 1, "depth": 1, "datawidth": 1}
        local.append(_component(level.name, kind, columns * rows, attributes | mesh))
    unit = machine.compute
    columns, rows = columns * unit.mesh_x, rows * unit.mesh_y
    mesh = {"meshX": columns, "meshY": rows}
    local.append(_component(unit.name, _COMPUTE, columns * rows, mesh))
    tree = [{"name": _ROOT, "local": local}]
    return {"architecture": {"version": VERSION, "subtree": tree}}


def _component(name: str, kind: str, instances: int, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"{name}[1..{instances}]", "class": kind, "attributes": attributes}


def _storage(model: Model, level: StorageLevel) -> dict[str, Any]:
    """Return what a level holds and moves."""
    bits, block = _word(model, level), level.words_per_access
    found: dict[str, Any] = {"width": bits * block * level.cluster_size, "datawidth": bits}
    found["block_size"] = block
    if level.cluster_size > 1:
        found["cluster_size"] = level.cluster_size
    if level.capacity_words is not None:
        whole = level.capacity_words % block == 0
        rows = level.capacity_words // block
        found |= {"depth": rows} if whole else {"entries": level.capacity_words}
    if level.copies > 1:
        found["multiple_buffering"] = level.copies
    for port in words.BANDWIDTHS:
        if getattr(level, port) is not None:
            found[port] = getattr(level, port)
    if level.metadata is not None:
        found["metadata_storage_width"] = level.metadata.word_bits
        if level.metadata.capacity_words is not None:
            found["metadata_storage_depth"] = level.metadata.capacity_words
    return found | _fields(model, level)


def _word(model: Model, level: StorageLevel) -> int:
    """Return the bits of a word: where all tensors have the same here, theirs."""
    stated = {model.bits(level, tensor.name) for tensor in model.problem.tensors}
    return stated.pop() if len(stated) == 1 else level.word_bits


def _fields(model: Model, level: StorageLevel) -> dict[str, int]:
    """Return the bits of fields whose rank cannot say them, which are those of the level."""
    for tensor in model.problem.tensors:
        found = model.format_of(tensor.name, level.name)
        for rank in () if found is None else found.ranks:
            if rank.kind == "UB" and rank.metadata_bits is not None:
                return {"metadata_datawidth": rank.metadata_bits}
    return {}


def write_energies(model: Model) -> dict[str, Any]:
    """Return the table of energies, in pJ."""
    tables = [
        _table(level.name, _actions(model, index))
        for index, level in enumerate(model.architecture.levels)
        if level.stores
    ]
    tables.append(_table(model.architecture.compute.name, model.compute_prices()))
    return {"ERT": {"version": VERSION, "tables": tables}}


def _table(name: str, prices: dict[str, float]) -> dict[str, Any]:
    actions = [{"name": action, "arguments": {}, "energy": energy} for action, energy in prices.items()]
    return {"name": f"{_ROOT}.{name}", "actions": actions}


def _actions(model: Model, index: int) -> dict[str, float]:
    """Return prices by the names of actions."""
    level = model.architecture.levels[index]
    found = {}
    for kind, prices in model.prices(level).items():
        for action, price in zip(_ACTIONS, prices, strict=True):
            found[f"{kind}_{action}" if kind else action] = price
    spent = model.spent(index)
    if spent:
        found[words.LEAKS[0]] = spent / model.used(index)
    return found | _codecs(model, level.name)


def _codecs(model: Model, level: str) -> dict[str, float]:
    """Return what (de)compression at a level costs, of components as the importer names them."""
    energies = {one.name: one.energy_pj for one in model.architecture.components}
    found = {}
    for kind in words.CODECS:
        for tensor in model.problem.tensors:
            name = codec_of(level, kind, tensor.name)
            if name in energies:
                found[f"{kind}_count"] = energies[name]
    return found
