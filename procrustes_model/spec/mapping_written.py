"""A mapping as far as it could be read, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from procrustes_model.spec.text.yaml_text import Path

LOOP_KEYS = ("temporal", "spatial_x", "spatial_y")


@dataclass
class WrittenLevel:
    """One level of a mapping as far as it could be read.

    Attributes
    ----------
    path : tuple
        Where it stands; the whole mapping's place for a level that is left out.
    loops : dict
        'temporal', 'spatial_x', 'spatial_y' to the factors by dimension, in order.
    last : dict
        By kind of loop and dimension, the iterations in the last pass, where they are fewer.
    keep : tuple of str
    stated : bool
        Whether `keep` is written there.
    """

    path: Path
    loops: dict[str, dict[str, int]] = field(default_factory=lambda: {key: {} for key in LOOP_KEYS})
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    stated: bool = False
