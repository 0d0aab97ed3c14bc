"""Sparsity: what is zero, how it is stored, which work it saves, and how work is balanced.

A file describes one design. What differs between the training phases is data in it, and so are the rules
in which a published model differs from this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from procrustes_model.errors import Issue, SpecError
from procrustes_model.formats import FORMATS, NONE, describe_formats, takers_of
from procrustes_model.formats.rank import LISTED
from procrustes_model.policies import NO_POLICY, POLICIES
from procrustes_model.spec.density import Density, Share
from procrustes_model.spec.format_ranks import FormatRank
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.schema import (
    Count,
    Frozen,
    Identifier,
    Name,
    NonNegative,
    PartError,
    Placed,
    Text,
    check_needs,
    check_once,
    one_of,
)
from procrustes_model.spec.sparsity_written import write_sparsity
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES, Phase, RankKind


def _inner_share(number: float) -> float:
    if not 0 < number < 1:
        raise ValueError("must be more than 0 and less than 1, such as 0.99")
    return number


InnerShare = Annotated[float, Field(strict=True), AfterValidator(_inner_share)]
Bits = Annotated[int, Field(strict=True, ge=0, le=64)]
PolicyName = Annotated[str, Field(strict=True), AfterValidator(one_of(POLICIES))]


Names = Annotated[tuple[Name, ...], AfterValidator(check_once)]
FormatName = Annotated[str, Field(strict=True), AfterValidator(one_of(FORMATS))]

EVERY_LEVEL = "*"
"""In place of a level's name: this format everywhere it is not said otherwise."""


class Format(Frozen):
    """How one level stores one tensor: data without its zeros, and metadata that says where they were."""

    kind: FormatName = Field(
        default=LISTED, description=f"{describe_formats()}; empty where 'ranks' are listed"
    )
    ranks: tuple[FormatRank, ...] = Field(
        default=(), description="in place of a kind: the ranks of the format, outermost first"
    )
    begin: Literal["outermost", "innermost"] = Field(
        default="outermost",
        description="where ranks are loops, which rank takes a loop first, and which loop; "
        "ranks that are left over store nothing; ranks",
    )
    pointer_bits: Bits = Field(
        default=0, description=f"bits of a block's pointer; {takers_of('pointer_bits')}"
    )
    block: Count | tuple[Identifier, ...] | Literal["tile", "half_tile"] = Field(
        default="tile",
        description="positions of a block: a number, dimensions (all of each), the tile of a processing "
        f"element, or half of it where balancing cuts it; {takers_of('block')}",
    )
    run_bits: Count = Field(
        default=5,
        le=32,
        description=f"bits of a run; longer ones take an extra entry; {takers_of('run_bits')}",
    )
    partial_blocks: Literal["in_proportion", "whole", "dropped"] = Field(
        default="in_proportion",
        description="metadata of a block that is not full: its share of a pointer, a whole pointer, or none; "
        f"{takers_of('partial_blocks')}",
    )

    @field_validator("block", mode="before")
    @classmethod
    def _check_block(cls, block: Any) -> Any:
        whole = isinstance(block, int) and not isinstance(block, bool) and block >= 1
        if whole or isinstance(block, list | tuple) or block in ("tile", "half_tile"):
            return block
        raise ValueError("must be a whole number of at least 1, dimensions such as [R, S], tile or half_tile")

    @model_validator(mode="after")
    def _check_keys(self) -> Format:
        if self.kind == LISTED and not self.ranks:
            raise ValueError("needs a 'kind', or 'ranks' that say what it is made of")
        for key in type(self).model_fields:
            if key in self.model_fields_set and key not in self._taken:
                if self.ranks:
                    raise ValueError(f"that lists its ranks takes no '{key}'")
                takers = takers_of(key) or "formats that list their ranks"
                raise ValueError(f"of kind '{self.kind}' takes no '{key}', a key of {takers}")
        return self

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what the format takes, so that what is written can be read again."""
        return {key: value for key, value in write(self).items() if key in self._taken}

    @property
    def _taken(self) -> tuple[str, ...]:
        """The keys that may be stated."""
        if self.ranks:
            return (LISTED, "begin")
        return ("kind", *FORMATS[self.kind].keys)

    def __str__(self) -> str:
        """Return its kind, or its ranks, outermost first."""
        return " ".join(map(str, self.ranks)) if self.ranks else self.kind

    @property
    def compressed(self) -> bool:
        """Whether zeros are left out of the data, but for those that end a run."""
        if self.ranks:
            return any(rank.form.compressed for rank in self.ranks)
        return FORMATS[self.kind].compressed

    def leaves_out(self, rules: Rules) -> bool:
        """Return whether only nonzeros count as data: where ranks are loops, of all that have metadata."""
        has_metadata = len(self.ranks) > 1 or any(rank.form.kind != RankKind.U for rank in self.ranks)
        return self.compressed or (rules.format_ranks != "dimensions" and has_metadata)

    @property
    def stores_runs(self) -> bool:
        """Whether zeros that end a run too long for its field are stored."""
        if self.ranks:
            return any(rank.form.kind is RankKind.RLE for rank in self.ranks)
        return FORMATS[self.kind].runs is not None


class Action(Frozen):
    """Accesses that are not done because what they would meet is zero."""

    level: Name = Field(description="the level, or role, at which accesses are saved")
    kind: Literal["gate", "skip", "skip_space", "skip_positions"] = Field(
        description="gate: takes the cycle; skip: takes neither cycle nor energy; skip_space: instances "
        "below that meet only zeros are left out, which makes room for others; skip_positions: only "
        "positions that are not zero are handed out"
    )
    target: Name = Field(description="the tensor whose accesses are saved, or whose positions are chosen")
    on: Names = Field(description="tensors whose empty tiles save them; none where positions are chosen")

    @property
    def saves_accesses(self) -> bool:
        """Whether accesses to the level are saved: what makes room saves instances and steps below it."""
        return self.kind in ("gate", "skip")

    @model_validator(mode="after")
    def _check_leaders(self) -> Action:
        if bool(self.on) == (self.kind == "skip_positions"):
            message = "'on' names the tensors whose zeros save accesses, at least one"
            if self.on:
                message = f"'on' has no effect: positions of '{self.target}' are chosen by its own zeros"
            raise PartError(("on",), message)
        return self


class ComputeActions(Frozen):
    """Computations that are not done because an operand is zero."""

    skip: Names = Field(
        default=(),
        description="operands whose zeros take neither cycle nor energy; they must arrive compressed, "
        "but for the output, of which only what is not zero is computed",
    )
    gate: Names = Field(default=(), description="operands whose zeros take the cycle only")
    gated_energy: Share = Field(
        default=0.0,
        description="energy of a gated computation as a share of a done one; with gate, here or in an action",
    )

    @model_validator(mode="after")
    def _check_effect(self) -> ComputeActions:
        skipped = set(self.skip)
        for name in self.gate:
            if name in skipped:
                message = f"'gate' has '{name}', which is skipped already"
                raise PartError(("gate",), message, "keep one of them")
        return self

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what has an effect, so that what is written can be read again."""
        return {key: value for key, value in write(self).items() if key != "gated_energy" or value}


