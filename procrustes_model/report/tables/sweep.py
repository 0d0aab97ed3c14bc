"""The points of a sweep as Parquet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.files import write_atomically
from procrustes_model.versions import CSV_VERSION, KEY

if TYPE_CHECKING:
    from procrustes_model.sweeps.result import SweepResult


def check_parquet() -> None:
    """Raise a SpecError unless pyarrow is installed."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise SpecError(Issue("Parquet needs pyarrow", "pip install pyarrow, or write a CSV"))


def write_parquet(result: SweepResult, path: Path) -> None:
    """Write the table of a sweep as Parquet: the columns of the CSV, with their types.

    An axis of which some values are text is text.

    Raises
    ------
    SpecError
        When pyarrow is not installed.
    OSError
        When the file cannot be written.
    """
    check_parquet()
    import pyarrow
    from pyarrow import parquet

    columns = columns_of(result)
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    write_atomically(path, buffer.getvalue())


def columns_of(result: SweepResult) -> dict[str, list[Any]]:
    """Return the table of a sweep by column; values of a column are of one type, or None."""
    rows = [{**row, KEY: CSV_VERSION} for row in result.to_records()]
    columns = {}
    for name in result.columns:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            as_number = kinds <= {int, float}
            values = [None if one is None else float(one) if as_number else str(one) for one in values]
        columns[name] = values
    return columns
