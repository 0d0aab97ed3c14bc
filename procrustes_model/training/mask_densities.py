"""What a file of masks says of its layers besides the masks: shapes, and densities by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import cut, quote
from procrustes_model.spec.text.words import did_you_mean

Floats = NDArray[np.float64]
_MOST_STEPS = 8


@dataclass(frozen=True, eq=False)
class MaskDensities:
    """Densities of the layers of a file of masks, by step.

    Attributes
    ----------
    names : tuple of str
        The layers.
    shapes : tuple of tuple of int
        Shapes of their weights.
    steps : tuple of int
        Iterations, ascending.
    storage, weights, activations, gradients : float64[S, layers]
        Stored weights and weights that are not zero, as shares of all; elements of a layer's inputs and of
        the gradients of its outputs that are not zero, as shares of all. NaN: unknown.
    source : str
        What the masks are of.
    file : str, optional
        Where this was read.
    notes : tuple of str
        What else is to be known of them, a sentence each.

    Raises
    ------
    ValueError
        When arrays are not [S, layers], or a density is no share.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[int, ...]
    storage: Floats
    weights: Floats
    activations: Floats
    gradients: Floats
    source: str = ""
    file: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wanted = (len(self.steps), len(self.names))
        if len(self.shapes) != len(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError("names and shapes of the layers do not agree, or names are not unique")
        if any(second <= first for first, second in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"steps {self.steps} do not ascend")
        for kind in ("storage", "weights", "activations", "gradients"):
            values = getattr(self, kind)
            if values.shape != wanted:
                raise ValueError(f"{kind} has shape {values.shape}, {wanted} is expected: steps, layers")
            if np.any((values < 0) | (values > 1)):
                raise ValueError(f"a density of {kind} is not from 0 to 1")

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Weights of each layer: int64[layers]."""
        return np.array([np.prod(shape, dtype=np.int64) for shape in self.shapes], np.int64)

    def total(self, kind: str) -> Floats:
        """Return the density of all weights together, by step: `kind` is 'weights' or 'storage'.

        NaN where that of a layer is unknown, or there are no weights.
        """
        sizes = self.sizes
        weights = int(sizes.sum())
        result: Floats = (
            getattr(self, kind) @ sizes / weights if weights else np.full(len(self.steps), np.nan)
        )
        return result

    def find_layer(self, name: str | None) -> int:
        """Return the number of a layer; where the file has only one, it needs no name.

        Raises
        ------
        SpecError
            When there is no such layer, or none is named among several.
        """
        if name is None:
            if len(self.names) == 1:
                return 0
            has = f"this file has masks of {len(self.names)} layers"
            names = list_names([cut(name) for name in self.names])
            some = f"name one of them (--layer): {names}" if self.names else None
            raise SpecError(Issue(has, some, self.file))
        if name not in self.names:
            raise SpecError(Issue(f"no layer {quote(name)}", did_you_mean(name, self.names), self.file))
        return self.names.index(name)

    def find_step(self, step: int | None) -> int:
        """Return the row of a step, of the last one where none is given.

        Raises
        ------
        SpecError
            When it was not recorded.
        """
        if not self.steps:
            raise SpecError(Issue("no step was recorded in this file", None, self.file))
        if step is None:
            return len(self.steps) - 1
        if step not in self.steps:
            hint = f"recorded are {list_names(self.steps, _MOST_STEPS)}"
            raise SpecError(Issue(f"step {step} was not recorded", hint, self.file))
        return self.steps.index(step)


def list_names(names: Sequence[Any], most: int = 16) -> str:
    """Return names with commas between them; of too many the first ones and the last."""
    if len(names) <= most:
        return ", ".join(str(name) for name in names)
    return f"{', '.join(str(name) for name in names[: most - 1])}, ..., {names[-1]}"
