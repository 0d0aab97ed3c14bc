"""Imbalance as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from procrustes_model.files import csv_text, json_text
from procrustes_model.versions import VERSION_COLUMN

if TYPE_CHECKING:
    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram

IMBALANCE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "problem": "name of the problem",
        "phase": "forward, backward or weight_update; empty where the problem has none",
        "mapping": "name of the mapping",
        "sparsity": "name of the sparse design",
        "tensor": "whose nonzeros are the work",
        "policy": "name of the balancing policy",
        "basis": "counted on a mask, sampled on random masks, or even: a density without imbalance",
        "masks": "how many were counted or drawn",
        "work_from": "lower end of the bin, work over the mean of the array-level tile",
        "work_to": "upper end, part of the next bin except in the last one",
        "elements_before": "processing elements in the bin without balancing",
        "elements_after": "processing elements in the bin with balancing",
        "slowest_before": "array-level tiles whose slowest element is in the bin, without balancing",
        "slowest_after": "array-level tiles whose slowest element is in the bin, with balancing",
        **VERSION_COLUMN,
    }
)
"""Columns of the table of imbalance, in order, and what they mean."""


def imbalance_text(histograms: Sequence[ImbalanceHistogram]) -> str:
    """Return histograms as CSV, one row per bin; columns: `IMBALANCE_COLUMNS`."""
    return csv_text(list(IMBALANCE_COLUMNS), (row for one in histograms for row in _bins(one)))


def imbalance_json(histograms: Sequence[ImbalanceHistogram]) -> str:
    """Return the same rows as JSON, under ``bins``."""
    return json_text({"bins": [row for one in histograms for row in _bins(one)]})


def _bins(histogram: ImbalanceHistogram) -> Iterator[dict[str, Any]]:
    of = histogram.of
    head = {
        "architecture": of.architecture,
        "problem": of.problem,
        "phase": of.phase,
        "mapping": of.mapping,
        "sparsity": of.sparsity,
        "tensor": of.tensor,
        "policy": of.policy,
        "basis": of.basis,
        "masks": of.masks,
    }
    edges = histogram.edges.tolist()
    columns = {
        "work_from": edges[:-1],
        "work_to": edges[1:],
        "elements_before": histogram.before.tolist(),
        "elements_after": histogram.after.tolist(),
        "slowest_before": histogram.slowest_before.tolist(),
        "slowest_after": histogram.slowest_after.tolist(),
    }
    for values in zip(*columns.values(), strict=True):
        yield head | dict(zip(columns, values, strict=True))
