"""Masks of what the products of a layer receive, where they say more than the mask of its weights.

A layer that trains has three products, and each of them may be given something else of the same tensor: an
N:M mask of the weights forward and another one backward, pruned gradients backward and all of them in the
weight update. Inputs are [N, C, ...], with the padding that a convolution adds; gradients, which are those of
outputs, [N, K, ...].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.array_files import Archive
from procrustes_model.vocabulary import Phase

Bools = NDArray[np.bool_]
Operand = tuple[str, str]
"""A phase, and a tensor: 'weights', 'inputs' or 'gradients'."""

WEIGHTS_BACKWARD: Operand = (Phase.BACKWARD.value, "weights")
INPUTS: Operand = (Phase.FORWARD.value, "inputs")
GRADIENTS: Operand = (Phase.BACKWARD.value, "gradients")
INPUTS_UPDATE: Operand = (Phase.WEIGHT_UPDATE.value, "inputs")
GRADIENTS_UPDATE: Operand = (Phase.WEIGHT_UPDATE.value, "gradients")

OPERANDS = (WEIGHTS_BACKWARD, INPUTS, GRADIENTS, INPUTS_UPDATE, GRADIENTS_UPDATE)
"""All that may be recorded; the weights of the forward product are the layer's masks themselves."""

SAME_AS: Mapping[Operand, Operand] = {INPUTS_UPDATE: INPUTS, GRADIENTS_UPDATE: GRADIENTS}
"""What an operand is where it was not recorded; weights backward are those of the forward product."""

_KEYS = ("operand", "operand_shape", "operand_known")


@dataclass(frozen=True, eq=False)
class OperandMasks:
    """Which elements of one operand are not zero.

    Attributes
    ----------
    masks : bool[S, ...]
        By step.
    known : bool[S]
        Steps whose mask is known; in others it is all False.

    Raises
    ------
    ValueError
        When the arrays are not of the same steps.
    """

    masks: Bools
    known: Bools

    def __post_init__(self) -> None:
        if self.masks.dtype != np.bool_ or self.masks.ndim < 2 or self.known.shape != self.masks.shape[:1]:
            raise ValueError(f"operands are {self.masks.dtype}{list(self.masks.shape)}, not bool[S, ...]")
        if self.known.dtype != np.bool_ or np.any(self.masks[~self.known]):
            raise ValueError("an operand has a mask where it is unknown")

    def at(self, row: int) -> Bools | None:
        """Return the mask of a recorded step, None if it is unknown."""
        return self.masks[row] if self.known[row] else None


def gather(
    rows: Sequence[Mapping[Operand, Bools | None]], weights: Sequence[Bools | None]
) -> dict[Operand, OperandMasks]:
    """Return the operands of a layer from those of its recorded steps.

    Parameters
    ----------
    rows : sequence of dict
        What was seen in every step; None: in parts, or several times. The shape of an operand is that of the
        first mask, others are unknown.
    weights : sequence of bool[...] or None
        Of the forward products; None: unknown.

    Returns
    -------
    dict of Operand to OperandMasks
        Without those that say nothing new.
    """

    def value(number: int, operand: Operand) -> Bools | None:
        if operand in rows[number]:
            return rows[number][operand]
        return other(number, operand)

    def other(number: int, operand: Operand) -> Bools | None:
        if operand == WEIGHTS_BACKWARD:
            return weights[number]
        return value(number, SAME_AS[operand]) if operand in SAME_AS else None

    found: dict[Operand, OperandMasks] = {}
    for operand in OPERANDS:
        values = [value(number, operand) for number in range(len(rows))]
        others = [other(number, operand) for number in range(len(rows))]
        if not all(_is_same(one, another) for one, another in zip(values, others, strict=True)):
            found[operand] = _stack(values)
    return found


def _stack(values: Sequence[Bools | None]) -> OperandMasks:
    """Return the masks of all steps; those of another shape than the first are unknown."""
    shape = next((one.shape for one in values if one is not None), (0,))
    masks, known = np.zeros((len(values), *shape), np.bool_), np.zeros(len(values), np.bool_)
    for number, one in enumerate(values):
        if one is not None and one.shape == shape:
            masks[number], known[number] = one, True
    return OperandMasks(masks, known)


def _is_same(one: Bools | None, other: Bools | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def pack_operands(layer: str, operands: Mapping[Operand, OperandMasks]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of masks that hold the operands of a layer."""
    arrays: dict[str, NDArray[Any]] = {}
    for operand, found in operands.items():
        steps, shape = len(found.masks), found.masks.shape[1:]
        bits, sides, known = (f"{key}/{'/'.join(operand)}/{layer}" for key in _KEYS)
        arrays[bits] = np.packbits(found.masks.reshape(steps, prod(shape)), axis=1)
        arrays[sides] = np.array(shape, np.int64)
        arrays[known] = found.known
    return arrays


def list_operands(archive: Archive, layer: str) -> Iterator[tuple[Operand, tuple[int, ...], int]]:
    """Yield which operands of a layer an opened file has, their shapes, and their steps.

    Raises
    ------
    ValueError
        When a shape is none, or not that of the bits.
    """
    for operand in OPERANDS:
        bits, sides, _ = (f"{key}/{'/'.join(operand)}/{layer}" for key in _KEYS)
        if bits not in archive:
            continue
        lengths = archive.read(sides)
        if lengths.ndim != 1 or not 1 <= lengths.size < 64 or lengths.dtype.kind not in "iu":
            raise ValueError(f"the shape of {' '.join(operand)} is no list of whole numbers")
        shape = tuple(int(side) for side in lengths)
        packed, dtype = archive.header(bits)
        if min(shape) < 0 or dtype != np.uint8 or len(packed) != 2 or packed[1] != -(-prod(shape) // 8):
            raise ValueError(
                f"{' '.join(operand)} of shape {str(shape)[:100]} has bits {dtype}{list(packed)}"
            )
        yield operand, shape, packed[0]


def read_operand(
    archive: Archive, layer: str, operand: Operand, shape: tuple[int, ...], rows: slice
) -> OperandMasks:
    """Return some steps of an operand that an opened file has.

    Raises
    ------
    ValueError
        When its arrays do not fit together.
    """
    bits, _, known = (f"{key}/{'/'.join(operand)}/{layer}" for key in _KEYS)
    packed = archive.read(bits)[rows]
    masks = np.unpackbits(packed, axis=1, count=prod(shape)).view(np.bool_).reshape(len(packed), *shape)
    return OperandMasks(masks, archive.read(known)[rows])
