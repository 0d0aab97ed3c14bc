"""Series of n:m terms: each element once, each term beside a walk, shares beside what is expected."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest

from procrustes_model.training import NM, decompose
from tests.naive import less


@pytest.mark.parametrize("along", ["C", "K"])
def test_terms_are_those_of_walks(along: str) -> None:
    values = np.random.default_rng(0).normal(size=(9, 7, 2, 1)) * (
        np.random.default_rng(1).random((9, 7, 2, 1)) < 0.6
    )
    patterns = [NM(2, 4, along), NM(1, 4, along), NM(1, 8, along)]
    found = decompose(values, patterns)
    rest = values
    for pattern, term in zip(patterns, found.terms, strict=True):
        mask = less.nm_mask(rest, pattern.nonzeros, pattern.group, "KC".index(along))
        assert np.array_equal(term, np.where(mask, rest, 0))
        rest = np.where(mask, 0, rest)
    assert np.array_equal(found.rest, rest)
    assert np.array_equal(sum(found.terms) + found.rest, values)
    assert found.kept == 1 - np.count_nonzero(rest) / np.count_nonzero(values)


def expected(density: float, n: int, m: int) -> float:
    """Return the share that n of m keep: nonzeros of a group are binomial."""
    chances = [comb(m, x) * density**x * (1 - density) ** (m - x) for x in range(m + 1)]
    return sum(min(n, x) * chance for x, chance in enumerate(chances)) / (m * density)


@pytest.mark.parametrize(
    ("density", "terms", "share"),
    [
        (0.1, [(2, 4)], 0.9905),
        (0.2, [(2, 4), (1, 4)], 0.9980),
        (0.5, [(2, 4), (1, 8)], 0.944),
    ],
)
def test_published_series(density: float, terms: Any, share: float) -> None:
    """TASD (arXiv 2403.07953), of random zeros."""
    mask = np.random.default_rng(3).random((1000, 800)) < density
    found = decompose(mask, [NM(n, m) for n, m in terms])
    assert found.kept == pytest.approx(share, abs=0.003)
    if len({m for _, m in terms}) == 1:
        n, m = sum(n for n, _ in terms), terms[0][1]
        assert share == pytest.approx(expected(density, n, m), abs=5e-5)
    assert found.terms[0].dtype == np.bool_


def test_edges() -> None:
    assert decompose(np.zeros((2, 4)), [NM(2, 4)]).kept == 1.0
    with pytest.raises(ValueError, match="one term or more"):
        decompose(np.zeros((2, 4)), [])
