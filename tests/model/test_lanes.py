"""Batches on lanes against the kernels that evaluate one mapping after the other: every bit is the same."""

from __future__ import annotations

import pickle
import random
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from bench_work import Nests, convolution, random_nests, roomy_machine

from procrustes_model import Evaluator, load_architecture, load_problem
from procrustes_model.kernels.lanes.shape import shape_of
from procrustes_model.kernels.lanes.vectors import LANES
from procrustes_model.model import lanes
from procrustes_model.model.batch import BatchResult
from procrustes_model.vocabulary import Status
from tests.amount import amount, first_quick
from tests.strategies import SHAPES


def draw_problem_spec(rng: random.Random) -> dict[str, Any]:
    """Draw a problem whose outputs have no gaps, with bounds that are often 1."""
    name = rng.choice(["matmul", "convolution", "convolution", "transposed", "five"])
    shape: dict[str, Any] = {"name": name} | SHAPES[name]
    bounds, steps = [1, 2, 3, 4, 6, 8, 12, 36], [1] if name == "transposed" else [1, 1, 2, 3]
    return {
        "problem": {
            "name": name,
            "shape": shape,
            "dimensions": {d: rng.choice(bounds) for d in shape["dimensions"]},
            "coefficients": {key: rng.choice(steps) for key in shape.get("coefficients", {})},
        }
    }


def draw_machine_spec(rng: random.Random) -> dict[str, Any]:
    """Draw a machine of one to four levels with all that is counted on lanes."""
    energies, ports = [0, 0.1, 1, 2.5, 23.373, 512], ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
    levels: list[dict[str, Any]] = []
    depth = rng.choice([1, 2, 3, 3, 4])
    wide = rng.sample(range(depth), min(depth, 2))
    for i in range(depth):
        level: dict[str, Any] = {
            "name": f"L{i}",
            "class": "memory",
            "word_bits": rng.choice([8, 16, 32]),
            "words_per_access": rng.choice([1, 2, 3, 8]),
            "energy_pj": {action: rng.choice(energies) for action in ("read", "write", "update")},
            "source": "drawn",
        }
        if i in wide and i > 0:
            level |= {"mesh_x": rng.choice([6, 16, 64]), "mesh_y": rng.choice([1, 12, 128])}
        if i and rng.random() < 0.5:
            level["capacity_words"] = rng.choice([100, 10_000, 1_000_000])
        level |= {port: rng.choice([0.25, 1, 3, 7.5]) for port in ports if rng.random() < 0.3}
        if rng.random() < 0.2:
            level |= {"leakage_mw": rng.choice([0.5, 20]), "leakage_gated": rng.random() < 0.7}
        levels.append(level)
    compute = {"mesh_x": rng.choice([1, 1, 4]), "energy_pj": rng.choice(energies), "source": "drawn"}
    if rng.random() < 0.3:
        compute["cycles_per_compute"] = rng.choice([0.5, 0.3, 3])
    machine: dict[str, Any] = {"name": "drawn", "clock": "1 GHz", "levels": levels, "compute": compute}
    if rng.random() < 0.3:
        use = {"level": "L0", "action": rng.choice(["read", "fill", "update"])}
        machine["components"] = [{"name": "U", "energy_pj": 2.5, "use": use}]
    return {"architecture": machine}


def damage(rng: np.random.Generator, nests: Nests) -> Nests:
    """Let a few mappings be what they must not: too wide, not covering, not kept, beyond what is exact."""
    count, levels, dimensions = nests.temporal.shape
    temporal, spatial, keep = nests.temporal.copy(), nests.spatial.copy(), nests.keep.copy()
    keep[:, 1:] = rng.random(keep[:, 1:].shape) < 0.7
    for which, kind in enumerate((temporal, spatial, keep, temporal)):
        rows = rng.choice(count, count // 50, replace=False)
        level, d = rng.integers(0, levels, len(rows)), rng.integers(0, dimensions, len(rows))
        if which == 2:
            keep[rows, 0, 0] = False
        elif which == 1:
            kind[rows, level, rng.integers(0, 2, len(rows)), d] *= 2
        else:
            kind[rows, level, d] *= 2 if which == 0 else 2**53 + 1
    return Nests(temporal, nests.order, spatial, keep)


def assert_same_bits(one: BatchResult, other: BatchResult) -> None:
    """Hold the arrays of two results to each other; a count beyond 2^62 leaves accesses undefined."""
    defined = one.status != Status.OVERFLOW.value
    for field in fields(BatchResult):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "accesses":
            a, b = a[defined], b[defined]
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), field.name


