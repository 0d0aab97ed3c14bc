"""Formats of tensors, rank by rank, from Timeloop's words to this program's."""

from __future__ import annotations

from typing import Any

from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.words import RANKS
from procrustes_model.spec.text.words import did_you_mean

_KEYS = ("format", "flattened_rankIDs", "metadata_word_bits", "payload_word_bits")
_SPACE = ("name", "ranks", "rank_application_order", "compression_rate")
_ORDERS = ("outer_to_inner", "inner_to_outer")


def read_ranks(space: Node, problem: TranslatedProblem) -> dict[str, Any] | None:
    """Return the format of a data space at a level; None where it has no ranks.

    Parameters
    ----------
    space : Node
        With `ranks`, outermost first, and in which order they are given to loops.
    problem : TranslatedProblem
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
    ranks = [_rank(node, problem) for node in listed.list()]
    word = space.get("rank_application_order")
    order = _ORDERS[0] if word is None else word.text().lower().replace("-", "_")
    if order not in _ORDERS:
        (word or space).refuse(f"unknown order '{order[:60]}'", did_you_mean(order, _ORDERS))
    return _written([rank for rank in ranks if rank], order == _ORDERS[1])


def _rank(node: Node, problem: TranslatedProblem) -> dict[str, Any] | None:
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
    for key, ours in (("metadata_word_bits", "metadata_bits"), ("payload_word_bits", "payload_bits")):
        bits = node.get(key)
        if bits is not None:
            rank[ours] = bits.count(least=0)
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
