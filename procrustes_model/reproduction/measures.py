"""What validations measure of a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from procrustes_model.model.result import Result
from procrustes_model.model.sparse.result import SparseTensorCounts, sparse_of
from procrustes_model.reproduction.validation import Case
from procrustes_model.spec.tensors import stated_bits


@dataclass(frozen=True)
class Measure:
    """A quantity.

    Attributes
    ----------
    text : str
        What it is.
    digits : str
        As `format` takes it.
    of : callable
        Of a case and the name of a tensor, which may be empty.
    unit : float
        Of the axis of a figure.
    axis : str
        What the axis is called, where its unit is not 1.
    """

    text: str
    digits: str
    of: Callable[[Case, str], float]
    unit: float = 1.0
    axis: str = ""


def _cycles(case: Case, _: str) -> float:
    return float(case.sparse().cycles)


def _speedup(case: Case, _: str) -> float:
    return float(case.dense().cycles / case.sparse().cycles)


def _relative_cycles(case: Case, _: str) -> float:
    return float(case.sparse().cycles / case.dense().cycles)


def _saved_traffic(case: Case, _: str) -> float:
    return _outer_bits(case, case.dense()) / _outer_bits(case, case.sparse())


def _outer_bits(case: Case, result: Result) -> float:
    """Return the bits that the outermost level moves, data and metadata."""
    level, machine = result.levels[0], case.architecture.levels[0]
    stated = stated_bits(case.architecture, case.problem)
    store = machine.word_bits if machine.metadata is None else machine.metadata.word_bits
    total = 0.0
    for counts in level.tensors:
        moved = (counts.reads + counts.fills + counts.updates) * level.instances_used
        total += moved * stated.get(counts.tensor, machine.word_bits)
        if isinstance(counts, SparseTensorCounts):
            total += sum(counts.sparse.metadata) * level.instances_used * store
    return total


def _metadata_over_data(case: Case, tensor: str) -> float:
    """Return the bits of metadata that the outermost level stores of a tensor, over those of its data."""
    counts = sparse_of(case.sparse().tensor(case.architecture.levels[0].name, tensor))
    data = counts.stored_words - counts.stored_metadata_words
    return counts.stored_metadata_words / data


MEASURES = {
    "cycles": Measure("cycles", ",.0f", _cycles, 1e6, "million cycles"),
    "speedup": Measure("times faster than dense", ".2f", _speedup),
    "relative_cycles": Measure("cycles / dense", ".3f", _relative_cycles),
    "saved_traffic": Measure("bits of DRAM traffic, dense / coded", ".2f", _saved_traffic),
    "metadata_over_data": Measure("metadata / data", ".3f", _metadata_over_data),
}
"""By the name that validations state."""
