"""Files of masks: which weights of a network are not zero, layer by layer, and how dense the rest is.

One .npz file, readable with ``numpy.load(path, allow_pickle=False)``:

=======================  ==========================  =====================================================
array                    type and shape              meaning
=======================  ==========================  =====================================================
``metadata``             text, []                    JSON, see below
``steps``                int64[S]                    iterations recorded, ascending
``mask/<layer>``         uint8[S, ceil(elements/8)]  packed bits, a row per step: 1 where a weight is not
                                                     zero; C order, the first weight in the highest bit,
                                                     as ``numpy.unpackbits`` takes them
``shape/<layer>``        int64[ranks]                shape of the weights: K, C, R, S of a convolution,
                                                     K, C of a fully connected layer
``storage_density``      float64[S, layers]          stored weights / weights
``weight_density``       float64[S, layers]          weights that are not zero / weights; more than what
                                                     is stored while regenerated initial values remain.
                                                     NaN: unknown, and the bits are 0
``activation_density``   float64[S, layers]          elements of a layer's inputs that are not zero;
                                                     NaN: unknown
``gradient_density``     float64[S, layers]          the same of the gradients of its outputs
=======================  ==========================  =====================================================

Where it says more, a file has the masks of what single products receive (`operand_masks`). PHASE/TENSOR is
backward/weights, forward/inputs, backward/gradients, weight_update/inputs or weight_update/gradients:

==================================  =========  ===========================================================
array                               type       meaning
==================================  =========  ===========================================================
``operand/PHASE/TENSOR/<layer>``    as masks   of an operand. Not there: weights backward are those of the
                                               forward product, operands of the weight update those of the
                                               phase before, others are unknown
``operand_shape/...``               as shapes  N, C, H, W of inputs, with the padding of a convolution; N,
                                               K, P, Q of gradients of outputs
``operand_known/...``               bool[S]    whether it is known in a step; the bits are 0 where not
==================================  =========  ===========================================================

``metadata`` holds ``format`` ("procrustes_masks"), ``version`` (see `versions`), ``layers`` (names, in the
order of the densities' columns), ``source`` (what the masks are of) and, where there is something to say,
``notes`` (sentences: what of a checkpoint is in no layer).
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.array_files import MOST_UNPACKED, Archive, opened
from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.spec.text.document import unreadable
from procrustes_model.training.mask_densities import MaskDensities, list_names
from procrustes_model.training.operand_masks import (
    Operand,
    OperandMasks,
    list_operands,
    pack_operands,
    read_operand,
)
from procrustes_model.versions import KEY, VERSIONS, check_version

_FORMAT = "procrustes_masks"
_MOST_RANKS = 63  # an array has 64, and the steps are one
_DENSITIES = ("storage_density", "weight_density", "activation_density", "gradient_density")


@dataclass(frozen=True, eq=False)
class LayerMasks:
    """The masks of one layer.

    Attributes
    ----------
    name : str
    masks : bool[S, ...]
        Weights that are not zero, by step.
    storage_density, activation_density, gradient_density : float64[S]
        By step; NaN: unknown.
    known : bool[S], optional
        Steps whose mask is known, in others it is all False; all where it is not given.
    operands : dict of Operand to OperandMasks, optional
        Masks of what single products receive, where that says more.

    Raises
    ------
    ValueError
        When the arrays are not of the same steps, or a density is no share.
    """

    name: str
    masks: NDArray[np.bool_]
    storage_density: NDArray[np.float64]
    activation_density: NDArray[np.float64]
    gradient_density: NDArray[np.float64]
    known: NDArray[np.bool_] | None = None
    operands: Mapping[Operand, OperandMasks] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.masks.dtype != np.bool_ or self.masks.ndim < 2:
            raise ValueError(
                f"masks of '{self.name}' are {self.masks.dtype}{list(self.masks.shape)}, not bool[S, ...]"
            )
        for kind in ("storage_density", "activation_density", "gradient_density"):
            density = getattr(self, kind)
            if density.shape != self.masks.shape[:1]:
                raise ValueError(
                    f"'{self.name}' has {len(self.masks)} masks and {kind} of shape {density.shape}"
                )
            if np.any((density < 0) | (density > 1)):
                raise ValueError(f"{kind} of '{self.name}' is not from 0 to 1")
        if self.known is not None:
            if self.known.dtype != np.bool_ or self.known.shape != self.masks.shape[:1]:
                raise ValueError(
                    f"'{self.name}' has {len(self.masks)} masks and another number of known ones"
                )
            if np.any(self.masks[~self.known]):
                raise ValueError(f"'{self.name}' has a mask where it is unknown")
        for operand, found in self.operands.items():
            if len(found.masks) != len(self.masks):
                raise ValueError(f"'{self.name}' has other steps of {' '.join(operand)}")

    @property
    def weight_density(self) -> NDArray[np.float64]:
        """Weights that are not zero / weights, by step; NaN: unknown."""
        axes = tuple(range(1, self.masks.ndim))
        density: NDArray[np.float64] = self.masks.mean(axis=axes)
        return density if self.known is None else np.where(self.known, density, np.nan)


@dataclass(frozen=True, eq=False)
class MaskFile:
    """The masks of a network.

    Attributes
    ----------
    layers : tuple of LayerMasks
    steps : tuple of int
        Iterations, ascending.
    source : str
        What the masks are of.
    notes : tuple of str
        What else is to be known of them, a sentence each.

    Raises
    ------
    ValueError
        When layers share a name or are not of these steps, or steps do not ascend.
    """

    layers: tuple[LayerMasks, ...]
    steps: tuple[int, ...]
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            twice = [quote(name) for name, number in Counter(names).items() if number > 1]
            raise ValueError(f"layers share a name: {list_names(twice)}")
        if any(second <= first for first, second in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"steps {self.steps} do not ascend")
        for layer in self.layers:
            if len(layer.masks) != len(self.steps):
                raise ValueError(f"'{layer.name}' has {len(layer.masks)} masks for {len(self.steps)} steps")

    def densities(self) -> MaskDensities:
        """Return shapes and densities of the layers, without the masks."""

        def table(kind: str) -> NDArray[np.float64]:
            columns = [getattr(layer, kind) for layer in self.layers]
            return np.array(columns, np.float64).reshape(len(self.layers), len(self.steps)).T.copy()

        return MaskDensities(
            names=tuple(layer.name for layer in self.layers),
            shapes=tuple(layer.masks.shape[1:] for layer in self.layers),
            steps=self.steps,
            storage=table("storage_density"),
            weights=table("weight_density"),
            activations=table("activation_density"),
            gradients=table("gradient_density"),
            source=self.source,
            notes=self.notes,
        )

    def mask(self, layer: str, step: int | None = None) -> NDArray[np.bool_]:
        """Return the mask of a layer at a step, the last one if none is given.

        Raises
        ------
        KeyError
            When the file has no such layer or step, or the mask is unknown.
        """
        found = [one for one in self.layers if one.name == layer]
        if not found or (step is not None and step not in self.steps) or not self.steps:
            raise KeyError(layer if not found else step)
        row = -1 if step is None else self.steps.index(step)
        if found[0].known is not None and not found[0].known[row]:
            raise KeyError(f"the mask of '{layer}' is unknown at step {self.steps[row]}")
        mask: NDArray[np.bool_] = found[0].masks[row]
        return mask


def save_masks(path: str | os.PathLike[str], masks: MaskFile) -> None:
    """Write masks into one .npz file, there completely or not at all; the same masks make the same bytes.

    Parameters
    ----------
    path : path
    masks : MaskFile

    Raises
    ------
    OSError
        When the file cannot be written; an earlier one is then untouched.
    """
    layers = masks.layers
    names = [layer.name for layer in layers]
    metadata = {"format": _FORMAT, KEY: VERSIONS["mask"], "layers": names, "source": masks.source}
    if masks.notes:
        metadata["notes"] = list(masks.notes)
    arrays: dict[str, Any] = {
        "metadata": np.array(json.dumps(metadata, ensure_ascii=True)),
        "steps": np.array(masks.steps, np.int64),
    }
    for layer in layers:
        arrays[f"mask/{layer.name}"] = np.packbits(
            layer.masks.reshape(len(layer.masks), prod(layer.masks.shape[1:])), axis=1
        )
        arrays[f"shape/{layer.name}"] = np.array(layer.masks.shape[1:], np.int64)
        arrays |= pack_operands(layer.name, layer.operands)
    found = masks.densities()
    tables = (found.storage, found.weights, found.activations, found.gradients)
    arrays |= dict(zip(_DENSITIES, tables, strict=True))
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def load_masks(path: str | os.PathLike[str]) -> MaskFile:
    """Read a file that `save_masks` wrote. Nothing in it is executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    MaskFile

    Raises
    ------
    SpecError
        When the file cannot be read or is not such a file.
    """
    with opened_masks(path) as (archive, metadata):
        steps = _steps(archive)
        densities = {kind: archive.read(kind).astype(np.float64) for kind in _DENSITIES}
        names, shapes = _layers(archive, metadata)
        operands = {name: list(list_operands(archive, name)) for name in names}
        inside = [*shapes, *(shape for found in operands.values() for _, shape, _ in found)]
        elements = len(steps) * sum(prod(shape) for shape in inside)
        if elements > MOST_UNPACKED:
            raise ValueError(f"all masks together have {elements:,} elements; load_mask reads one of them")
        layers = tuple(
            _layer(name, shape, archive, densities, column, operands[name])
            for column, (name, shape) in enumerate(zip(names, shapes, strict=True))
        )
        return MaskFile(layers, steps, str(metadata["source"]), _notes(metadata))


def load_mask_densities(path: str | os.PathLike[str]) -> MaskDensities:
    """Read shapes and densities from a file that `save_masks` wrote, without its masks.

    Parameters
    ----------
    path : path

    Returns
    -------
    MaskDensities

    Raises
    ------
    SpecError
        When the file cannot be read or is not such a file.
    """
    with opened_masks(path) as (archive, metadata):
        names, shapes = _layers(archive, metadata)
        tables = {kind: archive.read(kind).astype(np.float64) for kind in _DENSITIES}
        return MaskDensities(
            names=names,
            shapes=shapes,
            steps=_steps(archive),
            storage=tables["storage_density"],
            weights=tables["weight_density"],
            activations=tables["activation_density"],
            gradients=tables["gradient_density"],
            source=str(metadata["source"]),
            file=os.fspath(path),
            notes=_notes(metadata),
        )


def load_mask(
    path: str | os.PathLike[str], layer: str | None = None, step: int | None = None
) -> NDArray[np.bool_]:
    """Read the mask of one layer at one step.

    Parameters
    ----------
    path : path
    layer : str, optional
        May be left out where the file has only one.
    step : int, optional
        The last one if none is given.

    Returns
    -------
    bool[...]

    Raises
    ------
    SpecError
        When the file cannot be read or is not such a file, has no such layer or step, or the mask is unknown.
    """
    densities = load_mask_densities(path)
    row = densities.find_step(step)
    column = densities.find_layer(layer)
    name = densities.names[column]
    if np.isnan(densities.weights[row, column]) and densities.sizes[column]:
        message = f"the mask of {quote(name)} is unknown at step {densities.steps[row]}"
        raise SpecError(Issue(message, "what the layer multiplied with was not seen", densities.file))
    with opened_masks(path) as (archive, _):
        masks = _unpack(name, densities.shapes[column], archive, slice(row, row + 1))
        if len(masks) != 1:
            raise ValueError(f"{quote(name)} has fewer masks than there are steps")
        mask: NDArray[np.bool_] = masks[0]
        return mask


def is_mask_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one that `save_masks` wrote, by the names of its arrays."""
    try:
        with opened(path) as file:
            return {"metadata", "steps", "weight_density"} <= set(Archive(file).names)
    except (OSError, ValueError):
        return False


