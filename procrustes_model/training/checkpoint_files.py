"""Which files a checkpoint consists of, and the tensors in them: a file, a folder, the index of its parts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from procrustes_model.array_files import Archive, opened, size_of
from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.spec.text.document import unreadable
from procrustes_model.training.mask_densities import list_names
from procrustes_model.training.masks import is_mask_file
from procrustes_model.training.safetensors_file import list_safetensors
from procrustes_model.training.stored import Stored, kind_of
from procrustes_model.training.torch_file import list_torch

INDEX = ".index.json"
_FIRST = (f"model.safetensors{INDEX}", "model.safetensors", f"pytorch_model.bin{INDEX}", "pytorch_model.bin")
"""What is read of a folder, the first of them that is there."""

_LARGEST_JSON = 100_000_000


def list_tensors(path: str | os.PathLike[str]) -> tuple[list[Stored], str | None]:
    """Return the tensors of a checkpoint, without reading more numbers than its kind of file asks for.

    Parameters
    ----------
    path : path
        A file, the index of a checkpoint in parts, or a folder with one of these.

    Returns
    -------
    tensors : list of Stored
        In the order of the files.
    chosen : str or None
        Which file of a folder was read.

    Raises
    ------
    SpecError
        When a file cannot be read or is no checkpoint, or a folder does not say which of its files is one.
    """
    chosen = None
    if Path(path).is_dir():
        path = _choose(Path(path))
        chosen = Path(path).name
    if str(path).endswith(INDEX):
        return _list_parts(Path(path)), chosen
    return _list_file(Path(path)), chosen


def is_checkpoint_name(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is called like a checkpoint."""
    return str(path).endswith(INDEX) or _reader(Path(path)) is not None


@contextmanager
def reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what is wrong with a file into a SpecError."""
    file = os.fspath(path)
    try:
        yield
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(unreadable(file, error)) from None
    except ValueError as error:
        raise SpecError(Issue(f"the checkpoint cannot be read: {error}", None, file)) from None


def quantised_as(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return what files beside a checkpoint, or in the folder that is one, say of how it was quantised.

    Parameters
    ----------
    path : path

    Returns
    -------
    mapping
        As ``config.json`` has it under ``quantization_config``, or ``quantize_config.json``, which GPTQ alone
        writes; empty where neither is.

    Raises
    ------
    SpecError
        When such a file cannot be read.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    for name, read in _SAID:
        if (folder / name).exists():
            said = read(_read_json(folder / name, "this"))
            if isinstance(said, dict):
                return said
    return {}


_SAID: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("config.json", lambda said: said.get("quantization_config") if isinstance(said, dict) else None),
    (
        "quantize_config.json",
        lambda said: {"quant_method": "gptq"} | said if isinstance(said, dict) else None,
    ),
)


def _choose(folder: Path) -> Path:
    """Return which file of a folder is its checkpoint."""
    with reported(folder):
        inside = sorted(one.name for one in folder.iterdir() if is_checkpoint_name(one))
    known = [name for name in _FIRST if name in inside]
    if known or len(inside) == 1:
        return folder / (known or inside)[0]
    if not inside:
        raise SpecError(Issue("there is no checkpoint in this folder", "name its file", str(folder)))
    names = list_names([quote(name) for name in inside])
    raise SpecError(Issue("this folder has several checkpoints", f"name one of them: {names}", str(folder)))


def _reader(path: Path) -> Callable[[str | os.PathLike[str]], list[Stored]] | None:
    """Return what reads files of this name; None for a kind that is not known."""
    suffix = path.suffix.lower()
    if suffix == ".tar":
        suffix = Path(path.stem).suffix.lower() + suffix
    return _READERS.get(suffix)


def _list_file(path: Path) -> list[Stored]:
    """Return the tensors of one file."""
    read = _reader(path)
    if read is None:
        hint = f"it ends in {', '.join(_READERS)} or {INDEX}, or is a folder"
        raise SpecError(Issue("the kind of checkpoint is not known", hint, str(path)))
    with reported(path):
        return read(path)


def _list_parts(index: Path) -> list[Stored]:
    """Return the tensors of a checkpoint in parts, in the order of its index."""

    def refused(message: str, hint: str | None = None) -> SpecError:
        return SpecError(Issue(message, hint, str(index)))

    content = _read_json(index, "this index")
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not all(isinstance(part, str) for part in places.values()):
        raise refused("this is no index of a checkpoint", "'weight_map' says which tensor is in which file")
    parts: dict[str, dict[str, Stored]] = {}
    for part in dict.fromkeys(places.values()):
        if part in ("", ".", "..") or set(part) & set("/\\\0:") or part.endswith(INDEX):
            raise refused(f"{quote(part)} is no file beside this index", "parts are named without a folder")
        parts[part] = {tensor.name: tensor for tensor in _list_file(index.with_name(part))}
    missing = [quote(name) for name, part in places.items() if name not in parts[part]]
    if missing:
        raise refused(f"its parts lack {list_names(missing)}")
    # What a part holds beside it is not lost.
    return [parts[part][name] for name, part in places.items()] + [
        tensor for part, held in parts.items() for name, tensor in held.items() if places.get(name) != part
    ]


def _read_json(path: Path, what: str) -> Any:
    """Return what a file says; SpecError where it is no JSON."""
    with reported(path), opened(path) as file:
        if size_of(file) > _LARGEST_JSON:
            raise SpecError(Issue(f"{what} has more than {_LARGEST_JSON:,} bytes", None, str(path)))
        try:
            return json.loads(file.read())
        except (ValueError, RecursionError) as error:
            raise SpecError(Issue(f"{what} is no valid JSON: {error}", None, str(path))) from None


def _list_npz(path: str | os.PathLike[str]) -> list[Stored]:
    if is_mask_file(path):
        hint = "'procrustes masks show' prints what is in it"
        raise SpecError(Issue("this is a file of masks already, not a checkpoint", hint, os.fspath(path)))
    found = []
    with opened(path) as file:
        if file.read(6) == b"\x93NUMPY":
            raise ValueError("this is a single array without a name")
        archive = Archive(file)
        for name in archive.names:
            shape, dtype = archive.header(name)
            stored = Stored((name,), shape, kind_of(dtype), str(dtype), partial(_read_npz, path, name))
            found.append(stored)
    return found


def _read_npz(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    with opened(path) as file:
        return Archive(file).read(name)


_READERS: dict[str, Callable[[str | os.PathLike[str]], list[Stored]]] = {
    ".pt": list_torch,
    ".pth": list_torch,
    ".safetensors": list_safetensors,
    ".npz": _list_npz,
    ".bin": list_torch,
    ".ckpt": list_torch,
    ".pt.tar": list_torch,
    ".pth.tar": list_torch,
}
