"""Which inputs of layers a training step keeps, and which it computes again."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from procrustes_model.spec.schema import Count, Frozen, Name, PartError, check_once


class Checkpointing(Frozen):
    """Layers whose inputs are kept until they are used again; others between them are computed again.

    The layers from one that is kept to the next are a segment. When the backward phase comes to a segment, it
    computes its forward phase again, but for the last layer of it, whose output is the next one's kept input.
    The last segment was computed just before, and is kept whole.
    """

    every: Count | None = Field(
        default=None, description="layers of a segment; 1: every input is kept, nothing is computed again"
    )
    layers: Annotated[tuple[Name, ...], AfterValidator(check_once)] | None = Field(
        default=None, description="in its place, the layers with which segments begin, beside the first"
    )

    @model_validator(mode="after")
    def _check(self) -> Checkpointing:
        if (self.every is None) == (self.layers is None):
            message = "'every' and 'layers' are both given" if self.every else "no layer is kept"
            raise PartError(("layers",) if self.every else (), message, "one of every: 4, layers: [conv3]")
        return self

    def starts(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return the positions of the layers with which segments begin, among all layers in order."""
        if self.every is not None:
            return tuple(range(0, len(names), self.every))
        return tuple(sorted({0, *(names.index(name) for name in self.layers or ())}))

    def again(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return the positions of the layers whose forward phase is computed again."""
        pairs = pairwise(self.starts(names))
        return tuple(position for start, end in pairs for position in range(start, end - 1))
