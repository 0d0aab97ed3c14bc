"""Work without multiply-accumulates: every element is read, computed on and written once.

Updates of weights by an optimizer, activation functions, neurons with a state, normalisation, softmax and the
making of masks are such layers. Nothing is used twice, so there is nothing to map.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from procrustes_model.spec.schema import (
    LARGEST_PRODUCT,
    Count,
    Frozen,
    Name,
    NonNegative,
    PartError,
    Positive,
    check_once,
)
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Phase

Tensors = Annotated[tuple[Name, ...], AfterValidator(check_once)]
Elements = Annotated[int, Field(strict=True, ge=1, le=LARGEST_PRODUCT)]


class Elementwise(Frozen):
    """What is done with every element, whatever their number."""

    phase: Phase = Field(default=Phase.FORWARD, description="the phase of a training step that it is part of")
    steps: Count = Field(default=1, description="times that it is done for every sample, such as time steps")
    reads: Tensors = Field(default=(), description="operands: an element of each is read")
    writes: Tensors = Field(default=(), description="results: an element of each is written")
    operations: Count = Field(default=1, description="operations on every element")
    operations_per_cycle: Positive | None = Field(
        default=None,
        description="of a unit of its own, such as 32 lanes; empty: the machine's units do an operation as "
        "they do a multiply-accumulate",
    )
    energy_pj: NonNegative | None = Field(
        default=None, description="pJ per operation; empty: as a multiply-accumulate of the machine"
    )
    bits: dict[Name, Count] = Field(
        default={}, description="bits of an element by tensor; others: those of the network, then the machine"
    )
    saved: Tensors = Field(
        default=(),
        description="of them, those that are kept from the forward phase until the backward phase, such as "
        "states of a neuron in every time step",
    )
    at: dict[Name, Name] = Field(
        default={},
        description="by tensor, the level where it begins and ends, which must hold it; others: where the "
        "machine says, else the outermost storage",
    )

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of what is read or written, each once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))

    @model_validator(mode="after")
    def _check_tensors(self) -> Elementwise:
        if not self.tensors:
            raise PartError((), "nothing is read or written", "name tensors in 'reads', 'writes' or 'states'")
        if self.saved and self.phase != Phase.FORWARD:
            raise PartError(("saved",), f"'saved' has no effect in the phase {self.phase}")
        for key in ("bits", "at", "saved"):
            for name in getattr(self, key):
                if name not in self.tensors:
                    hint = did_you_mean(name, self.tensors) or f"it has {', '.join(self.tensors)}"
                    raise PartError((key, name), f"no tensor '{name[:60]}' for '{key}'", hint)
        return self


class ElementwiseLayer(Elementwise):
    """A layer of a network that does something with every element of some tensors."""

    name: Name = Field(description="what results call the layer")
    kind: Literal["elementwise"] = Field(default="elementwise", description="what sort of layer it is")
    elements: Elements = Field(description="of each tensor: of one sample, or of a training step")
    per: Literal["sample", "step"] = Field(
        default="sample", description="whether the batch multiplies the elements"
    )
    after: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=0, description="how many layers with multiply-accumulates stand before it"
    )
    machine: Name | None = Field(default=None, description="the machine of the network that runs it")

    def total(self, batch: int) -> int:
        """Return the elements of a training step."""
        return self.elements * self.steps * (batch if self.per == "sample" else 1)
