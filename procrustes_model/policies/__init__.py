"""Balancing policies: data, one file each. Every module here with a `POLICY` is one; nothing lists them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from procrustes_model.policies.policy import Policy


def _find_policies() -> Mapping[str, Policy]:
    modules = (import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__))
    found: list[Policy] = [module.POLICY for module in modules if hasattr(module, "POLICY")]
    return MappingProxyType({one.name: one for one in sorted(found, key=lambda one: (one.pieces, one.name))})


POLICIES = _find_policies()
"""By name, those with fewer pieces first."""

NO_POLICY = POLICIES["none"]
"""What evaluations compare with: each processing element works on its own tile."""

__all__ = ["NO_POLICY", "POLICIES", "Policy"]
