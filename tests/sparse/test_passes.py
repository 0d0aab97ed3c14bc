"""Counting in one pass over a mask against NumPy's sums over its axes, and folding against its sort."""

from __future__ import annotations

import numpy as np
import pytest

from procrustes_model import Evaluator, load_problem
from procrustes_model.kernels.imbalance.policies import BUCKETS, FOLD, GREEDY, OWN
from procrustes_model.kernels.imbalance.streamed import add_slowest, lay_out
from procrustes_model.kernels.sparse.passes import count_boxes, is_passed, number_boxes, tally_boxes
from procrustes_model.model.sparse.masks import lower_masks
from tests.amount import amount, first_quick

SHAPES = [
    ((4, 6, 3, 3), (2, 3, 1, 3)),
    ((12, 5, 1, 3), (12, 5, 1, 1)),
    ((2, 24), (1, 8)),
    ((3, 16), (3, 1)),
    ((8, 8, 2), (8, 1, 2)),
    ((7, 30), (1, 15)),
    ((40,), (4,)),
    ((40,), (1,)),
]
"""Sides of a mask and of its boxes."""


@pytest.mark.parametrize(("sides", "box"), first_quick(SHAPES, 4))
def test_boxes_side_by_side(sides: tuple[int, ...], box: tuple[int, ...]) -> None:
    names = list("ABCD")[: len(sides)]
    tensors = {"X": {"projection": names}, "Z": {"projection": names[:1], "output": True}}
    problem = load_problem(
        {
            "problem": {
                "name": "p",
                "shape": {"name": "s", "dimensions": names, "tensors": tensors},
                "dimensions": dict(zip(names, sides, strict=True)),
            }
        }
    )
    arrays = Evaluator("simple_3level", problem).design.problem
    mask = np.random.default_rng(len(sides)).random(sides) < 0.6
    masks = lower_masks(problem, arrays, {"X": mask})
    extent = np.array(box, np.int64)
    assert is_passed(arrays, masks, 0, extent) == (np.prod(box) < 8 * 2 ** np.not_equal(box, sides).sum())
    split = [n for side, length in zip(sides, box, strict=True) for n in (side // length, length)]
    expected = mask.reshape(split).sum(axis=tuple(range(1, len(split), 2)))
    counts = np.full(expected.size, 60_000, np.uint16)
    count_boxes(arrays, masks, 0, extent, number_boxes(arrays, masks, 0, extent), counts)
    assert (counts.reshape(expected.shape) == expected).all()
    most = int(np.prod(box))
    tally = tally_boxes(arrays, masks, 0, extent, most)
    assert (tally == np.bincount(expected.reshape(-1), minlength=most + 1)).all()


@pytest.mark.parametrize(
    ("rounds", "parts", "volume"),
    first_quick(
        [
            *((3, 4, 9), (amount(700, 260), 3, 5), (300, 1, 30_000)),
            *((260, 3, 3), (260, 1, 1), (amount(700, 260), 8, 2)),  # so little work is not sorted
            *((1, 40, 60_000), (5, 700, 2)),
        ],
        6,
    ),
)
@pytest.mark.parametrize("rule", [OWN, FOLD, GREEDY])
def test_slowest_elements(rounds: int, parts: int, volume: int, rule: int) -> None:
    """Folded: sorted, the k-th smallest half goes with the k-th largest. Greedily: to the least so far."""
    pieces = 1 if rule == OWN else 2
    works = np.random.default_rng(parts).integers(0, volume + 1, (rounds, parts * pieces), np.uint16)
    apart = lay_out(rounds, parts, pieces, rule, volume)
    counts = np.zeros(max(rounds * apart[0], parts * pieces * apart[1]), np.uint16)
    for piece in range(parts * pieces):
        counts[piece * apart[1] : piece * apart[1] + (rounds - 1) * apart[0] + 1 : apart[0]] = works[:, piece]
    whole = works.astype(np.int64)
    alone = whole.reshape(rounds, parts, pieces).sum(axis=2).max(axis=1).sum()
    if rule == OWN:
        expected = alone
    elif rule == FOLD:
        ordered = np.sort(whole, axis=1)
        expected = (ordered + ordered[:, ::-1]).max(axis=1).sum()
    else:
        expected = 0
        for row in np.sort(whole, axis=1)[:, ::-1]:
            loads = np.zeros(parts, np.int64)
            for work in row:
                loads[loads.argmin()] += work
            expected += loads.max()
    bucket = np.empty(BUCKETS, np.int64)
    assert add_slowest(counts, apart, rounds, parts, pieces, rule, volume, bucket) == (alone, expected)
