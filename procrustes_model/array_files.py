"""Files of NumPy arrays from anyone: headers are compared with what is there before memory is asked for."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from procrustes_model.printable import quote

MOST_UNPACKED = 2 * 2**30
"""Bytes that what a file keeps compressed may take: a small file can claim any number of them."""

_KINDS = "biufcMmSU"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_MOST_RANKS = 64


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to read it, and never wait for one that is none.

    Raises
    ------
    OSError
        When it cannot be opened, or is a folder, pipe or device.
    """
    # A pipe that nobody writes to would block; on files the flag has no effect.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(f"this is {_kind_of(Path(path))}, not a file")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("this is not a file")
        yield file


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a pipe" if path.is_fifo() else "a device or socket"


def size_of(file: BinaryIO) -> int:
    """Return how many bytes an open file has."""
    return os.fstat(file.fileno()).st_size


class Archive:
    """The arrays of an .npz file.

    Parameters
    ----------
    file : BinaryIO
        Open as long as arrays are read.

    Attributes
    ----------
    names : tuple of str
        Of the arrays, in the order of the file.

    Raises
    ------
    ValueError
        When it is no such file, or one that claims more than `check_archive` allows.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive, members = check_archive(file)
        self._members = {name.removesuffix(".npy"): info for name, info in members.items()}
        if len(self._members) < len(members):
            raise ValueError("two arrays share a name")
        self.names = tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and type of an array, without its values.

        Raises
        ------
        KeyError
            When there is no such array.
        ValueError
            When it is no array, or not of these bytes.
        """
        with self._open(name) as stream:
            return array_header(stream, self._members[name].file_size)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises
        ------
        KeyError
            When there is no such array.
        ValueError
            When it is no array, or damaged.
        """
        with self._open(name) as stream:
            return read_array(stream, self._members[name].file_size)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        member = self._members[name]
        with _as_value_error(f"{quote(name)}: "), self._archive.open(member) as stream:
            yield stream


def check_archive(file: BinaryIO) -> tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]:
    """Open a zip archive, and return it with its members by name.

    Raises
    ------
    ValueError
        When it is none; when members share a name, or bytes; when they are encrypted, or packed otherwise
        than NumPy and PyTorch do; or when those that are compressed would take more than `MOST_UNPACKED`.
    """
    with _as_value_error("this is no zip archive: "):
        archive = zipfile.ZipFile(file)
    members = archive.infolist()
    named = {info.filename: info for info in members}
    if len(named) < len(members):
        raise ValueError("two members of the archive share a name")
    for info in members:
        if info.flag_bits & _ENCRYPTED:
            raise ValueError(f"{quote(info.filename)} is encrypted")
        if info.compress_type not in _METHODS:
            raise ValueError(f"{quote(info.filename)} is compressed by a method that is not known here")
    stored = sum(info.file_size for info in members if info.compress_type == zipfile.ZIP_STORED)
    if stored > size_of(file):
        raise ValueError(f"its members are said to have {stored:,} bytes, the file has {size_of(file):,}")
    unpacked = sum(info.file_size for info in members if info.compress_type != zipfile.ZIP_STORED)
    if unpacked > MOST_UNPACKED:
        raise ValueError(
            f"unpacked it would take {unpacked:,} bytes, more than {MOST_UNPACKED:,}: "
            "what is larger is read only where it is not compressed"
        )
    return archive, named


def array_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array in NumPy's format, without its values; see `read_array`."""
    shape, dtype, _ = _read_header(stream, size)
    return shape, dtype


def read_array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Read an array in NumPy's format.

    Parameters
    ----------
    stream : IO
        At the start of the array.
    size : int
        Bytes from there to the end.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        When it is no such array, holds Python objects or fields, or has other bytes than its header says.
    """
    shape, dtype, fortran = _read_header(stream, size)
    content = stream.read(prod(shape) * dtype.itemsize)
    if len(content) != prod(shape) * dtype.itemsize:
        raise ValueError(f"the file ends before an array of shape {list(shape)} does")
    flat = np.frombuffer(content, dtype, prod(shape))
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _read_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Read what stands before the elements, and compare it with the bytes that are there."""
    with _as_value_error("the header is no valid one: "):
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not read")
        counted = _Counted(stream)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[version[0]](counted)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which could run code and are not read")
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise ValueError(f"elements of type {quote(str(dtype))} are not read")
    if len(shape) > _MOST_RANKS or any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError("its shape is none: sides are 0 or more, and at most 64")
    there = size - np.lib.format.MAGIC_LEN - counted.bytes
    if prod(shape) * dtype.itemsize != there:
        said = f"an array of shape {_sides(shape)} and type {dtype}"
        raise ValueError(f"its header says {said}, and {max(there, 0):,} bytes follow")
    if any(side > np.iinfo(np.intp).max for side in shape):
        raise ValueError("its shape is none: a side is too long")
    return shape, dtype, fortran


def _sides(shape: tuple[int, ...]) -> str:
    shown = [str(side) if side < 2**63 else "more than 2^63" for side in shape[:8]]
    return f"[{', '.join(shown)}{', ...' if len(shape) > len(shown) else ''}]"


class _Counted:
    """A stream that counts what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes."""
        content = self._stream.read(size)
        self.bytes += len(content)
        return content


@contextmanager
def _as_value_error(what: str) -> Iterator[None]:
    """Turn what Python's libraries raise of broken files into a ValueError that starts with `what`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # parsers and decoders raise what they stumble over
        said = re.sub(r":? <[^<>]* at 0x[0-9a-f]+>", "", str(error)[:300])  # other in every run
        raise ValueError(what + (said if said and said.isprintable() else type(error).__name__)) from None
