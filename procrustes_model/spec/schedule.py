"""A training run as a list of parts: so many iterations with these densities, designs and bits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from procrustes_model.spec.layer_rule import Groups, LayerRule
from procrustes_model.spec.network_density import ActivationDensity, DensityProfile, WeightDensity
from procrustes_model.spec.schema import Count, Frozen, Name, PartError, Phases, Text
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.vocabulary import PHASES

MAX_PARTS = 10_000
LayerNames = Annotated[tuple[Name, ...], Field(min_length=1)]
Partitions = Count | Annotated[tuple[LayerNames, ...], Field(min_length=1)]


class SchedulePart(Frozen):
    """Iterations in a row with the same densities; with `partitions`, one such turn for each of them."""

    iterations: Count = Field(description="training steps, one batch each")
    sparsity: Sparsity | None = Field(
        default=None,
        description="the sparse design of all layers; empty: that of the schedule, or of the run",
    )
    weights: WeightDensity | Groups = Field(
        default=WeightDensity(), description="weights kept; empty: all, or what the part's design says"
    )
    activations: ActivationDensity = Field(
        default=ActivationDensity(), description="input activations that are not zero; empty: not known"
    )
    gradients: ActivationDensity = Field(
        default=ActivationDensity(),
        description="gradients of outputs that are not zero; empty: what the sparse design says",
    )
    bits: Bits = Field(
        default=NO_BITS, description="bits of elements of all layers, by tensor or by phase and tensor"
    )
    masks: Text | None = Field(
        default=None, description="recorded masks, in place of densities: weights are counted on them"
    )
    step: int | None = Field(
        default=None, strict=True, ge=0, description="recorded step of the masks; empty: the last"
    )
    phases: Phases = Field(default=PHASES, description="phases of training that layers take part in")
    stop_gradient_at: Name | None = Field(
        default=None,
        description="the first layer that is trained: it has no backward phase, and layers before it have "
        "only the forward phase",
    )
    layers: tuple[LayerRule, ...] = Field(
        default=(), description="what holds for single layers in place of this; of several, the last one"
    )
    partitions: Partitions | None = Field(
        default=None,
        description="layers that take turns being dense: a list of lists of names, in which * stands for any "
        "characters, or a number of runs of layers",
    )
    parallel: bool = Field(
        default=False, strict=True, description="whether all turns run at once, each on a machine of its own"
    )

    @model_validator(mode="after")
    def _check(self) -> SchedulePart:
        if self.masks is not None and not self.says_nothing_of_weights:
            raise PartError(("masks",), "the weights are given twice: by 'weights' and by 'masks'")
        if self.step is not None and self.masks is None:
            raise PartError(("step",), "'step' has no effect without 'masks'")
        if self.parallel and self.partitions is None:
            raise PartError(("parallel",), "'parallel' has no effect without 'partitions'")
        return self

    @property
    def says_nothing_of_weights(self) -> bool:
        """Whether neither densities nor groups of weights are stated."""
        return isinstance(self.weights, WeightDensity) and self.weights == WeightDensity()

    def profile(self, name: str) -> DensityProfile:
        """Return the densities of weights and activations."""
        weights = self.weights if isinstance(self.weights, WeightDensity) else WeightDensity()
        return DensityProfile(name=name, weights=weights, activations=self.activations)


class Schedule(Frozen):
    """What a network goes through while it is trained."""

    name: Name = Field(description="what results call it")
    description: Text = Field(default="", description="what it is, for a reader")
    source: Text = Field(default="", description="where its numbers come from")
    sparsity: Sparsity | None = Field(
        default=None, description="the sparse design of parts that state none; empty: that of the run"
    )
    steps_per_epoch: Count | None = Field(
        default=None, description="training steps of an epoch, for parts that are counted in epochs"
    )
    parts: tuple[SchedulePart, ...] = Field(min_length=1, description="parts, first to last")

    @property
    def iterations(self) -> int:
        """Training steps of all parts, of every turn where partitions are counted already."""
        return sum(
            part.iterations * (1 if part.partitions is None else _turns(part.partitions))
            for part in self.parts
        )


def _turns(partitions: Any) -> int:
    return partitions if isinstance(partitions, int) else len(partitions)
