"""What a set's output says: numbers by level and tensor, and the nest of loops."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_LOOP = re.compile(r"for (\S+) in \[0:(\d+)(?:,(\d+))?\)(?: \(Spatial-([XY])\))?")
_KINDS = {"": "Algorithmic ", "random_": "Actual ", "gated_": "Gated ", "skipped_": "Skipped "}
"""Of accesses: how their counts are called, exact and as printed."""
_ACTIONS = ("reads", "fills", "updates")
_COUNTS = ("utilized_capacity", *(f"{kind}{action}" for kind in _KINDS for action in _ACTIONS))
_CAPACITIES = ("Utilized capacity", "Max utilized data storage capacity")
_INSTANCES = ("Utilized instances (average)", "Utilized instances (max)")


@dataclass(frozen=True)
class ExpectedTensor:
    """One tensor at one level.

    Attributes
    ----------
    counts : dict of str to int
        Per instance: utilized_capacity; reads, fills, updates if nothing were zero, and those of them that
        are random (done), gated and skipped, as far as they are known.
    instances : float
    energy : float
        Over all instances, pJ.
    digits : float or None
        How far a printed energy may be off; None where it is exact.
    """

    counts: dict[str, float]
    instances: float
    energy: float
    digits: float | None


@dataclass
class ExpectedLevel:
    """One level; compute units have no tensors.

    Attributes
    ----------
    name : str
    specs : dict
        As printed: size, bits, instances, bandwidths, leakage.
    cycles : float
    tensors : dict of str to ExpectedTensor
        Those that are kept.
    compute : dict or None
        Energy, computes and instances of compute units.
    loops : list of str
        As printed, outermost first.
    """

    name: str
    specs: dict[str, Any]
    cycles: float
    tensors: dict[str, ExpectedTensor] = field(default_factory=dict)
    compute: dict[str, Any] | None = None
    loops: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wires:
    """The networks below a level.

    Attributes
    ----------
    hop_pj : float
        Of one word.
    energy : dict of str to float
        By tensor, below all instances, pJ.
    """

    hop_pj: float
    energy: dict[str, float]


@dataclass(frozen=True)
class Expected:
    """The output of one run.

    Attributes
    ----------
    levels : list of ExpectedLevel
        Outermost first.
    cycles : int
    energy_uj : float
        As printed, to two decimals.
    network : float
        Energy of networks, pJ.
    wires : dict of str to Wires
        Networks that state what a hop costs, by the level that they are below.
    """

    levels: list[ExpectedLevel]
    cycles: float
    energy_uj: float
    network: float
    wires: dict[str, Wires]

    def mapping(self, known: list[str], bounds: dict[str, int]) -> dict[str, Any]:
        """Return the nest as a mapping of this program, for the levels that there are.

        Stored nests may lack the loops of the outermost level: what is missing to the `bounds` stood there.
        """
        found = {level.name: level for level in self.levels}
        levels = []
        for name in known:
            loops: dict[str, list[str]] = {"temporal": [], "spatial_x": [], "spatial_y": []}
            level = found.get(name)
            for text in level.loops if level is not None else ():
                match = _LOOP.fullmatch(text)
                if match is None:
                    raise ValueError(f"a loop that cannot be read: {text}")
                dimension, bound, last, axis = match.groups()
                loop = f"{dimension}={bound}" + (f"/{last}" if last else "")
                loops[f"spatial_{axis.lower()}" if axis else "temporal"].append(loop)
            kept = list(level.tensors) if level is not None else []
            levels.append({"level": name, **{key: one for key, one in loops.items() if one}, "keep": kept})
        if list(levels[0]) == ["level", "keep"]:
            levels[0] |= _missing(levels, bounds)
        return {"mapping": {"name": "nest", "levels": levels}}


def write_nest(nest: dict[str, Any], target: Path) -> bool:
    """Write a nest in that tool's words, and say whether it can be: not if a last pass is shorter.

    Parameters
    ----------
    nest : dict
        As `Expected.mapping` returns it.
    target : Path
    """
    directives: list[dict[str, Any]] = []
    tensors = {tensor for level in nest["mapping"]["levels"] for tensor in level["keep"]}
    for level in nest["mapping"]["levels"]:
        places = {key: level.get(key, [])[::-1] for key in ("temporal", "spatial_x", "spatial_y")}
        if any("/" in loop for loops in places.values() for loop in loops):
            return False
        name, space = level["level"], [*places["spatial_x"], *places["spatial_y"]]
        directives.append(_directive(name, "temporal", places["temporal"]))
        if space:
            split = {"split": len(places["spatial_x"])}
            directives.append(_directive(name, "spatial", space) | split)
        kept = {"keep": sorted(level["keep"]), "bypass": sorted(tensors - set(level["keep"]))}
        directives.append({"target": name, "type": "bypass", **kept})
    target.write_text(yaml.safe_dump({"mapping": directives}), encoding="utf-8")
    return True


def _directive(level: str, kind: str, loops: list[str]) -> dict[str, Any]:
    """Return a directive with loops from the innermost on, of which none may be missing in the order."""
    order = [loop.split("=")[0] for loop in loops]
    return {"target": level, "type": kind, "factors": loops, "permutation": order}


def _missing(levels: list[dict[str, Any]], bounds: dict[str, int]) -> dict[str, list[str]]:
    """Return the temporal loops that a nest lacks; none where a factor is no divisor."""
    loops = []
    for dimension, bound in bounds.items():
        factors = [
            int(loop.split("=")[1].split("/")[0])
            for level in levels
            for key in ("temporal", "spatial_x", "spatial_y")
            for loop in level.get(key, ())
            if loop.split("=")[0] == dimension
        ]
        rest, left = divmod(bound, math.prod(factors))
        if not left and rest > 1:
            loops.append(f"{dimension}={rest}")
    return {"temporal": loops} if loops else {}


def read_expected(path: Path) -> Expected:
    """Return the output in a file of a set.

    Raises
    ------
    ValueError, KeyError
        When the file is not in that form.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    order = data.get("xml_tensor_order")
    levels = [_level(one, order) for one in data["levels"]]
    return Expected(
        levels=levels[::-1],
        cycles=data["summary"]["Cycles"],
        energy_uj=data["summary"]["Energy"],
        network=_network(data),
        wires=_wires(data, order or []),
    )


