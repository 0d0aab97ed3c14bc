"""A training run as a figure: densities, and what a step costs, over its training steps."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from procrustes_model.network.train_result import PartCost, TrainCost
from procrustes_model.report.figures.style import BLUE, GREY, VERMILION, new_figure, write_figure


def plot_train_cost(cost: TrainCost, path: str | Path) -> None:
    """Draw density and energy of a run over its training steps, and write them as .png, .svg or .pdf.

    Energy, or computations where they alone were counted, is that of a training step over one of dense
    training. Parts that run at once are drawn as their mean.

    Parameters
    ----------
    cost : TrainCost
    path : str or Path

    Raises
    ------
    SpecError
        When matplotlib is not installed.
    OSError
        When the file cannot be written.
    """
    figure, (upper, lower) = new_figure(2.9, 2)
    edges, densities, costs = curves(cost)
    upper.stairs(densities, edges, color=BLUE, linewidth=1.2, baseline=None)
    upper.set_ylabel("weights kept", fontsize=8)
    upper.set_title(f"{cost.network}, {cost.schedule}", fontsize=8, loc="left")
    lower.stairs(costs, edges, color=VERMILION, linewidth=1.2, baseline=None)
    lower.axhline(1, color=GREY, linestyle=":", linewidth=1)
    lower.set_ylabel(f"{'MACs' if cost.macs else 'energy'} / dense", fontsize=8)
    lower.set_xlabel("training steps", fontsize=8)
    for axis, most in ((upper, 1.0), (lower, max([1.0, *costs]))):
        axis.set_xlim(0, edges[-1])
        axis.set_ylim(0, 1.08 * most)
    write_figure(figure, Path(path))


def curves(cost: TrainCost) -> tuple[list[int], list[float], list[float]]:
    """Return where stretches of a run begin and end, in training steps, their densities and costs."""
    edges, densities, costs = [0], [], []
    base = _step(cost, cost.dense)
    for number, group in groupby(cost.parts, key=lambda part: part.at_once):
        parts = list(group)
        for together in [parts] if number is not None else [[part] for part in parts]:
            edges.append(edges[-1] + max(part.iterations for part in together))
            densities.append(sum(part.weight_density for part in together) / len(together))
            costs.append(sum(_step(cost, part) for part in together) / len(together) / base)
    return edges, densities, costs


def _step(cost: TrainCost, part: PartCost) -> float:
    done: Any = part.computations().done if cost.macs else part.step().energy_pj
    return float(done)
