"""Masks: from files and arrays to the tables that kernels count with."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, Ints, ProblemArrays
from procrustes_model.kernels.sparse.masks import MaskArrays, empty_masks, main_terms, table_of
from procrustes_model.spec.text.words import did_you_mean

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem


def tensor_shape(problem: Problem, name: str) -> tuple[int, ...]:
    """Return the length of every rank of a tensor of the problem.

    Raises
    ------
    KeyError
        When the problem has no such tensor.
    """
    for tensor in problem.tensors:
        if tensor.name == name:
            return problem.lengths(tensor)
    raise KeyError(name)


def read_mask(source: Any, problem: Problem, name: str) -> NDArray[np.bool_]:
    """Return the mask of one tensor.

    Parameters
    ----------
    source : array or path
        What is kept, as booleans or finite numbers: nonzero = kept. An array, a .npy file, or a .npz file
        with an array of the tensor's name.
    problem : Problem
    name : str
        The tensor.

    Returns
    -------
    bool[ranks]

    Raises
    ------
    SpecError
        When the file cannot be read, or the array does not have the tensor's ranks or is not finite.
    """
    array, file = (
        (_load(Path(source), problem, name), os.fspath(source))
        if isinstance(source, str | Path)
        else (source, None)
    )
    try:
        array = np.asarray(array)
    except ValueError:
        raise SpecError(
            Issue(f"the mask of '{name}' is no array", "rows must be of one length", file)
        ) from None
    wanted = tensor_shape(problem, name)
    if array.dtype.kind not in "biuf":
        raise SpecError(
            Issue(f"the mask of '{name}' has elements of type {array.dtype}", "booleans or numbers", file)
        )
    if array.shape != wanted:
        ranks = next(tensor.ranks for tensor in problem.tensors if tensor.name == name)
        order = ", ".join("+".join(term.dimension for term in rank) for rank in ranks)
        message = f"the mask of '{name}' has shape {array.shape}, the tensor {wanted}"
        raise SpecError(Issue(message, f"its ranks are [{order}]", file))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        number = array.size - np.count_nonzero(np.isfinite(array))
        message = f"the mask of '{name}' has {number:,} values that are not finite (NaN or infinity)"
        raise SpecError(Issue(message, "0 is a zero, any other number is kept", file))
    return np.ascontiguousarray(array != 0)


def check_mask_file(path: Path) -> None:
    """Raise unless a path is that of a file in NumPy's formats.

    Raises
    ------
    SpecError
        When it is a directory, or starts like neither a .npy nor a .npz file. One that does not exist is
        left to be read.
    """
    file = os.fspath(path)
    if path.is_dir():
        raise SpecError(Issue("this mask is a directory", "give a .npy or .npz file", file))
    try:
        with path.open("rb") as stream:
            start = stream.read(6)
    except OSError:
        return
    if not start.startswith((b"\x93NUMPY", b"PK")):
        raise SpecError(Issue("not a .npy or .npz file", "write masks with numpy.save or numpy.savez", file))


def _load(path: Path, problem: Problem, name: str) -> Any:
    check_mask_file(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded
        with loaded:
            keys = loaded.files
            if name in keys:
                return loaded[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SpecError(
            Issue(f"the mask of '{name}' cannot be read: {error}", None, os.fspath(path))
        ) from None
    if issues := strangers(keys, problem, path):
        raise SpecError(issues)
    there = f"there is {', '.join(keys)}" if keys else "the file is empty"
    raise SpecError(Issue(f"no array is named '{name}'", there, os.fspath(path)))


def strangers(keys: Iterable[str], problem: Problem, path: Path) -> list[Issue]:
    """Return an issue for every array of a .npz file that is named like no tensor of the problem."""
    names = [tensor.name for tensor in problem.tensors]
    return [
        Issue(f"no tensor '{key[:100]}' in problem {problem.name}", did_you_mean(key, names), os.fspath(path))
        for key in sorted(keys)[:20]
        if key not in names
    ]


def lower_masks(problem: Problem, arrays: ProblemArrays, masks: dict[str, NDArray[np.bool_]]) -> MaskArrays:
    """Return masks, by tensor, as tables of sums.

    Raises
    ------
    SpecError
        When a dimension indexes two ranks of a tensor with a mask.
    """
    lowered = empty_masks(len(problem.tensors), len(arrays.term_start) - 1)
    if not masks:
        return lowered
    main = main_terms(arrays)
    tables: list[Ints] = []
    bits: list[Bools] = []
    stride, chunk, side = lowered.stride.copy(), lowered.chunk.copy(), lowered.side.copy()
    start, bit_start = lowered.start.copy(), lowered.bit_start.copy()
    for t, tensor in enumerate(problem.tensors):
        if tensor.name not in masks:
            continue
        if arrays.skewed[t]:
            raise SpecError(
                Issue(f"a dimension indexes two ranks of '{tensor.name}'; masks cannot be counted there")
            )
        mask = masks[tensor.name]
        ranks = slice(int(arrays.rank_start[t]), int(arrays.rank_start[t + 1]))
        steps = [int(arrays.term_coefficient[term]) if term >= 0 else 1 for term in main[ranks]]
        table, stride[ranks], chunk[ranks] = table_of(mask, steps)
        start[t], bit_start[t] = sum(table.size for table in tables), sum(one.size for one in bits)
        side[ranks] = mask.shape
        lowered.known[t] = True
        tables.append(table)
        bits.append(mask.ravel())
    return lowered._replace(
        table=np.concatenate(tables),
        start=start,
        stride=stride,
        chunk=chunk,
        main=main,
        bits=np.concatenate(bits),
        bit_start=bit_start,
        side=side,
    )
