"""Measure the speed of the model: both sides of every ratio run in this process, in turn.

python tools/bench.py [--json FILE]

Prints medians over several rounds; a machine that does other work makes single figures doubtful, ratios less.
With --json all times are kept, under the commit that they are of: bench_compare.py compares two such files.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import astuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from bench_compare import Measurements, save_measurements
from bench_work import (
    WORKS,
    Nests,
    Work,
    convolution,
    processor_time,
    random_nests,
    roomy_machine,
    roomy_procrustes,
    sparse_evaluator,
)

from procrustes_model import evaluate_batch, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.model import lanes
from procrustes_model.model.batch import BatchResult
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from tests.naive import dense as naive
from tests.naive import sparse as naive_sparse

MEASURED: Measurements = {}
"""Processor times of every round, by what was measured."""


def seconds(work: Work, rounds: int, name: str = "") -> float:
    """Return the median processor time of `work`, and keep all under `name` if there is one."""
    spent = [processor_time(work) for _ in range(rounds)]
    if name:
        MEASURED[name] = spent
    return statistics.median(spent)


def bench_batch(mappings: int) -> None:
    """Time `evaluate_batch` on a 3-level, 7-dimension, 3-tensor convolution: on lanes, and one by one."""
    machine, problem = roomy_machine(), convolution(P=14, Q=14, C=256, K=256)
    nests = random_nests(machine, problem, mappings)

    def evaluate_all() -> BatchResult:
        return evaluate_batch(machine, problem, *nests)

    worth = lanes.WORTH
    lanes.WORTH = sys.maxsize
    one_by_one = evaluate_all()
    alone = seconds(evaluate_all, 5, f"batch of {mappings}, one by one")
    lanes.WORTH = 0
    making = processor_time(evaluate_all)
    spent = seconds(evaluate_all, 9, f"batch of {mappings}")
    result = evaluate_all()
    lanes.WORTH = worth
    if not result.valid.all():
        raise RuntimeError("a drawn mapping was not evaluated")
    for array, other in zip(astuple(result), astuple(one_by_one), strict=True):
        np.testing.assert_array_equal(array, other)
    print(f"evaluate_batch: {mappings:,} mappings of a convolution (3 levels, 7 dimensions, 3 tensors)")
    print(f"  {mappings / spent:,.0f} mappings per second on one core, all counts included")
    print(
        f"  ratio to one by one: {alone / spent:.1f}; {making - spent:.2f} s once to make code for the shape"
    )


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
    fast_time = seconds(lambda: evaluate_batch(machine, problem, *repeated), 5, "batch, tiny") / 200
    print(f"naive walk of the same {mappings} mappings of a tiny convolution (512 operations)")
    print(f"  ratio naive / evaluate_batch: {naive_time / fast_time:,.0f}")


def bench_expected(mappings: int) -> None:
    """Time batches of the sparse model where only densities are known: on lanes, and one by one."""
    machine, problem = roomy_procrustes(), convolution(C=512, K=512)
    nests = random_nests(machine, problem, mappings)
    print(f"sparse model, expected: {mappings:,} mappings of a 512x512x3x3 layer, half tiles balanced")
    for name in ("procrustes", "procrustes_2020"):
        design = load_sparsity(name)
        label = f"sparse batch of {mappings}, {name}"
        worth = lanes.WORTH
        lanes.WORTH = sys.maxsize
        single = sparse_evaluator(machine, problem, design)
        one_by_one = single(*nests)
        alone = seconds(lambda one=single: one(*nests), 5, f"{label}, one by one")  # type: ignore[misc]
        lanes.WORTH = 0
        kept = sparse_evaluator(machine, problem, design)
        kept(*nests)
        warm = seconds(lambda one=kept: one(*nests), 9, label)  # type: ignore[misc]
        cold = seconds(
            lambda one=design: sparse_evaluator(machine, problem, one)(*nests),  # type: ignore[misc]
            3,
            f"{label}, cold",
        )
        result = kept(*nests)
        lanes.WORTH = worth
        if not result.valid.all():
            raise RuntimeError("a drawn mapping was not evaluated")
        for array, other in zip(astuple(result), astuple(one_by_one), strict=True):
            np.testing.assert_array_equal(array, other)
        print(f"  {name}: {mappings / warm:,.0f} mappings per second on one core, all counts included")
        print(
            f"    ratio to one by one: {alone / warm:.1f}; {mappings / cold:,.0f} per second"
            " with nothing remembered of tiles met before"
        )


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
    problem = convolution(C=512, K=512)
    mask = rng.random((512, 512, 3, 3)) < 0.1
    nests = valid_nests(machine, problem, mappings)
    prepared = seconds(
        lambda: sparse_evaluator(machine, problem, design, masks={"Weights": mask}), 3, "mask, once"
    )
    counter = sparse_evaluator(machine, problem, design, masks={"Weights": mask})
    each = [Nests(*(array[i : i + 1] for array in nests)) for i in range(mappings)]
    times = [seconds(lambda one=one: counter(*one), 3) for one in each]  # type: ignore[misc]
    MEASURED["mask, per mapping"] = times
    print(
        f"sparse model, on a mask: {mappings} mappings of a 512x512x3x3 layer, all array-level tiles counted"
    )
    print(f"  {statistics.median(times) * 1e3:.1f} ms per mapping, slowest {max(times) * 1e3:.1f} ms")
    print(f"  {prepared * 1e3:.0f} ms once per mask")
    problem = convolution(C=128, K=128)
    mask = rng.random((128, 128, 3, 3)) < 0.1
    nests = valid_nests(machine, problem, 1)
    counter = sparse_evaluator(machine, problem, design, masks={"Weights": mask})
    fast_time = seconds(lambda: [counter(*nests) for _ in range(20)], 5) / 20
    mapping = load_mapping(nest_spec(machine, problem, nests, 0), machine, problem)
    weights = next(tensor for tensor in problem.tensors if tensor.name == "Weights")
    shares: list[float] = []
    naive_time = seconds(
        lambda: shares.append(
            float(naive_sparse.slowest_share(problem, mapping, [(weights, mask)], 2, "half_tile"))
        ),
        1,
    )
    np.testing.assert_allclose(counter(*nests).imbalance * mask.mean(), shares, rtol=1e-12)
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
        MEASURED[name] = times


def bench_works(rounds: int) -> None:
    """Time the pieces of work that bench_commits.py compares commits by."""
    print("pieces of work that commits are compared by")
    for name, prepare in WORKS.items():
        work = prepare()
        work()
        print(f"  {name}: {seconds(work, rounds, name) * 1e3:.1f} ms")


def current_commit() -> str:
    """Return the commit of this checkout, with a plus where files were changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    describe = [*git, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    done = subprocess.run(describe, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mappings", type=int, default=100_000, help="mappings per batch (default: %(default)s)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="keep all times here; {commit} stands for the commit, with a plus where files were changed",
    )
    arguments = parser.parse_args()
    bench_batch(arguments.mappings)
    bench_against_naive(20)
    bench_expected(arguments.mappings)
    bench_masks(40)
    bench_works(7)
    bench_command_line()
    if arguments.json is not None:
        commit = current_commit()
        path = Path(str(arguments.json).replace("{commit}", commit))
        save_measurements(path, commit, f"{platform.machine()} {platform.platform()}", MEASURED)
        print(f"Wrote {path}")


if __name__ == "__main__":
    main()
