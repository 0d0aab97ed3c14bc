"""The front of energy against cycles as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from procrustes_model.files import csv_text
from procrustes_model.versions import VERSION_COLUMN

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult

FRONT_COLUMNS = ("energy_pj", "cycles", "edp_j_cycles", "utilization", "proven", *VERSION_COLUMN)


def front_text(front: Sequence[SearchResult]) -> str:
    """Return the front as CSV, least energy first; columns as in `FRONT_COLUMNS`."""
    rows = (
        {
            "energy_pj": point.result.energy_pj,
            "cycles": point.result.cycles,
            "edp_j_cycles": point.result.edp_j_cycles,
            "utilization": point.result.utilization,
            "proven": point.certificate.proven,
        }
        for point in front
    )
    return csv_text(FRONT_COLUMNS, rows)
