"""A rank of a storage format that a design lists rank by rank."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from procrustes_model.formats.rank import RANK_FORMS, RankForm
from procrustes_model.spec.schema import Frozen, Identifier, check_once, one_of

Width = Annotated[int, Field(strict=True, ge=0, le=64)]
Group = Annotated[tuple[Identifier, ...], Field(min_length=1), AfterValidator(check_once)]
RankName = Annotated[str, Field(strict=True), AfterValidator(one_of(RANK_FORMS))]


class FormatRank(Frozen):
    """How one rank of a format stores the positions of its fibers."""

    kind: RankName = Field(description="; ".join(f"{name}: {form.text}" for name, form in RANK_FORMS.items()))
    of: Group | tuple[Group, ...] = Field(
        default=(),
        description="dimensions that are flattened to this rank, or lists of them of which it takes one "
        "where ranks are loops; empty: the next rank of the tensor, the innermost all that are left, or "
        "the next loop",
    )
    metadata_bits: Width | None = Field(
        default=None,
        description="of a bit, an index or a run; empty: 1, what tells positions of a fiber apart, and 5",
    )
    payload_bits: Width | None = Field(
        default=None,
        description="of an offset or a pointer to what lies further in; empty: for UOP what tells the "
        "elements of a tile apart, for others 0. What the innermost rank points to is the data: none",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> FormatRank:
        for key in ("metadata_bits", "payload_bits"):
            if getattr(self, key) is not None and key not in self.form.keys:
                raise ValueError(f"of kind '{self.kind}' takes no '{key}': it stores nothing beside data")
        return self

    @model_serializer(mode="wrap")
    def _write_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what is stated, so that what is written can be read again."""
        return {key: value for key, value in write(self).items() if value not in (None, ())}

    def __str__(self) -> str:
        """Return its kind with its dimensions: CP(C,R,S)."""
        groups = "|".join(",".join(group) for group in self.groups)
        return f"{self.kind}({groups})" if groups else self.kind

    @property
    def form(self) -> RankForm:
        """What the kind says."""
        return RANK_FORMS[self.kind]

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The lists of dimensions that may be flattened to this rank."""
        lists = tuple(one for one in self.of if isinstance(one, tuple))
        names = tuple(one for one in self.of if isinstance(one, str))
        return lists or ((names,) if names else ())