def is_older(path: Path) -> bool:
    """Say whether an output has the form of versions up to 2021, with the size of a store of metadata."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return any("Metadata storage size" in level["specs"] for level in data["levels"])


def _wires(data: dict[str, Any], order: list[str]) -> dict[str, Wires]:
    """Return the networks that state what a hop costs; none where another energy is beside that."""
    found = {}
    for number, one in enumerate(data.get("networks_exact") or ()):
        printed = data.get("networks", {}).get(str(number), {})
        outer, _, inner = str(printed.get("raw", {}).get("name", "")).partition(" <==> ")
        others = [*(one.get("link_transfer_energy") or ()), *(one.get("spatial_reduction_energy") or ())]
        prices = set(one.get("energy_per_hop") or ()) - {0.0, None}
        if not inner or any(others) or len(prices) > 1:
            return {}
        if prices:
            energy = {
                tensor: spent * _used(printed["tensors"].get(tensor, {}))
                for tensor, spent in zip(order, one["energy"], strict=True)
            }
            found[outer] = Wires(prices.pop(), energy)
    return found


def _used(printed: dict[str, Any]) -> int:
    """Return for how many networks a total was printed, which only the quotient of two energies says."""
    each, total = (printed.get(f"Energy ({which})", 0.0) for which in ("per-instance", "total"))
    return round(total / each) if each else 1


def _network(data: dict[str, Any]) -> float:
    exact = data.get("networks_exact")
    if exact is not None:
        kinds = ("energy", "link_transfer_energy", "spatial_reduction_energy")
        stated = sum(value or 0.0 for one in exact for kind in kinds for value in one.get(kind) or ())
        if stated:
            return float(stated)
    printed = [
        value
        for one in data.get("networks", {}).values()
        for numbers in one["tensors"].values()
        for key, value in numbers.items()
        if key.endswith("(total)") and isinstance(value, int | float)
    ]
    return float(sum(printed))


def _level(one: dict[str, Any], order: list[str] | None) -> ExpectedLevel:
    level = ExpectedLevel(one["name"], one["specs"], one["stats"].get("Cycles", 0), loops=one["loop_nest"])
    exact = one.get("exact")
    if exact is not None and exact["kind"] == "arithmetic":
        level.compute = exact
    elif exact is not None and order is not None:
        # A tensor that is streamed is read and written like one that is kept.
        keeps = (exact["other"][key] for key in ("keep", "streamed") if key in exact["other"])
        kept = [name for name, *flags in zip(order, *keeps, strict=False) if any(flags)]
        level.tensors = {name: _exact_tensor(exact, order.index(name)) for name in kept}
    elif one["tensors"]:
        level.tensors = {name: _printed_tensor(numbers) for name, numbers in one["tensors"].items()}
    elif "Size" not in one["specs"]:
        level.compute = {
            "energy": one["stats"]["Energy (total)"],
            "digits": 0.005,
            "cycles": one["stats"]["Cycles"],
            "utilized_instances": one["stats"]["Utilized instances"],
        }
    return level


def _exact_tensor(exact: dict[str, Any], index: int) -> ExpectedTensor:
    instances = exact["utilized_instances"][index]
    return ExpectedTensor(
        counts={key: exact[key][index] for key in _COUNTS if key in exact},
        instances=instances,
        energy=exact["energy"][index] * instances,
        digits=None,
    )


def _printed_tensor(numbers: dict[str, Any]) -> ExpectedTensor:
    counts = {"utilized_capacity": _first(numbers, *_CAPACITIES)}
    for kind, title in _KINDS.items():
        for action in _ACTIONS:
            key = f"{title}scalar {action} (per-instance)"
            if key in numbers:
                counts[f"{kind}{action}"] = numbers[key]
            elif not kind:
                counts[action] = numbers[f"Scalar {action} (per-instance)"]
    return ExpectedTensor(
        counts=counts,
        instances=_first(numbers, *_INSTANCES),
        energy=numbers["Energy (total)"],
        digits=0.005,
    )


def _first(numbers: dict[str, Any], *names: str) -> Any:
    """Return what stands under the first of some names."""
    return next(numbers[name] for name in names if name in numbers)
