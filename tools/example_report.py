"""Costs the runs of the training example on Procrustes, and writes its report, tables and figure."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from example_runs import Run

from procrustes_model import (
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    run_network,
    train_cost,
)
from procrustes_model.files import write_atomically
from procrustes_model.model.sparse.effects import keeping_what_saves
from procrustes_model.network.train_cost import TrainCost
from procrustes_model.report.terminal.units import format_count, format_energy
from procrustes_model.spec.load import load_network
from procrustes_model.workloads.mask_profile import weights_mask

if TYPE_CHECKING:
    from procrustes_model import Architecture
    from procrustes_model.network.result import Row

ARCHITECTURE, DESIGN = "procrustes_16x16", "procrustes"
STEPS_PER_EPOCH = 18
"""1,198 images in whole batches of 64."""
WARM_UP = 158
"""Iterations after which the quantile's estimate is judged: by then initial values have decayed."""
# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = {1: "#000000", 5: "#0072B2", 10: "#D55E00"}
ABOUT_RUNS = """\
Handwritten digits (scikit-learn), 1,198 images to train with, 599 to test with; 38,160 weights in two
convolutions and two fully connected layers. "Sorted" selects exactly the largest weights; the other runs
select by the quantile's running estimate."""
ABOUT_COSTS = """\
Mappings are the best for dense training. Until the initial values have decayed, all weights are computed
with. Dense training runs without the sparse design."""
ABOUT_MASKS = """\
Mean of the seeds. Masks are not random: where nonzeros cluster, some processing elements have more work than
is expected. Mappings: "dense", the best for dense training, know of no zeros; "sparse" were searched for the
densities of the first seed, and may spread the batch, of which all elements have the same weights."""
NETWORK = """\
# The network of tools/example_training.py: scikit-learn's digits, images of 8 x 8 pixels.
network:
  name: digits
  dataset: handwritten digits (scikit-learn)
  input: {channels: 1, height: 8, width: 8}
  batch: 64
  layers:
    - {name: conv1, kind: conv, channels: 16, kernel: 3, padding: 1}
    - {name: conv2, kind: conv, channels: 32, kernel: 3, padding: 1}
    - {kind: pool, kernel: 2}
    - {name: fc1, kind: fully_connected, channels: 64}
    - {name: fc2, kind: fully_connected, channels: 10}
"""


@dataclass(frozen=True)
class Compared:
    """One layer in one phase with the last masks of a run: expected from densities, and counted on masks.

    Both with the same mapping: the best for dense training, or the best for the densities of the first seed.
    Energies in pJ.
    """

    mapping: str
    factor: int
    seed: int
    layer: str
    phase: str
    density: float
    expected_cycles: int
    counted_cycles: int
    expected_energy_pj: float
    counted_energy_pj: float


def write_report(runs: Sequence[Run], folder: Path, epochs: int, seconds: float) -> None:
    """Evaluate the runs, print what came of them, and write report, tables and figure.

    Parameters
    ----------
    runs : sequence of Run
    folder : Path
        With the masks of the runs.
    epochs : int
    seconds : float
        Time limit of each search of a mapping.
    """
    write_atomically(folder / "digits.yaml", NETWORK)
    recorded = [run for run in runs if not run.sorted_weights]
    costs: dict[tuple[int, int], TrainCost] = {}
    for run in recorded:
        if run.factor == 1:
            continue
        print(f"evaluating {run.name}, seed {run.seed}, epoch by epoch", file=sys.stderr)
        costs[run.factor, run.seed] = train_cost(
            ARCHITECTURE,
            folder / "digits.yaml",
            masks_of(run, folder),
            iterations=epochs * STEPS_PER_EPOCH,
            sparsity=DESIGN,
            mappings="dense",
            seconds=seconds,
            out=folder / "searches",
        )
    compared = compare_modes(recorded, folder, seconds)
    text = report(runs, costs, compared)
    print(text)
    write_atomically(folder / "report.md", text)
    write_atomically(folder / "epochs.csv", epochs_text(runs, costs))
    write_atomically(folder / "masks_against_densities.csv", compared_text(compared))
    draw(recorded, costs, folder)


def masks_of(run: Run, folder: Path) -> Path:
    """Return the file with the masks of a run."""
    return folder / f"masks_{run.factor}x_seed{run.seed}.npz"


def compare_modes(runs: Sequence[Run], folder: Path, seconds: float) -> list[Compared]:
    """Evaluate the last masks of the sparse runs by their densities and as they are, with two mappings."""
    machine, network = load_architecture(ARCHITECTURE), load_network(folder / "digits.yaml")
    found = []
    for factor in sorted({run.factor for run in runs if run.factor > 1}):
        mine = [run for run in runs if run.factor == factor]
        for mapping in ("dense", "sparse"):
            print(f"mappings for {mapping} training, {factor}x fewer weights", file=sys.stderr)
            sparse = mapping == "sparse"
            best = run_network(
                machine,
                network,
                phases=("forward", "backward"),
                sparsity=DESIGN if sparse else None,
                profile=masks_of(mine[0], folder) if sparse else None,
                seconds=seconds,
                out=folder / "searches",
            )
            found += [compare(mapping, run, row, machine) for run in mine for row in best.rows]
    return found


