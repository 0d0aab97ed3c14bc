"""Several masks at once: every computation looked at by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from procrustes_model import Problem
from procrustes_model.spec.problem import Tensor

Mask = NDArray[np.bool_]
Extents = Mapping[str, int]


def positions(spans: Extents) -> Iterator[dict[str, int]]:
    """Yield every position of some dimensions."""
    for index in itertools.product(*(range(span) for span in spans.values())):
        yield dict(zip(spans, index, strict=True))


def element(tensor: Tensor, at: Mapping[str, int]) -> tuple[int, ...]:
    """Return the element of a tensor that a position meets."""
    return tuple(sum(term.coefficient * at[term.dimension] for term in rank) for rank in tensor.ranks)


def is_empty(tensor: Tensor, mask: Mask, box: Extents, origin: Extents, span: Extents, at: Extents) -> bool:
    """Return whether the box is empty that a position lies in; boxes start at the region's origin."""
    first = {d: at[d] // box[d] * box[d] for d in box}
    inside = {d: min(box[d], span[d] - first[d]) for d in box}
    return not any(
        mask[element(tensor, {d: origin[d] + first[d] + step[d] for d in box})] for step in positions(inside)
    )


def count_jointly(
    problem: Problem,
    masks: Mapping[str, Mask],
    boxes: Mapping[str, Extents],
    origin: Extents,
    span: Extents,
) -> int:
    """Return at how many positions of a region no tensor's box is empty; `masks` has those that count."""
    tensors = [tensor for tensor in problem.tensors if tensor.name in masks]
    return sum(
        not any(is_empty(t, masks[t.name], boxes[t.name], origin, span, at) for t in tensors)
        for at in positions(span)
    )


def sort_computations(
    problem: Problem, masks: Mapping[str, Mask], skip: list[str], gate: list[str]
) -> tuple[int, int, int]:
    """Return how many computations are done, gated and skipped; skipping goes first."""
    tensors = {tensor.name: tensor for tensor in problem.tensors}
    done = gated = skipped = 0
    for at in positions(problem.dimensions):
        zero = {name for name, mask in masks.items() if not mask[element(tensors[name], at)]}
        if zero & set(skip):
            skipped += 1
        elif zero & set(gate):
            gated += 1
        else:
            done += 1
    return done, gated, skipped