_BALANCING_NEEDS = {
    "policy": ("tensor",),
    "array": ("tensor",),
    "pointer_level": ("tensor", "pointer_reads"),
    "pointer_reads": ("tensor", "pointer_level"),
    "pointer_share": ("pointer_reads",),
    "pointer_energy": ("pointer_reads",),
}
"""By key, those without which it has no effect."""


class Balancing(Frozen):
    """How the work of processing elements that wait for each other is evened out."""

    policy: PolicyName = Field(
        default=NO_POLICY.name, description="; ".join(f"{one.name}: {one.rule}" for one in POLICIES.values())
    )
    tensor: Name | None = Field(
        default=None, description="the tensor whose nonzeros are the work; empty: it is taken to be even"
    )
    array: Name | None = Field(
        default=None,
        description="the level, or role, whose instances wait for each other; empty: the innermost",
    )
    pointer_level: Names = Field(
        default=(),
        description="the level, or role, that holds the pointers of pieces of tiles; of several the first "
        "that the machine has",
    )
    pointer_reads: NonNegative = Field(
        default=0.0, description="pointer reads per piece of a tile each time it is read"
    )
    pointer_share: NonNegative = Field(default=1.0, description="share of those reads that is charged")
    pointer_energy: NonNegative = Field(
        default=1.0, description="energy of such a read, in reads of that level"
    )

    @model_validator(mode="after")
    def _check_effect(self) -> Balancing:
        given = [
            key for key in type(self).model_fields if key in self.model_fields_set and key != "policy"
        ] + (["policy"] if POLICIES[self.policy].balances else [])
        check_needs(given, _BALANCING_NEEDS, self._used())
        return self

    def _used(self) -> list[str]:
        """Return the keys on which others depend and that have a value with an effect."""
        named = [key for key in ("tensor", "pointer_level") if getattr(self, key)]
        return [*named, "pointer_reads"] if self.pointer_reads else named

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what has an effect, so that what is written can be read again."""
        used = self._used()
        return {
            key: value
            for key, value in write(self).items()
            if value not in (None, (), []) and all(needed in used for needed in _BALANCING_NEEDS.get(key, ()))
        }


class Capacity(Frozen):
    """Which size of a compressed tile has to fit, and what happens when it does not."""

    size: Literal["dense", "average", "quantile", "maximum"] = Field(
        default="dense",
        description="dense: as if nothing were zero; average: expected; quantile: exceeded rarely; "
        "maximum: of the fullest tile that can occur",
    )
    quantile: InnerShare = Field(default=0.99, description="share of tiles that must fit; quantile")
    overflow: Literal["reject", "spill"] = Field(
        default="reject",
        description="reject: the mapping is not valid; spill: the rest is accessed one level further out",
    )

    @model_validator(mode="after")
    def _check_effect(self) -> Capacity:
        if self.size != "quantile" and "quantile" in self.model_fields_set:
            raise ValueError(f"of size '{self.size}' takes no 'quantile', a key of size 'quantile'")
        if self.size == "dense" and self.overflow == "spill":
            raise ValueError("of size 'dense' cannot spill: its tiles must fit; state another size")
        return self

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what has an effect, so that what is written can be read again."""
        return {
            key: value for key, value in write(self).items() if key != "quantile" or self.size == "quantile"
        }


