"""The rows of the table of any result, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from procrustes_model.report.tables.network import layer_records
from procrustes_model.report.tables.train_cost import part_records

_RECORDS: dict[str, Callable[[Any], Iterable[dict[str, Any]]]] = {
    "NetworkResult": layer_records,
    "TrainCost": part_records,
}


def records(result: Any) -> Iterable[dict[str, Any]]:
    """Return the rows of a run or a training run; other results make their own."""
    return _RECORDS[type(result).__name__](result)
