"""Formats that list their ranks in the most obvious way: each is written, and read back, fiber by fiber.

A tile has one axis per rank of the format, outermost first. A rank has two lists of fields, of metadata and
of payload; the data come after the innermost one. How long a fiber of indices or runs is, the rank outside
says by its offsets, or, of the outermost, the end of the list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.int64]


@dataclass
class RankSpec:
    """A rank: its kind, and the bits of its fields."""

    kind: str
    metadata: int = 0
    payload: int = 0


@dataclass
class Written:
    """The fields of every rank, outermost first, and the elements that are stored as data."""

    metadata: list[list[int]] = field(default_factory=list)
    payload: list[list[int]] = field(default_factory=list)
    data: list[int] = field(default_factory=list)


def entries_of(fiber: Tile, bits: int) -> list[tuple[int, int]]:
    """Return the zeros before a position, and the position; a run too long for a field ends in a zero."""
    entries, zeros = [], 0
    for position, value in enumerate(fiber.tolist()):
        if value or zeros == (1 << bits) - 1:
            entries.append((zeros, position))
            zeros = 0
        else:
            zeros += 1
    return entries


def stored_positions(fiber: Tile, rank: RankSpec) -> list[int]:
    """Return the positions of a fiber, of any axes, whose first one is the rank's, that are stored."""
    if rank.kind == "RLE":
        return [position for _, position in entries_of(fiber, rank.metadata)]
    if rank.kind in ("B", "CP"):
        return [position for position in range(len(fiber)) if fiber[position].any()]
    return list(range(len(fiber)))


def write(tile: Tile, ranks: list[RankSpec]) -> Written:
    """Return a tile as it is stored."""
    written, fibers = Written(), [tile]
    for number, rank in enumerate(ranks):
        innermost = number == len(ranks) - 1
        metadata: list[int] = []
        for fiber in fibers:
            kept = stored_positions(fiber, rank)
            if rank.kind in ("B", "UB"):
                metadata += [int(fiber[position].any()) for position in range(len(fiber))]
            if rank.kind == "CP":
                metadata += kept
            if rank.kind == "RLE":
                metadata += [zeros for zeros, _ in entries_of(fiber, rank.metadata)]
        inner = [[fiber[position] for position in stored_positions(fiber, rank)] for fiber in fibers]
        payload: list[int] = []
        if not innermost and rank.kind != "U":
            begin = 0
            for tiles in inner:
                for one in tiles:
                    payload.append(begin)
                    begin += len(stored_positions(one, ranks[number + 1]))
                if rank.kind == "UOP":
                    payload.append(begin)
        written.metadata.append(metadata)
        written.payload.append(payload)
        fibers = [one for tiles in inner for one in tiles]
    written.data = [int(value) for value in fibers]
    return written


def read(written: Written, ranks: list[RankSpec], shape: tuple[int, ...]) -> Tile:
    """Return the tile that stands in what is written."""
    tile = np.zeros(shape, np.int64)
    places: list[tuple[int, ...]] = [()]
    lengths: list[int] | None = None
    for number, rank in enumerate(ranks):
        metadata, side = written.metadata[number], shape[number]
        if lengths is None:
            lengths = [len(metadata)]
        at, inner, counts = 0, [], []
        for place, length in zip(places, lengths, strict=True):
            taken = {"U": 0, "UOP": 0, "B": side, "UB": side}.get(rank.kind, length)
            fields, at = metadata[at : at + taken], at + taken
            kept = list(range(side))
            if rank.kind == "B":
                kept = [position for position, bit in enumerate(fields) if bit]
            if rank.kind == "CP":
                kept = fields
            if rank.kind == "RLE":
                kept = (np.cumsum(np.array(fields, np.int64) + 1) - 1).tolist()
            inner += [(*place, position) for position in kept]
            counts.append(len(kept))
        assert at == len(metadata), "fields are left over"
        places = inner
        lengths = _lengths(written, ranks, number, counts) if number < len(ranks) - 1 else []
    for place, value in zip(places, written.data, strict=True):
        tile[place] = value
    return tile


def _lengths(written: Written, ranks: list[RankSpec], number: int, counts: list[int]) -> list[int]:
    """Return how many fields every fiber of the next rank has, as far as payload says it; else 0."""
    begins = written.payload[number]
    if ranks[number].kind == "UOP":
        found, at = [], 0
        for count in counts:
            found += np.diff(begins[at : at + count + 1]).tolist()
            at += count + 1
        return found
    if not begins:
        return [0] * sum(counts)
    return np.diff([*begins, len(written.metadata[number + 1])]).tolist()


def bits_of(written: Written, ranks: list[RankSpec]) -> int:
    """Return the bits of all fields, once they fit and the tile can be read from them."""
    total = 0
    for number, rank in enumerate(ranks):
        for fields, bits in (
            (written.metadata[number], rank.metadata),
            (written.payload[number], rank.payload),
        ):
            assert all(one < 1 << bits for one in fields) or bits == 0
            total += bits * len(fields)
    return total
