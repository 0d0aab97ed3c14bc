"""Balancing policies: data, one file each. Every module here with a `POLICY` is one; nothing lists them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from procrustes_model.discovery import find_entries
from procrustes_model.policies.policy import Policy


def _find_policies() -> Mapping[str, Policy]:
    found: list[Policy] = find_entries(__name__, __path__, "POLICY")
    return MappingProxyType({one.name: one for one in sorted(found, key=lambda one: (one.pieces, one.name))})


POLICIES = _find_policies()
"""By name, those with fewer pieces first."""

NO_POLICY = POLICIES["none"]
"""What evaluations compare with: each processing element works on its own tile."""

__all__ = ["NO_POLICY", "POLICIES", "Policy"]
