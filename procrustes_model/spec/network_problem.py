"""A layer that is any problem: its tensors' roles say what is trained, and so its phases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from procrustes_model.spec.layer_zeros import LayerZeros
from procrustes_model.spec.problem import Problem, Tensor, Term
from procrustes_model.spec.schema import LARGEST_PRODUCT, Count, Frozen, Identifier, Name, Phases
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.stays import NOWHERE, Stays
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.widths import NO_BITS, Bits, faults_of_bits
from procrustes_model.vocabulary import PHASES, Phase, Role


class Fault(NamedTuple):
    """Why a problem is no layer.

    Attributes
    ----------
    key : str
        Of a file's item: what to change.
    message, hint : str
        As `Issue` takes them.
    """

    key: str
    message: str
    hint: str | None = None


class ProblemLayer(Frozen):
    """A problem for one sample, in its forward phase, as a layer of a network.

    Tensors of role input, output and weights make its phases. Where no tensor has the role weights and one
    operand beside the input has no role, it is a product of two activations, and that operand the second.
    """

    name: Name = Field(description="what results call the layer")
    kind: Literal["problem", "spmm"] = Field(default="problem", description="what sort of layer it is")
    trained: bool = Field(
        default=True,
        strict=True,
        description="whether its weights are trained; without, they are given, and there is no weight update",
    )
    sequence: Identifier | None = Field(
        default=None, description="a dimension whose steps wait for each other, forward and backward"
    )
    problem: Problem = Field(description="one sample's, in the forward phase; named by its shape")
    batch_dimension: Identifier | None = Field(
        default=None, description="the dimension whose bound the batch multiplies; empty: one is added"
    )
    count: Count = Field(default=1, description="separate copies per sample, of a layer without weights")
    bits: Bits = Field(
        default=NO_BITS, description="bits of elements by tensor as results call it, or by phase and tensor"
    )
    starts: Stays = Field(
        default=NOWHERE, description="operands that are on the chip already: levels by tensor, or by phase"
    )
    ends: Stays = Field(
        default=NOWHERE, description="results that stay on the chip: levels by tensor, or by phase"
    )
    sparsity: Sparsity | None = Field(
        default=None, description="a sparse design of its own; empty: that of the run"
    )
    phases: Phases = Field(default=PHASES, description="phases of training that it takes part in")
    machine: Name | None = Field(
        default=None, description="the machine of the network that runs it; empty: that of the run"
    )
    densities: LayerZeros = Field(
        default=(), description="zeros of the layer's own tensors, in place of all else that is said of them"
    )

    @field_validator("problem")
    @classmethod
    def _named_by_shape(cls, problem: Problem) -> Problem:
        # Layers that differ only in their names are one shape.
        return problem.model_copy(update={"name": problem.shape})

    @model_validator(mode="after")
    def _check(self) -> ProblemLayer:
        fault = next(find_faults(self.problem, self.batch_dimension, self.count, self.sequence), None)
        if fault is not None:
            raise ValueError(f"{fault.message}; {fault.hint}" if fault.hint else fault.message)
        wrong = next(faults_of_bits(self.bits.written, result_names(self.problem).values()), None)
        if wrong is not None:
            raise ValueError(wrong.message)
        return self

    def __hash__(self) -> int:
        problem = self.problem
        bounds = frozenset(problem.dimensions.items())  # equal whatever their order, as dicts are
        return hash(
            (
                self.name,
                self.batch_dimension,
                self.count,
                self.bits,
                self.starts,
                self.ends,
                self.sparsity,
                self.phases,
                self.trained,
                self.sequence,
                self.densities,
                self.machine,
                problem.shape,
                problem.phase,
                problem.tensors,
                bounds,
            )
        )

    @property
    def has_weights(self) -> bool:
        """Whether a tensor has the role weights."""
        return Role.WEIGHTS in self.problem.roles

    @property
    def roles(self) -> dict[Role, str]:
        """Names of the tensors by role; the second of two activations stands where weights would."""
        return layer_roles(self.problem)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Lengths of the weights' ranks, a first one of groups with the next; () without weights."""
        if not self.has_weights:
            return ()
        lengths = self.problem.lengths(_by_role(self.problem)[Role.WEIGHTS])
        if groups_of_channels(self.problem):
            return (lengths[0] * lengths[1], *lengths[2:])
        return lengths

    @property
    def weights(self) -> int:
        """The number of weights that are trained, each once; 0 for two activations."""
        return math.prod(self.weight_shape) if self.has_weights and self.trained else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward phase for one sample."""
        return self.problem.computes * self.count


def layer_roles(problem: Problem) -> dict[Role, str]:
    """Return names of tensors by role, with the second of two activations where no tensor is weights."""
    roles = problem.roles
    others = [tensor.name for tensor in problem.tensors if tensor.name not in roles.values()]
    if Role.WEIGHTS not in roles and len(others) == 1:
        roles[Role.WEIGHTS] = others[0]
    return roles


def result_names(problem: Problem) -> dict[str, str]:
    """Return what results call each tensor of a layer: by its role, or as it is called where it has none."""
    roles = {name: role for role, name in layer_roles(problem).items()}
    return {
        tensor.name: roles[tensor.name].tensor if tensor.name in roles else tensor.name
        for tensor in problem.tensors
    }


def leading_groups(problem: Problem) -> bool:
    """Return whether the first rank of the weights counts groups: it is an index of all three tensors."""
    tensors = _by_role(problem)
    ranks = tensors[Role.WEIGHTS].ranks
    if len(tensors) < len(Role) or not ranks or len(ranks[0]) != 1:
        return False
    return all(stands_alone(ranks[0][0].dimension, tensor) for tensor in tensors.values())


def groups_of_channels(problem: Problem) -> bool:
    """Return whether the second rank of the weights, after one of groups, counts the channels of each.

    Those are an index of either the input or the output; the taps of a kernel share one with positions.
    """
    tensors = _by_role(problem)
    ranks = tensors[Role.WEIGHTS].ranks
    if not leading_groups(problem) or len(ranks) < 2 or len(ranks[1]) != 1:
        return False
    channel = ranks[1][0].dimension
    moved = [one for role, one in tensors.items() if role != Role.WEIGHTS and channel in one.dimensions]
    return len(moved) == 1 and stands_alone(channel, moved[0])


def stands_alone(dimension: str, tensor: Tensor) -> bool:
    """Return whether a dimension is an index of its own of a tensor, and moves no other."""
    moved = [rank for rank in tensor.ranks if any(term.dimension == dimension for term in rank)]
    return moved == [(Term(dimension=dimension),)]


def find_faults(
    problem: Problem, batch_dimension: str | None, count: int, sequence: str | None = None
) -> Iterator[Fault]:
    """Yield why a problem is no layer, what the roles say first; nothing where it is one.

    Parameters
    ----------
    problem : Problem
        For one sample.
    batch_dimension : str or None
    count : int
    sequence : str, optional
    """
    roles = layer_roles(problem)
    named = list(_role_faults(problem, roles))
    yield from named
    if named:
        return
    has_weights = Role.WEIGHTS in problem.roles
    if batch_dimension is not None and batch_dimension not in problem.dimensions:
        hint = did_you_mean(batch_dimension, problem.dimensions)
        yield Fault(
            "batch_dimension", f"shape {problem.shape} has no dimension '{batch_dimension[:60]}'", hint
        )
    elif batch_dimension is not None:
        yield from _batch_faults(problem, roles, batch_dimension, has_weights)
    if sequence is not None and (sequence not in problem.dimensions or sequence == batch_dimension):
        message = f"'{sequence[:60]}' is no dimension whose steps wait for each other"
        hint = did_you_mean(sequence, [one for one in problem.dimensions if one != batch_dimension])
        yield Fault("sequence", message, hint)
    if count > 1 and has_weights:
        yield Fault("count", "copies of a layer with weights are layers of their own", "'repeat' makes them")
    if problem.computes * count > LARGEST_PRODUCT:
        yield Fault("count", "more than 2^62 multiply-accumulates")


def _role_faults(problem: Problem, roles: dict[Role, str]) -> Iterator[Fault]:
    if problem.phase not in (None, Phase.FORWARD):
        message = f"shape {problem.shape} is of the {problem.phase.text} phase"
        yield Fault("shape", message, "a layer is written as its forward phase; the others follow")
        return
    missing = [role for role in Role if role not in roles]
    if missing:
        names = ", ".join(tensor.name for tensor in problem.tensors)
        message = f"none of the tensors {names} has the role {' or '.join(missing)}"
        hint = f"state it in shape {problem.shape}, such as 'role: {missing[0]}' beside a projection"
        yield Fault("shape", message, hint)
        return
    if roles[Role.OUTPUT] != problem.output.name:
        message = f"the forward phase writes the tensor of role output, not '{problem.output.name}'"
        yield Fault("shape", message)
    for tensor in problem.tensors:
        reserved = Role.of_tensor(tensor.name)
        if reserved is not None and tensor.name not in problem.roles.values():
            message = f"'{tensor.name}' is what results call the tensor of role {reserved}, and has no role"
            yield Fault("shape", message, "state it, or rename the tensor")
        if not tensor.ranks or not all(tensor.ranks):  # only in Python: no file can say it
            yield Fault("shape", f"no dimension moves an index of tensor '{tensor.name}'")


def _batch_faults(
    problem: Problem, roles: dict[Role, str], dimension: str, has_weights: bool
) -> Iterator[Fault]:
    weights = roles[Role.WEIGHTS] if has_weights else None
    for tensor in problem.tensors:
        moved = dimension in tensor.dimensions
        if tensor.name == weights:
            if moved:
                message = f"all samples have the same weights, '{dimension}' moves an index of '{weights}'"
                yield Fault("batch_dimension", message)
        elif not stands_alone(dimension, tensor) and (moved or tensor.name in roles.values()):
            message = f"samples lie apart, '{dimension}' is no index of its own of '{tensor.name}'"
            yield Fault("batch_dimension", message)


def _by_role(problem: Problem) -> dict[Role, Tensor]:
    tensors = {tensor.name: tensor for tensor in problem.tensors}
    return {role: tensors[name] for role, name in layer_roles(problem).items()}
