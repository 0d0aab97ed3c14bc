"""Memory of a training step: a tensor is live from the operation that writes it to the last that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Operation(NamedTuple):
    """What one layer does in one phase, by the names of tensors."""

    name: str
    reads: frozenset[str]
    writes: frozenset[str]


def training_step(layers: int, starts: Sequence[int]) -> list[Operation]:
    """Return the operations of a chain of layers whose segments begin at `starts`, the first of them 0.

    Tensors: x0 is the input and x1 the output of layer 0, g their gradients, w weights, d their gradients, s
    the optimizer's state.
    """
    step = [forward(i, "forward") for i in range(layers)]
    ends = [*starts[1:], layers]
    for number in reversed(range(len(starts))):
        first, end = starts[number], ends[number]
        if end != layers:
            step += [forward(i, "again") for i in range(first, end - 1)]
        for i in reversed(range(first, end)):
            written = {f"d{i}"} | ({f"g{i}"} if i else set())
            reads = frozenset({f"g{i + 1}", f"x{i}", f"w{i}"})
            step.append(Operation(f"backward {i}", reads, frozenset(written)))
    every = range(layers)
    reads = frozenset(f"{kind}{i}" for i in every for kind in "wds")
    step.append(Operation("update", reads, frozenset(f"{kind}{i}" for i in every for kind in "ws")))
    return step


def forward(layer: int, name: str) -> Operation:
    """Return the forward phase of a layer."""
    return Operation(f"{name} {layer}", frozenset({f"x{layer}", f"w{layer}"}), frozenset({f"x{layer + 1}"}))


def live_tensors(step: Sequence[Operation]) -> list[set[str]]:
    """Return the tensors that are live in every operation; weights and states always are."""
    names = {name for one in step for name in (*one.reads, *one.writes)}
    lives: list[set[str]] = []
    for now, one in enumerate(step):
        live = set(one.reads | one.writes) | {name for name in names if name[0] in "ws"}
        for name in names:
            there = name == "x0" or any(name in one.writes for one in step[: now + 1])
            after = (at for at in range(now, len(step)) if name in step[at].reads | step[at].writes)
            later = next(after, None)
            # It is there, and the next that meets it reads it before another writes it anew.
            if there and later is not None and name in step[later].reads:
                live.add(name)
        lives.append(live)
    return lives
