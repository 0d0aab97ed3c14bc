"""How uneven the work of processing elements is, over all layers of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.model.sparse.imbalance import measure_imbalance
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.vocabulary import Phase

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult, Row

BIN = 0.02
"""Width of a bin, as a share of the mean."""
_TOP = 6.0
_SEED = 0


def count_working_sets(result: NetworkResult, phase: Phase = Phase.FORWARD) -> list[dict[str, Any]]:
    """Return histograms of the work of processing elements and of the slowest, before and after balancing.

    Weights are drawn at random with each layer's density, on the mapping found for it. Every array-level
    tile of every layer counts once, layers of equal shape as often as they stand in the network.

    Parameters
    ----------
    result : NetworkResult
        Its architecture and designs are ones that ship.
    phase : str

    Returns
    -------
    list of dict
        By bin of `BIN`; counts are averages over the masks that are drawn. The last bin has all beyond it.
    """
    edges = np.append(np.arange(0.0, _TOP + BIN / 2, BIN), np.inf)
    counts = {name: np.zeros(len(edges) - 1) for name in _NAMES}
    sums = {"mean_before": 0.0, "mean_after": 0.0}
    rows: dict[str, list[Row]] = {}
    for row in result.select(result.design, phase):
        rows.setdefault(row.entry.key, []).append(row)
    for alike in rows.values():
        _add(result.architecture, alike[0], len(alike), edges, counts, sums)
    tiles = counts["slowest_before"].sum()
    means = {name: float(value / tiles) for name, value in sums.items()}
    last = int(np.flatnonzero(sum(counts.values())).max(initial=0))
    return [
        {
            "work_from": round(float(edges[i]), 6),
            "work_to": round(float(edges[i + 1]), 6) if i + 2 < len(edges) else "",
            **{name: float(counts[name][i]) for name in _NAMES},
            **means,
        }
        for i in range(last + 1)
    ]


_NAMES = ("elements_before", "elements_after", "slowest_before", "slowest_after")


def _add(
    architecture: str, row: Row, times: int, edges: Any, counts: dict[str, Any], sums: dict[str, float]
) -> None:
    """Add the tiles of one layer's case."""
    machine, problem = load_architecture(architecture), load_problem({"problem": row.entry.problem})
    measured = measure_imbalance(
        machine,
        problem,
        load_mapping(row.case.mapping, machine, problem),
        load_sparsity(row.design),
        densities=row.entry.densities,
        seed=_SEED,
    )
    weight = times / max(1, measured.of.masks)
    for side, work in (("before", measured.before), ("after", measured.after)):
        # What is even must not fall below 1 by rounding.
        work = np.round(work, 9)
        counts[f"elements_{side}"] += weight * np.histogram(work, edges)[0]
        slowest = work.max(axis=1)
        counts[f"slowest_{side}"] += weight * np.histogram(slowest, edges)[0]
        sums[f"mean_{side}"] += weight * float(slowest.sum())
