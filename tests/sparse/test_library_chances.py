"""Hypergeometric chances with the errors of a library: against exact ones, and against that library's."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from procrustes_model.kernels.sparse.library_chances import FACTORISED, library_chance, library_chances
from procrustes_model.kernels.sparse.long_double import add, divide, multiply, rounded, square_root

BOOST = [
    (20, 12, 3, 0, "0x1.9269fe341926ap-5"),
    (1024, 300, 20, 4, "0x1.1cf90bedd3218p-3"),
    (1754, 700, 90, 37, "0x1.5c644f09721c9p-4"),
    (8192, 820, 1, 0, "0x1.cccp-1"),
    (8192, 3277, 64, 25, "0x1.9d966906f0672p-4"),
    (16384, 8192, 1024, 512, "0x1.a5cf9e7d59ab7p-6"),
    (65536, 47842, 1, 0, "0x1.1478p-2"),
    (100000, 50000, 18000, 9000, "0x1.ae65f6b8d6b7bp-8"),
    (4194304, 419431, 1, 0, "0x1.ccccc7ffffe2p-1"),
    (4194304, 1258292, 32, 16, "0x1.19c3a761c5266p-7"),
    (1179648, 519046, 131072, 57674, "0x1.3496e68562699p-9"),
    (300003, 30001, 200, 0, "0x1.80ced7cd652efp-31"),
    (333333, 99999, 3000, 900, "0x1.05904ffbfefecp-6"),
]
"""Size, nonzeros, words, found, and what Boost 1.74 returns on a processor of the x86 family."""


def exact_chance(size: int, nonzeros: int, words: int, found: int) -> Fraction:
    """Return the probability as a fraction."""
    ways = math.comb(nonzeros, found) * math.comb(size - nonzeros, words - found)
    return Fraction(ways, math.comb(size, words))


@pytest.mark.parametrize(("size", "nonzeros", "words", "found", "wanted"), BOOST)
def test_the_last_digit_is_the_library_s(
    size: int, nonzeros: int, words: int, found: int, wanted: str
) -> None:
    assert library_chance(size, nonzeros, words, found).hex() == float.fromhex(wanted).hex()


@pytest.mark.parametrize("size", [7, 60, 1754, 1755, 5000, FACTORISED, FACTORISED + 1, 400_000])
def test_chances_are_near_exact_ones(size: int) -> None:
    most = 1e-15 if size <= FACTORISED else 1e-11
    for words in (1, 3, 40):
        for nonzeros in (1, size // 3, size - 2):
            if words > size:
                continue
            for found in {0, min(words, nonzeros) // 2, min(words, nonzeros)}:
                if words - found > size - nonzeros:
                    assert library_chance(size, nonzeros, words, found) == 0
                    continue
                exact = exact_chance(size, nonzeros, words, found)
                assert library_chance(size, nonzeros, words, found) == pytest.approx(float(exact), rel=most)


def test_what_matters_of_a_distribution_is_all_but_nothing() -> None:
    for size, nonzeros, words in ((50, 20, 10), (3000, 900, 200), (300_000, 30_000, 500)):
        first, shares = library_chances(size, nonzeros, words)
        assert shares.sum() == pytest.approx(1, abs=1e-11)
        mean = sum((first + i) * share for i, share in enumerate(shares))
        assert mean == pytest.approx(words * nonzeros / size, rel=1e-11)


def nearest(exact: Fraction) -> Fraction:
    """Return a fraction rounded to 64 binary digits, to even where it lies halfway."""
    power = 64 - (abs(exact.numerator).bit_length() - exact.denominator.bit_length())
    for scale in (Fraction(2) ** power, Fraction(2) ** (power - 1)):
        if abs(round(exact * scale)) < 2**64 and abs(exact * scale) >= 2**63 - 1:
            return round(exact * scale) / scale
    return round(exact * Fraction(2) ** (power - 1)) / Fraction(2) ** (power - 1)


def split(number: Fraction) -> tuple[float, float]:
    """Return a number of 64 digits as two floats."""
    high = float(number)
    return high, float(number - Fraction(high))


def test_operations_round_to_64_digits() -> None:
    numbers = [nearest(Fraction(7**i, 3 ** (i + 3)) * (1 if i % 3 else 5)) for i in range(1, 25)]
    for a in numbers:
        for b in numbers:
            for operation, wanted in ((add, a + b), (multiply, a * b), (divide, a / b)):
                high, low = rounded(*operation(*split(a), *split(b)))
                assert Fraction(high) + Fraction(low) == nearest(wanted), (operation, a, b)
        high, low = square_root(*split(a))
        root = Fraction(high) + Fraction(low)
        assert abs(root * root - a) <= a * Fraction(1, 2**63)
