"""Figures hold names as they are."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from procrustes_model.report.figures.style import figure_bytes, new_figure


def test_a_name_with_dollars_is_no_formula() -> None:
    figure, (axis,) = new_figure(1.5)
    axis.bar(["$\\frac{1$", "a$b$c"], [1, 2], label="$x_{$")
    axis.set_title("$$")
    axis.legend()
    assert b"frac{1$" in figure_bytes(figure, ".svg")
    assert figure_bytes(figure, ".png").startswith(b"\x89PNG")
