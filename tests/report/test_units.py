"""Numbers as people read them."""

from __future__ import annotations

import pytest

from procrustes_model.report.terminal.units import (
    format_count,
    format_energy,
    format_percent,
    format_seconds,
    format_share,
    four_digits,
)


@pytest.mark.parametrize(
    ("picojoules", "text"),
    [
        (0.0, "0 pJ"),
        (0.5, "0.5000 pJ"),
        (1.0, "1.000 pJ"),
        (999.94, "999.9 pJ"),
        (999.96, "1.000 nJ"),
        (12_345.0, "12.35 nJ"),
        (1.5e6, "1.500 uJ"),
        (2e9, "2.000 mJ"),
        (3.25e12, "3.250 J"),
        (4e15, "4.000 kJ"),
        (4e21, "4.000e+06 kJ"),
    ],
)
def test_energy(picojoules: float, text: str) -> None:
    assert format_energy(picojoules) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "100%"), (0.9999, "100%"), (0.1234, "12.3%"), (4e-4, "0.0400%")]
)
def test_percent(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("picojoules", "text"),
    [(0, "0 pJ"), (2.0, "2.00 pJ"), (999.4, "999 pJ"), (999.6, "1.00 nJ"), (6.5e4, "65.0 nJ")],
)
def test_energy_with_three_digits(picojoules: float, text: str) -> None:
    assert format_energy(picojoules, 3) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (3.2e-13, "0.3200 ps"),
        (5e-10, "500.0 ps"),
        (3.25e-8, "32.50 ns"),
        (9.9999e-7, "1.000 us"),
        (9.9996e-4, "1.000 ms"),
        (59.9999, "1.000 min"),
        (59.99, "59.99 s"),
        (3.6e3, "1.000 h"),
        (8.64e7, "1000 days"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999, "999"), (1000, "1.000 k"), (2**62, "4.612 E"), (999_999, "1.000 M")]
)
def test_count(count: int, text: str) -> None:
    assert format_count(count) == text


def test_share_of_nothing_is_a_dash() -> None:
    assert format_share(0.0, 0.0) == "-"
    assert format_share(1, 3) == "33.3%"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.2345e-5, "1.234e-05"), (0.0012345, "0.001234"), (9999.6, "1.000e+04")]
)
def test_four_digits(value: float, text: str) -> None:
    assert four_digits(value) == text
