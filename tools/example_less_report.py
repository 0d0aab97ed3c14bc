"""Costs the runs of the example of training with less, and writes its report, table and figure."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from example_report import NETWORK, table
from example_runs import Epoch

from procrustes_model import train_cost
from procrustes_model.files import write_atomically
from procrustes_model.report.terminal.units import format_count, format_energy
from procrustes_model.training import MaskFile

if TYPE_CHECKING:
    from procrustes_model.network.train_result import TrainCost

WAYS = {
    "2:4": ("tensor_core_like", "sparse_tensor_core"),
    "alternation": ("procrustes_16x16", "procrustes"),
}
"""How a network is trained with less: on which machine, with which sparse design."""

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = {"dense": "#000000", "2:4": "#0072B2", "alternation": "#D55E00"}
ABOUT_RUNS = """\
Handwritten digits (scikit-learn), 1,198 images to train with, 599 to test with; 38,160 weights in two
convolutions and two fully connected layers. 2:4: two of every four weights along the input channels in the
forward product and in the gradients of the inputs, straight-through gradients of all weights, and a decay of
2e-4 of those that are left out. Alternation: dense and sparse parts in turn, a tenth of the epochs each, the
last three tenths sparse, with the largest tenth of all weights."""
ABOUT_COSTS = """\
Means of the seeds, from the densities recorded in the middle of every epoch. Each way on the machine that is
made for it, and dense training on the same one; mappings are the best for dense training. Sparse tensor cores
gain in the forward phase only, of layers whose input channels are a multiple of four; Procrustes also skips
zeros of activations in the weight update, and so gains in dense parts."""


@dataclass(frozen=True)
class LessRun:
    """One training run.

    Attributes
    ----------
    way : str
        One of `WAYS`, or 'dense'.
    seed : int
    epochs : tuple of Epoch
        Densities are those recorded in the middle of each.
    masks : MaskFile
        Recorded in the middle of every epoch.
    """

    way: str
    seed: int
    epochs: tuple[Epoch, ...]
    masks: MaskFile

    @property
    def batches(self) -> int:
        """Iterations of an epoch."""
        return self.masks.steps[1] - self.masks.steps[0]

    def file_in(self, folder: Path) -> Path:
        """Return where its masks are."""
        return folder / f"masks_{self.way.replace(':', '_of_')}_seed{self.seed}.npz"


Costs = dict[tuple[str, int], "TrainCost"]


def write_report(runs: Sequence[LessRun], folder: Path, seconds: float) -> None:
    """Evaluate the runs, print what came of them, and write report, table and figure.

    Parameters
    ----------
    runs : sequence of LessRun
    folder : Path
        With the masks of the runs.
    seconds : float
        Time limit of each search of a mapping.
    """
    write_atomically(folder / "digits.yaml", NETWORK)
    costs: Costs = {}
    for run in runs:
        if run.way not in WAYS:
            continue
        print(f"evaluating {run.way}, seed {run.seed}, epoch by epoch", file=sys.stderr)
        machine, design = WAYS[run.way]
        costs[run.way, run.seed] = train_cost(
            machine,
            folder / "digits.yaml",
            run.file_in(folder),
            # The recorded steps are half an epoch late, and each stands for those up to the next one.
            iterations=len(run.epochs) * run.batches + run.masks.steps[0],
            sparsity=design,
            mappings="dense",
            seconds=seconds,
            out=folder / "searches",
        )
    text = report(runs, costs)
    print(text)
    write_atomically(folder / "report.md", text)
    write_atomically(folder / "epochs.csv", epochs_text(runs, costs))
    draw(runs, costs, folder)


def report(runs: Sequence[LessRun], costs: Costs) -> str:
    """Return the report as Markdown."""
    return "\n".join(
        [
            "# Training a small network with less",
            "",
            ABOUT_RUNS,
            "",
            "![Accuracy, density and energy per epoch](epochs.png)",
            "",
            "## Accuracy on the test images after the last epoch",
            "",
            *accuracy_table(runs),
            "",
            "## Energy and cycles of the whole run",
            "",
            *cost_table(costs),
            "",
            ABOUT_COSTS,
            "",
        ]
    )


def of_way(runs: Sequence[LessRun], way: str) -> list[LessRun]:
    """Return the runs of a way."""
    return [run for run in runs if run.way == way]


def accuracy_table(runs: Sequence[LessRun]) -> list[str]:
    """Return accuracies by seed, their mean, how far it is from dense training, and densities."""
    dense = mean(100 * run.epochs[-1].accuracy for run in of_way(runs, "dense"))
    rows = []
    for way in ("dense", *WAYS):
        mine = of_way(runs, way)
        last = [100 * run.epochs[-1].accuracy for run in mine]
        change = "" if way == "dense" else f"{mean(last) - dense:+.2f} pp"
        densities = [mean(epoch.compute_density for epoch in run.epochs) for run in mine]
        ends = [run.epochs[-1].compute_density for run in mine]
        accuracies = [f"{one:.2f} %" for one in (*last, mean(last))]
        rows.append([way, *accuracies, change, f"{mean(densities):.4f}", f"{mean(ends):.4f}"])
    seeds = [f"seed {run.seed}" for run in of_way(runs, "dense")]
    return table(["training", *seeds, "mean", "to dense", "density in the run", "in the end"], rows)


def cost_table(costs: Costs) -> list[str]:
    """Return energy and cycles of whole runs, beside dense training on the same machine."""
    rows = []
    for way, (machine, _) in WAYS.items():
        mine = [cost for (one, _), cost in costs.items() if one == way]
        dense = mine[0].dense
        energy, cycles = mean(cost.energy_pj for cost in mine), mean(cost.cycles for cost in mine)
        rows += [
            [machine, "dense", format_energy(dense.energy_pj), "", format_count(dense.cycles), ""],
            [
                *(machine, way, format_energy(energy), f"{dense.energy_pj / energy:.3f}"),
                *(format_count(round(cycles)), f"{dense.cycles / cycles:.3f}"),
            ],
        ]
    return table(["machine", "training", "energy", "times less", "cycles", "times fewer"], rows)


def epochs_text(runs: Sequence[LessRun], costs: Costs) -> str:
    """Return a row per run and epoch as CSV; energy and cycles are those of a whole epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["training", "seed", "epoch", "accuracy", "density", "machine", "energy_pj", "cycles"])
    for run in runs:
        cost = costs.get((run.way, run.seed))
        for number, epoch in enumerate(run.epochs):
            row: list[Any] = [run.way, run.seed, number + 1]
            row += [f"{epoch.accuracy:.6f}", f"{epoch.compute_density:.6f}"]
            if cost is None:
                row += ["", "", ""]
            else:
                step = cost.parts[number].step()
                row += [*(WAYS[run.way][0], run.batches * step.energy_pj, run.batches * step.cycles)]
            writer.writerow(row)
    return text.getvalue()


