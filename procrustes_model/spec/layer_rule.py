"""Rules of a schedule: layers chosen by name, kind, place or channels, and what holds for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from procrustes_model.spec.density import Dimensions
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.schema import Count, Frozen, Name, Phases
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.widths import NO_BITS, Bits

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer

RuleKind = Literal["conv", "grouped", "depthwise", "fully_connected", "matmul", "problem", "spmm"]
_CONDITION = re.compile(r"(at least|at most|multiple of) ([1-9][0-9]{0,8})")


class Groups(Frozen):
    """Groups of n:m that weights keep, in place of what a design says of them."""

    model: Literal["structured"] = Field(description="structured: n of every m in a row are kept")
    nonzeros: Count = Field(description="n: what a group keeps")
    group: Count = Field(description="m: elements of a group")
    along: Dimensions | None = Field(
        default=None, description="what groups run along; empty: as the design's groups in each phase"
    )
    short_groups: Literal["pruned", "dense"] | None = Field(
        default=None, description="where m does not divide the dimension, as in a sparse design"
    )

    @model_validator(mode="after")
    def _check(self) -> Groups:
        if self.nonzeros > self.group:
            raise ValueError("has more nonzeros than its group has elements")
        return self


def _share(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if number or value is None:
        return value if value is None else float(value)
    if isinstance(value, Groups):
        return value
    raise ValueError("must be a number from 0 to 1")


Share = Annotated[float | None, BeforeValidator(_share)]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _condition(text: Any) -> Any:
    if isinstance(text, int) and not isinstance(text, bool) and text >= 1:
        return str(text)
    if isinstance(text, str) and (_CONDITION.fullmatch(text) or re.fullmatch(r"[1-9][0-9]{0,8}", text)):
        return text
    raise ValueError("must be a count, 'at least 16', 'at most 3', 'multiple of 8', or a list of these")


Names = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)]
Kinds = Annotated[tuple[RuleKind, ...], BeforeValidator(_listed), Field(min_length=1)]
Conditions = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(map(_condition, _listed(value)))),
    Field(min_length=1),
]
_CHOOSES = ("names", "kinds", "position", "inputs", "outputs")


class LayerRule(Frozen):
    """What holds for some layers in place of what a part says of all: of several rules, the last one."""

    names: Names | None = Field(
        default=None, description="layers of these names; * stands for any characters, ? for one"
    )
    kinds: Kinds | None = Field(default=None, description="layers of these kinds")
    position: Literal["first", "last"] | None = Field(
        default=None, description="the first layer of the network, or the last"
    )
    inputs: Conditions | None = Field(
        default=None,
        description="layers with so many input channels in a group: a count, 'at least 16', 'at most 3', "
        "'multiple of 8', or a list of them",
    )
    outputs: Conditions | None = Field(default=None, description="the same of the output channels of a group")
    sparsity: Sparsity | None = Field(default=None, description="their sparse design")
    weights: Annotated[float | Groups | None, BeforeValidator(_share)] = Field(
        default=None, description="weights kept / weights of each, or groups of n:m"
    )
    activations: Share = Field(default=None, description="input activations that are not zero")
    gradients: Share = Field(default=None, description="gradients of outputs that are not zero")
    bits: Bits = Field(default=NO_BITS, description="bits of their elements")
    phases: Phases | None = Field(default=None, description="phases of training that they take part in")

    @model_validator(mode="after")
    def _check(self) -> LayerRule:
        if not any(getattr(self, key) is not None for key in _CHOOSES):
            raise ValueError(f"a rule chooses layers by some of {', '.join(_CHOOSES)}")
        others = [key for key in type(self).model_fields if key not in _CHOOSES]
        if all(getattr(self, key) in (None, NO_BITS) for key in others):
            raise ValueError(f"a rule says something of its layers, by some of {', '.join(others)}")
        return self

    def chooses(self, layer: Layer, number: int, count: int) -> bool:
        """Say whether the rule is about a layer.

        Parameters
        ----------
        layer : Layer
        number, count : int
            Which layer of the network it is, from 0, and how many there are.
        """
        at = {"first": 0, "last": count - 1}
        return (
            (self.names is None or matches(self.names, layer.name))
            and (self.kinds is None or layer.kind in self.kinds)
            and (self.position is None or at[self.position] == number)
            and _meets(self.inputs, layer, "in_channels")
            and _meets(self.outputs, layer, "out_channels")
        )


def matches(patterns: Sequence[str], name: str) -> bool:
    """Say whether a name is one of some, in which * and ? stand for characters."""
    return any(pattern == name or fnmatchcase(name, pattern) for pattern in patterns)


def _meets(conditions: tuple[str, ...] | None, layer: Layer, channels: str) -> bool:
    """Say whether the channels of a group meet all conditions; a problem has no channels."""
    if conditions is None:
        return True
    if isinstance(layer, ProblemLayer):
        return False
    number = getattr(layer, channels) // layer.groups
    return all(_met(condition, number) for condition in conditions)


def _met(condition: str, number: int) -> bool:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        return number == int(condition)
    limit = int(found[2])
    return {"at least": number >= limit, "at most": number <= limit, "multiple of": number % limit == 0}[
        found[1]
    ]
