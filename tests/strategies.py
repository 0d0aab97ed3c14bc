"""Random small architectures, problems and mappings, as the content of spec files."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]

SHAPES: dict[str, Spec] = {
    "matmul": {
        "dimensions": ["M", "K", "N"],
        "tensors": {
            "A": {"projection": ["M", "K"]},
            "B": {"projection": ["K", "N"]},
            "Z": {"projection": ["M", "N"], "output": True},
        },
    },
    "convolution": {
        "dimensions": ["C", "K", "R", "S", "P", "Q"],
        "coefficients": {"stride": 1, "dilation": 1},
        "tensors": {
            "Weights": {"projection": ["K", "C", "R", "S"]},
            "Inputs": {"projection": ["C", "P*stride + R*dilation", "Q + S"]},
            "Outputs": {"projection": ["K", "P", "Q"], "output": True},
        },
    },
    "transposed": {
        "dimensions": ["C", "K", "R", "P"],
        "coefficients": {"stride": 1, "dilation": 1},
        "tensors": {
            "Weights": {"projection": ["K", "C", "R"]},
            "Inputs": {"projection": ["C", "P*stride + R*dilation"], "output": True},
            "Outputs": {"projection": ["K", "P"]},
        },
    },
    "five": {
        "dimensions": ["A", "B", "C", "D", "E"],
        "tensors": {
            "X": {"projection": ["A", "B", "C"]},
            "Y": {"projection": ["C", "D", "E"]},
            "Z": {"projection": ["A", "B", "D", "E"], "output": True},
        },
    },
    "three_in_a_rank": {
        "dimensions": ["A", "B", "C"],
        "coefficients": {"stride": 1, "dilation": 1},
        "tensors": {
            "X": {"projection": ["A*stride + B*dilation + C"]},
            "Y": {"projection": ["B", "C"]},
            "Z": {"projection": ["A"], "output": True},
        },
    },
    "diagonal": {
        "dimensions": ["A", "B", "C"],
        "coefficients": {"stride": 1},
        "tensors": {
            "X": {"projection": ["A + B", "A*stride + C"]},
            "Y": {"projection": ["B", "A"]},
            "Z": {"projection": ["A", "C"], "output": True},
        },
    },
}


@st.composite
def problems(draw: st.DrawFn, most: int = 160) -> Spec:
    """Draw a problem with at most `most` operations."""
    name = draw(st.sampled_from(sorted(SHAPES)))
    shape = {"name": name} | SHAPES[name]
    room = most
    bounds = {}
    for dimension in draw(st.permutations(shape["dimensions"])):
        bounds[dimension] = draw(st.integers(1, min(room, 8)))
        room //= bounds[dimension]
    coefficients = {key: draw(st.integers(1, 4)) for key in shape.get("coefficients", {})}
    return {
        "problem": {
            "name": name,
            "shape": shape,
            "dimensions": {d: bounds[d] for d in shape["dimensions"]},
            "coefficients": coefficients,
        }
    }


@st.composite
def factors(draw: st.DrawFn, bound: int, slots: int) -> list[int]:
    """Draw factors that multiply to `bound`, one per slot."""
    parts = []
    for _ in range(slots - 1):
        divisors = [n for n in range(1, bound + 1) if bound % n == 0]
        parts.append(draw(st.sampled_from(divisors)))
        bound //= parts[-1]
    return draw(st.permutations([*parts, bound]))


@st.composite
def mappings(draw: st.DrawFn, problem: Spec, levels: int) -> Spec:
    """Draw a mapping of `problem` onto as many levels, called L0 and so on."""
    bounds = problem["problem"]["dimensions"]
    tensors = sorted(problem["problem"]["shape"]["tensors"])
    nest: list[Spec] = [{"level": f"L{i}", "spatial_x": [], "spatial_y": []} for i in range(levels)]
    temporal: list[Spec] = [{} for _ in range(levels)]
    for dimension, bound in bounds.items():
        parts = draw(factors(bound, 3 * levels))
        for i in range(levels):
            temporal[i][dimension] = parts[3 * i]
            for axis, part in (("spatial_x", parts[3 * i + 1]), ("spatial_y", parts[3 * i + 2])):
                if part > 1:
                    nest[i][axis].append(f"{dimension}={part}")
    for i in range(levels):
        order = draw(st.permutations(sorted(bounds)))
        nest[i]["temporal"] = [f"{d}={temporal[i][d]}" for d in order if temporal[i][d] > 1]
        nest[i]["keep"] = tensors if i == 0 else draw(st.lists(st.sampled_from(tensors), unique=True))
    return {"mapping": {"name": "drawn", "levels": nest}}


@st.composite
def imperfect_factors(draw: st.DrawFn, bound: int, levels: int) -> list[tuple[int, int, int, int]]:
    """Draw per level, outermost first, a temporal factor, that of the last pass, and factors on x and y."""
    parts: list[tuple[int, int, int, int]] = []
    rest, shortened = bound, False
    for level in range(levels - 1, -1, -1):
        spatial = []
        for _ in "xy":
            divisors = [n for n in range(2, rest + 1) if rest % n == 0 and not shortened]
            spatial.append(draw(st.sampled_from([1, 1, *divisors])))
            rest //= spatial[-1]
        factor = draw(st.integers(1, rest)) if level else rest
        last = (rest - 1) % factor + 1
        shortened = shortened or last < factor
        rest = -(-rest // factor)
        parts.insert(0, (factor, last, *spatial))
    return parts


Part = tuple[int, int, tuple[int, int], tuple[int, int]]
"""Of a level and a dimension: a temporal factor, that of the last pass, and both on x and on y."""


@st.composite
def unequal_factors(draw: st.DrawFn, bound: int, levels: int, most: int = 3) -> list[Part]:
    """Draw per level, outermost first, factors of loops any of which may be shorter in the last pass."""
    parts: list[Part] = []
    rest = bound
    for level in range(levels - 1, -1, -1):
        chosen = []
        for kind in "xyt":
            room = rest if kind == "t" else min(rest, most)
            factor = rest if kind == "t" and not level else draw(st.integers(1, room))
            chosen.append((factor, (rest - 1) % factor + 1))
            rest = -(-rest // factor)
        parts.insert(0, (*chosen[2], chosen[0], chosen[1]))
    return parts


@st.composite
def unequal_cases(draw: st.DrawFn, most: int = 90) -> tuple[Spec, Spec, Spec]:
    """Draw an architecture, a problem and a mapping whose instances may differ."""
    problem = draw(problems(most))
    bounds = problem["problem"]["dimensions"]
    count, room = draw(st.integers(2, 3)), 12
    splits = {}
    for d in draw(st.permutations(sorted(bounds))):
        splits[d] = draw(unequal_factors(bounds[d], count, min(3, room)))
        room //= math.prod(x * y for _, _, (x, _), (y, _) in splits[d])
        room = max(room, 1)
    return (*draw(placed(problem, splits, count)),)


@st.composite
def placed(draw: st.DrawFn, problem: Spec, splits: dict[str, list[Part]], count: int) -> tuple[Spec, ...]:
    """Draw an architecture and a mapping with given factors, orders and what is kept being drawn."""
    tensors = sorted(problem["problem"]["shape"]["tensors"])
    nest: list[Spec] = [
        {"level": f"L{i}", "temporal": [], "spatial_x": [], "spatial_y": []} for i in range(count)
    ]
    for dimension, parts in splits.items():
        for level, (factor, last, x, y) in zip(nest, parts, strict=True):
            for kind, (n, r) in (("temporal", (factor, last)), ("spatial_x", x), ("spatial_y", y)):
                if n > 1:
                    level[kind].append(f"{dimension}={n}" + (f"/{r}" if r < n else ""))
    for level in nest:
        level["temporal"] = draw(st.permutations(level["temporal"]))
        kept = draw(st.lists(st.sampled_from(tensors), unique=True))
        level["keep"] = tensors if level is nest[0] else kept
    mapping = {"mapping": {"name": "drawn", "levels": nest}}
    return draw(architectures(mapping)), problem, mapping


@st.composite
def with_drains(draw: st.DrawFn, drawn: tuple[Spec, ...]) -> tuple[Spec, ...]:
    """Let levels read what they send up."""
    for level in drawn[0]["architecture"]["levels"]:
        level["drain_read"] = draw(st.booleans())
    return drawn


@st.composite
def imperfect_mappings(draw: st.DrawFn, problem: Spec, levels: int) -> Spec:
    """Draw a mapping of `problem` some of whose loops are shorter in their last pass."""
    tensors = sorted(problem["problem"]["shape"]["tensors"])
    nest: list[Spec] = [
        {"level": f"L{i}", "temporal": [], "spatial_x": [], "spatial_y": []} for i in range(levels)
    ]
    for dimension, bound in problem["problem"]["dimensions"].items():
        for level, (factor, last, x, y) in zip(nest, draw(imperfect_factors(bound, levels)), strict=True):
            token = f"{dimension}={factor}" + (f"/{last}" if last < factor else "")
            for kind, number, text in (
                ("temporal", factor, token),
                ("spatial_x", x, f"{dimension}={x}"),
                ("spatial_y", y, f"{dimension}={y}"),
            ):
                if number > 1:
                    level[kind].append(text)
    for level in nest:
        level["temporal"] = draw(st.permutations(level["temporal"]))
        outermost = level is nest[0]
        level["keep"] = tensors if outermost else draw(st.lists(st.sampled_from(tensors), unique=True))
    return {"mapping": {"name": "drawn", "levels": nest}}


@st.composite
def imperfect_cases(draw: st.DrawFn, most: int = 160) -> tuple[Spec, Spec, Spec]:
    """Draw an architecture, a problem and a mapping with shorter last passes."""
    problem = draw(problems(most))
    mapping = draw(imperfect_mappings(problem, draw(st.integers(2, 4))))
    return draw(architectures(mapping)), problem, mapping


def mesh_of(loops: list[str]) -> int:
    """Return the fan-out that the loops of one axis need."""
    return math.prod(int(loop.split("=")[1].split("/")[0]) for loop in loops)


@st.composite
def architectures(draw: st.DrawFn, mapping: Spec) -> Spec:
    """Draw an architecture that the mapping fits: meshes large enough, no capacity limits."""
    bandwidth = st.none() | st.sampled_from([0.25, 0.5, 1, 2, 3, 7.5])
    energy = st.sampled_from([0, 0.1, 1, 2.5, 23.373, 512])
    nest = mapping["mapping"]["levels"]
    levels = []
    for i, level in enumerate(nest):
        ports = {port: draw(bandwidth) for port in ("read_bandwidth", "write_bandwidth", "shared_bandwidth")}
        levels.append(
            {
                "name": level["level"],
                "class": "memory",
                "mesh_x": mesh_of(nest[i - 1]["spatial_x"]) + draw(st.integers(0, 1)) if i else 1,
                "mesh_y": mesh_of(nest[i - 1]["spatial_y"]) if i else 1,
                "word_bits": 16,
                "words_per_access": draw(st.sampled_from([1, 2, 3, 8])),
                "energy_pj": {"read": draw(energy), "write": draw(energy), "update": draw(energy)},
                "source": "drawn",
            }
            | {port: value for port, value in ports.items() if value is not None}
        )
    compute = {
        "name": "MAC",
        "mesh_x": mesh_of(nest[-1]["spatial_x"]),
        "mesh_y": mesh_of(nest[-1]["spatial_y"]),
        "energy_pj": draw(energy),
        "source": "drawn",
    }
    return {"architecture": {"name": "drawn", "levels": levels, "compute": compute}}


@st.composite
def cases(draw: st.DrawFn, most: int = 160) -> tuple[Spec, Spec, Spec]:
    """Draw an architecture, a problem and a mapping that belong together."""
    problem = draw(problems(most))
    mapping = draw(mappings(problem, draw(st.integers(1, 4))))
    return draw(architectures(mapping)), problem, mapping


@st.composite
def uneven_cases(draw: st.DrawFn, most: int = 160) -> tuple[Spec, Spec, Spec]:
    """Draw an architecture, a problem and a mapping in which tensors of a level stand at several loops."""
    problem = draw(problems(most))
    bounds, tensors = problem["problem"]["dimensions"], sorted(problem["problem"]["shape"]["tensors"])
    count = draw(st.integers(2, 3))
    entries = [0, *(i for i in range(1, count) for _ in range(draw(st.integers(1 + (i == 1), 3))))]
    nest: list[Spec] = [
        {"level": f"L{i}", "temporal": [], "spatial_x": [], "spatial_y": [], "keep": []} for i in entries
    ]
    last = {i: position for position, i in enumerate(entries)}
    for dimension, bound in bounds.items():
        parts = draw(factors(bound, len(entries) + 2 * count))
        places = [(level, "temporal") for level in nest]
        places += [(nest[last[i]], axis) for i in range(count) for axis in ("spatial_x", "spatial_y")]
        for (level, kind), part in zip(places, parts, strict=True):
            if part > 1:
                level[kind].append(f"{dimension}={part}")
    for level in nest:
        level["temporal"] = draw(st.permutations(level["temporal"]))
    nest[0]["keep"] = tensors
    for i in range(1, count):
        mine = [position for position, index in enumerate(entries) if index == i]
        for tensor in tensors:
            place = draw(st.sampled_from([*mine, None]))
            if place is not None:
                nest[place]["keep"].append(tensor)
    folded = [nest[last[i]] for i in range(count)]
    machine = draw(architectures({"mapping": {"levels": folded}}))
    return machine, problem, {"mapping": {"name": "drawn", "levels": nest}}


STRIDED: dict[str, Spec] = {
    "every second": {"dimensions": ["C", "P"], "tensors": {"X": ["C", "P"], "Z": ["C", "P*2"]}},
    "backward": {"dimensions": ["C", "R", "P"], "tensors": {"X": ["C", "P"], "W": ["R"], "Z": ["P*3 + R"]}},
    "dilated": {
        "dimensions": ["A", "R", "P"],
        "tensors": {"X": ["A", "P"], "W": ["R"], "Z": ["P + R*4 + A*2"]},
    },
    "diagonal": {"dimensions": ["A", "B"], "tensors": {"X": ["A", "B"], "Z": ["A", "A + B"]}},
    "diagonal of two": {"dimensions": ["A", "B"], "tensors": {"X": ["A", "B"], "Z": ["A + B*3", "A*2"]}},
}
"""Problems whose output Z has words that no computation reaches, in the whole or in tiles."""


@st.composite
def strided_cases(draw: st.DrawFn) -> tuple[Spec, Spec, Spec]:
    """Draw a problem of `STRIDED`, a mapping onto two or three levels, and a machine that it fits."""
    name = draw(st.sampled_from(sorted(STRIDED)))
    dimensions = STRIDED[name]["dimensions"]
    tensors = {
        tensor: {"projection": ranks} | ({"output": True} if tensor == "Z" else {})
        for tensor, ranks in STRIDED[name]["tensors"].items()
    }
    problem: Spec = {
        "problem": {
            "name": name,
            "shape": {"name": name, "dimensions": dimensions, "tensors": tensors},
            "dimensions": {d: draw(st.sampled_from([1, 2, 3, 4, 6, 8])) for d in dimensions},
        }
    }
    mapping = draw(mappings(problem, draw(st.integers(2, 3))))
    return draw(architectures(mapping)), problem, mapping
