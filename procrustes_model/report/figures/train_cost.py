"""What a training run costs as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.report.figures.bars import LABEL, SMALL
from procrustes_model.report.figures.network import PHASE_COLORS
from procrustes_model.report.figures.scales import cut, cycle_scale_of, energy_scale_of
from procrustes_model.report.figures.style import new_figure
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from procrustes_model.network.train_cost import TrainCost


def draw_training(cost: TrainCost) -> Figure:
    """Return a figure of energy and cycles of a training step over the iterations, beside dense training.

    Parameters
    ----------
    cost : TrainCost
    """
    figure, axes = new_figure(3.8, 2)
    edges = [0]
    for part in cost.parts:
        edges.append(edges[-1] + part.iterations)
    dense = cost.dense.step()
    steps = [part.step() for part in cost.parts]
    energy_unit, energy_scale = energy_scale_of(max(dense.energy_pj, *(one.energy_pj for one in steps)))
    cycle_unit, cycle_scale = cycle_scale_of(max(dense.cycles, *(one.cycles for one in steps)))
    for axis, what, scale in zip(axes, ("energy_pj", "cycles"), (energy_scale, cycle_scale), strict=True):
        below = [0.0] * len(cost.parts)
        for phase in PHASES:
            own = [getattr(part.step(phase), what) * scale for part in cost.parts]
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
    axes[1].set_xlabel("iterations", fontsize=LABEL)
    axes[0].set_title(
        f"{cut(cost.network, 24)} on {cut(cost.architecture, 24)}, {cut(cost.design, 20)}", fontsize=LABEL
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0.2
    )
    return figure
