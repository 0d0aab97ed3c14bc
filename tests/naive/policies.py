"""Balancing policies as a person would carry them out: lists of the work of pieces, element by element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Twin:
    """What a policy does.

    Attributes
    ----------
    pieces : int
        Into how many a tile is cut.
    loads : callable
        From the work of every element's pieces to the work of every element.
    """

    pieces: int
    loads: Callable[[list[list[int]]], list[int]]


def keep(tiles: list[list[int]]) -> list[int]:
    """Return what each element works on alone."""
    return [sum(tile) for tile in tiles]


def pair_halves(tiles: list[list[int]]) -> list[int]:
    """Return the work of pairs: again and again the largest half that is left, with the smallest one."""
    left = sorted(half for tile in tiles for half in tile)
    loads = []
    while left:
        loads.append(left.pop() + left.pop(0))
    return loads


def fill_least(tiles: list[list[int]]) -> list[int]:
    """Return the work of elements: again and again the least of it takes the largest piece that is left."""
    loads = [0] * len(tiles)
    for piece in sorted((piece for tile in tiles for piece in tile), reverse=True):
        loads[loads.index(min(loads))] += piece
    return loads


TWINS = {"none": Twin(1, keep), "half_tile": Twin(2, pair_halves), "longest_first": Twin(4, fill_least)}
"""By name; a test fails for a policy that has none."""
