"""What the product of one phase of a layer received, from a file of masks."""

from __future__ import annotations

import os
from math import prod

from procrustes_model.array_files import MOST_UNPACKED
from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.training.masks import load_mask, load_mask_densities, opened_masks
from procrustes_model.training.operand_masks import (
    SAME_AS,
    WEIGHTS_BACKWARD,
    Bools,
    Operand,
    list_operands,
    read_operand,
)
from procrustes_model.vocabulary import Phase


def load_operands(
    path: str | os.PathLike[str], layer: str | None = None, step: int | None = None, *, phase: Phase | str
) -> dict[str, Bools]:
    """Read the masks of what the product of a phase received, as far as they are known.

    Parameters
    ----------
    path : path
    layer : str, optional
        May be left out where the file has only one.
    step : int, optional
        The last one if none is given.
    phase : Phase or str
        'forward' (weights and inputs), 'backward' (weights and gradients of outputs) or 'weight_update'
        (inputs and gradients of outputs).

    Returns
    -------
    dict of str to bool[...]
        'weights', 'inputs' and 'gradients'. Inputs have the padding of a convolution.

    Raises
    ------
    SpecError
        When the file cannot be read or is not such a file, has no such layer or step, or the weights are
        multiplied with in this phase, and unknown.
    """
    phase = Phase(phase)
    densities = load_mask_densities(path)
    name = densities.names[densities.find_layer(layer)]
    row = densities.find_step(step)
    found: dict[str, Bools] = {}
    for tensor in _TENSORS[phase]:
        if tensor != "weights":
            mask = _read(path, name, row, (phase.value, tensor))[0]
        else:
            mask = backward_weights(path, name, densities.steps[row]) if phase == Phase.BACKWARD else None
            mask = load_mask(path, name, densities.steps[row]) if mask is None else mask
        if mask is not None:
            found[tensor] = mask
    return found


def backward_weights(path: str | os.PathLike[str], layer: str, step: int) -> Bools | None:
    """Read the mask of the weights that a layer's backward product received.

    Parameters
    ----------
    path : path
    layer : str
    step : int

    Returns
    -------
    bool[...] or None
        None where they are those of the forward product.

    Raises
    ------
    SpecError
        When the file cannot be read or is not such a file, has no such layer or step, or the mask is unknown.
    """
    row = load_mask_densities(path).find_step(step)
    mask, is_told = _read(path, layer, row, WEIGHTS_BACKWARD)
    if is_told and mask is None:
        message = f"the backward mask of {quote(layer)} is unknown at step {step}"
        raise SpecError(Issue(message, "what the layer multiplied with was not seen", os.fspath(path)))
    return mask


_TENSORS = {
    Phase.FORWARD: ("weights", "inputs"),
    Phase.BACKWARD: ("weights", "gradients"),
    Phase.WEIGHT_UPDATE: ("inputs", "gradients"),
}


def _read(path: str | os.PathLike[str], layer: str, row: int, operand: Operand) -> tuple[Bools | None, bool]:
    """Return the mask of an operand, None if unknown, and whether the file says anything of it."""
    with opened_masks(path) as (archive, _):
        found = {one: (shape, steps) for one, shape, steps in list_operands(archive, layer)}
        chosen = operand if operand in found else SAME_AS.get(operand, operand)
        if chosen not in found:
            return None, False
        shape, steps = found[chosen]
        if row >= steps or prod(shape) > MOST_UNPACKED:
            raise ValueError(f"{quote(layer)} has too few {' '.join(chosen)}, or too many to be read at once")
        return read_operand(archive, layer, chosen, shape, slice(row, row + 1)).at(0), True