def find_twice(actions: Sequence[Action]) -> tuple[int, str] | None:
    """Return the number of an action that another one before it does already, and what they do; or None."""
    saved: set[tuple[str, ...]] = set()
    for number, action in enumerate(actions):
        where = "" if action.saves_accesses else action.kind
        here = [(action.level, action.target, name, where) for name in action.on or (action.target,)]
        if twice := next((one for one in here if one in saved), None):
            return number, f"accesses of '{twice[1]}' at {twice[0]} are saved on '{twice[2]}' twice"
        saved.update(here)
    return None


class SparsePhase(Frozen):
    """A design in one training phase."""

    densities: dict[Name, Density] = Field(default={}, description="by tensor; others are dense")
    formats: dict[Name, dict[Name, Format]] = Field(
        default={},
        description="by tensor and level, or role ('*': every level); others are stored with their zeros",
    )
    actions: tuple[Action, ...] = Field(default=(), description="accesses saved")
    compute: ComputeActions = Field(default=ComputeActions(), description="computations saved")
    balancing: Balancing = Field(default=Balancing(), description="imbalance, and what is done about it")
    capacity: Capacity = Field(default=Capacity(), description="what has to fit")
    rules: Rules = Field(default=Rules(), description="differences to this model's own rules")

    @model_validator(mode="after")
    def _check_actions(self) -> SparsePhase:
        """Raise where an action has no effect beside another one on the same level and tensor."""
        if twice := find_twice(self.actions):
            number, message = twice
            raise PartError(("actions", number), message, "keep one of them")
        return self

    @property
    def roomy(self) -> set[str]:
        """Levels below which instances are left out."""
        return {action.level for action in self.actions if action.kind == "skip_space"}

    def format_of(self, tensor: str, level: str) -> Format:
        """Return how a level stores a tensor: as said for it, for every level, or else with its zeros."""
        by_level = self.formats.get(tensor, {})
        return by_level.get(level) or by_level.get(EVERY_LEVEL) or Format(kind=NONE.name)


class Sparsity(Placed):
    """A sparse design in all phases."""

    name: Name = Field(description="what results call it")
    description: Text = Field(default="", description="what it is, for a reader")
    source: Text = Field(default="", description="where its rules come from")
    forward: SparsePhase = Field(description="the forward phase, and problems that state no phase")
    backward: SparsePhase = Field(description="the data gradient")
    weight_update: SparsePhase = Field(description="the weight gradient")

    def __hash__(self) -> int:
        return hash(self.name)  # equal designs have equal names; the phases hold dicts

    def issue(
        self, message: str, hint: str | None = None, phase: Phase | None = None, path: Path = ()
    ) -> Issue:
        """Return an issue that points at the design's file, or at a part of it there.

        Parameters
        ----------
        message, hint : str
        phase : str, optional
            The phase in which the part matters; what stands under `phases` comes before what holds for all.
        path : tuple of str and int
            Of the part in a phase, such as ``('formats', 'Weights', 'DRAM')``; where nothing stands there,
            the nearest thing around it is pointed at.
        """
        origin = self._origin
        if origin.file is None:
            return Issue(message, hint, f"sparsity {self.name}")
        for length in range(len(path), 0, -1):
            for start in (("sparsity", "phases", phase or Phase.FORWARD), ("sparsity",)):
                if place := origin.by_path.get((*start, *path[:length])):
                    return Issue(message, hint, origin.file, *place)
        return Issue(message, hint, origin.file)

    def phase(self, name: Phase | None) -> SparsePhase:
        """Return the design in one phase; a problem that states none counts as forward."""
        phase: SparsePhase = getattr(self, name or Phase.FORWARD)
        return phase

    def to_dict(self) -> dict[str, Any]:
        """Return the design as a file holds it; `load_sparsity` reads it back to an equal one."""
        return write_sparsity(self.model_dump(exclude_defaults=True))

    def to_yaml(self) -> str:
        """Return the design as text that `load_sparsity` reads back to an equal one."""
        import yaml

        text = yaml.safe_dump(
            self.to_dict(), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
        )
        return str(text)

    def with_balancing(self, policy: str) -> Sparsity:
        """Return the same design with another balancing policy in every phase.

        Parameters
        ----------
        policy : str
            A name in `policies.POLICIES`.

        Raises
        ------
        SpecError
            When there is no such policy.
        """
        if policy not in POLICIES:
            raise SpecError(Issue(f"no balancing policy '{policy}'", did_you_mean(policy, POLICIES)))
        changed = {}
        for name in PHASES:
            phase: SparsePhase = getattr(self, name)
            balancing = phase.balancing.model_copy(update={"policy": policy})
            changed[name.value] = phase.model_copy(update={"balancing": balancing})
        return self.model_copy(update=changed)
