"""Reading files of torch.save: tensors in plain containers, and nothing that would run."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from procrustes_model.array_files import MOST_UNPACKED, check_archive, opened
from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import cut, quote
from procrustes_model.training.mask_densities import list_names
from procrustes_model.training.stored import BOOLEAN, FLOAT, INTEGER, OTHER, Stored
from procrustes_model.version import how_to_install

_PLAIN = "only tensors in plain containers are read: save model.state_dict(), not the model"
_MOST_DEEP = 50
_MOST_CONTAINERS = 300_000
"""Containers and tensors: a few bytes can hold containers that hold each other, and so on without end."""


def list_torch(path: str | os.PathLike[str]) -> list[Stored]:
    """Return the tensors of a file of torch.save, with all keys that lead to them.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Stored

    Raises
    ------
    OSError
        When the file cannot be opened.
    SpecError
        When torch is missing, or the file holds what only code could restore.
    ValueError
        When it is damaged.
    """
    try:
        import torch
    except ImportError:
        hint = f"{how_to_install('torch')}, or save the weights as .safetensors or .npz"
        raise SpecError(Issue("reading a PyTorch checkpoint needs torch", hint, os.fspath(path))) from None
    with opened(path) as file:
        if file.read(2) != b"PK":
            hint = f"where it came from: torch.save(torch.load(FILE, weights_only=True), NEW); {_PLAIN}"
            what = "the checkpoint cannot be read: this is no zip archive, as PyTorch 1.6 and newer write"
            raise SpecError(Issue(what, hint, os.fspath(path)))
        file.seek(0)
        _, members = check_archive(file)
        file.seek(0)
        content = _load(torch, file, os.fspath(path))
    found = list(_walk(content, torch.Tensor))
    if any(not keys for keys, _ in found):
        raise ValueError("this is a single tensor without a name")
    _check_storages(found, sum(member.file_size for member in members.values()))
    return [_stored(torch, keys, tensor) for keys, tensor in found]


def _load(torch: Any, file: BinaryIO, path: str) -> Any:
    """Return what a file holds, where that is tensors in plain containers."""
    try:
        # weights_only: anything else in the pickle is refused, not run. It warns of pickles that it may not
        # understand; it refuses what it does not. Indices of sparse tensors are compared with their shapes.
        checked = torch.sparse.check_sparse_tensor_invariants(enable=True)
        with warnings.catch_warnings(), _harmless(torch), checked:
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # of damaged files it raises whatever it stumbles over
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        first = re.split(r"[:.] ", first, maxsplit=1)[0] if "PytorchStreamReader" in first else first[:200]
        if first.startswith("Weights only load failed"):
            first = f"it holds more than tensors{_list_foreign(torch, file)}, or is damaged"
        shown = first if first.isprintable() else type(error).__name__
        raise SpecError(Issue(f"the checkpoint cannot be read: {shown}", _PLAIN, path)) from None


def _list_foreign(torch: Any, file: BinaryIO) -> str:
    """Return which classes and functions of a file are refused, in brackets; nothing if it is not known."""
    find = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)  # since 2.6
    if find is None:
        return ""
    file.seek(0)
    try:
        found = sorted(find(file))
    except Exception:  # noqa: BLE001  # as above
        return ""
    return f" ({list_names([cut(name) for name in found], 4)})" if found else ""


def _harmless(torch: Any) -> AbstractContextManager[Any]:
    """Return a context in which records of options and single NumPy numbers, which do nothing, are read."""
    allow = getattr(torch.serialization, "safe_globals", None)  # since 2.5
    if allow is None:
        return nullcontext()
    number: Any = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(code)) for code in "?bhilqBHILQefd"]
    # NumPy 1 called it otherwise; pairs are understood since 2.6.
    older = [(number, "numpy.core.multiarray.scalar")] if torch.__version__ >= (2, 6) else []
    found: AbstractContextManager[Any] = allow([argparse.Namespace, np.dtype, number, *older, *kinds])
    return found


def _walk(content: Any, kind: type) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Find tensors in mappings, lists and tuples, in order, with the keys that lead to them."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen = 0
    while waiting:
        keys, value = waiting.pop()
        inside: list[tuple[Any, Any]] = []
        if isinstance(value, kind):
            yield keys, value
        elif isinstance(value, Mapping):
            inside = list(value.items())
        elif isinstance(value, list | tuple):
            inside = list(enumerate(value))
        seen += 1 + len(inside) // 100
        if seen > _MOST_CONTAINERS or (inside and len(keys) > _MOST_DEEP):
            raise ValueError("its containers hold each other, or are nested too deep")
        held = ((key, one) for key, one in reversed(inside) if isinstance(one, kind | Mapping | list | tuple))
        waiting += [((*keys, str(key)), one) for key, one in held]


def _check_storages(found: list[tuple[tuple[str, ...], Any]], there: int) -> None:
    """Raise ValueError where tensors have more memory than the file has numbers for."""
    storages = {}
    for _, tensor in found:
        for part in _parts(tensor):
            storage = part.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    if sum(storages.values()) > there:
        raise ValueError(f"its tensors take {sum(storages.values()):,} bytes, the file holds {there:,}")


def _parts(tensor: Any) -> list[Any]:
    """Return the dense tensors that one consists of."""
    if tensor.device.type == "meta":
        return []
    names = {
        "torch.sparse_coo": ("_indices", "_values"),
        "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
        "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
        "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
        "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
    }
    if str(tensor.layout) in names:
        return [getattr(tensor, name)() for name in names[str(tensor.layout)]]
    return [tensor] if not tensor.is_nested else [tensor.values()]


def _stored(torch: Any, keys: tuple[str, ...], tensor: Any) -> Stored:
    what = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested or tensor.device.type == "meta":
        kind = "nested tensor" if tensor.is_nested else "tensor without data (device meta)"
        shape = () if tensor.is_nested else tuple(tensor.shape)
        return Stored(keys, shape, OTHER, kind, partial(_none, kind))
    if tensor.is_quantized or tensor.is_floating_point():
        kind = FLOAT
    elif tensor.dtype == torch.bool:
        kind = BOOLEAN
    else:
        kind = OTHER if tensor.is_complex() or what not in _WHOLE else INTEGER
    read = partial(_read, torch, tensor, ".".join(keys))
    return Stored(keys, tuple(tensor.shape), kind, what, read)


_WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def _none(kind: str) -> NDArray[Any]:
    raise ValueError(f"a {kind} has no numbers")


def _read(torch: Any, tensor: Any, name: str) -> NDArray[Any]:
    """Return the numbers of a tensor; floats as float32 or float64."""
    size = prod(tensor.shape) * tensor.element_size()
    held = sum(part.untyped_storage().nbytes() for part in _parts(tensor))
    if size > max(held, MOST_UNPACKED):
        raise ValueError(f"{quote(name)} would take {size:,} bytes, and {held:,} of it are in the file")
    try:
        dense = tensor.detach() if tensor.layout == torch.strided else tensor.detach().to_dense()
        if dense.is_quantized:
            dense = dense.dequantize()
        if dense.is_floating_point() and dense.dtype not in (torch.float32, torch.float64):
            dense = dense.float()
        values: NDArray[Any] = dense.resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{quote(name)}: {cut(str(error), 200)}") from None
    return values
