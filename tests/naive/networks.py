"""What machines have beside plain storage, in the most obvious way: networks, wide sums, homes, shared ports.

Counts come from the walk of `tests.naive.dense`; here every instance of a network is listed, with the set of
coordinates that it is sent, and words are followed from level to level.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.interconnect import Interconnect
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem, Tensor
from procrustes_model.vocabulary import Phase, Role
from tests.naive import dense
from tests.naive.dense import NestLoop


def count_hops(network: Interconnect, instances: int, receivers: float) -> float:
    """Return the hops of a word that reaches some of the instances."""
    if network.topology == "link":
        return 1.0
    if network.topology == "bus":
        return instances
    if network.topology == "crossbar":
        return receivers
    if network.topology == "tree":
        return math.log2(instances / receivers) + 2 * (receivers - 1)
    side, part = instances**0.5, receivers**0.5
    return side * part + (side - part) / 2 - side / part + 0.5


def list_tiles(tensor: Tensor, loops: list[NestLoop], level: int) -> list[frozenset[dense.Point]]:
    """Return for every instance below one instance of a level what one below it holds at the first step."""
    inside = [loop for loop in loops if loop.level > level]
    tile = dense.bounding_box(dense.touched(tensor, inside))
    network = [loop for loop in loops if loop.level == level and loop.spatial]
    places = itertools.product(*(range(loop.bound) for loop in network))
    return [frozenset(dense.shifted(tile, dense.position(tensor, network, at))) for at in places]


def is_complete(problem: Problem, tensor: Tensor, arrivals: int, times: int) -> bool:
    """Say whether so many arrivals at each of so many places are one for every word of a tensor."""
    return tensor.is_output and arrivals * times == math.prod(problem.lengths(tensor))


def per_operand(architecture: Architecture, problem: Problem, amount: Any) -> float:
    """Return what is said of a computation for the bits of the operands, weights first."""
    if isinstance(amount, dict):
        amount = amount[problem.phase or Phase.FORWARD]
    if not isinstance(amount, str):
        return float(amount)
    operands = [tensor.name for tensor in problem.tensors if not tensor.is_output]
    stated = [problem.roles.get(role) for role in Role]
    first = sorted(operands, key=lambda name: stated.index(name) if name in stated else 9)
    bits = []
    for name in first:
        inner = [
            i for i, level in enumerate(architecture.levels) if level.tensors is None or name in level.tensors
        ]
        bits.append(dense.bits_of(architecture, problem, inner[-1], name))
    return float(eval(amount, {"ceil": math.ceil, "w": bits[0], "x": bits[1]}))  # noqa: S307


def evaluate(architecture: Architecture, problem: Problem, mapping: Mapping) -> dict[str, Any]:
    """Return counts, energy by level and tensor, networks' energy by level and tensor, and cycles by part."""
    loops = dense.list_loops(problem, mapping)
    steps = math.prod(loop.bound for loop in loops if not loop.spatial)
    levels = architecture.levels
    instances = [
        math.prod(loop.bound for loop in loops if loop.spatial and loop.level < i)
        for i in range(len(levels) + 1)
    ]
    energy: dict[tuple[str, str], float] = {}
    sent: dict[tuple[str, str], float] = {}
    traffic: Counter[str] = Counter()
    used: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    passing: dict[tuple[str, str], dict[str, int]] = {}
    ported: dict[str, list[float]] = {level.name: [0.0, 0.0] for level in levels}
    spent = problem.computes * per_operand(architecture, problem, architecture.compute.energy_pj)
    taken = per_operand(architecture, problem, architecture.compute.cycles_per_compute)
    steps = max(1, math.ceil(steps * taken * (1 - 1e-12)))
    for tensor in problem.tensors:
        home = find_home(architecture, problem, tensor.name)
        for name, numbers in dense.count_tensor(
            problem, mapping, tensor, home, loads=levels[home].loaded and not tensor.is_output
        ).items():
            counts[name, tensor.name] = numbers
        holders = [i for i in range(len(levels)) if tensor.name in mapping.levels[i].keep]
        for i, child in zip(holders, [*holders[1:], len(levels)], strict=True):
            level, numbers = levels[i], counts[levels[i].name, tensor.name]
            distinct = [len(set(list_tiles(tensor, loops, j))) for j in range(i, child)]
            served = numbers["updates" if tensor.is_output else "reads"]
            left = served // math.prod(distinct)
            narrow = dense.bits_of(architecture, problem, i, tensor.name)
            wide = narrow
            if tensor.is_output and architecture.sum_bits is not None:
                wide = architecture.sum_bits
            arrives = is_complete(problem, tensor, served, instances[i])
            bits = {"reads": wide, "fills": wide, "updates": narrow if arrives else wide}
            prices = {"reads": level.energy.read, "fills": level.energy.write, "updates": level.energy.update}
            ports = min(instances[i], architecture.instances(i) // level.cluster_size)
            energy[level.name, tensor.name] = sum(
                ports * prices[action] * dense.count_accesses(architecture, i, bits[action], numbers[action])
                for action in bits
            )
            scale = {action: width / level.word_bits for action, width in bits.items()}
            written = numbers["fills"] * scale["fills"] + numbers["updates"] * scale["updates"]
            filled[level.name] += numbers["fills"] * scale["fills"]
            ported[level.name][0] += numbers["reads"] * scale["reads"] / steps
            ported[level.name][1] += written / steps
            for j in range(i + 1, child):
                if tensor.name in levels[j].through:
                    words = left * math.prod(distinct[j - i :])
                    passing[levels[j].name, tensor.name] = {"reads": words, "fills": words, "updates": 0}
                    own = dense.bits_of(architecture, problem, j, tensor.name)
                    price = levels[j].energy.read + levels[j].energy.write
                    ports = min(instances[j], architecture.instances(j) // levels[j].cluster_size)
                    accesses = dense.count_accesses(architecture, j, own, words)
                    energy[levels[j].name, tensor.name] = ports * accesses * price
                    for port in range(2):
                        ported[levels[j].name][port] += words * (own / levels[j].word_bits) / steps
            for j in range(i, child):
                network = levels[j].network
                if network is None:
                    continue
                below = instances[j + 1] // instances[j]
                receivers = below / distinct[j - i]
                hop = network.hop_pj(architecture.area_below(j))
                words = left * math.prod(distinct[j - i :])  # that enter one network
                each = network.energy_pj_per_bit + hop * count_hops(network, below, receivers)
                if not tensor.is_output:
                    amount = instances[j] * words * narrow
                    cost = amount * each
                else:
                    leaves = is_complete(problem, tensor, left, instances[child])
                    up = instances[j] * words * (narrow if leaves else wide)
                    down = instances[i] * numbers["reads"] * wide if network.sums == "return" else 0
                    alone = network.energy_pj_per_bit + hop * count_hops(network, below, 1)
                    amount, cost = up + down, up * each + down * alone
                sent[levels[j].name, tensor.name] = sent.get((levels[j].name, tensor.name), 0.0) + cost
                traffic[levels[j].name] += amount / instances[j]
    cycles: dict[str, int] = {}
    for level in levels:
        read, written = ported[level.name]
        slowdown = 1.0
        for rate, words in (
            (level.read_bandwidth, read),
            (level.write_bandwidth, written),
            (level.shared_bandwidth, read + written),
        ):
            if rate is not None and rate < words:
                slowdown = min(slowdown, rate / words)
        cycles[level.name] = math.ceil(steps / slowdown)
        if level.network is not None and level.network.bits_per_cycle is not None:
            cycles[f"network of {level.name}"] = max(
                1, math.ceil(traffic[level.name] / level.network.bits_per_cycle * (1 - 1e-12))
            )
    for one in architecture.components:
        if one.use is None:
            continue
        for (name, tensor_name), numbers in (counts | passing).items():
            is_output = tensor_name == problem.output.name
            meant = {"written": is_output, "read": not is_output, None: True}[one.use.role]
            if name == one.use.level and meant and one.use.tensor in (None, tensor_name):
                index = [level.name for level in levels].index(name)
                used[one.name] += instances[index] * numbers[one.use.action + "s"]
        if one.use.action == "compute":
            used[one.name] += problem.computes
        spent += used[one.name] * one.energy_pj
        if one.per_cycle is not None:
            cycles[one.name] = max(
                1, math.ceil(used[one.name] / (one.per_cycle * one.instances) * (1 - 1e-12))
            )
    waits = 0.0
    array = max((i for i in range(len(levels)) if architecture.fanout(i) != (1, 1)), default=-1)
    folds = math.prod(loop.bound for loop in loops if not loop.spatial and loop.level <= array)
    waits += folds * architecture.compute.fill_drain_cycles
    for level in levels:
        if level.double_buffered is False:
            waits += filled[level.name] / min(
                rate for rate in (level.write_bandwidth, level.shared_bandwidth) if rate is not None
            )
    cycles["compute"] = steps + math.ceil(waits * (1 - 1e-12))
    total = max(cycles.values())
    for i, level in enumerate(levels):
        spent += instances[i] * level.energy.idle * total
    for i, part in enumerate([*levels, architecture.compute]):
        if part.leakage_mw:
            leaking = instances[i] if part.leakage_gated else architecture.instances(i)
            spent += leaking * part.leakage_mw / (architecture.clock_ghz or 1.0) * total
    return {
        "counts": counts,
        "energy": energy,
        "networks": sent,
        "traffic": dict(traffic),
        "cycles": cycles,
        "total_energy": spent + sum(energy.values()) + sum(sent.values()),
        "total_cycles": total,
    }
