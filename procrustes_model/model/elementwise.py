"""What work on every element of some tensors costs: nothing is used twice, so that no mapping is needed.

Every operand is read once where it begins, and every result written once where it ends. Levels between these
and the compute units keep nothing, as in the best mapping of such a problem: what would be kept is met once.
All instances of a level have their share of the elements, and so have all compute units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.wires import count_hops
from procrustes_model.model.components import ComponentResult, lift_leakage
from procrustes_model.model.lift import as_count, slowest_of
from procrustes_model.model.result import ComputeResult, LevelResult, NetworkResult, Result, TensorCounts
from procrustes_model.spec.by_width import amount_at, in_phase
from procrustes_model.spec.text.expressions import ExpressionError
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Limit, Role, Served, Topology

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture, Component, StorageLevel
    from procrustes_model.spec.network_elementwise import Elementwise

_NEAR = 1e-13
_hops = cast("Callable[[int, float, float], float]", getattr(count_hops, "py_func", count_hops))


@dataclass(frozen=True)
class Stream:
    """Work on a number of elements, and where its tensors are.

    Attributes
    ----------
    name : str
        What results call it.
    work : Elementwise
    elements : int
        Of each tensor.
    bits : dict of str to int
        Of an element, by tensor, as far as something but the machine says it.
    """

    name: str
    work: Elementwise
    elements: int
    bits: dict[str, int]


@dataclass(frozen=True)
class _Flow:
    """One tensor at the level where it begins and ends.

    Attributes
    ----------
    tensor : str
    level : int
    bits : int
        Of an element.
    read, written : bool
    used : int
        Instances that have some of it.
    """

    tensor: str
    level: int
    bits: int
    read: bool
    written: bool
    used: int


def evaluate_elementwise(architecture: Architecture, stream: Stream) -> Result:
    """Return counts, energy and cycles of elementwise work.

    Parameters
    ----------
    architecture : Architecture
    stream : Stream

    Returns
    -------
    Result
        Its `computes` are operations. Where these are those of a unit of its own, the machine's compute units
        are not busy: `cycles_per_compute` is 0.

    Raises
    ------
    SpecError
        When a tensor has no level, or one that does not hold it, or the machine does not say what an
        operation costs.
    """
    flows = [_find_flow(architecture, stream, tensor) for tensor in stream.work.tensors]
    compute = _compute(architecture, stream, flows)
    levels = tuple(_level(architecture, index, stream, flows) for index in range(len(architecture.levels)))
    _check_room(levels, stream)
    networks = _networks(architecture, stream, flows)
    uses = _uses(architecture, stream, flows)
    beside = [_component(one, uses.get(one.name), 0, architecture) for one in architecture.components]
    cycles, bottleneck = slowest_of(levels, compute, (*networks, *beside))
    components = tuple(
        _component(one, uses.get(one.name), cycles, architecture) for one in architecture.components
    )
    used = np.array([architecture.instances(index) for index in range(len(architecture.levels) + 1)])
    return Result(
        architecture=architecture.name,
        problem=stream.name,
        phase=stream.work.phase,
        mapping="",
        levels=levels,
        compute=compute,
        cycles=cycles,
        bottleneck=bottleneck,
        components=components,
        networks=networks,
        leakage=lift_leakage(architecture, used, cycles),
        clock_ghz=architecture.clock_ghz,
        bits={
            flow.tensor: flow.bits
            for flow in flows
            if {flow.bits} != {level.word_bits for level in architecture.levels}
        },
    )


def _find_flow(architecture: Architecture, stream: Stream, tensor: str) -> _Flow:
    """Return where a tensor begins and ends."""
    names = [level.name for level in architecture.levels]
    stated = stream.work.at.get(tensor)
    if stated is not None:
        if stated not in names:
            message = f"{stream.name}: '{tensor}' begins or ends at '{stated}', no level of "
            hint = did_you_mean(stated, names) or f"it has {', '.join(names)}"
            raise SpecError(Issue(message + architecture.name, hint))
        level = names.index(stated)
        if not architecture.levels[level].stores:
            raise SpecError(Issue(f"{stream.name}: {stated} stores nothing, and so no '{tensor}'"))
    else:
        level = architecture.home(tensor)
        named = {name for one in architecture.levels for name in one.tensors or ()}
        if tensor in named and not architecture.levels[level].may_keep(tensor):
            level = next(i for i, one in enumerate(architecture.levels) if one.may_keep(tensor))
    bits = {**architecture.bits, **stream.bits}.get(tensor, architecture.levels[level].word_bits)
    used = min(architecture.instances(level), stream.elements)
    work = stream.work
    return _Flow(tensor, level, bits, tensor in work.reads, tensor in work.writes, used)


def _compute(architecture: Architecture, stream: Stream, flows: list[_Flow]) -> ComputeResult:
    """Return what computes the elements: the machine's units, or one of the work's own."""
    work, unit = stream.work, architecture.compute
    units = architecture.instances(len(architecture.levels))
    operations = stream.elements * work.operations
    widths = [flow.bits for flow in flows if flow.read] or [flow.bits for flow in flows]
    costs = {"energy_pj": work.energy_pj, "cycles_per_compute": 0.0 if work.operations_per_cycle else None}
    for key, own in costs.items():
        if own is not None:
            continue
        path = ("architecture", "compute", key)
        amount = in_phase(getattr(unit, key), work.phase)
        if amount is None:
            message = f"{unit.name} has no '{key}' for the phase {work.phase} of {stream.name}"
            raise SpecError(architecture.issue(message, "state it for the phase, or 'energy_pj' there", path))
        try:
            costs[key] = amount_at(amount, (widths[0], widths[min(1, len(widths) - 1)]))
        except ExpressionError as error:
            message = f"'{key}' of {unit.name} for {stream.name}: {error.message}"
            raise SpecError(architecture.issue(message, error.hint, path)) from None
    taken = costs["cycles_per_compute"] or 0.0
    if work.operations_per_cycle is not None:
        cycles = _round_up(operations / work.operations_per_cycle)
    else:
        cycles = _round_up(-(-stream.elements // units) * work.operations * taken)
    return ComputeResult(
        name=unit.name,
        instances_used=min(units, stream.elements),
        instances=units,
        computes=operations,
        energy_pj=operations * (costs["energy_pj"] or 0.0),
        cycles=max(1, cycles),
        area_um2=architecture.area.parts[unit.name],
        cycles_per_compute=taken,
    )


def _level(architecture: Architecture, index: int, stream: Stream, flows: list[_Flow]) -> LevelResult:
    """Return what one level reads and writes."""
    level, tensors = architecture.levels[index], []
    read = written = 0.0
    held = 0
    for flow in flows:
        passes = flow.read and flow.level < index and flow.tensor in level.through
        if flow.level != index and not passes:
            continue
        used = min(architecture.instances(index), stream.elements)
        counts = (flow.read, passes, flow.written and not passes)
        energies = [
            _accesses(level, stream.elements, used, flow.bits) * price if done else 0.0
            for done, price in zip(counts, level.energy.by_action, strict=True)
        ]
        each = as_count(stream.elements / used)
        words = -(-stream.elements // used) * flow.bits / level.word_bits
        read += words * counts[0]
        written += words * (counts[1] + counts[2])
        held += 0 if passes else -(-stream.elements // used) * flow.bits
        reads, fills, updates = (each if done else 0 for done in counts)
        tile = 0 if passes else -(-stream.elements // used)
        tensors.append(
            TensorCounts(level.name, flow.tensor, flow.written, used, tile, reads, fills, updates, *energies)
        )
    ports = (level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth)
    needs = (read, written, read + written)
    each_port = [
        0 if rate is None else _round_up(words / rate) for words, rate in zip(needs, ports, strict=True)
    ]
    slowest = max(each_port)
    whole, rest = divmod(held, level.word_bits)
    return LevelResult(
        name=level.name,
        instances_used=architecture.instances(index),
        instances=architecture.instances(index),
        capacity_words=level.usable_words,
        used_words=whole + rest / level.word_bits if rest else whole,
        cycles=max(1, slowest),
        limited_by=Limit(each_port.index(slowest) + 1 if slowest else 0).text,
        tensors=tuple(tensors),
        area_um2=architecture.area.parts[level.name],
    )


def _accesses(level: StorageLevel, elements: int, used: int, bits: int) -> float:
    """Return the accesses of all instances that elements take; instances of a port share its accesses."""
    moved = level.word_bits * level.words_per_access
    pack, split = max(1, moved // bits), max(1, -(-bits // moved))
    whole, more = divmod(elements, used)
    accesses = split * (more * -(-(whole + 1) // pack) + (used - more) * -(-whole // pack))
    return accesses / level.cluster_size if level.cluster_size > 1 else accesses


def _check_room(levels: tuple[LevelResult, ...], stream: Stream) -> None:
    """Raise where a level does not hold the tensors that begin and end there."""
    for level in levels:
        if level.capacity_words is not None and level.used_words > level.capacity_words:
            names = ", ".join(one.tensor for one in level.tensors)
            message = f"{stream.name}: {names} take {level.used_words:,.6g} words of each {level.name}"
            hint = f"it has {level.capacity_words:,}: say with 'at' where they lie"
            raise SpecError(Issue(message, hint))


def _networks(architecture: Architecture, stream: Stream, flows: list[_Flow]) -> tuple[NetworkResult, ...]:
    """Return what goes over networks: every element to, or from, one instance."""
    found = []
    for index, level in enumerate(architecture.levels):
        if (network := level.network) is None:
            continue
        below = math.prod(architecture.fanout(index))
        hop = network.hop_pj(architecture.area_below(index))
        hops = _hops(Topology[network.topology.upper()].value, float(below), 1.0) if hop > 0 else 0.0
        price = network.energy_pj_per_bit + hop * hops
        sent = {
            flow.tensor: stream.elements * flow.bits * (flow.read + flow.written)
            for flow in flows
            if flow.level <= index
        }
        instances = architecture.instances(index)
        bits = sum(sent.values()) / instances
        rate = network.bits_per_cycle
        energy = {name: many * price for name, many in sent.items() if many * price}
        cycles = None if rate is None else max(1, _round_up(bits / rate))
        found.append(NetworkResult(level.name, instances, bits, energy, cycles))
    return tuple(found)


def _uses(architecture: Architecture, stream: Stream, flows: list[_Flow]) -> dict[str, float]:
    """Return how often components work, by name; those that serve a sparse design have nothing to do."""
    found: dict[str, float] = {}
    names = [level.name for level in architecture.levels]
    for one in architecture.components:
        use = one.use
        if use is None or one.when != Served.ALWAYS or (use.phases and stream.work.phase not in use.phases):
            continue
        if use.action == "compute":
            own = stream.work.operations_per_cycle is not None
            found[one.name] = 0.0 if own else float(stream.elements * stream.work.operations)
            continue
        words = 0
        for flow in flows:
            role = Role.of_tensor(flow.tensor)
            fits = {None: use.tensor in (None, flow.tensor), "read": flow.read, "written": flow.written}
            through = flow.read and flow.tensor in architecture.levels[names.index(use.level)].through
            here = names[flow.level] == use.level
            passes = through and flow.level < names.index(use.level)
            done = {"read": flow.read and (here or passes), "fill": passes, "update": flow.written and here}
            if fits.get(use.role, role is not None and role == use.role) and done[use.action]:
                words += stream.elements
        found[one.name] = float(words)
    return found


def _component(
    one: Component, uses: float | None, cycles: int, architecture: Architecture
) -> ComponentResult:
    """Return what a component does in a number of cycles."""
    energy = (uses or 0.0) * one.energy_pj + one.power_pj_per_cycle * one.instances * cycles
    rate = None if one.per_cycle is None or uses is None else one.per_cycle * one.instances
    taken = None if rate is None else max(1, _round_up((uses or 0.0) / rate))
    return ComponentResult(
        one.name, one.instances, uses or 0.0, energy, architecture.area.parts[one.name], taken
    )


def _round_up(count: float) -> int:
    """Return the next whole number, or the one that `count` is but for rounding errors."""
    nearest = math.floor(count + 0.5)
    return nearest if abs(count - nearest) <= _NEAR * count else math.ceil(count)
