"""Random small layers for the machine: architectures, problems, mappings and masks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from procrustes_model import (
    Architecture,
    Mapping,
    Problem,
    SparseResult,
    Sparsity,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
)
from procrustes_model.model.sparse.result import sparse_of
from procrustes_model.spec.level_roles import place_levels
from procrustes_model.spec.sparsity import SparsePhase
from tests.naive.machine.nest import size
from tests.naive.sparse import Mask

LEVELS = "DRAM", "GlobalBuffer", "RegFile"
SHAPES = ("conv", "conv", "fully_connected", "depthwise", "grouped")
SUFFIXES = ("", "_backward", "_weight_update")
SLOTS = ("DRAM", "DRAM x", "GlobalBuffer", "GlobalBuffer x", "GlobalBuffer y", "RegFile")
"""Where factors go: loops over time, and over the columns and rows of what is below."""

Factors = dict[str, dict[str, int]]
"""By place and dimension."""


@dataclass(frozen=True)
class Case:
    """What the machine and the model are given."""

    architecture: Architecture
    problem: Problem
    mapping: Mapping
    sparsity: Sparsity
    masks: dict[str, Mask]

    @property
    def design(self) -> SparsePhase:
        """The design in the phase of the problem, with the levels of the machine."""
        placed, _ = place_levels(self.sparsity, self.architecture, self.problem)
        return placed.phase(self.problem.phase)


def draw_case(seed: int, most: int = 400, side: int = 4) -> Case:
    """Draw a phase of a layer of at most `most` operations, and a mapping onto `side` x `side` elements.

    Of even seeds tiles can be cut in two, but for a few; of others seldom.
    """
    rng = np.random.default_rng(seed)
    for _ in range(20):
        problem = _draw_problem(rng, most)
        spec, loops = _draw_mapping(rng, problem, side)
        if seed % 2 or _can_be_cut(problem, loops):
            break
    fans = {slot: math.prod(factors.values()) for slot, factors in loops.items()}
    architecture = make_architecture(
        {"GlobalBuffer": (fans["DRAM x"], 1), "RegFile": (fans["GlobalBuffer x"], fans["GlobalBuffer y"])}
    )
    masks = draw_masks(problem, rng)
    sparsity = load_sparsity("procrustes").with_balancing(str(rng.choice(["half_tile"] * 4 + ["none"])))
    return Case(architecture, problem, load_mapping(spec, architecture, problem), sparsity, masks)


def _can_be_cut(problem: Problem, loops: Factors) -> bool:
    """Say whether a dimension of the balanced tensor is spread, and of even extent in an element."""
    name = "Inputs" if problem.phase == "weight_update" else "Weights"
    balanced = next(tensor for tensor in problem.tensors if tensor.name == name)
    spread = [slot for slot in SLOTS if slot[-1] in "xy"]
    return any(
        loops["RegFile"][term.dimension] % 2 == 0 and any(loops[slot][term.dimension] > 1 for slot in spread)
        for rank in balanced.ranks
        for term in rank
    )


def make_architecture(
    meshes: dict[str, tuple[int, int]], ports: dict[str, dict[str, float]] | None = None
) -> Architecture:
    """Return a machine with so many columns and rows of levels, and such bandwidths."""
    levels = []
    for name in LEVELS:
        x, y = meshes.get(name, (1, 1))
        levels.append(
            {"name": name, "class": "memory", "mesh_x": x, "mesh_y": y, "word_bits": 32, "source": "drawn"}
            | {"energy_pj": {"read": 1, "write": 1}}
            | (ports or {}).get(name, {})
        )
    compute = {"name": "MAC", "energy_pj": 1, "source": "drawn"}
    return load_architecture({"architecture": {"name": "drawn", "levels": levels, "compute": compute}})


def limit_ports(case: Case, result: SparseResult, levels: tuple[str, ...], share: float) -> Case:
    """Return a case where the busier port of some levels takes, on average, a share of the work's time."""
    ports = {}
    for level in result.levels:
        if level.name in levels:
            sums = [
                [a + m for a, m in zip(sparse_of(one).actual, sparse_of(one).metadata, strict=True)]
                for one in level.tensors
            ]
            busier = max(sum(read for read, _, _ in sums), sum(fill + update for _, fill, update in sums))
            if busier:
                words = busier / (result.compute.cycles * share)
                ports[level.name] = {"read_bandwidth": words, "write_bandwidth": words}
    meshes = {level.name: (level.mesh_x, level.mesh_y) for level in case.architecture.levels}
    return replace(case, architecture=make_architecture(meshes, ports))


