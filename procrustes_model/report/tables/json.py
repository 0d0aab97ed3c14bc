"""A result as JSON: everything that `Result.to_dict` gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from procrustes_model import files
from procrustes_model.model.result import Result


def json_text(results: Result | Sequence[Result]) -> str:
    """Return a result as JSON, or several as a list, with sorted keys: the same text for the same numbers.

    Parameters
    ----------
    results : Result or sequence of Result

    Returns
    -------
    str
        Indented, with a line end. Counts are integers and may exceed 2^53.
    """
    alone = results if isinstance(results, Result) else results[0] if len(results) == 1 else None
    data = (
        alone.to_dict()
        if alone is not None
        else [result.to_dict() for result in cast("Sequence[Result]", results)]
    )
    return files.json_text(data, sort_keys=True)


def write_json(result: Result, path: str | Path) -> None:
    """Write `json_text` to `path`, atomically.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    files.write_atomically(path, json_text(result))
