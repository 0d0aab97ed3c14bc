"""Random small architectures, problems and constraints for searches."""

from __future__ import annotations

import math
import random
from typing import Any

from procrustes_model import SpecError, search
from procrustes_model.mapper.imperfect.space import count_splits, factor_limits
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.space import Space

SHAPES: dict[str, tuple[list[str], dict[str, str]]] = {
    "matmul": (["M", "K", "N"], {"A": "M K", "B": "K N", "Z": "M N"}),
    "vector": (["K", "N"], {"A": "K", "B": "K N", "Z": "N"}),
    "slide": (["P", "R", "C"], {"W": "C R", "I": "C P*s+R*d", "O": "P"}),
    "filter": (["P", "R", "C", "K"], {"W": "K C R", "I": "C P*s+R*d", "O": "K P"}),
    "depthwise": (["P", "R", "C"], {"W": "C R", "I": "C P*s+R*d", "O": "C P"}),
    "backward": (["P", "R", "K"], {"W": "K R", "I": "K P", "O": "P*s+R*d"}),
    "image": (["P", "R", "Q", "S"], {"W": "R S", "I": "P*s+R*d Q*s+S*d", "O": "P Q"}),
}


def make_problem(rng: random.Random) -> dict[str, Any]:
    """Return a problem of few dimensions."""
    dimensions, tensors = SHAPES[rng.choice(list(SHAPES))]
    bounds = {name: rng.choice([1, 2, 2, 3, 4, 4, 5, 6, 8, 9, 12]) for name in dimensions}
    output = rng.choice(list(tensors)) if rng.random() < 0.1 else list(tensors)[-1]
    coefficients = {"s": rng.choice([1, 1, 1, 2, 3]), "d": rng.choice([1, 1, 1, 2])}
    used = "".join(tensors.values())
    return {
        "problem": {
            "name": "case",
            "shape": {
                "name": "case",
                "dimensions": dimensions,
                "coefficients": {name: value for name, value in coefficients.items() if name in used},
                "tensors": {
                    name: {"projection": ranks.split(), **({"output": True} if name == output else {})}
                    for name, ranks in tensors.items()
                },
            },
            "dimensions": bounds,
        }
    }


def make_architecture(rng: random.Random, tensors: list[str]) -> dict[str, Any]:
    """Return an architecture of two to four levels, some of them networks, restricted, or slow."""
    count, slow = rng.choice([2, 3, 3, 3, 4]), rng.random() < 0.4
    levels = []
    for i in range(count):
        energy = rng.uniform(1, 10) * 10 ** (count - 1 - i)
        level: dict[str, Any] = {
            "name": f"L{i}",
            "word_bits": 16,
            "words_per_access": rng.choice([1, 1, 2, 4]),
            "energy_pj": {"read": energy, "write": energy * rng.uniform(0.5, 1.5)},
        }
        if rng.random() < 0.5:
            level["energy_pj"]["update"] = energy * rng.uniform(0.5, 1.5)
        if i and rng.random() < 0.7:
            level["capacity_words"] = rng.choice([rng.randint(3, 12), rng.randint(6, 60)])
        if i and rng.random() < 0.4:
            level |= {"mesh_x": rng.choice([2, 3, 4, 6]), "mesh_y": rng.choice([1, 2, 3])}
        if i:
            level["tensors"] = [tensor for tensor in tensors if rng.random() < 0.6]
        for port in ("read", "write", "shared") if slow else ():
            if rng.random() < 0.3:
                level[f"{port}_bandwidth"] = rng.choice([0.25, 0.3, 0.5, 1, 2])
        levels.append(level)
    compute = {"name": "MAC", "energy_pj": rng.choice([1.0, 5.0])}
    if rng.random() < 0.3:
        compute["mesh_x"] = rng.choice([2, 3])
    return {"architecture": {"name": "case", "levels": levels, "compute": compute}}


def make_constraints(rng: random.Random, problem: dict[str, Any], levels: list[str]) -> dict[str, Any]:
    """Return a few constraints; they may leave nothing."""
    bounds = problem["problem"]["dimensions"]
    rules = []
    for level in levels:
        rule: dict[str, Any] = {"level": level}
        for kind in ("temporal", "spatial_x", "spatial_y"):
            if rng.random() < 0.25:
                name = rng.choice(list(bounds))
                divisors = [i for i in range(1, bounds[name] + 1) if bounds[name] % i == 0]
                relation = rng.choice(["=", "<=", ">="])
                rule[kind] = {"factors": f"{name}{relation}{rng.choice(divisors)}"}
                if kind != "temporal":
                    rule[kind]["dimensions"] = list(rng.sample(list(bounds), 2))
        if rng.random() < 0.4:
            rule.setdefault("temporal", {})["order"] = rng.sample(list(bounds), rng.randint(2, len(bounds)))
        rules.append(rule)
    return {"constraints": {"levels": rules, "min_utilization": rng.choice([0, 0, 0.3])}}


def make_case(seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return architecture, problem and constraints of a space that can be tried exhaustively."""
    rng = random.Random(seed)  # noqa: S311
    while True:
        problem = make_problem(rng)
        tensors = list(problem["problem"]["shape"]["tensors"])
        architecture = make_architecture(rng, tensors)
        levels = architecture["architecture"]["levels"]
        free = sum(len(level.get("tensors", ())) for level in levels)
        slots = len(levels) + sum(level.get("mesh_x", 1) > 1 for level in levels)
        primes = sum(bound.bit_length() - 1 for bound in problem["problem"]["dimensions"].values())
        orders = math.factorial(len(problem["problem"]["dimensions"])) ** (len(levels) - 1)
        if slots**primes * 2**free * orders < 3e9:
            return architecture, problem, make_constraints(rng, problem, [level["name"] for level in levels])


def count_combinations(space: Space, *, imperfect: bool = False) -> int:
    """Return how many combinations there are with orders of all dimensions, also where they have no loop."""
    bounds, limits = space.model.bounds.tolist(), factor_limits(space)
    splits = [
        sum(count_splits(bound, limits[..., d]).values()) if imperfect else space.count_factorisations(d)
        for d, bound in enumerate(bounds)
    ]
    orders = math.factorial(len(bounds)) ** space.levels
    return int(math.prod(splits) * orders << int((space.rules.keep < 0).sum()))


def find(*given: Any, method: str) -> SearchResult | None:
    """Return what a search finds on one thread; None where it says why there is nothing."""
    try:
        return search(*given, method=method, threads=1)  # type: ignore[arg-type]
    except SpecError:
        return None