def draw_masks(problem: Problem, rng: np.random.Generator) -> dict[str, Mask]:
    """Draw which elements are not zero of the tensors that the design takes to be sparse in a phase."""
    masked = ["Weights", "Inputs"] if problem.phase == "weight_update" else ["Weights"]
    found = {}
    for tensor in problem.tensors:
        if tensor.name in masked:
            shape = size(tensor, problem)
            # Zeros cluster, so that work is uneven.
            uneven = rng.random((*shape[:1], *(1 for _ in shape[1:]))) ** rng.choice([0.1, 1, 3])
            found[tensor.name] = rng.random(shape) < uneven
    return found


def _draw_problem(rng: np.random.Generator, most: int) -> Problem:
    shape = str(rng.choice(SHAPES))
    names = {"fully_connected": "CKN", "conv": "RSPQCKN", "depthwise": "RSPQCN", "grouped": "RSPQCKNG"}[shape]
    bounds, room = dict.fromkeys(names, 1), most
    for name in rng.permutation(list(names)):
        largest = min(room, 3 if name in "RS" else 8 if len(names) > 3 else 12)
        bound = int(rng.integers(1, largest + 1)) if rng.random() < 0.7 else 1
        # Powers of two give tiles of even extent, which can be cut.
        bounds[str(name)] = 1 << (bound.bit_length() - 1) if rng.random() < 0.6 else bound
        room //= bounds[str(name)]
    content: dict[str, Any] = {
        "name": "drawn",
        "shape": shape + str(rng.choice(SUFFIXES)),
        "dimensions": bounds,
    }
    if shape != "fully_connected":
        content["coefficients"] = {
            key: int(rng.choice([1, 1, 2])) for key in ("stride_h", "stride_w", "dilation_h", "dilation_w")
        }
    return load_problem({"problem": content})


def _draw_mapping(rng: np.random.Generator, problem: Problem, side: int) -> tuple[dict[str, Any], Factors]:
    loops: Factors = {slot: {} for slot in SLOTS}
    room = {"DRAM x": int(rng.choice([1, 1, 1, 2])), "GlobalBuffer x": side, "GlobalBuffer y": side}
    for name in rng.permutation(list(problem.dimensions)):
        rest = problem.dimensions[str(name)]
        for slot in (*room, *rng.permutation(["DRAM", "GlobalBuffer"])):
            divisors = [n for n in range(1, rest + 1) if rest % n == 0 and n <= room.get(str(slot), n)]
            factor = int(rng.choice(divisors))
            loops[str(slot)][str(name)] = factor
            if slot in room:
                room[str(slot)] //= factor
            rest //= factor
        loops["RegFile"][str(name)] = rest
    levels: list[dict[str, Any]] = []
    tensors = [tensor.name for tensor in problem.tensors]
    for name in LEVELS:
        level: dict[str, Any] = {"level": name}
        for slot, key in ((name, "temporal"), (f"{name} x", "spatial_x"), (f"{name} y", "spatial_y")):
            order = rng.permutation(list(problem.dimensions))
            level[key] = [f"{d}={loops[slot][d]}" for d in order if slot in loops and loops[slot][d] > 1]
        level["keep"] = [t for t in tensors if rng.random() < 0.7] if name == "GlobalBuffer" else tensors
        levels.append(level)
    return {"mapping": {"name": "drawn", "levels": levels}}, loops
