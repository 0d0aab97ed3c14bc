"""Densities of a network: which part of its weights is kept, layer by layer, and of its activations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from procrustes_model.errors import Issue
from procrustes_model.spec.schema import (
    Frozen,
    Name,
    Origin,
    PartError,
    Placed,
    Text,
    Unsigned,
    build,
    keys_of,
)
from procrustes_model.spec.text.document import Document, unknown_key
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path

DensityRule = Literal["uniform", "erdos_renyi_kernel"]
Part = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False), Unsigned]
Factor = Annotated[float, Field(strict=True, ge=1, le=1e9, allow_inf_nan=False)]


class WeightDensity(Frozen):
    """Which part of the weights is kept."""

    overall: Part | None = Field(default=None, description="weights kept / all weights; empty: all")
    times_fewer: Factor | None = Field(
        default=None, description="all weights / weights kept, instead of 'overall'"
    )
    rule: DensityRule = Field(
        default="uniform",
        description="how they are spread over layers. uniform: the same part of each; erdos_renyi_kernel: in "
        "proportion to (inputs + outputs + kernel rows + columns) / (their product), at most all",
    )
    layers: dict[Name, Share] = Field(
        default={}, description="by layer: a density that the rule does not change"
    )

    @model_validator(mode="after")
    def _check(self) -> WeightDensity:
        if self.overall is not None and self.times_fewer is not None:
            raise ValueError("'overall' and 'times_fewer' are both given; keep one")
        if self.kept is None and "rule" in self.model_fields_set:
            message = "'rule' has no effect without 'overall' or 'times_fewer': there is nothing to spread"
            raise PartError(("rule",), message)
        return self

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what has an effect, so that what is written can be read again."""
        return {key: value for key, value in write(self).items() if key != "rule" or self.kept is not None}

    @property
    def kept(self) -> float | None:
        """Weights kept / all weights of the network; None where nothing is said."""
        return 1 / self.times_fewer if self.times_fewer is not None else self.overall


class ActivationDensity(Frozen):
    """Which part of a layer's input activations is not zero."""

    default: Part | None = Field(default=None, description="of layers that are not named; empty: not known")
    layers: dict[Name, Share] = Field(default={}, description="by layer: density of its input")


class DensityProfile(Placed):
    """Densities of the weights and activations of a network."""

    name: Name = Field(description="what results call it")
    description: Text = Field(default="", description="what it is, for a reader")
    source: Text = Field(default="", description="where its numbers come from")
    weights: WeightDensity = Field(default=WeightDensity(), description="weights kept")
    activations: ActivationDensity = Field(
        default=ActivationDensity(), description="activations that are not zero"
    )

    def issue(self, message: str, hint: str | None, path: Path) -> Issue:
        """Return an issue that points at the key at `path` in the profile's file, if it has one."""
        origin = self._origin
        if origin.file is None:
            return Issue(message, hint)
        return Issue(message, hint, origin.file, *origin.by_path.get(path, ()))


def load_density(source: str | os.PathLike[str] | Mapping[str, Any] | DensityProfile) -> DensityProfile:
    """Return the densities that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or DensityProfile
        A YAML file, the name of a shipped profile, the parsed content, or a profile, which is returned as is.

    Returns
    -------
    DensityProfile

    Raises
    ------
    SpecError
        With every issue found.
    """
    if isinstance(source, DensityProfile):
        return source
    from procrustes_model.spec.text.document import open_document

    document = open_document(source, "density")
    content = document.section("density")
    sections: dict[str, type[Frozen]] = {"weights": WeightDensity, "activations": ActivationDensity}
    for key in content:
        if key not in DensityProfile.model_fields:
            unknown_key(document, ("density", key), keys_of(DensityProfile))
    data = {key: value for key, value in content.items() if key in DensityProfile.model_fields}
    for key, model in sections.items():
        if key in data:
            data[key] = _section(model, data[key], ("density", key), document)
    profile = build(DensityProfile, data, document, ("density",))
    document.raise_issues()
    assert profile is not None
    places = {key: document.place(key, key=True) for key in document.keys}
    return profile.read_from(Origin(document.file, by_path=places))


def _section(model: type[Frozen], written: Any, path: Path, document: Document) -> Frozen:
    """Return a section, the section's defaults where it has an issue."""
    if isinstance(written, dict):
        return build(model, written, document, path) or model()
    document.complain(path, f"'{path[-1]}' must be {PAIRS}, is {shorten(written)}")
    return model()
