"""Draw the figures of the README and the docs from evaluations of what ships.

    python tools/figures.py docs/images

Needs matplotlib: ``pip install matplotlib``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from procrustes_model import (
    Result,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    run_network,
)

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = {"Weights": "#0072B2", "Inputs": "#E69F00", "Outputs": "#009E73", "MAC": "#999999"}
HATCHES = {"Weights": "", "Inputs": "//", "Outputs": "..", "MAC": ""}

PHASES = {
    "forward": ("vgg_s/conv3_2", "vgg_s_conv3_2_kn"),
    "backward": ("vgg_s/conv3_2_bw", "vgg_s_conv3_2_bw_cn"),
    "weight update": ("vgg_s/conv3_2_wu", "vgg_s_conv3_2_wu_ck"),
}
MACHINES = {"procrustes_16x16": "fp32 MAC 32.3 pJ", "procrustes_16x16_horowitz": "fp32 MAC 4.6 pJ"}


def evaluate_phase(machine: str, phase: str) -> Result:
    """Evaluate the shipped mapping of one training phase of VGG-S conv3_2."""
    problem_name, mapping_name = PHASES[phase]
    architecture, problem = load_architecture(machine), load_problem(problem_name)
    return evaluate(architecture, problem, load_mapping(f"{machine}/{mapping_name}", architecture, problem))


def draw_breakdown(folder: Path) -> None:
    """Draw the energy of the three training phases by level and tensor, on both MAC energies."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"font.size": 8, "hatch.linewidth": 0.5})
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True, layout="constrained")
    for axis, (machine, title) in zip(axes, MACHINES.items(), strict=True):
        for column, phase in enumerate(PHASES):
            result = evaluate_phase(machine, phase)
            for row, level in enumerate(result.levels):
                place, bottom = column * 5 + row, 0.0
                for tensor in level.tensors:
                    height = tensor.energy_pj * 1e-9
                    style = {
                        "color": COLORS[tensor.tensor],
                        "hatch": HATCHES[tensor.tensor],
                        "edgecolor": "white",
                    }
                    axis.bar(place, height, bottom=bottom, width=0.85, **style)
                    bottom += height
            axis.bar(column * 5 + 3, result.compute.energy_pj * 1e-9, width=0.85, color=COLORS["MAC"])
        axis.set_title(f"{machine}: {title}")
        names = [*(level.name for level in result.levels), "MAC"]
        axis.set_xticks([c * 5 + i for c in range(3) for i in range(4)], names * 3, rotation=90)
        for column, phase in enumerate(PHASES):
            axis.text(
                column * 5 + 1.5, 0.98, phase, ha="center", va="top", transform=axis.get_xaxis_transform()
            )
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(0, 18.5)
    axes[0].set_ylabel("energy [mJ]")
    handles = [
        mpl.patches.Patch(facecolor=COLORS[name], hatch=HATCHES[name], edgecolor="white", label=name)
        for name in COLORS
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(folder / "energy_breakdown.png", dpi=200)
    plt.close(figure)


def draw_results(folder: Path) -> None:
    """Draw the figures of the page on figures, at a size that suits a page."""
    names = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")
    result = evaluate(*names)
    run = run_network(
        "simple_3level",
        "vgg_s",
        batch=4,
        sparsity="procrustes",
        baseline="dense",
        densities="W=0.1,X=0.5",
        seconds=1,
        workers=1,
    )
    figures = {name: result.plot(name) for name in ("energy", "capacity", "mapping")}
    figures |= {"roofline": run.plot("roofline"), "layers": run.plot("energy")}
    for name, figure in figures.items():
        figure.savefig(folder / f"plot_{name}.png", dpi=120)


def main() -> None:
    """Draw all figures into the folder named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    draw_breakdown(folder)
    draw_results(folder)


if __name__ == "__main__":
    main()