@pytest.fixture
def on_lanes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what evaluates a batch on lanes, however few mappings there are, and one by one."""

    def evaluate(machine: Any, problem: Any, nests: Nests, **options: Any) -> tuple[BatchResult, BatchResult]:
        monkeypatch.setattr(lanes, "WORTH", 0)
        vectors = Evaluator(machine, problem).evaluate_batch(*nests, **options)
        monkeypatch.setattr(lanes, "WORTH", 1 << 60)
        return vectors, Evaluator(machine, problem).evaluate_batch(*nests, **options)

    return evaluate


@pytest.mark.parametrize("seed", first_quick(range(amount(9, 5)), 4))
def test_every_bit_is_that_of_single_evaluations(seed: int, on_lanes: Any) -> None:
    rng = random.Random(seed)  # noqa: S311
    machine = load_architecture(draw_machine_spec(rng))
    problem = load_problem(draw_problem_spec(rng))
    design = Evaluator(machine, problem).design
    assert shape_of(design.problem, design.machine, design.rules) is not None
    drawn = random_nests(machine, problem, amount(3001, 107), seed)
    nests = damage(np.random.default_rng(seed), drawn)
    assert_same_bits(*on_lanes(machine, problem, nests, threads=1 + seed % 3))


@pytest.mark.quick
def test_outputs_that_slide(on_lanes: Any) -> None:
    """Instances come to positions with holes: how many sums these have is found once for each pattern."""
    bounds = dict(convolution(P=14, Q=14).dimensions)
    machine = roomy_machine()
    problem = load_problem({"problem": {"name": "p", "shape": "conv_backward", "dimensions": bounds}})
    nests = random_nests(machine, problem, amount(8_000, 200))
    vectors, single = on_lanes(machine, problem, nests, threads=2)
    assert vectors.valid.all()
    assert_same_bits(vectors, single)


@pytest.mark.quick
def test_windows_of_a_large_convolution(on_lanes: Any) -> None:
    """Runs that go on from level to level and crowded windows are there."""
    machine, problem = roomy_machine(), convolution(P=14, Q=14, C=256, K=256)
    nests = random_nests(machine, problem, amount(8_000, 200))
    vectors, single = on_lanes(machine, problem, nests)
    assert vectors.valid.all()
    assert_same_bits(vectors, single)


@pytest.mark.quick
@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, LANES + 1])
def test_any_number_of_mappings(count: int, on_lanes: Any) -> None:
    machine, problem = roomy_machine(), convolution()
    assert_same_bits(*on_lanes(machine, problem, random_nests(machine, problem, count)))


@pytest.mark.quick
def test_what_kernels_must_not_see_is_refused_on_lanes_too(on_lanes: Any) -> None:
    machine, problem = roomy_machine(), convolution()
    nests = random_nests(machine, problem, 20)
    for level in range(3):
        order, temporal, spatial = nests.order.copy(), nests.temporal.copy(), nests.spatial.copy()
        order[17, level, 0] = order[17, level, 1]
        with pytest.raises(ValueError, match="permutation"):
            on_lanes(machine, problem, nests._replace(order=order))
        order[17, level, 0] = -1
        with pytest.raises(ValueError, match="permutation"):
            on_lanes(machine, problem, nests._replace(order=order))
        temporal[3, level, 2] *= -1
        with pytest.raises(ValueError, match="positive"):
            on_lanes(machine, problem, nests._replace(temporal=temporal))
        spatial[3, level, 1, 6] = 0
        with pytest.raises(ValueError, match="positive"):
            on_lanes(machine, problem, nests._replace(spatial=spatial))


@pytest.mark.quick
def test_counts_beyond_what_lanes_hold(on_lanes: Any) -> None:
    """Factors are right and counts exceed 2^52, or 2^62: other kernels take over."""
    machine = roomy_machine()
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": dict.fromkeys("MKN", 2**17)}}
    )
    nests = random_nests(machine, problem, 400)
    vectors, single = on_lanes(machine, problem, nests)
    assert_same_bits(vectors, single)
    assert (vectors.accesses >= 2**47).any()


@pytest.mark.quick
def test_sums_that_are_read_on_their_way_up_are_counted(on_lanes: Any) -> None:
    plain, problem = roomy_machine(), convolution()
    levels = tuple(level.model_copy(update={"drain_read": True}) for level in plain.levels)
    machine = plain.model_copy(update={"levels": levels})
    nests = random_nests(machine, problem, 50)
    vectors, single = on_lanes(machine, problem, nests)
    assert_same_bits(vectors, single)
    without = Evaluator(plain, problem).evaluate_batch(*nests)
    assert (vectors.energy_pj[vectors.valid] > without.energy_pj[vectors.valid]).any()


@pytest.mark.quick
def test_accesses_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, problem = roomy_machine(), convolution()
    nests, evaluator = random_nests(machine, problem, 50), Evaluator(machine, problem)
    nests.temporal[7] *= 2
    whole = evaluator.evaluate_batch(*nests)
    monkeypatch.setattr(lanes, "WORTH", 0)
    short = Evaluator(machine, problem)._batches.evaluate(*nests, accesses=False)
    assert len(short.accesses) == 0
    assert short.energy_pj.tobytes() == whole.energy_pj.tobytes()
    assert short.status[7] == Status.BAD_FACTORS.value and (short.status == whole.status).all()


def test_code_is_made_once_there_is_much_to_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, problem = roomy_machine(), convolution()
    design = Evaluator(machine, problem).design
    monkeypatch.setattr(lanes, "WORTH", 1000)
    monkeypatch.setattr(lanes, "_seen", type(lanes._seen)())
    assert lanes.DesignOnLanes(design).code(400) is None
    later = lanes.DesignOnLanes(design)
    assert later.code(599) is None and later.code(1) is not None
    assert pickle.loads(pickle.dumps(later)).code(lanes.FEW) is not None  # noqa: S301 - made in the line
