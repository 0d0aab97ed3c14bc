"""A training run as a list of parts: so many iterations with these densities."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from procrustes_model.spec.network_density import ActivationDensity, DensityProfile, WeightDensity
from procrustes_model.spec.schema import Count, Frozen, Name, Text, build, keys_of
from procrustes_model.spec.text.changes import Edited
from procrustes_model.spec.text.document import document_from_data, missing_key, read_document, unknown_key
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.widths import NO_BITS, Bits, read_bits


class SchedulePart(Frozen):
    """Iterations in a row with the same densities."""

    iterations: Count = Field(description="training steps, one batch each")
    weights: WeightDensity = Field(default=WeightDensity(), description="weights kept; empty: all")
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

    def profile(self, name: str) -> DensityProfile:
        """Return the densities of weights and activations."""
        return DensityProfile(name=name, weights=self.weights, activations=self.activations)


class Schedule(Frozen):
    """What a network goes through while it is trained."""

    name: Name = Field(description="what results call it")
    description: Text = Field(default="", description="what it is, for a reader")
    source: Text = Field(default="", description="where its numbers come from")
    parts: tuple[SchedulePart, ...] = Field(min_length=1, description="parts, first to last")

    @property
    def iterations(self) -> int:
        """Training steps of all parts."""
        return sum(part.iterations for part in self.parts)


def load_schedule(source: str | os.PathLike[str] | Mapping[str, Any] | Schedule) -> Schedule:
    """Return the training run that a file or a dict describes.

    Parameters
    ----------
    source : path, mapping or Schedule
        A YAML file, the parsed content, or a schedule, which is returned as is.

    Returns
    -------
    Schedule

    Raises
    ------
    SpecError
        With every issue found.
    """
    if isinstance(source, Schedule):
        return source
    document = document_from_data(source) if isinstance(source, Mapping) else read_document(source)
    if isinstance(source, Edited):
        document.change(source.changes, "schedule")
    content = document.section("schedule")
    data = dict(content)
    for key in content:
        if key not in Schedule.model_fields:
            unknown_key(document, ("schedule", key), keys_of(Schedule))
            del data[key]
    written = data.get("parts")
    parts: list[SchedulePart] = []
    if isinstance(written, list):
        for number, one in enumerate(written):
            place = ("schedule", "parts", number)
            if not isinstance(one, dict):
                document.complain(place, f"item {number + 1} of 'parts' must be {PAIRS}, is {shorten(one)}")
                continue
            if "bits" in one:
                one = {**one, "bits": read_bits(one["bits"], (*place, "bits"), document)}
            if (part := build(SchedulePart, one, document, place)) is not None:
                parts.append(part)
        data["parts"] = parts if len(parts) == len(written) else [SchedulePart(iterations=1)]
    elif "parts" not in data:
        missing_key(document, ("schedule", "parts"), content, keys_of(Schedule), "a list of parts")
        data["parts"] = [SchedulePart(iterations=1)]
    schedule = build(Schedule, data, document, ("schedule",))
    document.raise_issues()
    assert schedule is not None
    return schedule
