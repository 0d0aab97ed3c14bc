"""What a file of masks holds, as text."""

from __future__ import annotations

import math

from procrustes_model.printable import cut
from procrustes_model.report.terminal.sheet import format_sheet, sheet_of
from procrustes_model.report.terminal.style import Style, wrap
from procrustes_model.training.mask_densities import MaskDensities

_TITLES = ("Layer", "Shape", "Weights", "Nonzero", "Stored", "Inputs", "Gradients")


def format_masks(masks: MaskDensities, step: int | None = None, style: Style | None = None) -> str:
    """Return the layers of a file of masks at one step, and the density of all weights at every step.

    Parameters
    ----------
    masks : MaskDensities
    step : int, optional
        The last one if none is given.
    style : Style, optional
        Plain, 80 columns wide by default.

    Raises
    ------
    SpecError
        When that step was not recorded.
    """
    row = masks.find_step(step)
    total = [_share(float(values[row])) for values in (masks.total("weights"), masks.total("storage"))]
    cells = []
    for column, (name, shape, size) in enumerate(zip(masks.names, masks.shapes, masks.sizes, strict=True)):
        found = (masks.weights, masks.storage, masks.activations, masks.gradients)
        densities = [_share(float(values[row, column])) for values in found]
        cells.append([cut(name, 60), _sides(shape), f"{size:,}", *densities])
    cells.append(["all", "", f"{masks.sizes.sum():,}", *total, "", ""])
    sheet = sheet_of(_TITLES, cells, left=_TITLES[:2], rules=frozenset([len(cells) - 1]))
    blocks = [f"{cut(masks.source)}, step {masks.steps[row]:,}", format_sheet(sheet, style)]
    if len(masks.steps) > 1:
        columns = zip(masks.steps, masks.total("weights"), masks.total("storage"), strict=True)
        steps = [[f"{number:,}", _share(weights), _share(stored)] for number, weights, stored in columns]
        blocks.append(format_sheet(sheet_of(("Step", "Nonzero", "Stored"), steps), style))
    notes = [line for note in masks.notes[:100] for line in wrap(cut(note, 1000), style)]
    if notes:
        blocks.append("\n".join(notes))
    blocks.append("Densities: parts of all weights, inputs and gradients of outputs. -: unknown.")
    return "\n\n".join(blocks)


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
