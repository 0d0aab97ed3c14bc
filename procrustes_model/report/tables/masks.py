"""What a file of masks holds, as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text, json_text
from procrustes_model.training.mask_densities import MaskDensities
from procrustes_model.versions import VERSION_COLUMN

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "step": "iteration",
        "layer": "name of the layer",
        "shape": "shape of its weights, such as 64x3x3x3",
        "weights": "number of its weights",
        "weight_density": "weights that are not zero / weights",
        "storage_density": "weights stored / weights",
        "activation_density": "elements of its inputs that are not zero / all; empty: unknown",
        "gradient_density": "the same of the gradients of its outputs; empty: unknown",
        **VERSION_COLUMN,
    }
)
"""Columns of the CSV, in order, and what they mean."""


def masks_text(masks: MaskDensities) -> str:
    """Return a row per step and layer as CSV; columns: `COLUMNS`."""
    return csv_text(list(COLUMNS), _rows(masks))


def masks_json(masks: MaskDensities) -> str:
    """Return the same rows as JSON, under ``layers``."""
    return json_text({"layers": list(_rows(masks))})


def _rows(masks: MaskDensities) -> Iterator[dict[str, Any]]:
    densities = {
        "weight_density": masks.weights,
        "storage_density": masks.storage,
        "activation_density": masks.activations,
        "gradient_density": masks.gradients,
    }
    for row, step in enumerate(masks.steps):
        for column, name in enumerate(masks.names):
            found = {key: float(values[row, column]) for key, values in densities.items()}
            yield {
                "step": step,
                "layer": name,
                "shape": "x".join(str(side) for side in masks.shapes[column]),
                "weights": int(masks.sizes[column]),
                **{key: value for key, value in found.items() if not math.isnan(value)},
            }
