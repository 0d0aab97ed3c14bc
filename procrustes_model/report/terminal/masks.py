"""What a file of masks holds, as text."""

from __future__ import annotations

import math

from procrustes_model.printable import cut
from procrustes_model.training.mask_densities import MaskDensities


def format_masks(masks: MaskDensities, step: int | None = None) -> str:
    """Return the layers of a file of masks at one step, and the density of all weights at every step.

    Parameters
    ----------
    masks : MaskDensities
    step : int, optional
        The last one if none is given.

    Raises
    ------
    SpecError
        When that step was not recorded.
    """
    row = masks.find_step(step)
    total = [_share(float(values[row])) for values in (masks.total("weights"), masks.total("storage"))]
    cells = [["Layer", "Shape", "Weights", "Nonzero", "Stored", "Inputs", "Gradients"]]
    for column, (name, shape, size) in enumerate(zip(masks.names, masks.shapes, masks.sizes, strict=True)):
        found = (masks.weights, masks.storage, masks.activations, masks.gradients)
        densities = [_share(float(values[row, column])) for values in found]
        cells.append([cut(name, 60), _sides(shape), f"{size:,}", *densities])
    cells.append(["all", "", f"{masks.sizes.sum():,}", *total, "", ""])
    blocks = [f"{cut(masks.source)}, step {masks.steps[row]:,}", _table(cells)]
    if len(masks.steps) > 1:
        steps = [["Step", "Nonzero", "Stored"]]
        columns = zip(masks.steps, masks.total("weights"), masks.total("storage"), strict=True)
        steps += [[f"{number:,}", _share(weights), _share(stored)] for number, weights, stored in columns]
        blocks.append(_table(steps, left=0))
    if masks.notes:
        blocks.append("\n".join(cut(note, 1000) for note in masks.notes[:100]))
    blocks.append("Densities: parts of all weights, inputs and gradients of outputs. -: unknown.")
    return "\n\n".join(blocks)


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)


def _table(cells: list[list[str]], left: int = 2) -> str:
    """Return lines of cells: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)
