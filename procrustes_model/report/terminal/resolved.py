"""An architecture as YAML with every number in place, and with where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from procrustes_model.spec.architecture import Component, ComputeLevel, StorageLevel
from procrustes_model.spec.architecture_written import without_defaults, write_architecture
from procrustes_model.versions import KEY, VERSIONS

if TYPE_CHECKING:
    from pydantic import BaseModel

    from procrustes_model.spec.architecture import Architecture

_TEXTS = ("class", "name", "source", "description", "origins", "tensors", "attributes", "use", "when")
"""Keys of parts that are no numbers."""

BY_HAND, FROM_TABLE, DEFAULT = "by hand", "from a table: see origins", "default"
"""What is said of a number."""


def format_resolved(architecture: Architecture) -> str:
    """Return an architecture as YAML; reading it gives an equal one.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    str
        Every number of a part has a line and a comment: by hand, where a ``source`` may say more; by default;
        or from a table, with the rows and how sure they are under ``origins``.
    """
    data = write_architecture(architecture.model_dump(mode="json"))
    lines = [f"{KEY}: {VERSIONS['architecture']}", "architecture:"]
    for key in ("name", "description", "clock", "attributes", "bits", "sum_bits"):
        if data.get(key):
            note = f"  # {BY_HAND}" if key in ("clock", "bits", "sum_bits") else ""
            lines.append(f"  {key}: {_inline(data[key])}{note}")
    lines.append("  levels:")
    for level, of_level in zip(data["levels"], architecture.levels, strict=True):
        lines += _item(level, of_level)
    lines.append("  compute:")
    lines += [f"    {line}" for line in _part(data["compute"], architecture.compute)]
    if architecture.components:
        lines.append("  components:")
        for unit, of_unit in zip(data["components"], architecture.components, strict=True):
            lines += _item(unit, of_unit)
    return "\n".join(lines) + "\n"


def _item(part: Mapping[str, Any], spec: StorageLevel | Component) -> list[str]:
    first, *rest = _part(part, spec)
    return [f"    - {first}", *(f"      {line}" for line in rest)]


def _part(part: Mapping[str, Any], spec: StorageLevel | ComputeLevel | Component) -> Iterator[str]:
    """Yield the lines of a part, without its indentation."""
    origins = spec.origins or {}
    stated = _stated(spec)
    by_hand = f"{BY_HAND}, see source" if spec.source else BY_HAND
    keys = ["name", *(key for key in ("class",) if key in part)]
    keys += [key for key in part if key not in (*keys, "origins")]
    for key in keys:
        value = part[key]
        if key == "energy_pj" and isinstance(spec, StorageLevel):
            yield "energy_pj:"
            given = spec.energy.model_fields_set
            for action, energy in value.items():
                yield f"  {action}: {_inline(energy)}  # {_note(action, origins, given, by_hand)}"
        elif key in _TEXTS:
            if value != {} or key in stated:
                yield f"{key}: {_inline(value)}"
        else:
            yield f"{key}: {_inline(value)}  # {_note(key, origins, stated, by_hand)}"
    if origins:
        yield "origins:"
        for key, origin in origins.items():
            yield f"  {key}: {_inline(origin)}"


def _stated(spec: BaseModel) -> set[str]:
    """Return the keys that were not left to their default."""
    fields = type(spec).model_fields
    return {str(fields[name].validation_alias or name) for name in spec.model_fields_set}


def _note(key: str, origins: Mapping[str, str], stated: set[str], by_hand: str) -> str:
    """Return where the number of a key comes from."""
    if key in origins:
        return FROM_TABLE
    if key in stated:
        return by_hand
    return "as write" if key == "update" else DEFAULT


def _inline(value: Any) -> str:
    """Return a value on one line, as JSON, which is YAML too."""
    if isinstance(value, float):
        # Without a point, some readers of YAML take a number with an exponent for text.
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return json.dumps(without_defaults(value), ensure_ascii=False)
