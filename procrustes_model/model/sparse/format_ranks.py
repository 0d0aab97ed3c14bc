"""Formats that list their ranks to the arrays that kernels read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.formats.rank import LISTED
from procrustes_model.kernels.dense.arrays import Ints
from procrustes_model.kernels.sparse.arrays import RankArrays
from procrustes_model.shipped import list_shipped
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.shape import load_shape
from procrustes_model.spec.sparsity import Format, SparsePhase
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import FormatRanks, RankKind

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem, Tensor

Complain = Callable[[str, str | None, Path], None]


def lower_ranks(
    stored: Sequence[Sequence[Format]], problem: Problem, rules: Rules, phase: SparsePhase, complain: Complain
) -> RankArrays:
    """Return the ranks of the formats that list them.

    Parameters
    ----------
    stored : sequence of sequences of Format
        By level and tensor.
    problem : Problem
    rules : Rules
    phase : SparsePhase
        Whose formats are checked, also where no level has them.
    complain : callable
        Called with a message, a hint and the path of what is wrong with a format.

    Returns
    -------
    RankArrays
    """
    levels, tensors, dimensions = len(stored), len(problem.tensors), list(problem.dimensions)
    most = max((len(one.ranks) for row in stored for one in row), default=0)
    first = np.cumsum([0, *(len(tensor.ranks) for tensor in problem.tensors)])
    lowered = RankArrays(
        are=int(FormatRanks[rules.format_ranks.upper()]),
        listed=np.array([[len(one.ranks) for one in row] for row in stored], np.int64),
        kind=np.zeros((levels, tensors, most), np.int64),
        bits=np.full((levels, tensors, most, 2), -1, np.int64),
        group=np.zeros((levels, tensors, most, len(dimensions)), np.int64),
        place=np.zeros((levels, int(first[-1])), np.int64),
        inward=np.array([[one.begin == "innermost" for one in row] for row in stored], np.bool_),
    )
    by_name = {tensor.name: tensor for tensor in problem.tensors}
    for name, formats in phase.formats.items():
        for level_name, one in formats.items():
            if one.ranks and name in by_name:
                path = ("formats", name, level_name, LISTED)
                _check_ranks(one, problem, by_name[name], lowered.are, path, complain)
    for level, row in enumerate(stored):
        for t, one in enumerate(row):
            for r, rank in enumerate(reversed(one.ranks)):
                at = level, t, r
                lowered.kind[at] = int(rank.form.kind)
                for i, bits in enumerate((rank.metadata_bits, rank.payload_bits)):
                    lowered.bits[(*at, i)] = -1 if bits is None else bits
                for number, group in enumerate(rank.groups, 1):
                    for dimension in group:
                        if dimension in dimensions:
                            lowered.group[(*at, dimensions.index(dimension))] = number
            if one.ranks and lowered.are == FormatRanks.DIMENSIONS:
                own = slice(int(first[t]), int(first[t + 1]))
                lowered.place[level, own] = place_ranks(one, problem.tensors[t])
    return lowered


def place_ranks(stored: Format, tensor: Tensor) -> Ints:
    """Return, int64[K], which rank of a format covers each rank of a tensor, counted from the innermost; -1.

    A rank that names no dimensions takes the next one that is left, the innermost all of them.
    """
    place = np.full(len(tensor.ranks), -1, np.int64)
    count = len(stored.ranks)
    named = {dimension for rank in stored.ranks for group in rank.groups for dimension in group}
    for number, rank in enumerate(stored.ranks):
        for group in rank.groups:
            for k, terms in enumerate(tensor.ranks):
                if any(term.dimension in group for term in terms) and place[k] < 0:
                    place[k] = count - 1 - number
    free = [
        k
        for k, terms in enumerate(tensor.ranks)
        if place[k] < 0 and not any(term.dimension in named for term in terms)
    ]
    for number, rank in enumerate(stored.ranks):
        if not rank.groups and free:
            taken, free = (free, []) if number == count - 1 else (free[:1], free[1:])
            place[taken] = count - 1 - number
    return place


def _check_ranks(
    stored: Format, problem: Problem, tensor: Tensor, are: int, path: Path, complain: Complain
) -> None:
    """Complain of ranks that cannot be what they are stated to be."""
    own = {term.dimension for terms in tensor.ranks for term in terms}
    for number, rank in enumerate(stored.ranks):
        at = (*path, number, "of")
        for dimension in {name: None for group in rank.groups for name in group}:
            if dimension in problem.dimensions and dimension not in own and are == FormatRanks.DIMENSIONS:
                message = f"dimension '{dimension}' does not move '{tensor.name}'"
                complain(message, f"its dimensions are {', '.join(sorted(own))}", at)
            elif dimension not in {*problem.dimensions, *shipped_dimensions()}:
                message = f"the problem {problem.name} has no dimension '{dimension}'"
                complain(message, did_you_mean(dimension, sorted(own)), at)
    if are == FormatRanks.DIMENSIONS:
        _check_dimensions(stored, tensor, path, complain)


def _check_dimensions(stored: Format, tensor: Tensor, path: Path, complain: Complain) -> None:
    """Complain of ranks that are not the tensor's, or that nothing could be read back from."""
    if "begin" in stored.model_fields_set:
        message = f"'begin' has no effect on ranks of '{tensor.name}' itself: it says which take loops first"
        complain(message, "leave it out, or state the rule 'format_ranks: loops'", (*path[:-1], "begin"))
    last = len(stored.ranks) - 1
    place = place_ranks(stored, tensor)
    taken: dict[str, int] = {}
    for number, rank in enumerate(stored.ranks):
        at = (*path, number, "of")
        if len(rank.groups) > 1:
            complain(
                "names several lists of dimensions", "name one, or state the rule 'format_ranks: loops'", at
            )
        for group in rank.groups:
            for terms in tensor.ranks:
                here = [term.dimension for term in terms]
                absent = [name for name in here if name not in group]
                if len(absent) < len(here) and absent:
                    message = f"a rank of '{tensor.name}' is moved by {' and '.join(here)} together"
                    complain(message, "name all of them in one rank of the format", at)
            for name in group:
                if taken.setdefault(name, number) != number:
                    complain(f"dimension '{name}' is in two ranks", "name it once", at)
        if rank.form.kind is RankKind.RLE and number < last:
            message = "of kind 'RLE' cannot have ranks further in: zeros that end a run have none"
            complain(message, "make it the last one, or take CP", (*path, number, "kind"))
        if rank.form.kind is RankKind.UOP and number == last:
            message = "of kind 'UOP' cannot be the innermost: offsets lead to ranks further in"
            complain(message, "add a rank, or take U", (*path, number, "kind"))
    for k, terms in enumerate(tensor.ranks):
        if place[k] < 0:
            missing = " + ".join(term.dimension for term in terms)
            complain(
                f"no rank of the format is that of {missing} in '{tensor.name}'", "add a rank for it", path
            )
            break


def check_masks(phase: SparsePhase, masks: Iterable[str], complain: Complain) -> None:
    """Complain of masks of tensors in formats whose ranks are loops: these are not counted.

    Parameters
    ----------
    phase : SparsePhase
    masks : iterable of str
        Tensors that have one.
    complain : callable
        As of `lower_ranks`.
    """
    for name in masks:
        if any(one.ranks for one in phase.formats.get(name, {}).values()):
            message = f"'{name}' has a mask, on which formats are not counted whose ranks are loops"
            hint = "state a density, or take the rule 'format_ranks' out"
            complain(message, hint, ("rules", "format_ranks"))


@cache
def shipped_dimensions() -> frozenset[str]:
    """Return the dimensions of all shapes that ship."""
    return frozenset(name for shape in list_shipped("shape") for name in load_shape(shape).dimensions)
