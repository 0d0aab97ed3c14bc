"""Masks: from files and arrays to the tables that kernels count with."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from procrustes_model.array_files import Archive, array_header, opened, read_array, size_of
from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import ProblemArrays
from procrustes_model.kernels.sparse.masks import MaskArrays, empty_masks, main_terms, table_of
from procrustes_model.kernels.sparse.passes import longest_rank
from procrustes_model.printable import quote
from procrustes_model.spec.text.document import unreadable
from procrustes_model.spec.text.words import did_you_mean

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem


MOST_BYTES = 2_000_000_000
"""What the masks of a problem and their tables may take, compared before any of it is asked for.

Lists of the tiles of one mapping come on top while it is evaluated: 16 bytes a tile."""

_BYTES_PER_ELEMENT = 3
"""Of a mask beside its table: as it is read, as bits, and in the order of its table."""


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


def read_mask(source: Any, problem: Problem, name: str, *, alone: bool = False) -> NDArray[np.bool_]:
    """Return the mask of one tensor.

    Parameters
    ----------
    source : array or path
        What is kept, as booleans or finite numbers: nonzero = kept. An array, a .npy file, or a .npz file
        with an array of the tensor's name.
    problem : Problem
    name : str
        The tensor.
    alone : bool
        Whether the only array of a file is the tensor's whatever its name.

    Returns
    -------
    bool[ranks]

    Raises
    ------
    SpecError
        When the file cannot be read, or the array does not have the tensor's ranks or is not finite.
    """
    array, file = (
        (_load(Path(source), problem, name, alone), os.fspath(source))
        if isinstance(source, str | Path)
        else (source, None)
    )
    try:
        array = np.asarray(array)
    except ValueError:
        raise SpecError(
            Issue(f"the mask of '{name}' is no array", "rows must be of one length", file)
        ) from None
    _check(array.shape, array.dtype, problem, name, file)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        number = array.size - np.count_nonzero(np.isfinite(array))
        message = f"the mask of '{name}' has {number:,} values that are not finite (NaN or infinity)"
        raise SpecError(Issue(message, "0 is a zero, any other number is kept", file))
    return np.ascontiguousarray(array != 0)


def _check(
    shape: tuple[int, ...], dtype: np.dtype[Any], problem: Problem, name: str, file: str | None
) -> None:
    """Raise a SpecError unless an array of this shape and type can be the mask of a tensor."""
    wanted = tensor_shape(problem, name)
    if dtype.kind not in "biuf":
        raise SpecError(
            Issue(f"the mask of '{name}' has elements of type {dtype}", "booleans or numbers", file)
        )
    if shape != wanted:
        ranks = next(tensor.ranks for tensor in problem.tensors if tensor.name == name)
        order = ", ".join("+".join(term.dimension for term in rank) for rank in ranks)
        message = f"the mask of '{name}' has shape {shape}, the tensor {wanted}"
        raise SpecError(Issue(message, f"its ranks are [{order}]", file))


def check_mask_file(path: Path) -> None:
    """Raise unless a path is that of a file in NumPy's formats.

    Raises
    ------
    SpecError
        When it is a directory, a pipe or a device, or starts like neither a .npy nor a .npz file. One that
        does not exist is left to be read.
    """
    file = os.fspath(path)
    if path.is_dir():
        raise SpecError(Issue("this mask is a directory", "give a .npy or .npz file", file))
    if not path.exists():
        return
    try:
        with opened(path) as stream:
            start = stream.read(6)
    except OSError as error:
        raise SpecError(unreadable(file, error)) from None
    if not start.startswith((b"\x93NUMPY", b"PK")):
        hint = "write masks with numpy.save or numpy.savez, or 'procrustes masks from-checkpoint'"
        raise SpecError(Issue("not a .npy or .npz file", hint, file))


def list_arrays(path: Path) -> tuple[str, ...] | None:
    """Return the names of the arrays of a .npz file; None where it is a .npy file.

    Raises
    ------
    SpecError
        When it cannot be read.
    """
    check_mask_file(path)
    try:
        with opened(path) as stream:
            return None if _is_single(stream) else _open_archive(stream).names
    except (OSError, ValueError) as error:
        raise SpecError(unreadable(path, error)) from None


def _is_single(stream: BinaryIO) -> bool:
    """Return whether an open file is a .npy file, and leave it at its start."""
    found = stream.read(6) == b"\x93NUMPY"
    stream.seek(0)
    return found


def _open_archive(stream: BinaryIO) -> Archive:
    archive = Archive(stream)
    if any(name.endswith("/data.pkl") for name in archive.names):
        raise ValueError("this is a file of PyTorch; 'procrustes masks from-checkpoint' makes masks of it")
    return archive


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _load(path: Path, problem: Problem, name: str, alone: bool) -> Any:
    """Read the mask of a tensor, where the file has one of its shape; see `read_mask`."""
    check_mask_file(path)
    try:
        with opened(path) as stream:
            if _is_single(stream):
                shape, dtype = array_header(stream, size_of(stream))
                _check(shape, dtype, problem, name, os.fspath(path))
                stream.seek(0)
                return read_array(stream, size_of(stream))
            archive = _open_archive(stream)
            keys = archive.names
            key = keys[0] if alone and len(keys) == 1 else name
            if key in archive:
                _check(*archive.header(key), problem, name, os.fspath(path))
                return archive.read(key)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        message = f"the mask of '{name}' cannot be read: {_reason(error)}"
        raise SpecError(Issue(message, None, os.fspath(path))) from None
    if issues := strangers(keys, problem, path):
        raise SpecError(issues)
    there = f"there is {', '.join(keys)}" if keys else "the file is empty"
    raise SpecError(Issue(f"no array is named '{name}'", there, os.fspath(path)))


def strangers(keys: Iterable[str], problem: Problem, path: Path) -> list[Issue]:
    """Return an issue for every array of a .npz file that is named like no tensor of the problem."""
    names = [tensor.name for tensor in problem.tensors]
    return [
        Issue(f"no tensor {quote(key)} in problem {problem.name}", did_you_mean(key, names), os.fspath(path))
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
    check_tables(problem, arrays, masks)
    main = main_terms(arrays)
    table = np.empty(sum(_table_sizes(problem, arrays, masks).values()), np.int64)
    bits = np.empty(sum(masks[name].size for name in masks), np.bool_)
    rows = np.empty(len(bits), np.uint8)
    stride, chunk, side = lowered.stride.copy(), lowered.chunk.copy(), lowered.side.copy()
    start, bit_start = lowered.start.copy(), lowered.bit_start.copy()
    filled = bits_filled = 0
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
        start[t], bit_start[t] = filled, bits_filled
        own, stride[ranks], chunk[ranks] = table_of(mask, steps)
        filled, bits_filled = filled + own.size, bits_filled + mask.size
        if own.size == table.size:
            table = own
        else:
            table[start[t] : filled] = own
        bits[bit_start[t] : bits_filled] = mask.reshape(-1)
        side[ranks] = mask.shape
        longest = longest_rank(side, ranks.start, ranks.stop) - ranks.start
        rows[bit_start[t] : bits_filled] = np.moveaxis(mask, longest, -1).reshape(-1)
        lowered.known[t] = True
        del own
    return lowered._replace(
        table=table,
        start=start,
        stride=stride,
        chunk=chunk,
        main=main,
        bits=bits,
        rows=rows,
        bit_start=bit_start,
        side=side,
    )


def check_tables(problem: Problem, arrays: ProblemArrays, masks: Iterable[str]) -> None:
    """Raise a SpecError where counting on masks of these tensors would take more than `MOST_BYTES`."""
    sizes = _table_sizes(problem, arrays, masks)
    needed = sum(sizes.values()) * np.dtype(np.int64).itemsize
    if len(sizes) > 1:  # one is made, and copied beside the others
        needed += max(sizes.values()) * np.dtype(np.int64).itemsize
    elements = {name: prod(tensor_shape(problem, name)) for name in sizes}
    needed += _BYTES_PER_ELEMENT * sum(elements.values())
    if needed > MOST_BYTES:
        which = " and ".join(f"'{name}' ({elements[name]:,} elements)" for name in sizes)
        message = (
            f"counting on masks of {which} would take {needed / 1e9:.1f} GB, more than {MOST_BYTES / 1e9:g}"
        )
        raise SpecError(Issue(message, "say densities instead of masks"))


def _table_sizes(problem: Problem, arrays: ProblemArrays, masks: Iterable[str]) -> dict[str, int]:
    """Return how many entries the tables of sums have, by tensor."""
    main = main_terms(arrays)
    sizes = {}
    for t, tensor in enumerate(problem.tensors):
        if tensor.name in masks:
            terms = main[int(arrays.rank_start[t]) : int(arrays.rank_start[t + 1])]
            steps = [int(arrays.term_coefficient[term]) if term >= 0 else 1 for term in terms]
            shape = tensor_shape(problem, tensor.name)
            sizes[tensor.name] = prod(
                -(-side // step) * step + 1 for side, step in zip(shape, steps, strict=True)
            )
    return sizes
