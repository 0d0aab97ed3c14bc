"""What is stated of tensors in all phases and in single ones, as a mapping from tensors and from phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_serializer

from procrustes_model.spec.schema import Frozen
from procrustes_model.vocabulary import PHASES, Phase


class Phased(Frozen):
    """Statements of tensors, made and written as ``{Weights: 8, backward: {Outputs: 16}}``.

    Attributes
    ----------
    stated : tuple of (str, Phase or None, value)
        Tensor, phase (None: all of them) and what is said; those of all phases first.
    """

    stated: tuple[tuple[str, Phase | None, Any], ...] = ()

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return self.written

    @property
    def written(self) -> dict[str, Any]:
        """As a file has it."""
        data: dict[str, Any] = dict(self.of(None))
        return data | {phase.value: self.of(phase) for phase in PHASES if self.of(phase)}

    def of(self, phase: Phase | None) -> dict[str, Any]:
        """Return what is said of one phase alone; of None: of all phases."""
        return {tensor: said for tensor, at, said in self.stated if at == phase}

    def __bool__(self) -> bool:
        return bool(self.stated)


def is_made(written: Any) -> bool:
    """Say whether these are statements already, and not what a file says."""
    return isinstance(written, Phased) or (
        isinstance(written, Mapping) and isinstance(written.get("stated"), tuple)
    )


def flatten(written: Mapping[str, Any]) -> tuple[tuple[str, Phase | None, Any], ...]:
    """Return statements as a mapping says them, sorted, so that equal ones are equal."""
    found: list[tuple[str, Phase | None, Any]] = [
        (name, None, said) for name, said in sorted(written.items()) if name not in set(PHASES)
    ]
    for phase in PHASES:
        found += [(name, phase, said) for name, said in sorted(written.get(phase, {}).items())]
    return tuple(found)
