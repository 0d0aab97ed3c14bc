"""Measure what the model leaves out, by a machine that is stepped cycle by cycle (tests/naive/machine).

    python tools/measure_left_out.py [--seeds 300]

Prints the tables of docs/explanation/left_out.md: how often and by how much counts differ, and how many
cycles more than the model says the machine takes where ports are limited. Takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from procrustes_model import SparseResult, evaluate, load_mapping, load_problem, load_sparsity
from tests.naive.machine.array import Piece, pair_halves, place_pairs
from tests.naive.machine.cases import (
    Case,
    draw_case,
    draw_masks,
    limit_ports,
    make_architecture,
)
from tests.naive.machine.compare import Finding, compare
from tests.naive.machine.nest import Nest
from tests.naive.machine.run import Machine, Run, draw_values

SHARES = (0.25, 0.5, 0.8, 1.0, 1.25, 2.0)
"""Time of transfers over that of work, by the model."""

BUFFER = ("DRAM", "GlobalBuffer")
LIMITED = (("DRAM",), BUFFER)

Seeded = tuple[int, Case]


@dataclass(frozen=True)
class Excess:
    """Cycles that the machine takes more than the model says, as shares of the latter.

    Attributes
    ----------
    total : float
    between : float
        Those between the first computation and the last one.
    """

    total: float
    between: float


def evaluate_case(case: Case) -> SparseResult:
    """Return what the model says."""
    return evaluate(
        case.architecture,
        case.problem,
        case.mapping,
        sparsity=case.sparsity,
        masks=case.masks,
        check_capacity=False,
    )


def run_machine(case: Case, seed: int) -> tuple[Machine, Run]:
    """Return what the machine does."""
    values = draw_values(case.problem, case.masks, np.random.default_rng(seed))
    machine = Machine(case.architecture, case.problem, case.mapping, case.design, case.masks, values)
    return machine, machine.run()


def make_layer(phase: str, density: float, outer: int = 2) -> Case:
    """Return a phase of a 3x3 convolution on 4x4 elements, mapped as on procrustes_16x16.

    Parameters
    ----------
    phase : str
        fw, bw or wu.
    density : float
    outer : int
        Iterations in DRAM over the channels that are spread; over those that are summed there are twice as
        many (wu: as many).
    """
    suffix = {"fw": "", "bw": "_backward", "wu": "_weight_update"}[phase]
    spread, summed = ("C", "K") if phase == "bw" else ("K", "C")
    bounds = {"R": 3, "S": 3, "P": 2, "Q": 2, spread: 8 * outer, summed: 8 * outer, "N": 4}
    inside: dict[str, Any] = {"temporal": f"{summed}=4", "spatial_x": f"{spread}=4", "spatial_y": "N=4"}
    inside["bypass"] = ["Inputs" if phase == "bw" else "Outputs"]
    outside, own = f"{spread}={outer} {summed}={2 * outer}", f"{spread}=2 P=2 Q=2 R=3 S=3"
    if phase == "wu":
        bounds["N"] = 8
        inside = {"temporal": "N=8", "spatial_x": "C=4", "spatial_y": "K=4", "keep": ["Outputs"]}
        outside, own = f"K={outer} C={outer}", "C=2 K=2 P=2 Q=2 R=3 S=3"
    problem = load_problem({"problem": {"name": phase, "shape": f"conv{suffix}", "dimensions": bounds}})
    architecture = make_architecture({"RegFile": (4, 4)})
    levels = [
        {"level": "DRAM", "temporal": outside},
        {"level": "GlobalBuffer", **inside},
        {"level": "RegFile", "temporal": own},
    ]
    mapping = load_mapping({"mapping": {"name": phase, "levels": levels}}, architecture, problem)
    rng = np.random.default_rng(0)
    masks = {name: rng.random(mask.shape) < density for name, mask in draw_masks(problem, rng).items()}
    return Case(architecture, problem, mapping, load_sparsity("procrustes"), masks)


def draw_long(seeds: int) -> list[Seeded]:
    """Draw layers of at least 16 array-level tiles of 4 cycles on average, whose transfers the model counts.

    A transfer takes a cycle at least, which would be all that shorter tiles show.
    """
    found = []
    for seed in range(seeds):
        case = draw_case(seed, most=4000, side=2)
        steps, result = Nest(case.problem, case.mapping).steps, evaluate_case(case)
        if steps >= 16 and result.compute.cycles >= 4 * steps:
            findings = compare(*run_machine(case, seed), result)
            if all(one.equal for one in findings if one.what[0] in BUFFER):
                found.append((seed, case))
    return found


def measure_excess(case: Case, limited: tuple[str, ...], share: float, seed: int = 0) -> Excess:
    """Return by how much the machine is slower than the model where ports are limited."""
    bounded = limit_ports(case, evaluate_case(case), limited, share)
    modelled, (_, run) = evaluate_case(bounded).cycles, run_machine(bounded, seed)
    between = run.cycles - run.before - run.after
    return Excess(run.cycles / modelled - 1, max(0, between - modelled) / modelled)


def print_counts(seeds: int) -> None:
    """Print how often and by how much counts differ, by reason, and what the model does not count."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    beside: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(seeds):
        case = draw_case(seed)
        result, (machine, run) = evaluate_case(case), run_machine(case, seed)
        assert result.compute.cycles == max(1, run.cycles)
        for one in compare(machine, run, result):
            if one.modelled or one.simulated:
                findings[one.reason.value if one.reason else "all others"].append(one)
        output, words = case.problem.output.name, run.counts.words
        for level in ("GlobalBuffer", "RegFile"):
            done = words[level, output, "read"] + words[level, output, "update"]
            if done:
                text = f"sums of {level} read to be written up; beside them all other accesses of the sums"
                beside[text].append((words[level, output, "write_up"], done))
        if machine.cut is not None:
            filled = sum(n for (level, _, kind), n in words.items() if (level, kind) == ("RegFile", "fill"))
            text = "words that halves need away from home; beside them all fills of register files"
            beside[text].append((run.counts.followed.total(), filled))
    print(
        "| what | numbers | not equal | larger | smaller | simulated / modelled |\n|---|---|---|---|---|---|"
    )
    for reason, ones in sorted(findings.items()):
        apart = [one for one in ones if not one.equal]
        larger = sum(one.simulated > one.modelled for one in apart)
        modelled, simulated = sum(one.modelled for one in apart), sum(one.simulated for one in apart)
        ratio = f"{simulated:,.0f} / {modelled:,.0f}" if apart else ""
        print(f"| {reason} | {len(ones):,} | {len(apart):,} | {larger} | {len(apart) - larger} | {ratio} |")
    print("\n| not in the model | cases | words | beside |\n|---|---|---|---|")
    for text, pairs in beside.items():
        print(f"| {text} | {len(pairs)} | {sum(a for a, _ in pairs):,} | {sum(b for _, b in pairs):,} |")


