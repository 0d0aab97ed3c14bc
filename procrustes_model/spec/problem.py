"""The work: named dimensions with bounds, and tensors indexed by sums of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from procrustes_model.spec.schema import LARGEST_PRODUCT, Count, Frozen, Identifier, Name, PartError
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Phase, Role


class Term(Frozen):
    """One summand of an index: a dimension times a whole number."""

    dimension: Identifier = Field(description="the dimension that moves the index")
    coefficient: Count = Field(default=1, description="how far one step of the dimension moves it")


class Tensor(Frozen):
    """One operand, with one index per rank."""

    name: Name = Field(description="what mappings and results call the tensor")
    ranks: tuple[tuple[Term, ...], ...] = Field(description="per rank, the terms whose sum is the index")
    is_output: bool = Field(default=False, description="whether the problem accumulates into it")
    role: Role | None = Field(default=None, description="what it is in a layer that is trained, if stated")

    def index_text(self, rank: int, names: Mapping[str, str]) -> str:
        """Return the index of one rank as text, such as ``2*p+r``.

        Parameters
        ----------
        rank : int
        names : mapping of str to str
            Loop variable of each dimension.
        """
        terms = (
            (f"{term.coefficient}*" if term.coefficient != 1 else "") + names[term.dimension]
            for term in self.ranks[rank]
        )
        return "+".join(terms) or "0"

    @property
    def dimensions(self) -> frozenset[str]:
        """The dimensions that move an index."""
        return frozenset(term.dimension for rank in self.ranks for term in rank)


class Problem(Frozen):
    """One tensor-algebra operation."""

    name: Name = Field(description="what results call the problem")
    shape: Name = Field(description="the shape that gave it its dimensions and tensors")
    phase: Phase | None = Field(default=None, description="the training phase, if any")
    dimensions: dict[Identifier, Count] = Field(description="bound of every dimension, in the shape's order")
    tensors: tuple[Tensor, ...] = Field(description="operands, in the shape's order; one is the output")
    bits: dict[Name, Count] = Field(
        default={}, description="bits of an element by tensor, whatever the architecture says of it"
    )
    starts: dict[Name, Name] = Field(
        default={},
        description="operands that are on the chip already: by tensor, the level that holds all of it",
    )
    ends: dict[Name, Name] = Field(
        default={},
        description="the output, where it stays on the chip: by tensor, the level that holds all of it",
    )

    @model_validator(mode="after")
    def _check(self) -> Problem:
        if not self.dimensions:
            raise ValueError("at least one dimension is needed")
        if self.computes > LARGEST_PRODUCT:
            raise ValueError("the product of the bounds is more than 2^62")
        names = [tensor.name for tensor in self.tensors]
        if len(set(names)) < len(names):
            raise ValueError(f"tensor names must differ: {', '.join(names)}")
        if sum(tensor.is_output for tensor in self.tensors) != 1:
            raise ValueError("exactly one tensor must be the output")
        stated = [tensor.role for tensor in self.tensors if tensor.role is not None]
        if len(set(stated)) < len(stated):
            raise ValueError(f"tensors share a role: {', '.join(stated)}")
        if not set(self.bits) <= set(names):
            raise ValueError(f"bits of {', '.join(sorted(set(self.bits) - set(names)))}, which is no tensor")
        for key in ("starts", "ends"):
            for name in getattr(self, key):
                if name not in names:
                    raise PartError(
                        (key, name), f"'{name}' is no tensor of {self.name}", did_you_mean(name, names)
                    )
                if (name == self.output.name) != (key == "ends"):
                    hint = "an operand 'starts' at a level, the output 'ends' at one"
                    raise PartError((key, name), f"'{name}' cannot stand in '{key}'", hint)
        used = {term.dimension for tensor in self.tensors for rank in tensor.ranks for term in rank}
        if not used <= set(self.dimensions):
            raise ValueError(f"no bound for {', '.join(sorted(used - set(self.dimensions)))}")
        return self

    @property
    def output(self) -> Tensor:
        """The tensor that is accumulated into."""
        return next(tensor for tensor in self.tensors if tensor.is_output)

    @property
    def homes(self) -> dict[str, str]:
        """Levels where tensors begin and end, as far as the problem says so."""
        return {**self.starts, **self.ends}

    @property
    def roles(self) -> dict[Role, str]:
        """Names of the tensors that have a role.

        Where no tensor states one, those called Weights, Inputs and Outputs have theirs by name.
        """
        stated = {tensor.role: tensor.name for tensor in self.tensors if tensor.role is not None}
        names = (tensor.name for tensor in self.tensors)
        return stated or {role: name for name in names if (role := Role.of_tensor(name)) is not None}

    def role_of(self, tensor: str) -> Role | None:
        """Return the role of the tensor of this name, if it has one."""
        return next((role for role, name in self.roles.items() if name == tensor), None)

    @property
    def computes(self) -> int:
        """The number of multiply-accumulates: the product of all bounds."""
        return math.prod(self.dimensions.values())

    def length(self, rank: tuple[Term, ...]) -> int:
        """Return how many elements a tensor has along one of its ranks: its largest index and one."""
        return 1 + sum(term.coefficient * (self.dimensions[term.dimension] - 1) for term in rank)

    def lengths(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the length of every rank of a tensor of the problem."""
        return tuple(map(self.length, tensor.ranks))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a problem file, its shape in place: `load_problem` reads it back.

        A tensor without ranks, or a rank that nothing moves, is none that a file can describe.
        """
        names = {name: name for name in self.dimensions}
        tensors: dict[str, dict[str, Any]] = {}
        for tensor in self.tensors:
            tensors[tensor.name] = {} if tensor.role is None else {"role": tensor.role.value}
            tensors[tensor.name]["projection"] = [
                tensor.index_text(rank, names) for rank in range(len(tensor.ranks))
            ]
            if tensor.is_output:
                tensors[tensor.name]["output"] = True
        shape: dict[str, Any] = {"name": self.shape}
        if self.phase is not None:
            shape["phase"] = self.phase.value
        shape |= {"dimensions": list(self.dimensions), "tensors": tensors}
        content = {"name": self.name, "shape": shape, "dimensions": dict(self.dimensions)}
        own: dict[str, Any] = {"bits": dict(self.bits)}
        for key, wanted in (("starts", False), ("ends", True)):  # in another phase another tensor is written
            own[key] = {
                name: level for name, level in self.homes.items() if (name == self.output.name) == wanted
            }
        return content | {key: value for key, value in own.items() if value}
