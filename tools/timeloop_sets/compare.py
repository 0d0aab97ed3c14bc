"""Compares what this model computes for a set with that tool's output."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from reference.compare import Mismatch, exact

from procrustes_model import Result, SparseResult
from procrustes_model.importers.timeloop.words import CODECS, codec_of
from procrustes_model.model.result import ACTIONS, TensorCounts
from procrustes_model.model.sparse.result import sparse_of
from procrustes_model.spec.architecture import Architecture
from timeloop_sets.expected import Expected, ExpectedLevel, ExpectedTensor

ENERGY_TOLERANCE = 1e-6
_BANDWIDTHS = {
    "Read bandwidth": "read_bandwidth",
    "Write bandwidth": "write_bandwidth",
    "Shared bandwidth": "shared_bandwidth",
}
_LEAKAGE = "Leakage energy (total)"
_PRINTED = 0.0050001


def compare(
    expected: Expected, architecture: Architecture, result: Result, *, networks: bool
) -> list[Mismatch]:
    """Return every number that differs.

    Parameters
    ----------
    expected : Expected
    architecture : Architecture
        As imported.
    result : Result
    networks : bool
        Whether energies of networks are compared; where the import leaves them out, its report says so.
    """
    return list(_compare(expected, architecture, result, networks))


def _compare(
    expected: Expected, architecture: Architecture, result: Result, networks: bool
) -> Iterator[Mismatch]:
    wanted = {level.name: level for level in expected.levels}
    for level in result.levels:
        if level.name not in wanted:
            if level.tensors:
                yield Mismatch(level.name, None, "a level")
            continue
        yield from _level(wanted.pop(level.name), architecture, result, level.name)
    compute = wanted.pop(result.compute.name, None)
    if compute is None or compute.compute is None:
        yield Mismatch("compute", "compute units", result.compute.name)
    else:
        yield from _compute(compute, architecture, result)
    for name in wanted:
        yield Mismatch(name, "a level", None)
    yield from exact("cycles", expected.cycles, result.cycles)
    if networks:
        yield from _networks(expected, result)
        yield from _near("energy in uJ", expected.energy_uj, result.energy_pj * 1e-6, _PRINTED)


def _networks(expected: Expected, result: Result) -> Iterator[Mismatch]:
    """Compare energies of networks by level and tensor."""
    if not expected.wires:
        yield from _near("energy of networks", expected.network, 0.0, None)
        return
    found = {network.level: network for network in result.networks}
    for level, wires in expected.wires.items():
        network = found.pop(level, None)
        spent = {} if network is None else network.energy_by_tensor_pj
        for tensor, energy in wires.energy.items():
            yield from _near(f"network of {level} {tensor}", energy, spent.get(tensor, 0.0), None)
    for level in found:
        yield Mismatch(f"network of {level}", None, "a network")


def _near(where: str, expected: float, found: float, digits: float | None) -> Iterator[Mismatch]:
    """Yield a mismatch unless energies agree: to the last printed digit, or else to the tolerance."""
    off = abs(expected - found)
    if digits is not None and off <= digits * 1.0001:
        return
    if digits is None and math.isclose(expected, found, rel_tol=ENERGY_TOLERANCE, abs_tol=0.0):
        return
    yield Mismatch(where, expected, found)


def _level(
    wanted: ExpectedLevel, architecture: Architecture, result: Result, name: str
) -> Iterator[Mismatch]:
    index = [level.name for level in result.levels].index(name)
    spec, level = architecture.levels[index], result.levels[index]
    kept = {counts.tensor for counts in level.tensors}
    for tensor in wanted.tensors.keys() ^ kept:
        yield Mismatch(f"{name} keeps {tensor}", tensor in wanted.tensors, tensor in kept)
    yield from exact(f"{name} cycles", wanted.cycles, level.cycles)
    if spec.tensors != ():
        yield from _specs(wanted.specs, architecture, index)
    for counts in level.tensors:
        if counts.tensor in wanted.tensors:
            sparse = isinstance(result, SparseResult)
            titles = {codec_of(name, kind, counts.tensor) for kind in CODECS}
            codecs = sum(one.energy_pj for one in result.components if one.name in titles)
            yield from _tensor(
                f"{name} {counts.tensor}", wanted.tensors[counts.tensor], counts, sparse, codecs
            )
    leaked = sum(one.energy_pj for one in result.components if one.name == f"{name} leakage")
    yield from _near(f"{name} leakage", wanted.specs.get(_LEAKAGE, 0.0), leaked, _PRINTED)


def _specs(specs: dict[str, Any], architecture: Architecture, index: int) -> Iterator[Mismatch]:
    level = architecture.levels[index]
    size = _stated(specs, "Effective size", "Effective data storage size")
    yield from _same(f"{level.name} size", None if size == "-" else size, level.capacity_words)
    yield from _same(
        f"{level.name} word bits", _stated(specs, "Word bits", "Data word bits"), level.word_bits
    )
    yield from _same(
        f"{level.name} words per access",
        _stated(specs, "Block size", "Data block size"),
        level.words_per_access,
    )
    yield from _same(f"{level.name} instances", _instances(specs), _mesh(architecture, index))
    for key, attribute in _BANDWIDTHS.items():
        stated, found = specs.get(key, "-"), getattr(level, attribute)
        if stated == "-" or found is None:
            yield from _same(f"{level.name} {key}", None if stated == "-" else stated, found)
        else:
            yield from _near(f"{level.name} {key}", stated, found, _PRINTED)


def _stated(specs: dict[str, Any], *names: str) -> Any:
    """Return what stands under the first of some names, which differ between versions of that tool."""
    return next(specs[name] for name in names if name in specs)


def _same(where: str, expected: Any, found: Any) -> Iterator[Mismatch]:
    if expected != found:
        yield Mismatch(where, expected, found)


def _instances(specs: dict[str, Any]) -> str:
    return str(specs["Instances"])


def _mesh(architecture: Architecture, index: int) -> str:
    """Return the instances of a level as that tool prints them."""
    parts = [*architecture.levels, architecture.compute][: index + 1]
    columns, rows = (math.prod(getattr(one, key) for one in parts) for key in ("mesh_x", "mesh_y"))
    return f"{columns * rows} ({columns}*{rows})"


def _tensor(
    where: str, wanted: ExpectedTensor, found: TensorCounts, sparse: bool, beside: float
) -> Iterator[Mismatch]:
    """Yield what differs of a tensor at a level; `beside` is energy, pJ, that its words take besides."""
    for key, count in wanted.counts.items():
        yield from exact(f"{where} {key}", count, _counts(found, sparse)[key])
    instances = sparse_of(found).used_instances if sparse else found.instances
    if not math.isclose(wanted.instances, instances, rel_tol=ENERGY_TOLERANCE if sparse else 0.0):
        yield Mismatch(f"{where} instances", wanted.instances, instances)
    yield from _near(f"{where} energy", wanted.energy, found.energy_pj + beside, wanted.digits)


def _counts(found: TensorCounts, sparse: bool) -> dict[str, float]:
    """Return the counts of a tensor at a level by their names in a set's output."""
    done = (found.reads, found.fills, found.updates)
    nothing = (0.0,) * len(ACTIONS)
    kinds = {"": done, "random_": done, "gated_": nothing, "skipped_": nothing}
    if sparse:
        one = sparse_of(found)
        kinds = {"": one.dense, "random_": one.actual, "gated_": one.gated, "skipped_": one.skipped}
    counts = {
        f"{kind}{action}s": count
        for kind, triple in kinds.items()
        for action, count in zip(ACTIONS, triple, strict=True)
    }
    return counts | {"utilized_capacity": sparse_of(found).stored_words if sparse else found.tile_words}


def _compute(wanted: ExpectedLevel, architecture: Architecture, result: Result) -> Iterator[Mismatch]:
    numbers, found = wanted.compute or {}, result.compute
    yield from exact("compute cycles", numbers["cycles"], found.cycles)
    yield from exact("compute instances", numbers["utilized_instances"], found.instances_used)
    yield from _near("compute energy", numbers["energy"], found.energy_pj, numbers.get("digits"))
    counts = {"algorithmic": found.computes, "random": found.computes, "gated": 0.0, "skipped": 0.0}
    if isinstance(result, SparseResult):
        one = result.computes
        counts = {"algorithmic": one.dense, "random": one.actual, "gated": one.gated, "skipped": one.skipped}
    for kind, count in counts.items():
        if f"{kind}_computes" in numbers:
            yield from exact(f"{kind}_computes", numbers[f"{kind}_computes"], count)
    place = _mesh(architecture, len(architecture.levels))
    yield from _same("compute units", _instances(wanted.specs), place)
