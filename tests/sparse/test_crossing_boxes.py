"""Two actions that look at one leader in boxes of which none contains the other: a row, and a column."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate

SHAPE: dict[str, Any] = {
    "name": "product",
    "dimensions": ["M", "K", "N"],
    "tensors": {
        "A": {"projection": ["M", "K"]},
        "B": {"projection": ["K", "N"]},
        "Z": {"projection": ["M", "N"], "output": True},
    },
}
STEPS = 2


def _evaluate(rows: int, columns: int, kinds: tuple[str, str], **zeros: Any) -> Any:
    """Spread Z over units: an element of A serves a row of it, one of B a column."""
    level = {"name": "Buffer", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}}
    compute = {"energy_pj": 1, "mesh_x": rows, "mesh_y": columns}
    loops = {"temporal": f"K={STEPS}", "spatial_x": f"M={rows}", "spatial_y": f"N={columns}"}
    actions = [{"level": "Buffer", kind: t, "on": "Z"} for kind, t in zip(kinds, "AB", strict=True)]
    return evaluate(
        {"architecture": {"name": "array", "levels": [level], "compute": compute}},
        {
            "problem": {
                "name": "p",
                "shape": SHAPE,
                "dimensions": {"M": rows, "K": STEPS, "N": columns},
            }
        },
        {"mapping": {"levels": [{"level": "Buffer", **loops, "keep": ["A", "B", "Z"]}]}},
        sparsity={"sparsity": {"name": "sampled", "actions": actions}},
        **zeros,
    )


def _walk(mask: np.ndarray, kinds: tuple[str, str]) -> tuple[int, int]:
    """Return the computations that are done, and gated: each looked at by itself."""
    done = gated = 0
    for m, n in np.ndindex(*mask.shape):
        empty = (not mask[m].any(), not mask[:, n].any())
        saved = {kind for kind, one in zip(kinds, empty, strict=True) if one}
        done += not saved
        gated += saved == {"gate"}
    return done * STEPS, gated * STEPS


def _all_masks(rows: int, columns: int, nonzeros: int) -> list[np.ndarray]:
    masks = np.zeros((0, rows * columns), bool)
    for places in itertools.combinations(range(rows * columns), nonzeros):
        masks = np.vstack((masks, np.isin(np.arange(rows * columns), places)))
    return list(masks.reshape(-1, rows, columns))


@pytest.mark.parametrize("kinds", [("skip", "skip"), ("gate", "gate"), ("gate", "skip"), ("skip", "gate")])
@pytest.mark.parametrize(("rows", "columns", "nonzeros"), [(2, 4, 1), (2, 3, 2), (3, 3, 3)])
def test_rows_and_columns_are_counted_together(
    rows: int, columns: int, nonzeros: int, kinds: tuple[str, str]
) -> None:
    walked = [_walk(mask, kinds) for mask in _all_masks(rows, columns, nonzeros)]
    for mask, (done, gated) in zip(_all_masks(rows, columns, nonzeros)[::5], walked[::5], strict=True):
        computes = _evaluate(rows, columns, kinds, masks={"Z": mask}).computes
        assert (computes.actual, computes.gated) == pytest.approx((done, gated))
    density = nonzeros / (rows * columns)
    computes = _evaluate(rows, columns, kinds, densities={"Z": density}).computes
    assert (computes.actual, computes.gated) == pytest.approx(np.mean(walked, axis=0))


@pytest.mark.parametrize("kinds", [("skip", "skip"), ("gate", "skip")])
def test_rows_and_columns_of_groups_are_counted_together(kinds: tuple[str, str]) -> None:
    masks = [
        np.array(places)[:, None] == np.arange(3) for places in itertools.product(range(3), repeat=2)
    ]  # 1:3 along N
    walked = np.mean([_walk(mask, kinds) for mask in masks], axis=0)
    one = {"model": "structured", "nonzeros": 1, "group": 3, "along": "N"}
    computes = _evaluate(2, 3, kinds, densities={"Z": one}).computes
    assert (computes.actual, computes.gated) == pytest.approx(walked)