def draw(runs: Sequence[LessRun], costs: Costs, folder: Path) -> None:
    """Draw accuracy, density and energy beside dense per epoch: mean of the seeds, and their range."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    mpl.rcParams.update({"font.size": 8, "svg.hashsalt": "example"})
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 2.7), layout="constrained")
    for way in ("dense", *WAYS):
        mine, color = of_way(runs, way), COLORS[way]
        numbers = np.arange(1, len(mine[0].epochs) + 1)
        accuracy = np.array([[100 * epoch.accuracy for epoch in run.epochs] for run in mine])
        density = np.array([[epoch.compute_density for epoch in run.epochs] for run in mine])
        energy = np.ones((1, len(numbers)))
        if way in WAYS:
            mine_costs = [costs[way, run.seed] for run in mine]
            energy = np.array(
                [
                    [part.step().energy_pj / cost.dense.step().energy_pj for part in cost.parts]
                    for cost in mine_costs
                ]
            )
        label = way if way == "dense" else f"{way}, {WAYS[way][0]}"
        for axis, values in ((left, accuracy), (middle, density), (right, energy)):
            axis.plot(numbers, values.mean(0), color=color, label=label)
            axis.fill_between(numbers, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)
    lowest = 100 * min(run.epochs[min(2, len(run.epochs) - 1)].accuracy for run in runs)
    left.set(xlabel="epoch", ylabel="test accuracy [%]", ylim=(lowest - 1, 100))
    middle.set(xlabel="epoch", ylabel="density of weights", ylim=(0, 1.05))
    right.set(xlabel="epoch", ylabel="energy / dense, same machine", ylim=(0, 1.05))
    right.legend(frameon=False, loc="lower right")
    for axis in (left, middle, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "epochs.png", dpi=200)
    figure.savefig(folder / "epochs.svg", metadata={"Date": None})
    plt.close(figure)
