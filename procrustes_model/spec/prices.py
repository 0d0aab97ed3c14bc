"""Energies of the accesses of a level, and the store of its metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from procrustes_model.spec.schema import Count, Frozen, NonNegative


class ActionEnergy(Frozen):
    """Energy of one access, by action; a number is that of all of them."""

    takes_number: ClassVar[bool] = True

    read: NonNegative = Field(description="pJ per read of words_per_access words")
    write: NonNegative = Field(description="pJ per write of words_per_access words; pays for fills")
    update: NonNegative = Field(
        default_factory=lambda data: data["write"],
        description="pJ per update (a sum from below) of words_per_access words; default: as write",
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, written: Any) -> Any:
        is_number = isinstance(written, (int, float)) and not isinstance(written, bool)
        return {"read": written, "write": written} if is_number and cls.takes_number else written

    @property
    def by_action(self) -> tuple[float, float, float]:
        """PJ to read, to fill and to update: a fill is a write."""
        return self.read, self.write, self.update


FREE = ActionEnergy(read=0.0, write=0.0)


class MetadataEnergy(ActionEnergy):
    """Energy of one access to metadata."""

    gated: ActionEnergy | None = Field(
        default=None, description="the same of metadata of accesses that are gated; empty: as of the others"
    )
    skipped: ActionEnergy = Field(
        default=FREE, description="the same of metadata of accesses that are skipped; default: nothing"
    )


class AccessEnergy(ActionEnergy):
    """Energy of one access, of words_per_access words, to one instance of a level."""

    takes_number: ClassVar[bool] = False

    gated: ActionEnergy = Field(
        default=FREE, description="pJ of an access that is gated: a number, or by action; default: nothing"
    )
    skipped: ActionEnergy = Field(
        default=FREE, description="pJ of an access that is skipped: a number, or by action; default: nothing"
    )
    metadata: MetadataEnergy | None = Field(
        default=None,
        description="pJ of an access to metadata: a number, or by action with 'gated' and 'skipped'; "
        "default: as data",
    )
    idle: NonNegative = Field(
        default=0.0, description="pJ per cycle of an instance that is used, beside what its accesses take"
    )

    @property
    def prices(self) -> tuple[float, ...]:
        """By `vocabulary.Price`."""
        metadata = self if self.metadata is None else self.metadata
        gated = None if self.metadata is None else self.metadata.gated
        skipped = FREE if self.metadata is None else self.metadata.skipped
        kinds = (self, metadata, self.gated, self.skipped, gated or metadata, skipped)
        return tuple(price for kind in kinds for price in kind.by_action)


class MetadataStore(Frozen):
    """A memory beside a level in which the metadata of its tensors lie."""

    other_keys: ClassVar[tuple[str, ...]] = ("capacity",)

    word_bits: Count = Field(description="bits of one word of metadata")
    words_per_access: Count = Field(default=1, description="such words that one access moves")
    capacity_words: Count | None = Field(
        default=None, description="such words that one instance holds; empty: no limit"
    )
