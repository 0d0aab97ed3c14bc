"""A result as JSON: everything that `Result.to_dict` gives."""

from __future__ import annotations

import json
from pathlib import Path

from procrustes_model.model.result import Result
from procrustes_model.report.atomic import write_atomically


def json_text(result: Result) -> str:
    """Return `result` as JSON with sorted keys, the same text for the same numbers.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        Indented, with a line end. Counts are integers and may exceed 2^53.
    """
    return json.dumps(result.to_dict(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(result: Result, path: str | Path) -> None:
    """Write `json_text` to `path`, atomically.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, json_text(result))
