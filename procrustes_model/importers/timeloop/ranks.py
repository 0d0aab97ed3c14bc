"""Formats of tensors, rank by rank, from Timeloop's words to this program's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.words import RANKS
from procrustes_model.spec.text.words import did_you_mean

_KEYS = ("format", "flattened_rankIDs", "metadata_word_bits", "payload_word_bits")
_SPACE = ("name", "ranks", "rank_application_order", "compression_rate")
_ALL, _ONE_BIT = "U", "B"
_NO_OWN_BITS = {"UB": "that tool takes those of the level", _ALL: "it stores nothing beside data"}
_ORDERS = ("outer_to_inner", "inner_to_outer")


@dataclass(frozen=True)
class Fields:
    """The store of metadata of a level, as far as it says how wide a field is.

    Attributes
    ----------
    row : int
        Bits of a row; 0: there is no store, and metadata cost nothing.
    default : int
        Bits of a field where its rank does not say.
    hyphens : bool
        Whether bits of a payload are read where their key has hyphens.
    """

    row: int = 0
    default: int = 0
    hyphens: bool = True

    def bits(self, node: Node | None, default: int | None = None) -> int:
        """Return the bits of a field, so that a row holds a whole number of them, as that tool widens it."""
        stated = default if node is None else node.count(least=0)
        if stated is None:
            return self.default
        wide = stated
        while stated and self.row % wide and wide < 2 * stated:
            wide += 1
        if node is not None and wide > self.row:
            node.refuse(f"a field of {wide} bits does not fit into a row of {self.row}")
        return wide


def read_ranks(space: Node, problem: TranslatedProblem, fields: Fields) -> dict[str, Any] | None:
    """Return the format of a data space at a level; None where it has no ranks.

    Parameters
    ----------
    space : Node
        With `ranks`, outermost first, and in which order they are given to loops.
    problem : TranslatedProblem
    fields : Fields
        Of the level.
    """
    for key, part in space.items():
        if key not in _SPACE:
            part.refuse(f"'{part.path[-1]}' of a format cannot be said here", key=True)
    rate = space.get("compression_rate")
    if rate is not None and rate.number() != 1:
        rate.refuse("a share of the zeros that is left out: that cannot be said", key=True)
    listed = space.get("ranks")
    if listed is None:
        space.refuse("a format has no 'ranks'")
        return None
    ranks = [_rank(node, problem, fields) for node in listed.list()]
    word = space.get("rank_application_order")
    order = _ORDERS[0] if word is None else word.text().lower().replace("-", "_")
    if order not in _ORDERS:
        (word or space).refuse(f"unknown order '{order[:60]}'", did_you_mean(order, _ORDERS))
    return _written([rank for rank in ranks if rank], order == _ORDERS[1])


def _rank(node: Node, problem: TranslatedProblem, fields: Fields) -> dict[str, Any] | None:
    for key, part in node.items():
        if key not in _KEYS:
            part.refuse(f"'{part.path[-1]}' of a rank cannot be said here", key=True)
    word = node.get("format")
    kind = "" if word is None else word.text().upper()
    if kind not in RANKS:
        (word or node).refuse(f"unknown format '{kind[:60]}' of a rank", did_you_mean(kind, RANKS))
        return None
    rank: dict[str, Any] = {"kind": kind}
    of = _flattened(node.get("flattened_rankIDs"), problem)
    if of:
        rank["of"] = of
    metadata, payload = node.get("metadata_word_bits"), node.get("payload_word_bits")
    if payload is not None and not fields.hyphens and "-" in str(payload.path[-1]):
        if payload.count(least=0) not in (None, fields.default):
            payload.findings.note(
                "'payload-word-bits' is not read by that year's version, which knows 'payload_word_bits' "
                "only: the bits are the level's"
            )
        payload = None
    if kind in _NO_OWN_BITS:
        for bits in (metadata, payload):
            if bits is not None:
                bits.findings.drop(f"bits of a rank {kind}: {_NO_OWN_BITS[kind]}", bits.place)
        metadata = payload = None
    if kind == _ALL:
        return rank
    rank["metadata_bits"] = fields.bits(metadata, 1 if kind == _ONE_BIT else None)
    rank["payload_bits"] = fields.bits(payload)
    return rank


def _flattened(node: Node | None, problem: TranslatedProblem) -> list[str]:
    """Return the dimensions that a rank may cover: those of all lists."""
    if node is None:
        return []
    lists = [part.list() for part in node.list()]
    names = [part.text() for parts in lists for part in parts]
    if len(lists) > 1:
        node.refuse("several lists of dimensions for one rank: that cannot be said yet")
    for name in names:
        if name not in problem.bounds:
            node.refuse(f"unknown dimension '{name[:60]}'", did_you_mean(name, problem.bounds))
    return names


def _written(ranks: list[dict[str, Any]], inner_first: bool) -> dict[str, Any]:
    """Return the format as a sparse design has it: ranks from the outermost."""
    return {"ranks": ranks} | ({"begin": "innermost"} if inner_first else {})
