"""Masks from checkpoints: which weights of a trained network are not zero, or are its largest."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.training.masks import MaskFile, is_mask_file, only_masks, save_masks

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "params")
"""Keys under which training scripts put a model's weights, beside the optimizer's state."""


def masks_from_checkpoint(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    threshold: float | None = None,
    keep: float | None = None,
) -> MaskFile:
    """Find which weights of a checkpoint are kept, and write them to a file of masks; no code in it is run.

    Weights are the floating-point tensors with two or more dimensions. A layer is called as its tensor,
    without a final ".weight".

    Parameters
    ----------
    path : path
        .pt or .pth (PyTorch, needs torch), .safetensors, or .npz.
    output : path, optional
        The file of masks to write.
    threshold : float, optional
        Weights are kept whose magnitude is larger. Without it and without `keep`: 0, all that are not zero.
    keep : float, optional
        The largest share of all weights together is kept instead, exactly, over all layers.

    Returns
    -------
    MaskFile

    Raises
    ------
    SpecError
        When the file cannot be read, holds more than numbers, or has no weights.
    ValueError
        When both `threshold` and `keep` are given, or one is out of range.
    OSError
        When `output` cannot be written.
    """
    if keep is not None and threshold is not None:
        raise ValueError("give threshold or keep, not both")
    threshold = 0.0 if threshold is None else threshold
    if not threshold >= 0:
        raise ValueError(f"threshold {threshold} must be 0 or more: it is compared with magnitudes")
    weights = [(_layer_name(name), np.abs(values)) for name, values in read_weights(path)]
    if keep is None:
        # Written so that what is not a number counts as not zero.
        masks = [(name, ~(values <= threshold)) for name, values in weights]
    else:
        from procrustes_model.training.quantile import select_exactly

        selected = select_exactly([values for _, values in weights], keep)
        masks = [(name, mask) for (name, _), mask in zip(weights, selected, strict=True)]
    try:
        result = only_masks(
            masks, f"{Path(path).name}, {f'keep {keep}' if keep else f'threshold {threshold}'}"
        )
    except ValueError as error:
        raise SpecError(Issue(str(error), None, os.fspath(path))) from None
    if output is not None:
        save_masks(output, result)
    return result


def read_weights(path: str | os.PathLike[str]) -> list[tuple[str, NDArray[Any]]]:
    """Read the weights of a checkpoint: floating-point tensors with two or more dimensions.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of (str, float[...])
        In the order of the file.

    Raises
    ------
    SpecError
        When the file cannot be read, holds more than numbers, or has no weights.
    """
    file = os.fspath(path)
    readers = {".pt": _read_torch, ".pth": _read_torch, ".safetensors": _read_safetensors, ".npz": _read_npz}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise SpecError(
            Issue("the kind of checkpoint is not known", f"it ends in {', '.join(readers)}", file)
        )
    try:
        weights = [(name, values) for name, values in reader(path) if values.ndim >= 2]
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(Issue(f"cannot be read: {error.strerror or error}", None, file)) from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SpecError(Issue(f"the checkpoint cannot be read: {error}", None, file)) from None
    if not weights:
        hint = "weights are floating-point tensors with two or more dimensions"
        raise SpecError(Issue("the checkpoint holds no weights", hint, file))
    return weights


def _layer_name(name: str) -> str:
    """Return what the layer of a tensor is called."""
    return name.removesuffix(".weight")


def _read_npz(path: str | os.PathLike[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    if is_mask_file(path):
        hint = "'procrustes masks show' prints what is in it"
        raise SpecError(Issue("this is a file of masks already, not a checkpoint", hint, os.fspath(path)))
    # Opened here, since NumPy leaves files open that it cannot read.
    with Path(path).open("rb") as opened:
        loaded = np.load(opened, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("this is a single array without a name")
        with loaded:
            for name in loaded.files:
                values = loaded[name]
                if values.dtype.kind == "f":
                    yield name, values


def _read_safetensors(path: str | os.PathLike[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    from procrustes_model.training.safetensors_file import read_safetensors

    return read_safetensors(path)


def _read_torch(path: str | os.PathLike[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    try:
        import torch
    except ImportError:
        hint = "pip install 'procrustes-model[torch]', or save the weights as .safetensors or .npz"
        raise SpecError(Issue("reading a PyTorch checkpoint needs torch", hint, os.fspath(path))) from None
    import pickle

    try:
        # weights_only: tensors and plain containers; anything else in the pickle is refused, not run.
        with Path(path).open("rb") as opened, warnings.catch_warnings():
            # It warns of pickles that it may not understand; it refuses what it does not.
            warnings.simplefilter("ignore")
            content = torch.load(opened, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, AttributeError, KeyError, IndexError, TypeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if first.startswith("Weights only load failed"):
            first = "it holds more than tensors, or is damaged"
        hint = "only tensors in plain containers are read: save model.state_dict(), not the model"
        raise SpecError(Issue(f"the checkpoint cannot be read: {first}", hint, os.fspath(path))) from None
    for name, tensor in _tensors(content, torch.Tensor):
        if tensor.is_floating_point():
            dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
            wide = dense if dense.dtype in (torch.float32, torch.float64) else dense.float()
            yield name, wide.numpy()


def _tensors(content: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """Find the tensors of a model in what a checkpoint holds, with their names."""
    if isinstance(content, Mapping):
        if not any(isinstance(value, kind) for value in content.values()):
            for key in _WRAPPERS:
                if isinstance(content.get(key), Mapping):
                    yield from _tensors(content[key], kind)
                    return
        for name, value in content.items():
            if isinstance(value, kind):
                yield str(name), value
