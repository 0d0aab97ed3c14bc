"""What storage formats are made of: ranks with terms of metadata, as data that one kernel reads.

A format describes a tile rank by rank, outermost first. A rank of the format covers some ranks of the tensor,
flattened to one; its fibers are the rows of positions that it has for each position of the ranks outside.
The metadata of a tile are fields of bits, and every term counts one sort of field::

    bits = sum over ranks and terms of coefficient * quantity * width

Names of ranks are those of Sparseloop: U, UOP, CP, B, RLE.
"""

from __future__ import annotations

from dataclasses import dataclass

from procrustes_model.vocabulary import Quantity, RankKind, Width

Cover = tuple[int, int | None]
"""The first of the tensor's ranks that a rank of a format covers, and the one after the last."""

FIRST: Cover = (0, 1)
REST: Cover = (1, None)
ALL: Cover = (0, None)


@dataclass(frozen=True, slots=True)
class Term:
    """Fields of metadata of one sort.

    Attributes
    ----------
    quantity : Quantity
        How many there are.
    width : Width
        Bits of one, times the coefficient.
    coefficient : float or str
        A number, or the key of a sparse design's format that states it.
    run_bits : int or str
        Of ENTRIES, bits of a run's length: a number, or a key.
    """

    quantity: Quantity
    width: Width = Width.ONE
    coefficient: float | str = 1.0
    run_bits: int | str = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that state a part of the term."""
        stated = tuple(value for value in (self.coefficient, self.run_bits) if isinstance(value, str))
        return (*stated, "block") if self.quantity is Quantity.BLOCKS else stated


@dataclass(frozen=True, slots=True)
class Rank:
    """How a format stores some ranks of a tensor, flattened to one.

    Attributes
    ----------
    kind : str
        U, UOP, CP, B or RLE.
    cover : Cover
    terms : tuple of Term
    compressed : bool
        Whether positions without a nonzero are left out, but for those that end a run.
    """

    kind: str
    cover: Cover
    terms: tuple[Term, ...]
    compressed: bool


def uncompressed(cover: Cover) -> Rank:
    """Return a rank U: all positions in order, which need no metadata."""
    return Rank("U", cover, (), compressed=False)


def offset_pairs(cover: Cover) -> Rank:
    """Return a rank UOP: per position the offset at which what lies further in begins, and a last end."""
    terms = Term(Quantity.FIBERS, Width.OFFSET), Term(Quantity.POSITIONS, Width.OFFSET)
    return Rank("UOP", cover, terms, compressed=False)


def coordinates(cover: Cover) -> Rank:
    """Return a rank CP: the index of every nonzero in its fiber."""
    return Rank("CP", cover, (Term(Quantity.NONZEROS, Width.INDEX),), compressed=True)


def bits(cover: Cover, pointer_bits: int | str = 0) -> Rank:
    """Return a rank B: one bit per position and, where it has pointers, one per block of positions."""
    pointers = (Term(Quantity.BLOCKS, coefficient=pointer_bits),) if pointer_bits else ()
    return Rank("B", cover, (Term(Quantity.POSITIONS), *pointers), compressed=True)


def runs(cover: Cover, run_bits: int | str) -> Rank:
    """Return a rank RLE: the zeros before every nonzero; a longer run takes zeros that are stored."""
    terms = (Term(Quantity.ENTRIES, coefficient=run_bits, run_bits=run_bits),)
    return Rank("RLE", cover, terms, compressed=True)


@dataclass(frozen=True, slots=True)
class StorageFormat:
    """How a tile is stored: the ranks, and what users call it.

    Attributes
    ----------
    name : str
        What files and results say.
    text : str
        What is stored beside the data, in a few words.
    ranks : tuple of Rank
        Outermost first; together they cover all ranks of a tensor. None: all positions are stored.
    """

    name: str
    text: str
    ranks: tuple[Rank, ...]

    def __post_init__(self) -> None:
        """Check that ranks follow each other, and that the innermost, if any, leaves positions out.

        Raises
        ------
        ValueError
            Where they do not: fibers would not be known, or metadata not be needed.
        """
        reached: int | None = 0
        for rank in self.ranks:
            if rank.cover[0] != reached:
                raise ValueError(f"format {self.name}: rank {rank.kind} does not begin where the last ended")
            reached = rank.cover[1]
        if self.ranks and reached is not None:
            raise ValueError(f"format {self.name}: its ranks do not cover all ranks of a tensor")
        if any(rank.compressed for rank in self.ranks[:-1]):
            raise ValueError(f"format {self.name}: only the innermost rank may leave positions out")
        if self.terms and not self.compressed:
            raise ValueError(f"format {self.name}: where all positions are stored no metadata are needed")

    @property
    def terms(self) -> tuple[tuple[Cover, Term], ...]:
        """All terms, with what their rank covers."""
        return tuple((rank.cover, term) for rank in self.ranks for term in rank.terms)

    @property
    def compressed(self) -> bool:
        """Whether zeros are left out of the data, but for those that end a run."""
        return bool(self.ranks) and self.ranks[-1].compressed

    @property
    def runs(self) -> Term | None:
        """The term that counts entries, of which some store a zero; None: data are nonzeros only."""
        return next((term for _, term in self.terms if term.quantity is Quantity.ENTRIES), None)

    @property
    def in_blocks(self) -> bool:
        """Whether metadata of blocks do not depend on what is in them.

        Those of blocks that are not full can then be dropped.
        """
        fixed = Quantity.POSITIONS, Quantity.BLOCKS
        return bool(self.terms) and all(
            cover == ALL and term.quantity in fixed and term.width is Width.ONE for cover, term in self.terms
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a design may state for it, beside its kind."""
        stated = [key for _, term in self.terms for key in term.keys]
        blocked = ["block", "partial_blocks"] if self.in_blocks else []
        return tuple(dict.fromkeys([*stated, *blocked]))


@dataclass(frozen=True, slots=True)
class RankForm:
    """What a design may list as a rank of a format.

    Attributes
    ----------
    kind : RankKind
    text : str
        What is stored, in a few words.
    compressed : bool
        Whether positions without a nonzero are left out, but for those that end a run.
    keys : tuple of str
        The widths that a design may state for it.
    """

    kind: RankKind
    text: str
    compressed: bool
    keys: tuple[str, ...]

    @property
    def has_metadata(self) -> bool:
        """Whether it stores anything beside data."""
        return bool(self.keys)


_BOTH = ("metadata_bits", "payload_bits")

RANK_FORMS = {
    form.kind.name: form
    for form in (
        RankForm(RankKind.U, "all positions", compressed=False, keys=()),
        RankForm(RankKind.B, "a bit per position, those of zeros left out", compressed=True, keys=_BOTH),
        RankForm(RankKind.UB, "a bit per position, none left out", compressed=False, keys=_BOTH),
        RankForm(RankKind.CP, "an index per position that has a nonzero", compressed=True, keys=_BOTH),
        RankForm(RankKind.RLE, "a run of zeros per nonzero", compressed=True, keys=_BOTH),
        RankForm(RankKind.UOP, "offsets, one more than positions", compressed=False, keys=_BOTH),
    )
}
"""By name, in the order in which they are listed to users."""

LISTED = "ranks"
"""What results call a format that lists its ranks, and the key that lists them."""
