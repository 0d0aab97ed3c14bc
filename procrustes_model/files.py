"""Files that are there completely or not at all, and the CSV that goes into them."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from procrustes_model.versions import CSV_VERSION, KEY

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a formula of a spreadsheet starts with."""


def check_writable(path: str | Path) -> None:
    """Find out before the work whether `path` can be written after it.

    Nothing is created or changed.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OSError
        When `path` is a folder, its folder does not exist, or either may not be written.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
    if _is_special(target):
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return
    folder = _real(target).parent
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, f"No such folder: {folder}", str(path))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"Not a folder: {folder}", str(path))
    # Replacing a file needs its folder only, but a file protected from writing is meant to stay.
    if not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to `path`, so that no reader ever sees a part of it.

    The text goes to a temporary file in the same folder, which then takes the place of `path`. A
    symbolic link keeps pointing where it did; a device or pipe is written straight.

    Parameters
    ----------
    path : str or Path
    content : str or bytes
        Line ends are kept as they are.

    Raises
    ------
    OSError
        When the file cannot be written; an earlier file of that name is then untouched.
    """
    check_writable(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    if _is_special(Path(path)):
        _write_straight(Path(path), data)
        return
    target = _real(Path(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    # os.open, and not tempfile, so that the permissions are those of any new file of this user.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        # The name that the user gave says more than the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_straight(path: Path, data: bytes) -> None:
    """Write to a device, or to a pipe that somebody reads: opening another one would wait for ever."""
    try:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "set_blocking"):
                os.set_blocking(descriptor, True)
            file.write(data)
    except OSError as error:
        reason = "nothing reads this pipe" if error.errno == errno.ENXIO else error.strerror
        raise OSError(error.errno, reason, str(path)) from error


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV: a header, commas, quotes only where needed (RFC 4180), lines that end in LF.

    Floats are written with all their digits, so that reading gives the same number back. A text that a
    spreadsheet would run as a formula gets an apostrophe in front, which spreadsheets take as the mark of a
    text; numbers stay numbers.

    Parameters
    ----------
    columns : sequence of str
        The header, in order, with those of `VERSION_COLUMN`.
    rows : iterable of mapping
        Values by column; what a row lacks, or has as None, is an empty field. The version is added.
    """
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {column: _no_formula(value) for column, value in {**row, KEY: CSV_VERSION}.items()} for row in rows
    )
    return buffer.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def json_text(data: Any, *, indent: int = 2, sort_keys: bool = False) -> str:
    """Return data as JSON with a line end: UTF-8 as it is, no NaN and no infinity, which JSON does not have.

    Parameters
    ----------
    data : Any
        A number that is not finite is written as null.
    indent : int
    sort_keys : bool
    """
    text = json.dumps(_finite(data), indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _real(path: Path) -> Path:
    """Return `path` with symbolic links followed."""
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Return whether `path` exists and is no regular file: a device or pipe."""
    return path.exists() and not path.is_file()
