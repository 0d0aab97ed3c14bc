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

``metadata`` holds ``format`` ("procrustes_masks"), ``version`` (see `versions`), ``layers`` (names, in the
order of the densities' columns) and ``source`` (what the masks are of).
"""

from __future__ import annotations

import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.training.mask_densities import MaskDensities
from procrustes_model.versions import KEY, VERSIONS, check_version

_FORMAT = "procrustes_masks"
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

    Raises
    ------
    ValueError
        When layers share a name or are not of these steps, or steps do not ascend.
    """

    layers: tuple[LayerMasks, ...]
    steps: tuple[int, ...]
    source: str = ""

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise ValueError(f"layers share a name: {', '.join(names)}")
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
    arrays: dict[str, Any] = {
        "metadata": np.array(json.dumps(metadata, ensure_ascii=True)),
        "steps": np.array(masks.steps, np.int64),
    }
    for layer in layers:
        arrays[f"mask/{layer.name}"] = np.packbits(
            layer.masks.reshape(len(layer.masks), prod(layer.masks.shape[1:])), axis=1
        )
        arrays[f"shape/{layer.name}"] = np.array(layer.masks.shape[1:], np.int64)
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
    with _opened(path) as (loaded, metadata):
        steps = loaded["steps"]
        densities = {kind: loaded[kind] for kind in _DENSITIES}
        layers = tuple(
            _layer(name, loaded, densities, column) for column, name in enumerate(metadata["layers"])
        )
        return MaskFile(layers, tuple(int(step) for step in steps), str(metadata["source"]))


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
    file = os.fspath(path)
    with _opened(path) as (loaded, metadata):
        names = tuple(str(name) for name in metadata["layers"])
        return MaskDensities(
            names=names,
            shapes=tuple(tuple(int(side) for side in loaded[f"shape/{name}"]) for name in names),
            steps=tuple(int(step) for step in loaded["steps"]),
            storage=np.asarray(loaded["storage_density"], np.float64),
            weights=np.asarray(loaded["weight_density"], np.float64),
            activations=np.asarray(loaded["activation_density"], np.float64),
            gradients=np.asarray(loaded["gradient_density"], np.float64),
            source=str(metadata["source"]),
            file=file,
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
        message = f"the mask of '{name}' is unknown at step {densities.steps[row]}"
        raise SpecError(Issue(message, "what the layer multiplied with was not seen", densities.file))
    with _opened(path) as (loaded, _):
        masks = _unpack(name, loaded, slice(row, row + 1))
        if len(masks) != 1:
            raise ValueError(f"'{name}' has fewer masks than there are steps")
        mask: NDArray[np.bool_] = masks[0]
        return mask


def is_mask_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one that `save_masks` wrote, by the names of its arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"metadata.npy", "steps.npy", "weight_density.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a file of masks; whatever is wrong with it becomes a SpecError."""
    file = os.fspath(path)
    try:
        # Opened here, since NumPy leaves files open that it cannot read.
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as loaded:
            if "metadata" not in loaded.files:
                raise SpecError(
                    Issue("this is no file of masks", "an .npz with 'metadata' is expected", file)
                )
            metadata = json.loads(str(loaded["metadata"]))
            if metadata["format"] != _FORMAT:
                raise SpecError(Issue("this is no file of masks", None, file))
            check_version("mask", metadata, file)
            yield loaded, metadata
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(Issue(f"cannot be read: {error.strerror or error}", None, file)) from None
    except KeyError as error:
        raise SpecError(Issue(f"this file of masks lacks {error}", None, file)) from None
    except (
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise SpecError(Issue(f"this is no valid file of masks: {error}", None, file)) from None


def _layer(name: str, loaded: Any, densities: dict[str, Any], column: int) -> LayerMasks:
    """Return one layer of an opened file."""
    masks = _unpack(name, loaded, slice(None))
    columns = {kind: values[:, column] for kind, values in densities.items()}
    known = ~np.isnan(columns.pop("weight_density"))
    # Of no weights there is no density.
    return LayerMasks(name, masks, **columns, known=None if known.all() or not masks[:1].size else known)


def _unpack(name: str, loaded: Any, rows: slice) -> NDArray[np.bool_]:
    """Return masks of a layer of an opened file: bool[steps, ...]."""
    packed, shape = loaded[f"mask/{name}"], tuple(int(side) for side in loaded[f"shape/{name}"])
    elements = prod(shape)
    if packed.ndim != 2 or packed.shape[1] != -(-elements // 8):
        raise ValueError(f"'{name}' of shape {shape} has packed bits of shape {packed.shape}")
    bits = np.unpackbits(packed[rows], axis=1, count=elements)
    masks: NDArray[np.bool_] = bits.astype(np.bool_).reshape(len(bits), *shape)
    return masks


def only_masks(masks: Sequence[tuple[str, NDArray[np.bool_]]], source: str) -> MaskFile:
    """Return masks of one moment, of which nothing else is known.

    Parameters
    ----------
    masks : sequence of (str, bool[...])
        Names and masks of the layers.
    source : str
        What they are of.

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
    return MaskFile(tuple(layers), (0,), source)
