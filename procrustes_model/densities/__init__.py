"""Density models: one file each. Every module here with a `DENSITY` is one; nothing lists them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from procrustes_model.densities.rule import DensityRule
from procrustes_model.discovery import find_entries


def _find_densities() -> Mapping[str, DensityRule]:
    found: list[DensityRule] = find_entries(__name__, __path__, "DENSITY")
    return MappingProxyType({one.name: one for one in sorted(found, key=lambda one: (one.code, one.name))})


DENSITIES = _find_densities()
"""By name, in the order of their codes."""

__all__ = ["DENSITIES", "DensityRule"]
