"""Measure the speed of the model: both sides of every ratio run in this process, in turn.

python tools/bench.py

Prints medians over several rounds; a machine that does other work makes single figures doubtful, ratios less.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from procrustes_model import (
    evaluate_batch,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    prepare_sparse,
)
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.naive import dense as naive
from tests.naive import sparse as naive_sparse


class Nests(NamedTuple):
    """Mappings as `evaluate_batch` takes them."""

    temporal: np.ndarray
    order: np.ndarray
    spatial: np.ndarray
    keep: np.ndarray


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of `number`, smallest first."""
    factors, prime = [], 2
    while number > 1:
        while number % prime == 0:
            factors.append(prime)
            number //= prime
        prime += 1
    return factors


def random_nests(architecture: Architecture, problem: Problem, mappings: int, seed: int = 0) -> Nests:
    """Draw mappings: every prime factor of every bound in a random slot, every loop order equally likely.

    The slots are the temporal loops of every level, and the spatial ones where the machine fans out.
    """
    rng = np.random.default_rng(seed)
    levels, dimensions = len(architecture.levels), len(problem.dimensions)
    slots = np.ones((mappings, levels, 3, dimensions), np.int64)
    fans = [level for level in range(levels) if architecture.fanout(level) != (1, 1)]
    places = [(level, 0) for level in range(levels)] + [(level, axis) for level in fans for axis in (1, 2)]
    level_of, kind_of = np.array(places).T
    row = np.arange(mappings)
    for d, bound in enumerate(problem.dimensions.values()):
        for factor in prime_factors(bound):
            slot = rng.integers(0, len(places), mappings)
            slots[row, level_of[slot], kind_of[slot], d] *= factor
    return Nests(
        temporal=np.ascontiguousarray(slots[:, :, 0]),
        order=np.argsort(rng.random((mappings, levels, dimensions)), axis=2),
        spatial=np.ascontiguousarray(slots[:, :, 1:]),
        keep=np.ones((mappings, levels, len(problem.tensors)), np.bool_),
    )


def roomy_machine() -> Architecture:
    """Return three levels with an array below the second that any mapping fits, so that all are evaluated."""
    energy = {"read": 2.0, "write": 2.5}
    level = {
        "class": "memory",
        "word_bits": 16,
        "words_per_access": 2,
        "energy_pj": energy,
        "source": "benchmark",
    }
    levels = [{"name": name} | level for name in ("DRAM", "Buffer", "Registers")]
    wide = load_architecture(
        {
            "architecture": {
                "name": "bench",
                "levels": levels,
                "compute": {"energy_pj": 1, "source": "benchmark"},
            }
        }
    )
    far, buffer, registers = wide.levels
    registers = registers.model_copy(update={"mesh_x": 2**31, "mesh_y": 2**31})
    return wide.model_copy(update={"levels": (far, buffer, registers)})


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median processor time of `work`."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def bench_batch(mappings: int) -> None:
    """Time `evaluate_batch` on a 3-level, 7-dimension, 3-tensor convolution."""
    problem = load_problem(
        {
            "problem": {
                "name": "convolution",
                "shape": "conv",
                "dimensions": {"R": 3, "S": 3, "P": 14, "Q": 14, "C": 256, "K": 256, "N": 16},
            }
        }
    )
    machine = roomy_machine()
    nests = random_nests(machine, problem, mappings)
    if not evaluate_batch(machine, problem, *nests).valid.all():
        raise RuntimeError("a drawn mapping was not evaluated")
    spent = seconds(lambda: evaluate_batch(machine, problem, *nests), rounds=9)
    print(f"evaluate_batch: {mappings:,} mappings of a convolution (3 levels, 7 dimensions, 3 tensors)")
    print(f"  {mappings / spent:,.0f} mappings per second on one core, all counts included")


def bench_against_naive(mappings: int) -> None:
    """Time `evaluate_batch` against the naive evaluation of the same mappings."""
    bounds = {"R": 2, "S": 2, "P": 2, "Q": 2, "C": 4, "K": 4, "N": 2}
    problem = load_problem({"problem": {"name": "tiny", "shape": "conv", "dimensions": bounds}})
    machine = roomy_machine()
    nests = random_nests(machine, problem, mappings)
    chosen = [load_mapping(nest_spec(machine, problem, nests, i), machine, problem) for i in range(mappings)]
    fast = evaluate_batch(machine, problem, *nests)
    slow: list[float] = []
    naive_time = seconds(
        lambda: slow.extend(naive.evaluate(machine, problem, mapping)["total_energy"] for mapping in chosen),
        1,
    )
    np.testing.assert_allclose(fast.energy_pj, slow, rtol=1e-9)
    repeated = Nests(*(np.concatenate([array] * 200) for array in nests))
    fast_time = seconds(lambda: evaluate_batch(machine, problem, *repeated), 5) / 200
    print(f"naive walk of the same {mappings} mappings of a tiny convolution (512 operations)")
    print(f"  ratio naive / evaluate_batch: {naive_time / fast_time:,.0f}")


def layer(channels: int) -> Problem:
    """Return a 3x3 convolution of `channels` input and as many output channels."""
    bounds = {"R": 3, "S": 3, "P": 7, "Q": 7, "C": channels, "K": channels, "N": 16}
    return load_problem({"problem": {"name": "convolution", "shape": "conv", "dimensions": bounds}})


