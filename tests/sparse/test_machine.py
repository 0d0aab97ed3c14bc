"""Mask mode against a machine that is stepped cycle by cycle; see `tests.naive.machine`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model import SparseResult, evaluate, load_mapping, load_problem, load_sparsity
from tests.amount import amount, first_quick
from tests.naive.machine.array import place_pairs
from tests.naive.machine.cases import Case, draw_case, limit_ports, make_architecture
from tests.naive.machine.compare import Finding, Reason, compare
from tests.naive.machine.nest import size
from tests.naive.machine.run import Machine, Run, compute, draw_values

Both = tuple[Machine, Run, SparseResult]

PLAIN = {"sparsity": {"name": "plain", "balancing": {"policy": "none", "tensor": "Weights"}}}
"""Nothing is skipped, and all is stored with its zeros."""

ANY = {
    Reason.FIRST,
    Reason.SLIDING_POINTERS,
    Reason.SLIDING_SUMS,
    Reason.SLIDING_WALK,
    Reason.SLIDING_ZEROS,
}
"""Where either may be larger; docs/explanation/left_out.md says by how much."""


def run_both(case: Case, seed: int = 0) -> Both:
    """Run the machine, see that its result is right, and evaluate the same."""
    values = draw_values(case.problem, case.masks, np.random.default_rng(seed))
    machine = Machine(case.architecture, case.problem, case.mapping, case.design, case.masks, values)
    run = machine.run()
    output = case.problem.output.name
    for point, value in np.ndenumerate(compute(case.problem, values)):
        if machine.is_kept(output, point):
            assert run.output.get(point, 0) == value
        else:
            assert point not in run.output
    result = evaluate(
        case.architecture,
        case.problem,
        case.mapping,
        sparsity=case.sparsity,
        masks=case.masks,
        check_capacity=False,
    )
    return machine, run, result


def check(machine: Machine, finding: Finding) -> None:
    """Hold a number to what must be true of it."""
    modelled, simulated = finding.modelled, finding.simulated
    if finding.reason is None:
        assert finding.equal, finding
    elif finding.reason in (Reason.BLOCKS, Reason.SLIDING_BLOCKS):
        assert simulated > modelled or finding.equal, finding
    elif finding.reason is Reason.SHARED:
        check_shared(machine, finding)
    else:
        assert finding.reason in ANY


def check_shared(machine: Machine, finding: Finding) -> None:
    """Hold fills to once per memories that share, where what feeds them is not shared itself."""
    level, tensor, action, _ = finding.what
    nest, at = machine.nest, machine.levels.index(level)
    if action != "fill" or nest.is_sliding(tensor):
        return
    outer = nest.keeper(tensor, at)
    sharing = nest.sharing(tensor, outer, at)
    assert finding.simulated <= finding.modelled / sharing + 1e-9, finding
    if nest.sharing(tensor, 0, outer) == 1:
        assert finding.simulated == pytest.approx(finding.modelled / sharing), finding


@pytest.mark.parametrize("part", first_quick(range(6), 1))
def test_counts_and_cycles_are_those_of_the_machine(part: int) -> None:
    exact = 0
    for seed in range(part * 20, part * 20 + amount(20, 5)):
        machine, run, result = run_both(draw_case(seed), seed)
        assert result.compute.cycles == max(1, run.cycles)
        assert run.before == run.stalled == run.after == 0
        findings = compare(machine, run, result)
        for finding in findings:
            check(machine, finding)
        exact += sum(finding.reason is None and finding.simulated > 0 for finding in findings)
    assert exact > amount(200, 50)


@pytest.mark.parametrize("limited", [("DRAM",), ("DRAM", "GlobalBuffer")])
def test_limited_ports_take_at_least_what_the_model_says(limited: tuple[str, ...]) -> None:
    """No less either than the most that a port moves; no more than all work and all transfers one by one."""
    for seed in range(amount(24, 3)):
        case = draw_case(seed, most=150)
        free, _, result = run_both(case, seed)
        bounded = limit_ports(case, result, limited, [0.5, 1.0, 2.0][seed % 3])
        machine, run, result = run_both(bounded, seed)
        assert run.counts.macs == free.counts.macs
        assert run.before + run.stalled + run.after <= run.cycles
        busiest = max((float(port.moved / port.rate) for port in machine.ports if port.rate), default=0.0)
        one_by_one = sum(port.asked + port.moved / port.rate for port in machine.ports if port.rate)
        assert max(result.compute.cycles, busiest - 1e-9) <= max(1, run.cycles)
        assert run.cycles <= result.compute.cycles + one_by_one
        findings = compare(machine, run, result)
        if all(one.equal for one in findings if one.what[0] in limited):
            assert run.cycles >= result.cycles - 1  # rounding may lie one above


def made(
    problem: dict[str, Any],
    levels: list[dict[str, Any]],
    meshes: dict[str, tuple[int, int]],
    sparsity: Any = PLAIN,
    ports: dict[str, dict[str, float]] | None = None,
) -> Case:
    """Return a case without zeros."""
    architecture = make_architecture(meshes, ports)
    layer = load_problem({"problem": {"name": "made"} | problem})
    names = [level.name for level in architecture.levels]
    nest = [{"level": name} | level for name, level in zip(names, levels, strict=True)]
    mapping = load_mapping({"mapping": {"name": "made", "levels": nest}}, architecture, layer)
    balanced = "Inputs" if layer.phase == "weight_update" else "Weights"
    masks = {
        tensor.name: np.ones(size(tensor, layer), np.bool_)
        for tensor in layer.tensors
        if tensor.name in ("Weights", balanced)
    }
    return Case(architecture, layer, mapping, load_sparsity(sparsity), masks)


def dense_layer(**bounds: int) -> dict[str, Any]:
    return {"shape": "fully_connected", "dimensions": {"C": 1, "K": 1, "N": 1} | bounds}


def convolution(phase: str = "", stride: int = 1, **bounds: int) -> dict[str, Any]:
    dimensions = dict.fromkeys("RSPQCKN", 1) | bounds
    return {"shape": f"conv{phase}", "dimensions": dimensions, "coefficients": {"stride_h": stride}}


@pytest.mark.quick
def test_cycles_by_hand() -> None:
    """Cycles 1 to 4 bring the first weights, 5 to 8 the inputs; 9 to 16 compute; the last sum leaves in 17.

    The model takes 12: as many words are read. It overlaps what comes first and leaves last with the work.
    """
    levels: list[dict[str, Any]] = [{"temporal": "K=2"}, {"keep": []}, {"temporal": "C=4"}]
    ports = {"DRAM": {"read_bandwidth": 1.0, "write_bandwidth": 1.0}}
    _, run, result = run_both(made(dense_layer(C=4, K=2), levels, {}, ports=ports))
    assert (run.before, run.stalled, run.after, run.cycles) == (8, 0, 1, 17)
    assert result.cycles == 12


@pytest.mark.quick
def test_a_tile_that_takes_longer_than_work_by_hand() -> None:
    """The second weights are four words, for two of which there is time while the first two are used."""
    levels: list[dict[str, Any]] = [{"temporal": "K=2"}, {"keep": []}, {"temporal": "C=4"}]
    ports = {"DRAM": {"read_bandwidth": 1.0}}
    design = {"skip": "Weights"}, {"Weights": {"*": "bitmask"}}
    skipping = PLAIN["sparsity"] | dict(zip(("compute", "formats"), design, strict=True))
    case = made(dense_layer(C=4, K=2), levels, {}, {"sparsity": skipping}, ports)
    case.masks["Weights"][0, 2:] = False
    _, run, result = run_both(case)
    # 6 + 1/8 words to begin with, then 4 1/8 of which 1 7/8 + 2 come in time: in cycles 7 and up.
    assert (run.before, run.stalled, run.after, run.cycles) == (7, 2, 0, 15)
    assert result.cycles == 11


@pytest.mark.quick
def test_half_tiles_by_hand() -> None:
    """Halves of 4, 1, 2 and 0 nonzeros: 4 goes with 0 and 2 with 1, so that 4 cycles are left of 5."""
    levels: list[dict[str, Any]] = [{}, {"spatial_x": "K=2"}, {"temporal": "K=2 C=4"}]
    case = made(dense_layer(C=4, K=4), levels, {"RegFile": (2, 1)}, "procrustes")
    case.masks["Weights"][:] = np.arange(4) < np.array([[4], [1], [2], [0]])
    machine, run, result = run_both(case)
    assert (run.cycles, result.cycles) == (4, 4)
    assert result.imbalance is not None
    assert result.imbalance.before == pytest.approx(5 / 3.5)
    assert run.counts.followed == {"Inputs": 0, "Outputs": 1}
    assert run.counts.words["RegFile", "Outputs", "write_up"] == 4
    assert machine.cut == "K"


@pytest.mark.quick
def test_one_half_of_every_pair_is_at_home() -> None:
    rng = np.random.default_rng(0)
    for elements in range(1, 9):
        for _ in range(amount(20, 5)):
            halves = [((home,), piece) for home in range(elements) for piece in (0, 1)]
            order = rng.permutation(len(halves))
            pairs = [(halves[a], halves[b]) for a, b in order.reshape(-1, 2)]
            placed = place_pairs(pairs)
            assert sorted(placed) == [(home,) for home in range(elements)]
            assert all(any(home == worker for home, _ in pair) for worker, pair in placed.items())
            assert sorted(half for pair in placed.values() for half in pair) == halves


KNOWN = {
    Reason.SLIDING_WALK: (
        made(convolution(R=3, P=2), [{"temporal": "P=2 R=3"}, {"keep": []}, {}], {}),
        ("RegFile", "Inputs", "fill", "words"),
        (5, 6),
    ),
    Reason.SHARED: (
        made(
            dense_layer(C=4, K=2),
            [{"temporal": "C=2 K=2"}, {"keep": [], "spatial_x": "C=2"}, {}],
            {"RegFile": (2, 1)},
        ),
        ("RegFile", "Outputs", "fill", "words"),
        (4, 2),
    ),
    Reason.BLOCKS: (
        made(convolution(R=2), [{"temporal": "R=2"}, {}, {}], {}, "procrustes"),
        ("DRAM", "Weights", "read", "bits"),
        (22, 42),
    ),
    Reason.SLIDING_POINTERS: (
        made(
            convolution("_weight_update", R=2, P=4),
            [{}, {"spatial_x": "P=2"}, {"temporal": "P=2 R=2"}],
            {"RegFile": (2, 1)},
            "procrustes",
        ),
        ("pointers",),
        (9.6, 8),
    ),
}
"""The smallest examples of differences: where, what the model says, and what the machine does."""


@pytest.mark.quick
@pytest.mark.parametrize("reason", KNOWN, ids=lambda reason: reason.name.lower())
def test_known_differences(reason: Reason) -> None:
    case, what, expected = KNOWN[reason]
    machine, run, result = run_both(case)
    found = next(one for one in compare(machine, run, result) if one.what == what)
    assert found.reason is reason
    assert found.modelled == pytest.approx(expected[0])
    assert found.simulated == expected[1]


@pytest.mark.quick
def test_gaps_in_tiles_are_not_fetched_before_they_were_written() -> None:
    """A tile of two sums that lie two apart is three words, of which DRAM gets the middle one once."""
    case = made(convolution("_backward", stride=2, P=2), [{}, {"temporal": "P=2"}, {}], {})
    machine, run, result = run_both(case)
    found = {one.what: (one.modelled, one.simulated) for one in compare(machine, run, result)}
    assert found["DRAM", "Inputs", "update", "words"] == (3, 3)
    assert found["DRAM", "Inputs", "read", "words"] == (0, 0)


POINTERS = {
    "several memories": (
        [{"spatial_x": "K=2"}, {"spatial_x": "C=2"}, {"temporal": "C=2 K=2"}],
        {"GlobalBuffer": (2, 1), "RegFile": (2, 1)},
        4,
        16,
    ),
    "weights pass the memory that holds them": (
        [{}, {"spatial_x": "C=2", "keep": ["Inputs"]}, {"temporal": "C=2 K=2"}],
        {"RegFile": (2, 1)},
        2,
        8,
    ),
    "weights pass two memories, which one read serves": (
        [{"spatial_x": "N=2"}, {"spatial_x": "C=2", "keep": ["Inputs"]}, {"temporal": "C=2 K=2"}],
        {"GlobalBuffer": (2, 1), "RegFile": (2, 1)},
        2,
        16,
    ),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", POINTERS)
def test_pointers_of_all_memories_are_read(name: str) -> None:
    nest, meshes, outputs, reads = POINTERS[name]
    samples = 2 if nest[0].get("spatial_x") == "N=2" else 1
    layer = dense_layer(C=4, K=outputs, N=samples)
    machine, run, result = run_both(made(layer, nest, meshes, "procrustes"))
    found = next(one for one in compare(machine, run, result) if one.what == ("pointers",))
    assert (found.modelled, found.simulated) == (reads, reads)