@contextmanager
def opened_masks(path: str | os.PathLike[str]) -> Iterator[tuple[Archive, dict[str, Any]]]:
    """Open a file of masks; whatever is wrong with it becomes a SpecError."""
    file = os.fspath(path)
    try:
        with opened(path) as stream:
            archive = Archive(stream)
            hint = "'procrustes masks from-checkpoint' makes one of weights or masks"
            if "metadata" not in archive:
                raise SpecError(Issue("this is no file of masks", hint, file))
            metadata = json.loads(str(archive.read("metadata")))
            if metadata["format"] != _FORMAT:
                raise SpecError(Issue("this is no file of masks", hint, file))
            check_version("mask", metadata, file)
            yield archive, metadata
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(unreadable(file, error)) from None
    except KeyError as error:
        lacking = quote(str(error.args[0]))
        raise SpecError(Issue(f"this file of masks lacks {lacking}", None, file)) from None
    except (ValueError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise SpecError(Issue(f"this is no valid file of masks: {error}", None, file)) from None


def _steps(archive: Archive) -> tuple[int, ...]:
    """Return the steps of an opened file."""
    steps = archive.read("steps")
    # An empty list of numbers is one of floats to NumPy.
    if steps.ndim != 1 or (steps.size and steps.dtype.kind not in "iu"):
        raise ValueError(f"steps are {steps.dtype}{list(steps.shape)}, whole numbers are expected")
    return tuple(int(step) for step in steps)


def _layers(
    archive: Archive, metadata: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return names and shapes of the layers of an opened file."""
    names = metadata["layers"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("'layers' are not a list of names")
    if len(set(names)) < len(names):
        raise ValueError("names of layers are not unique")
    shapes = []
    for name in names:
        sides = archive.read(f"shape/{name}")
        if sides.ndim != 1 or sides.size > _MOST_RANKS or sides.dtype.kind not in "iu" or (sides < 0).any():
            said = str(sides.reshape(-1)[:_MOST_RANKS].tolist())[:100]
            raise ValueError(f"the shape of {quote(name)} is {said}, not whole numbers from 0")
        shape = tuple(int(side) for side in sides)
        packed, dtype = archive.header(f"mask/{name}")
        if dtype != np.uint8 or len(packed) != 2 or packed[1] != -(-prod(shape) // 8):
            has = f"packed bits {dtype}{list(packed)}"
            raise ValueError(f"{quote(name)} of shape {str(list(shape))[:100]} has {has}")
        shapes.append(shape)
    return tuple(names), tuple(shapes)


def _notes(metadata: dict[str, Any]) -> tuple[str, ...]:
    notes = metadata.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ValueError("'notes' are not a list of sentences")
    return tuple(notes)


def _layer(
    name: str,
    shape: tuple[int, ...],
    archive: Archive,
    densities: dict[str, Any],
    column: int,
    operands: Sequence[tuple[Operand, tuple[int, ...], int]],
) -> LayerMasks:
    """Return one layer of an opened file."""
    masks = _unpack(name, shape, archive, slice(None))
    columns = {kind: values[:, column] for kind, values in densities.items()}
    known = ~np.isnan(columns.pop("weight_density"))
    # Of no weights there is no density.
    inside = {one: read_operand(archive, name, one, sides, slice(None)) for one, sides, _ in operands}
    is_known = None if known.all() or not masks[:1].size else known
    return LayerMasks(name, masks, **columns, known=is_known, operands=inside)


def _unpack(name: str, shape: tuple[int, ...], archive: Archive, rows: slice) -> NDArray[np.bool_]:
    """Return masks of a layer of an opened file: bool[steps, ...]."""
    packed = archive.read(f"mask/{name}")
    elements = prod(shape)
    packed = packed[rows]
    if len(packed) * elements > MOST_UNPACKED:
        raise ValueError(
            f"{quote(name)} has {len(packed) * elements:,} elements, too many to be read at once"
        )
    bits = np.unpackbits(packed, axis=1, count=elements)
    masks: NDArray[np.bool_] = bits.view(np.bool_).reshape(len(bits), *shape)
    return masks


def only_masks(
    masks: Sequence[tuple[str, NDArray[np.bool_]]], source: str, notes: tuple[str, ...] = ()
) -> MaskFile:
    """Return masks of one moment, of which nothing else is known.

    Parameters
    ----------
    masks : sequence of (str, bool[...])
        Names and masks of the layers.
    source : str
        What they are of.
    notes : tuple of str
        See `MaskFile`.

    Returns
    -------
    MaskFile
        With the one step 0.
    """
    unknown = np.array([np.nan])
    layers = (
        LayerMasks(name, mask[np.newaxis], np.array([mask.mean() if mask.size else 0.0]), unknown, unknown)
        for name, mask in masks
    )
    return MaskFile(tuple(layers), (0,), source, notes)
