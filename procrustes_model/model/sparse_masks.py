"""Masks: from files and arrays to the tables that kernels count with."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.arrays import Bools, Ints, ProblemArrays
from procrustes_model.kernels.sparse_masks import MaskArrays, empty_masks, main_terms, table_of

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
            return tuple(
                1 + sum(term.coefficient * (problem.dimensions[term.dimension] - 1) for term in rank)
                for rank in tensor.ranks
            )
    raise KeyError(name)


def read_mask(source: Any, problem: Problem, name: str) -> NDArray[np.bool_]:
    """Return the mask of one tensor.

    Parameters
    ----------
    source : array or path
        Where elements are not zero: an array, a .npy file, or a .npz file with the tensor's name or one
        array only.
    problem : Problem
    name : str
        The tensor.

    Returns
    -------
    bool[ranks]

    Raises
    ------
    SpecError
        When the file cannot be read, or the array does not have the tensor's ranks.
    """
    array, file = (
        (_load(Path(source), name), os.fspath(source)) if isinstance(source, str | Path) else (source, None)
    )
    array = np.asarray(array)
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
    return np.ascontiguousarray(array != 0)


def _load(path: Path, name: str) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded
        with loaded:
            keys = loaded.files
            key = name if name in keys else keys[0] if len(keys) == 1 else None
            if key is not None:
                return loaded[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SpecError(
            Issue(f"the mask of '{name}' cannot be read: {error}", None, os.fspath(path))
        ) from None
    raise SpecError(Issue(f"no array is named '{name}'", f"there is {', '.join(keys[:12])}", os.fspath(path)))


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
