"""A training run as figures: densities, and what a step costs, over its training steps."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.bars import LABEL, SMALL
from procrustes_model.report.figures.network import PHASE_COLORS
from procrustes_model.report.figures.scales import cut, cycle_scale_of, energy_scale_of
from procrustes_model.report.figures.style import BLUE, GREY, VERMILION, new_figure
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.network.train_result import PartCost, TrainCost


def draw_training(cost: TrainCost) -> Figure | None:
    """Return a figure of energy and cycles of a training step over the iterations, beside dense training.

    None where computations alone were counted.

    Parameters
    ----------
    cost : TrainCost
    """
    if cost.macs:
        return None
    figure, axes = new_figure(3.8, 2)
    parts, edges = _side_by_side(cost)
    dense = cost.dense.step()
    steps = [part.step() for part in parts]
    energy_unit, energy_scale = energy_scale_of(max(dense.energy_pj, *(one.energy_pj for one in steps)))
    cycle_unit, cycle_scale = cycle_scale_of(max(dense.cycles, *(one.cycles for one in steps)))
    for axis, what, scale in zip(axes, ("energy_pj", "cycles"), (energy_scale, cycle_scale), strict=True):
        below = [0.0] * len(parts)
        for phase in PHASES:
            own = [getattr(part.step(phase), what) * scale for part in parts]
            above = [one + height for one, height in zip(below, own, strict=True)]
            label = phase.replace("_", " ")
            axis.stairs(
                above, edges, baseline=below, fill=True, color=PHASE_COLORS[phase], linewidth=0, label=label
            )
            below = above
        level = getattr(dense, what) * scale
        axis.hlines(level, 0, edges[-1], color="black", linewidth=0.9, linestyle="--", label="dense training")
        axis.set_xlim(0, edges[-1])
        axis.set_ylim(0, 1.08 * max(level, *below))
    axes[0].set_ylabel(f"energy / step [{energy_unit}]", fontsize=LABEL)
    axes[1].set_ylabel(f"{cycle_unit} / step", fontsize=LABEL)
    axes[0].set_xticklabels([])
    at_once = any(part.at_once is not None for part in parts)
    axes[1].set_xlabel(f"iterations{', parts at once side by side' * at_once}", fontsize=LABEL)
    axes[0].set_title(
        f"{cut(cost.network, 24)} on {cut(cost.architecture, 24)}, {cut(cost.design, 20)}", fontsize=LABEL
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0.2
    )
    return figure


def _side_by_side(cost: TrainCost) -> tuple[list[PartCost], list[float]]:
    """Return the parts of a run, and where each begins and ends; those at once share a stretch evenly."""
    found: list[PartCost] = []
    edges = [0.0]
    for number, group in groupby(cost.parts, key=lambda part: part.at_once):
        parts = list(group)
        for together in [parts] if number is not None else [[part] for part in parts]:
            start, length = edges[-1], max(part.iterations for part in together)
            edges += [start + length * (one + 1) / len(together) for one in range(len(together))]
            found += together
    return found, edges


def draw_run(cost: TrainCost) -> Figure:
    """Return a figure of density and energy of a run over its training steps.

    Energy, or computations where they alone were counted, is that of a training step over one of dense
    training. Parts that run at once are drawn as their mean.

    Parameters
    ----------
    cost : TrainCost
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
    return figure


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