def bench_expected(mappings: int) -> None:
    """Time batches of the sparse model where only densities are known."""
    problem, machine = layer(512), load_architecture("procrustes_16x16")
    roomy = {"mesh_x": 2**31, "mesh_y": 2**31, "capacity_words": None}
    levels = [level.model_copy(update={"capacity_words": None}) for level in machine.levels[:-1]]
    machine = machine.model_copy(update={"levels": (*levels, machine.levels[-1].model_copy(update=roomy))})
    nests = random_nests(machine, problem, mappings)
    design = load_sparsity("procrustes")
    kept = prepare_sparse(machine, problem, design)
    if not kept.evaluate(*nests).valid.all():
        raise RuntimeError("a drawn mapping was not evaluated")
    warm = seconds(lambda: kept.evaluate(*nests), rounds=5)
    cold = seconds(lambda: prepare_sparse(machine, problem, design).evaluate(*nests), rounds=3)
    print(f"sparse model, expected: {mappings:,} mappings of a 512x512x3x3 layer, half tiles balanced")
    print(f"  {mappings / warm:,.0f} mappings per second on one core")
    print(f"  {mappings / cold:,.0f} with nothing remembered of tiles met before")


def valid_nests(machine: Architecture, problem: Problem, wanted: int) -> Nests:
    """Draw mappings and return the first `wanted` that are valid on the machine."""
    drawn = random_nests(machine, problem, 200_000)
    valid = np.flatnonzero(evaluate_batch(machine, problem, *drawn).valid)[:wanted]
    if len(valid) < wanted:
        raise RuntimeError("too few drawn mappings are valid")
    return Nests(*(array[valid] for array in drawn))


def bench_masks(mappings: int) -> None:
    """Time mappings on a mask, every array-level tile counted, and the naive count of a smaller layer."""
    machine, design = load_architecture("procrustes_16x16"), load_sparsity("procrustes")
    rng = np.random.default_rng(0)
    problem = layer(512)
    mask = rng.random((512, 512, 3, 3)) < 0.1
    nests = valid_nests(machine, problem, mappings)
    prepared = seconds(lambda: prepare_sparse(machine, problem, design, masks={"Weights": mask}), 3)
    counter = prepare_sparse(machine, problem, design, masks={"Weights": mask})
    each = [Nests(*(array[i : i + 1] for array in nests)) for i in range(mappings)]
    times = [seconds(lambda one=one: counter.evaluate(*one), 3) for one in each]  # type: ignore[misc]
    print(
        f"sparse model, on a mask: {mappings} mappings of a 512x512x3x3 layer, all array-level tiles counted"
    )
    print(f"  {statistics.median(times) * 1e3:.1f} ms per mapping, slowest {max(times) * 1e3:.1f} ms")
    print(f"  {prepared * 1e3:.0f} ms once per mask")
    problem = layer(128)
    mask = rng.random((128, 128, 3, 3)) < 0.1
    nests = valid_nests(machine, problem, 1)
    counter = prepare_sparse(machine, problem, design, masks={"Weights": mask})
    fast_time = seconds(lambda: [counter.evaluate(*nests) for _ in range(20)], 5) / 20
    mapping = load_mapping(nest_spec(machine, problem, nests, 0), machine, problem)
    weights = next(tensor for tensor in problem.tensors if tensor.name == "Weights")
    shares: list[float] = []
    naive_time = seconds(
        lambda: shares.append(
            float(naive_sparse.slowest_share(problem, mapping, weights, mask, 2, "half_tile"))
        ),
        1,
    )
    np.testing.assert_allclose(counter.evaluate(*nests).imbalance * mask.mean(), shares, rtol=1e-12)
    print(f"  ratio naive / counted, of one mapping of a 128x128x3x3 layer: {naive_time / fast_time:,.0f}")


def nest_spec(machine: Architecture, problem: Problem, nests: Nests, i: int) -> dict[str, object]:
    """Return mapping `i` of a batch as the content of a mapping file."""
    names = list(problem.dimensions)
    levels = []
    for level, spec in enumerate(machine.levels):
        factors = nests.temporal[i, level]
        spread = nests.spatial[i, level]
        levels.append(
            {
                "level": spec.name,
                "temporal": [f"{names[d]}={factors[d]}" for d in nests.order[i, level] if factors[d] > 1],
                "spatial_x": [
                    f"{name}={factor}" for name, factor in zip(names, spread[0], strict=True) if factor > 1
                ],
                "spatial_y": [
                    f"{name}={factor}" for name, factor in zip(names, spread[1], strict=True) if factor > 1
                ],
            }
        )
    return {"mapping": {"name": f"drawn {i}", "levels": levels}}


def bench_command_line() -> None:
    """Time the command line against starting the interpreter."""
    command = [sys.executable, "-m", "procrustes_model"]
    evaluate = [
        "evaluate",
        "procrustes_16x16",
        "vgg_s/conv3_2",
        "procrustes_16x16/vgg_s_conv3_2_kn",
        "--quiet",
    ]
    sides = {"python -c pass": [sys.executable, "-c", "pass"]}
    sides |= {"procrustes --help": [*command, "--help"], "procrustes evaluate": [*command, *evaluate]}
    subprocess.run(sides["procrustes evaluate"], check=True, capture_output=True)  # compiles, where need be
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(7):
        for name, side in sides.items():
            start = time.perf_counter()
            subprocess.run(side, check=True, capture_output=True)
            spent[name].append(time.perf_counter() - start)
    base = statistics.median(spent["python -c pass"])
    print("command line, kernels cached")
    for name, times in spent.items():
        median = statistics.median(times)
        print(f"  {name}: {median:.3f} s, {median / base:.1f} times an empty interpreter")


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mappings", type=int, default=100_000, help="mappings per batch (default: %(default)s)"
    )
    arguments = parser.parse_args()
    bench_batch(arguments.mappings)
    bench_against_naive(20)
    bench_expected(arguments.mappings)
    bench_masks(40)
    bench_command_line()


if __name__ == "__main__":
    main()
