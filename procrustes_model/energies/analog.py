"""Converters and cells of analogue machines: a model of the energy of A/D converters, and rows of designs."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import (
    AREA,
    Estimate,
    EstimateError,
    Figure,
    TableClass,
    shown,
    six_digits,
)
from procrustes_model.energies.rows import figures_of, pick, read_table

ADC_RANGES = {"resolution": (4, 14), "technology": (7, 130), "sample_rate": (1e-3, 2)}
"""What the model of converters is tabulated for: bits, nm, 10^9 conversions per second."""

_ADC_ORIGIN = (
    "model of A/D converters, {}: the best fifth of a survey; read; hwcomponents_adc 1.0.21,"
    " a fit to Murmann's ADC survey"
)


def adc_energy(bits: float, node: float, samples: float) -> tuple[float, float]:
    """Return the energy of a conversion and the area of a converter.

    Parameters
    ----------
    bits : float
        Effective bits.
    node : float
        In nm.
    samples : float
        Per second.

    Returns
    -------
    tuple of float
        pJ, and square micrometres.
    """
    merit = min(213.781 - 2.87190 * math.log(samples), 128.307 + 3.22051 * math.ceil(bits))
    ratio = 6.0206 * bits + 1.7609
    scale = math.exp(26.0496 + 1.88004 * math.log(node) - 2.82913 * math.log(bits) - 1.47020)
    energy = 0.5 * 10 ** ((ratio - merit) / 10) * scale
    area = math.exp(
        1.34619 + 0.993279 * math.log(node) + 0.180715 * math.log(samples) + 0.299124 * math.log(energy)
    )
    return energy, area


def _estimate_adc(asked: Mapping[str, Any]) -> Estimate:
    if "design" in asked:
        return _estimate_design(asked, "adc")
    for key, (least, most) in ADC_RANGES.items():
        if key not in asked:
            hint = f"from {shown(key, least)} to {shown(key, most)}; or name a 'design'"
            raise EstimateError(f"an adc needs '{key}'", hint, key)
        if not least <= asked[key] <= most:
            message = f"{key} {shown(key, asked[key])} is outside the model of converters"
            raise EstimateError(message, f"it goes from {shown(key, least)} to {shown(key, most)}", key)
    energy, area = adc_energy(asked["resolution"], asked["technology"], asked["sample_rate"] * 1e9)
    where = _ADC_ORIGIN.format(", ".join(shown(key, asked[key]) for key in ADC_RANGES))
    return Estimate({"energy_pj": Figure(six_digits(energy), where), AREA: Figure(six_digits(area), where)})


def _estimate_design(asked: Mapping[str, Any], kind: str) -> Estimate:
    rows = [row for row in read_table("analog") if row["class"] == kind]
    columns = {"design": "design"}
    return Estimate(figures_of("analog", pick(kind, rows, columns, asked)))


ANALOG = (
    TableClass(
        name="adc",
        text="A/D converter, by resolution, node and rate (a model), or a design",
        keys=("resolution", "technology", "sample_rate", "design"),
        required=(),
        is_level=False,
        estimate=_estimate_adc,
    ),
    TableClass(
        name="dac",
        text="D/A converter: a design",
        keys=("design",),
        required=("design",),
        is_level=False,
        estimate=functools.partial(_estimate_design, kind="dac"),
    ),
    TableClass(
        name="cell",
        text="cell of a memory that computes: one cell without its drivers",
        keys=("design",),
        required=("design",),
        is_level=False,
        estimate=functools.partial(_estimate_design, kind="cell"),
    ),
)
