"""From an architecture back to what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_defaults(value: Any) -> Any:
    """Return nested data without what is empty."""
    if isinstance(value, Mapping):
        return {key: without_defaults(one) for key, one in value.items() if one is not None and one != ""}
    return [without_defaults(one) for one in value] if isinstance(value, list | tuple) else value


_NOTHING_BESIDE = {
    "leakage_gated": False,
    "cluster_size": 1,
    "resident": [],
    "loaded": False,
    "drain_read": False,
    "through": [],
    "beside": False,
    "fill_drain_cycles": 0.0,
    "gated_energy_pj": 0.0,
    "skipped_energy_pj": 0.0,
    "cycles_per_compute": 1.0,
}
"""What parts without anything beside plain storage have: a file says nothing of it."""


def write_architecture(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture as a file writes it.

    Parameters
    ----------
    dump : mapping
        As `Architecture.model_dump` returns it.

    Returns
    -------
    dict
        What stands below the key ``architecture``; reading it gives an equal architecture.
    """
    data: dict[str, Any] = without_defaults(dump)
    if "clock_ghz" in data:
        data["clock"] = f"{data.pop('clock_ghz')!r} GHz"
    for part in (*data["levels"], data["compute"], *data["components"]):
        if "kind" in part:
            part["class"] = part.pop("kind")
        for key, nothing in _NOTHING_BESIDE.items():
            if key in part and part[key] == nothing:
                del part[key]
    for level in data["levels"]:
        level["energy_pj"] = _write_energy(level.pop("energy"))
    return data


def _write_energy(energy: dict[str, Any]) -> dict[str, Any]:
    """Return the energies of a level without those that are nothing."""
    free = {"read": 0.0, "write": 0.0, "update": 0.0}
    kept = {
        key: value
        for key, value in energy.items()
        if not (key in ("gated", "skipped") and value == free) and not (key == "idle" and value == 0)
    }
    metadata = kept.get("metadata")
    if metadata is not None and metadata["skipped"] == free:
        kept["metadata"] = {key: value for key, value in metadata.items() if key != "skipped"}
    return kept
