"""The least cycles of nests that spread alike, by what ports of levels and components take at least."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE, Floats
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.search.arrays import SLACK, Model
from procrustes_model.kernels.search.path_arrays import Road
from procrustes_model.kernels.search.path_wires import is_complete, own_words


@kernel
def _count_words(model: Model, road: Road, way: int, level: int, words: Floats) -> None:
    """Fill in (float64[T, 3]) the least words that an instance of a level reads, fills and updates."""
    for t in range(len(model.kind)):
        words[t, READ] = words[t, FILL] = words[t, UPDATE] = 0.0
        if not road.keep[level, t]:
            continue
        child = level + 1
        while child < len(model.pack) and not road.keep[child, t]:
            child += 1
        own = own_words(model, road, way, t, level)
        if child == len(model.pack):
            out = float(model.computes) / road.ways.units[way, child]
        else:
            out = own_words(model, road, way, t, child)
        for j in range(level, child):
            out *= road.ways.least[way, j, t]
        out = max(out, own) if child < len(model.pack) else out
        if model.output[t]:
            words[t, UPDATE] = out
            words[t, READ] = max(0.0, out - road.ways.fresh[way, level])
        else:
            words[t, READ] = out
            if road.parent[level, t] >= 0:
                words[t, FILL] = own


@kernel
def _slowest_port(model: Model, road: Road, way: int, level: int, words: Floats) -> float:
    """Return the cycles that words take at the slowest port of a level."""
    machine, read, write = model.machine, 0.0, 0.0
    for t in range(len(model.kind)):
        arrived = words[t, UPDATE] * road.ways.units[way, level]
        partial = t == machine.sums.output and not is_complete(model, road, t, arrived)
        if not model.whole:  # of a sum, what an element takes at least
            more = machine.sums.scale[level] / machine.scale[level, t] if partial else 1.0
            read += words[t, READ] * model.moved[level, t, 0]
            write += (words[t, FILL] + words[t, UPDATE] * more) * model.moved[level, t, 1]
            continue
        wide = machine.sums.scale[level] if t == machine.sums.output else machine.scale[level, t]
        scale = wide if partial else machine.scale[level, t]
        read += words[t, READ] * wide
        write += words[t, FILL] * wide + words[t, UPDATE] * scale
    cycles = 0.0
    for port in range(3):
        if model.bandwidth[level, port] < math.inf:
            cycles = max(cycles, (read, write, read + write)[port] / model.bandwidth[level, port])
    return cycles


@kernel
def count_port_cycles(model: Model, road: Road, level: int, cycles: Floats, uses: Floats) -> None:
    """Count what ways take of the ports of a level, and of components there, at least.

    Parameters
    ----------
    model : Model
    road : Road
        `keep` and `parent` are read.
    level : int
    cycles : float64[S]
        Filled in.
    uses : float64[S, C]
        Uses of every component that has a rate, of all instances; filled in.
    """
    words = np.empty((len(model.kind), 3))
    for way in range(len(cycles)):
        _count_words(model, road, way, level, words)
        cycles[way] = math.ceil(_slowest_port(model, road, way, level, words) * (1 - SLACK))
        for c in range(uses.shape[1]):
            uses[way, c] = 0.0
            for t in range(len(model.kind)):
                for action in range(3):
                    each = model.machine.rates.words[c, level, t, action]
                    uses[way, c] += road.ways.units[way, level] * words[t, action] * each