def compare(mapping: str, run: Run, row: Row, machine: Architecture) -> Compared:
    """Evaluate the last mask of one layer by its density and as it is.

    A mapping for dense training keeps what the design saves accesses of, whether it fits or not.
    """
    design, problem = load_sparsity(DESIGN), load_problem({"problem": row.entry.problem})
    found = load_mapping(row.case.mapping, machine, problem)
    schedule = keeping_what_saves(design, machine, problem, found)
    mask = weights_mask(run.masks.mask(row.layer), problem)
    density = float(mask.mean())
    expected, counted = (
        evaluate(
            machine, problem, schedule, sparsity=design, densities=known, masks=masks, check_capacity=False
        )
        for known, masks in (({"Weights": density}, None), (None, {"Weights": mask}))
    )
    return Compared(
        mapping=mapping,
        factor=run.factor,
        seed=run.seed,
        layer=row.layer,
        phase=row.phase,
        density=density,
        expected_cycles=expected.cycles,
        counted_cycles=counted.cycles,
        expected_energy_pj=expected.energy_pj,
        counted_energy_pj=counted.energy_pj,
    )


def report(runs: Sequence[Run], costs: dict[tuple[int, int], TrainCost], compared: Sequence[Compared]) -> str:
    """Return the report as Markdown."""
    return "\n".join(
        [
            "# Training a small network with few weights",
            "",
            ABOUT_RUNS,
            "",
            "![Accuracy, density and energy per epoch](epochs.png)",
            "",
            "## Accuracy on the test images after the last epoch",
            "",
            *accuracy_table(runs),
            "",
            f"## Tracked weights after {WARM_UP} iterations, as a share of the target",
            "",
            *tracked_table(runs),
            "",
            f"## Energy and cycles of the whole run on {ARCHITECTURE}, mean of the seeds",
            "",
            *cost_table(costs),
            "",
            ABOUT_COSTS,
            "",
            "## Last masks: expected from densities, and counted",
            "",
            *compared_table(compared),
            "",
            ABOUT_MASKS,
            "",
        ]
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, its first column to the left."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        parts = [cells[0].ljust(widths[0])]
        parts += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(parts)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return [line(heads), f"|{rule}|", *(line(row) for row in rows)]


def by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return runs that differ in nothing but their seed together."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.factor, run.sorted_weights, run.seed)):
        groups.setdefault(run.name, []).append(run)
    return groups


def accuracy_table(runs: Sequence[Run]) -> list[str]:
    """Return accuracies by seed, their mean, and how far it is from dense training."""
    groups = by_name(runs)
    heads = ["weights", *(f"seed {run.seed}" for run in groups["dense"]), "mean", "to dense"]
    dense = mean(100 * run.epochs[-1].accuracy for run in groups["dense"])
    rows = []
    for name, mine in groups.items():
        last = [100 * run.epochs[-1].accuracy for run in mine]
        change = "" if name == "dense" else f"{mean(last) - dense:+.2f} pp"
        rows.append([name, *(f"{one:.2f} %" for one in last), f"{mean(last):.2f} %", change])
    return table(heads, rows)


def tracked_table(runs: Sequence[Run]) -> list[str]:
    """Return the tracked share over its target after the warm-up, and how often it is near in all."""
    rows = []
    for name, mine in by_name(runs).items():
        shares = [run.factor * share for run in mine for share in run.tracked[WARM_UP:]]
        if shares:
            near = [abs(run.factor * share - 1) < 0.05 for run in mine for share in run.tracked]
            after = [f"{one:.3f}" for one in (min(shares), mean(shares), max(shares))]
            rows.append([name, *after, f"{mean(near):.2%}"])
    return table(["weights", "least", "mean", "most", "within 5 %, all iterations"], rows)


def cost_table(costs: dict[tuple[int, int], TrainCost]) -> list[str]:
    """Return energy and cycles of whole runs."""
    factors = sorted({factor for factor, _ in costs})
    dense = next(iter(costs.values())).dense
    rows = [["dense", format_energy(dense.energy_pj), "", format_count(dense.cycles), ""]]
    for factor in factors:
        mine = [cost for (one, _), cost in costs.items() if one == factor]
        energy, cycles = mean(cost.energy_pj for cost in mine), mean(cost.cycles for cost in mine)
        less = f"{dense.energy_pj / energy:.2f}", f"{dense.cycles / cycles:.2f}"
        rows.append(
            [f"{factor}x fewer", format_energy(energy), less[0], format_count(round(cycles)), less[1]]
        )
    return table(["weights", "energy", "times less", "cycles", "times fewer"], rows)


def compared_table(compared: Sequence[Compared]) -> list[str]:
    """Return expected and counted cycles and energy by layer and phase, and of all layers."""
    rows = []
    for mapping, factor in dict.fromkeys((one.mapping, one.factor) for one in compared):
        mine = [one for one in compared if (one.mapping, one.factor) == (mapping, factor)]
        keys = list(dict.fromkeys((one.layer, one.phase) for one in mine))
        groups = [([one for one in mine if (one.layer, one.phase) == key], *key) for key in keys]
        for group, layer, phase in (*groups, (mine, "all", "")):
            density = "" if layer == "all" else f"{mean(one.density for one in group):.4f}"
            head = [f"{factor}x {layer}", phase, mapping, density]
            rows.append(head + compared_cells(group, len({one.seed for one in mine})))
    costs = ["cycles expected", "counted", "", "energy expected", "counted", ""]
    return table(["layer", "phase", "mapping", "density", *costs], rows)


def compared_cells(group: Sequence[Compared], seeds: int) -> list[str]:
    """Return sums over a group, mean of the seeds, and by how much the counted ones differ."""
    kinds = ("expected_cycles", "counted_cycles", "expected_energy_pj", "counted_energy_pj")
    cycles, counted, energy, spent = (sum(getattr(one, kind) for one in group) / seeds for kind in kinds)
    first = [f"{cycles:,.0f}", f"{counted:,.0f}", f"{counted / cycles - 1:+.1%}"]
    return [*first, format_energy(energy), format_energy(spent), f"{spent / energy - 1:+.1%}"]


def epochs_text(runs: Sequence[Run], costs: dict[tuple[int, int], TrainCost]) -> str:
    """Return a row per run and epoch as CSV; energy and cycles are those of a whole epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["factor", "sorted", "seed", "epoch", "accuracy", "storage_density", "compute_density"]
    writer.writerow([*heads, "energy_pj", "cycles"])
    dense = next(iter(costs.values())).dense
    for run in runs:
        cost = costs.get((run.factor, run.seed)) if not run.sorted_weights else None
        for number, epoch in enumerate(run.epochs):
            shares = (epoch.accuracy, epoch.storage_density, epoch.compute_density)
            head = [run.factor, int(run.sorted_weights), run.seed, number + 1]
            energy: list[Any] = ["", ""]
            if run.factor == 1 or cost is not None:
                part = dense if cost is None else cost.parts[number]
                energy = [STEPS_PER_EPOCH * part.step().energy_pj, STEPS_PER_EPOCH * part.step().cycles]
            writer.writerow([*head, *(f"{share:.6f}" for share in shares), *energy])
    return text.getvalue()


def compared_text(compared: Sequence[Compared]) -> str:
    """Return a row per run, layer and phase as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Compared.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(vars(one) for one in compared)
    return text.getvalue()


def draw(runs: Sequence[Run], costs: dict[tuple[int, int], TrainCost], folder: Path) -> None:
    """Draw accuracy, density and energy per epoch: a line per factor, mean of the seeds, and their range."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.lines import Line2D

    dense = next(iter(costs.values())).dense
    mpl.rcParams.update({"font.size": 8, "svg.hashsalt": "example"})
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 2.7), layout="constrained")
    for factor in sorted({run.factor for run in runs}):
        mine = [run for run in runs if run.factor == factor]
        label = "dense" if factor == 1 else f"{factor}x fewer weights"
        numbers, color = np.arange(1, len(mine[0].epochs) + 1), COLORS.get(factor, "#009E73")
        accuracy = np.array([[100 * epoch.accuracy for epoch in run.epochs] for run in mine])
        parts = [[dense] * len(numbers) if factor == 1 else costs[factor, run.seed].parts for run in mine]
        energy = np.array([[STEPS_PER_EPOCH * part.step().energy_pj * 1e-9 for part in row] for row in parts])
        for axis, values in ((left, accuracy), (right, energy)):
            axis.plot(numbers, values.mean(0), color=color, label=label)
            axis.fill_between(numbers, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)
        for kind, style in (("storage_density", "-"), ("compute_density", ":")):
            density = np.array([[getattr(epoch, kind) for epoch in run.epochs] for run in mine]).mean(0)
            middle.plot(numbers, density, color=color, linestyle=style)
    lowest = 100 * min(run.epochs[min(2, len(run.epochs) - 1)].accuracy for run in runs)
    left.set(xlabel="epoch", ylabel="test accuracy [%]", ylim=(lowest - 1, 100))
    left.legend(frameon=False, loc="lower right")
    middle.set(xlabel="epoch", ylabel="density of weights", ylim=(0, 1.05))
    styles = [Line2D([], [], color="gray", linestyle=style) for style in ("-", ":")]
    middle.legend(styles, ["stored", "computed with"], frameon=False, loc="center right")
    right.set(xlabel="epoch", ylabel="energy per epoch [mJ]", ylim=(0, None))
    for axis in (left, middle, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "epochs.png", dpi=200)
    figure.savefig(folder / "epochs.svg", metadata={"Date": None})
    plt.close(figure)