def print_sums_away(density: float) -> None:
    """Print how many sums of vgg_s/conv3_2 lie with another element than the one that works on them.

    Under the mapping KN that ships, a column of 16 elements has two output channels, one input channel, 3x3
    weights and 7x7 outputs at a time; all 16 rows have the same weights.
    """
    mask = np.random.default_rng(0).random((8, 16, 2, 256, 9)) < density
    work = mask.sum(axis=4)
    away = 0
    for outer in range(8):
        for channel in range(256):
            halves: dict[Piece, int] = {
                ((x,), i): int(work[outer, x, i, channel]) for x in range(16) for i in range(2)
            }
            placed = place_pairs(pair_halves(halves))
            pieces = [(worker, piece) for worker, pair in placed.items() for piece in pair]
            away += sum(piece[0] != worker and halves[piece] > 0 for worker, piece in pieces)
    print(f"| {density} | {away / 2048:.1f} | {away / int(mask.sum()):.2f} |")


def print_excess(name: str, cases: Sequence[Seeded], limited: tuple[str, ...], share: float) -> None:
    """Print a row: the distribution of what the machine takes more."""
    found = [measure_excess(case, limited, share, seed) for seed, case in cases]
    total, between = np.array([one.total for one in found]), np.array([one.between for one in found])
    cells = [f"{100 * x:.0f}" for x in (np.median(total), np.quantile(total, 0.9), total.max())]
    cells += [f"{100 * x:.1f}" for x in (np.median(between), np.quantile(between, 0.9), between.max())]
    print(f"| {name} | {' and '.join(limited)} | {share} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=300, help="random layers")
    seeds = parser.parse_args().seeds
    print_counts(seeds)
    print("\n| density | halves of 32 away, with work | sums away / computations |\n|---|---|---|")
    for density in (0.05, 0.1, 0.2, 0.3):
        print_sums_away(density)
    drawn = draw_long(3 * seeds)
    made = [(0, make_layer(phase, density)) for phase in ("fw", "bw", "wu") for density in (0.1, 0.3)]
    print("\n| layers | limited | share | median | 90 % | most | between: median | 90 % | most |")
    print("|---" * 9 + "|")
    for name, cases in ((f"{len(drawn)} random", drawn), (f"{len(made)} made", made)):
        for limited in LIMITED:
            for share in SHARES:
                print_excess(name, cases, limited, share)
    for outer in (1, 2, 4, 8):
        layer = [(0, make_layer("fw", 0.1, outer))]
        for share in SHARES[1:]:
            print_excess(f"fw, {2 * outer * outer} outer tiles", layer, BUFFER, share)


if __name__ == "__main__":
    main()
