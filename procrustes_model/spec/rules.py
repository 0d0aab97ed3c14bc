"""Rules: where counting follows a published model rather than this one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from procrustes_model.spec.schema import Frozen


class Rules(Frozen):
    """Where counting follows a published model rather than this one."""

    output_fills: Literal["after_first", "all"] = Field(
        default="after_first",
        description="all: also the first fill of an output, which has nothing to fetch, counts",
    )
    overlap: Literal["relevant", "innermost"] = Field(
        default="relevant",
        description="innermost: where the innermost loop outside does not move a tile, all keep overlap",
    )
    rounding: Literal["exact", "whole_words"] = Field(
        default="exact",
        description="whole_words: expected counts are rounded, removed ones down (outputs' reads: up)",
    )
    probabilities: Literal["exact", "boost"] = Field(
        default="exact",
        description="boost: those of hypergeometric densities, and means over them, have the errors of that "
        "library, on which rounding may depend",
    )
    stored_zeros: Literal["stored", "metadata_only"] = Field(
        default="stored",
        description="metadata_only: zeros that end a run too long for its field take a field, but no word of "
        "data",
    )
    format_ranks: Literal["dimensions", "loops", "loops_2022"] = Field(
        default="dimensions",
        description="what the ranks of a format are that lists them; dimensions: the tensor's own, and "
        "sizes are those of what is written; loops: the loops of the level that move the tensor, and sizes "
        "are estimated and rounded as Sparseloop does; loops_2022: the same as in its outputs of that year, "
        "where a rank takes a dimension once and indices are not rounded fiber by fiber",
    )
    metadata_ports: Literal["own", "shared"] = Field(
        default="own",
        description="through what metadata go that a level keeps in a store of their own; own: its ports; "
        "shared: those of the data, whose bandwidth they take",
    )
    access_energy: Literal["by_action", "largest"] = Field(
        default="by_action", description="largest: all accesses of a tensor together cost the dearest action"
    )
    network_words: Literal["sent", "dense"] = Field(
        default="sent",
        description="what networks carry; sent: what accesses are left, and its metadata; dense: what moves "
        "if nothing is zero, and no metadata",
    )
    last_accesses: Literal["filled", "by_tile"] = Field(
        default="filled",
        description="what the last access of several words to a compressed tile moves; filled: words of the "
        "next tile, too; by_tile: no others, where that adds more than about 1 % to the accesses",
    )
    access_box: Literal["met", "joined"] = Field(
        default="met",
        description="what must be zero for an action to save an access; met: all that meets what the access "
        "moves while it stays, at compute units in one step; joined: parts of a tile are joined to fill an "
        "access, and those that meet the leader in turn save nothing",
    )
    capacity: Literal["together", "added"] = Field(
        default="together",
        description="what tensors with masks take in a level; together: the size of the tiles that lie there "
        "at the same time has to fit; added: that of each tensor alone, added up",
    )
    gated_operands: Literal["take_cycle", "dropped"] = Field(
        default="take_cycle",
        description="what a computation does whose operand's access is gated; take_cycle: it is gated too; "
        "dropped: it takes neither cycle nor energy",
    )
    several_actions: Literal["together", "strongest"] = Field(
        default="together",
        description="what several actions on a tensor at a level save; strongest: what one of them does, the "
        "one that saves most",
    )
    partial_sums: Literal["dense", "compressed"] = Field(
        default="dense",
        description="how sums in progress of a compressed output move; compressed: like complete ones; needs "
        "whole_words",
    )
    empty_tiles: Literal["counted", "unused"] = Field(
        default="counted",
        description="what instances do whose tile is empty and known to be; unused: they are not used, and "
        "counts are those of one that is; needs whole_words",
    )
    absent_operands: Literal["seen", "absent", "absent_2022"] = Field(
        default="seen",
        description="what a computation is all of whose operands are zeros that are not stored; seen: as "
        "others that meet a zero; absent: none at all; absent_2022: none, rounded apart, as in "
        "Sparseloop's outputs of that year; needs whole_words",
    )
    position_use: Literal["together", "mean"] = Field(
        default="together",
        description="how well compute units are used where positions are chosen; together: as in all groups "
        "of positions together; mean: as in a group on average, one without any takes a step too, and what "
        "is left out in space counts as used",
    )
    masks: Literal["joint", "independent"] = Field(
        default="joint",
        description="how zeros of several tensors with masks meet; joint: counted position by position; "
        "independent: as if one said nothing of another",
    )
