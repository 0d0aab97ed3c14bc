"""Masks from checkpoints: which weights of a trained network are not zero, or are its largest."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.training.checkpoint_files import list_tensors, quantised_as, reported
from procrustes_model.training.containers import WHOLE, choose_entry
from procrustes_model.training.layer_weights import join_weights
from procrustes_model.training.mask_densities import list_names
from procrustes_model.training.masks import MaskFile, only_masks, save_masks
from procrustes_model.training.patterns import NM
from procrustes_model.training.weight_parts import LeftOut, Weight


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds, found without reading more numbers than its kind of file asks for.

    Attributes
    ----------
    file : str
    weights : tuple of Weight
        Of layers.
    left : tuple of LeftOut
        All other tensors.
    entry : str
        The container in the file that was taken; `containers.WHOLE` for all of it.
    others : tuple of str
        Containers that could be taken instead.
    are_masks : bool
        Whether the weights are masks already, without magnitudes.
    chosen : str, optional
        Which file of a folder was read.
    """

    file: str
    weights: tuple[Weight, ...]
    left: tuple[LeftOut, ...]
    entry: str = WHOLE
    others: tuple[str, ...] = ()
    are_masks: bool = False
    chosen: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken, joined and left out, a sentence each; names are cut and escaped."""
        notes = []
        if self.chosen is not None:
            notes.append(f"Read of this folder: {quote(self.chosen)}.")
        if self.entry != WHOLE or self.others:
            taken = "the whole file" if self.entry == WHOLE else quote(self.entry)
            others = list_names([quote(name) for name in self.others], 8)
            notes.append(
                f"Taken of the file: {taken}" + (f"; there is also {others} (--entry)." if others else ".")
            )
        if self.are_masks:
            notes.append("The file holds masks, which are taken as they are.")
        joined = [quote(weight.name) for weight in self.weights if len(weight.made_of) > 1]
        if joined:
            notes.append(f"Put together of several tensors: {_counted(joined)}.")
        for doubt in dict.fromkeys(weight.doubt for weight in self.weights if weight.doubt):
            names = [quote(weight.name) for weight in self.weights if weight.doubt == doubt]
            notes.append(f"{_counted(names)}: {doubt}.")
        reasons = dict.fromkeys(one.why for one in self.left)
        for why in reasons:
            names = [quote(one.name) for one in self.left if one.why == why]
            notes.append(f"No weights of a layer ({why}): {_counted(names)}.")
        return tuple(notes)


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)}: {list_names(names)}" if len(names) > 1 else names[0]


def masks_from_checkpoint(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    threshold: float | None = None,
    keep: float | None = None,
    pattern: NM | None = None,
    entry: str | None = None,
) -> MaskFile:
    """Find which weights of a checkpoint are kept, and write them to a file of masks; no code in it is run.

    Weights are the numbers with two or more dimensions, but for biases, tokens and positions, scales, and
    what belongs to the training; `MaskFile.notes` lists what is none. A layer is called as its tensor,
    without a final ".weight".

    Parameters
    ----------
    path : path
        .pt, .pth, .pth.tar, .ckpt or .bin (PyTorch, needs torch), .safetensors, or .npz; the index of one in
        parts (.index.json), or a folder that holds one of these.
    output : path, optional
        The file of masks to write.
    threshold : float, optional
        Weights are kept whose magnitude is larger. Without it and without `keep`: 0, all that are not zero.
    keep : float, optional
        The largest share of all weights together is kept instead, exactly, over all layers.
    pattern : NM, optional
        The largest n of every m neighbours are kept instead, in each layer, as far as they are not zero.
    entry : str, optional
        The container in the file that holds the weights, such as "model_ema"; "." is all of it. Otherwise
        `containers.choose_entry` says which.

    Returns
    -------
    MaskFile

    Raises
    ------
    SpecError
        When the file cannot be read, holds more than numbers, or has no weights.
    ValueError
        When two of `threshold`, `keep` and `pattern` are given, or one is out of range.
    OSError
        When `output` cannot be written.
    """
    _check_options(threshold, keep, pattern)
    result = find_masks(read_checkpoint(path, entry), threshold=threshold, keep=keep, pattern=pattern)
    if output is not None:
        save_masks(output, result)
    return result


def read_checkpoint(path: str | os.PathLike[str], entry: str | None = None) -> Checkpoint:
    """Find the weights in a checkpoint.

    Parameters
    ----------
    path, entry
        As `masks_from_checkpoint` takes them.

    Returns
    -------
    Checkpoint

    Raises
    ------
    SpecError
        When the file cannot be read, holds more than numbers, or has no weights.
    """
    file = os.fspath(path)
    tensors, chosen = list_tensors(path)
    found = choose_entry(tensors, entry, file)
    with reported(path):
        weights, left, are_masks = join_weights(found.tensors, partial(quantised_as, path))
    left += [LeftOut(tensor.name, tensor.shape, why) for tensor, why in found.beside]
    if not weights:
        hint = "weights are numbers with two or more dimensions"
        why = sorted({one.why for one in left})
        inside = f"; what is there: {', '.join(why)}" if why else ""
        raise SpecError(Issue("the checkpoint holds no weights", hint + inside, file))
    return Checkpoint(file, tuple(weights), tuple(left), found.name, found.others, are_masks, chosen)


def find_masks(
    checkpoint: Checkpoint,
    *,
    threshold: float | None = None,
    keep: float | None = None,
    pattern: NM | None = None,
) -> MaskFile:
    """Return which weights of a checkpoint are kept.

    Parameters
    ----------
    checkpoint : Checkpoint
    threshold, keep, pattern
        As `masks_from_checkpoint` takes them.

    Returns
    -------
    MaskFile

    Raises
    ------
    SpecError
        When numbers are damaged, or magnitudes are asked for that the checkpoint does not say.
    ValueError
        When two of `threshold`, `keep` and `pattern` are given, or one is out of range.
    """
    _check_options(threshold, keep, pattern)
    _check_magnitudes(checkpoint, keep is not None or pattern is not None or bool(threshold))
    odd: list[str] = []
    masks: list[tuple[str, NDArray[np.bool_]]] = []
    least = 0.0 if threshold is None else threshold
    with reported(checkpoint.file):
        names = [layer_name(weight.name) for weight in checkpoint.weights]
        magnitudes = (_magnitudes(weight, odd) for weight in checkpoint.weights)
        if pattern is not None:
            masks += (
                (name, pattern.mask(values) & (values != 0))
                for name, values in zip(names, magnitudes, strict=True)
            )
        elif keep is None:
            # Written so that what is not a number counts as not zero.
            masks += [(name, ~(values <= least)) for name, values in zip(names, magnitudes, strict=True)]
        else:
            from procrustes_model.training.quantile import select_exactly

            masks += zip(names, select_exactly(list(magnitudes), keep), strict=True)
    how = f"keep {keep}" if keep else f"threshold {least}"
    if pattern is not None:
        how = f"{pattern.nonzeros}:{pattern.group} along {pattern.along}"
    notes = checkpoint.notes
    if odd:
        notes = (f"Not finite (NaN or infinity), and counted as kept: {', '.join(odd[:16])}.", *notes)
    try:
        return only_masks(masks, f"{Path(checkpoint.file).absolute().name}, {how}", notes)
    except ValueError as error:
        raise SpecError(Issue(str(error), None, checkpoint.file)) from None


def _check_options(threshold: float | None, keep: float | None, pattern: NM | None) -> None:
    if sum(one is not None for one in (threshold, keep, pattern)) > 1:
        raise ValueError("give threshold, keep or pattern, not two of them")
    if pattern is not None and pattern.along == "N":
        raise ValueError("weights have no dimension N, but K and C")
    if threshold is not None and not threshold >= 0:
        raise ValueError(f"threshold {threshold} must be 0 or more: it is compared with magnitudes")
    if keep is not None:
        from procrustes_model.training.quantile import check_keep

        check_keep(keep)


def _check_magnitudes(checkpoint: Checkpoint, needed: bool) -> None:
    """Raise a SpecError where magnitudes are needed and cannot be compared."""
    if not needed:
        return
    hint = "leave out --keep, --threshold and --pattern: what is not zero is kept"
    if checkpoint.are_masks:
        raise SpecError(Issue("masks have no magnitudes to compare", hint, checkpoint.file))
    unknown = [quote(weight.name) for weight in checkpoint.weights if weight.doubt]
    if unknown:
        what = "the magnitudes of these weights are not known"
        raise SpecError(Issue(f"{what}: {list_names(unknown, 8)}", hint, checkpoint.file))


def _magnitudes(weight: Weight, odd: list[str]) -> NDArray[Any]:
    """Return magnitudes of a layer's weights, and note how many are not finite."""
    with np.errstate(all="ignore"):  # scales of any size; what comes out is looked at below
        values = weight.read()
    if values.dtype.kind != "f":
        values = values.astype(np.float32)
    number = values.size - int(np.count_nonzero(np.isfinite(values)))
    if number:
        odd.append(f"{number:,} of {quote(weight.name)}")
    return np.abs(values)


_LAST = re.compile(r"\.weight$|/kernel(:0)?$|:0$|(\._packed_params){1,2}\.0$")


def layer_name(name: str) -> str:
    """Return what the layer of a tensor is called."""
    return _LAST.sub("", name)
