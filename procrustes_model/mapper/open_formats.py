"""Formats that are open: which a tensor may have at a level, and the design in which a search bounds them.

Open is the format of every tensor with zeros at every level that may keep it. Candidates are all lists of
ranks U, B, CP, UOP and RLE (innermost) over neighbouring ranks of the tensor that a decoder can read: where
fibers have indices or runs, so that nobody knows their end, the rank outside has offsets or pointers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.arrays import Floats, Ints, NestArrays
from procrustes_model.kernels.sparse.arrays import ChoiceArrays
from procrustes_model.kernels.sparse.chosen import (
    count_options,
    find_paths,
    measure_boundaries,
    option_of_runs,
    weigh,
)
from procrustes_model.kernels.sparse.listed import RUN_BITS
from procrustes_model.model.lower import lower_bits
from procrustes_model.model.sparse.buffers import Memo, make_buffers
from procrustes_model.model.sparse.densities import counts_runs
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.model.sparse.steps import evaluate_block
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.format_ranks import FormatRank
from procrustes_model.spec.problem import Problem, Tensor
from procrustes_model.spec.sparsity import Format, Sparsity
from procrustes_model.vocabulary import Phase, RankKind, Served

Slot = tuple[int, int]
"""A level and a tensor."""

Options = Mapping[Slot, frozenset[int]]
"""What formats of slots may leave out; see `chosen.weigh`."""


@dataclass(frozen=True)
class Weighed:
    """What options of a slot take in a mapping.

    Attributes
    ----------
    bits, data : float64[O]
    path : float64[R + 1, R + 1, 2]
    came : int64[R + 1, R + 1, 2, 4]
        See `chosen.find_paths`.
    words : int
        Of the tile.
    """

    bits: Floats
    data: Floats
    path: Floats
    came: Ints
    words: int

    def best(self, allowed: frozenset[int]) -> list[int]:
        """Return the options that no other one beats, the one of least size first."""
        size = {option: (self.data[option] * self.words + self.bits[option], option) for option in allowed}
        kept: list[int] = []
        for option in sorted(size, key=lambda one: (self.bits[one], self.data[one], one)):
            if all(self.data[option] < self.data[one] for one in kept) and np.isfinite(self.bits[option]):
                kept.append(option)
        return sorted(kept, key=size.__getitem__)


@dataclass(frozen=True)
class OpenFormats:
    """A sparse design whose formats are open.

    Attributes
    ----------
    architecture : Architecture
    problem : Problem
    sparsity : Sparsity
    zeros : mapping
        Densities, masks and rules beside the design, as `Evaluator` takes them.
    design : SparseDesign
        As stated.
    """

    architecture: Architecture
    problem: Problem
    sparsity: Sparsity
    zeros: Mapping[str, Any]
    design: SparseDesign

    def __post_init__(self) -> None:
        if self.design.counting.format_ranks != "dimensions":
            raise self._issue("formats whose ranks are loops are not searched", "leave the rule out")
        if not self.slots:
            raise self._issue("has no tensor with zeros whose format could be chosen", "state densities")
        bits = lower_bits(self.architecture, self.problem)
        for level, t in self.slots:
            tensor = self.problem.tensors[t]
            if bits[level, t] == 1:
                raise self._issue(
                    f"elements of '{tensor.name}' have one bit: no format of theirs is searched",
                    "state formats, and leave out 'auto'",
                )
            moved = [term.dimension for rank in tensor.ranks for term in rank]
            if len(set(moved)) < len(moved):
                raise self._issue(
                    f"a dimension moves two ranks of '{tensor.name}': no format of it is searched",
                    "state formats, and leave out 'auto'",
                )

    def _issue(self, message: str, hint: str) -> SpecError:
        return SpecError(self.sparsity.issue(message, hint, self.problem.phase))

    @property
    def slots(self) -> list[Slot]:
        """Where a format is open."""
        zeros = np.flatnonzero((self.design.densities.average < 1) | self.design.masks.known).tolist()
        return [
            (number, t)
            for number, level in enumerate(self.architecture.levels)
            for t in zeros
            if level.may_keep(self.problem.tensors[t].name)
        ]

    def ranks(self, slot: Slot) -> int:
        """Return how many ranks the tensor of a slot has."""
        return len(self.problem.tensors[slot[1]].ranks)

    def every_option(self) -> dict[Slot, frozenset[int]]:
        """Return all options of all slots: runs only where their zeros are counted."""
        found = {}
        for slot in self.slots:
            count, model = self.ranks(slot), int(self.design.densities.model[slot[1]])
            runs = counts_runs(model) and not self.design.masks.known[slot[1]]
            found[slot] = frozenset(range(count_options(count) if runs else count + 1))
        return found

    def is_dense(self, slot: Slot, options: frozenset[int]) -> bool:
        """Say whether nothing is left out in a slot."""
        return options == {self.ranks(slot)}

    def with_formats(self, formats: Mapping[Slot, Format | None]) -> Sparsity:
        """Return the design with other formats in its open slots; None: with zeros stored."""
        phase = self.sparsity.phase(self.problem.phase)
        names = [level.name for level in self.architecture.levels]
        open_tensors = {self.problem.tensors[t].name for _, t in self.slots}
        kept = {name: by_level for name, by_level in phase.formats.items() if name not in open_tensors}
        for (level, t), one in formats.items():
            if one is not None:
                kept.setdefault(self.problem.tensors[t].name, {})[names[level]] = one
        rules = phase.rules
        if not any(one.stores_runs for by_level in kept.values() for one in by_level.values()):
            rules = rules.model_copy(update={"stored_zeros": type(rules)().stored_zeros})
        changed = phase.model_copy(update={"formats": kept, "rules": rules})
        return self.sparsity.model_copy(update={str(self.problem.phase or Phase.FORWARD): changed})

    def relax(self, options: Options) -> tuple[Architecture, Sparsity, ChoiceArrays]:
        """Return what costs no mapping more than any format does that the options allow.

        Each tile takes the fewest bits and the least data that one of its options takes. Components that
        serve compression cost nothing where something may be stored with its zeros.
        """
        finest = {
            slot: None if self.is_dense(slot, some) else _finest(self.problem.tensors[slot[1]])
            for slot, some in options.items()
        }
        machine = self.architecture
        mixed = any(self.ranks(slot) in some and len(some) > 1 for slot, some in options.items())
        if mixed and any(one.when is Served.COMPRESSION for one in machine.components):
            kept = tuple(one for one in machine.components if one.when is not Served.COMPRESSION)
            machine = machine.model_copy(update={"components": kept})
        shape = self.design.compressed.shape
        most = max(count_options(self.ranks(slot)) for slot in options)
        choices = ChoiceArrays(
            open=np.zeros(shape, np.bool_),
            allowed=np.zeros((*shape, most), np.bool_),
            run_bits=RUN_BITS,
            padded=self.design.counting.stored_zeros == "stored",
        )
        for slot, some in options.items():
            choices.open[slot] = finest[slot] is not None
            choices.allowed[slot][list(some)] = True
        return machine, self.with_formats(finest), choices

    def weigh(self, design: SparseDesign, nests: NestArrays) -> dict[Slot, Weighed]:
        """Return what the options of open slots take in one mapping, of those that keep the tensor."""
        choices = design.choices
        assert choices is not None
        buffers = make_buffers(design, 1)
        evaluate_block(design, nests, buffers, Memo(), check=False)
        found = {}
        for level, t in self.slots:
            if not choices.open[level, t] or not nests.keep[0, level, t]:
                continue
            count = self.ranks((level, t))
            every, held = np.ones(count + 1), np.ones(count + 1)
            extent, fields = buffers.loops.below[0, level], buffers.listed.fields[0, level, t]
            measure_boundaries(design.problem, design.formats, level, t, extent, fields, every, held)
            path, came = np.empty((count + 1, count + 1, 2)), np.zeros((count + 1, count + 1, 2, 4), np.int64)
            words, options = int(buffers.dense.tile[0, level, t]), count_options(count)
            find_paths(every, held, words, path, came)
            bits, data = np.empty(options), np.empty(options)
            known = bool(design.masks.known[t])
            weigh(design.densities, t, known, every, held, path, choices.run_bits, choices.padded, bits, data)
            found[level, t] = Weighed(bits, data, path, came, words)
        return found

    def format_of(self, slot: Slot, option: int, weighed: Weighed) -> Format | None:
        """Return the format that needs the fewest bits of an option; None: with zeros stored."""
        count = self.ranks(slot)
        if option == count:
            return None
        ranks = list(_walk_back(self.problem.tensors[slot[1]], option, weighed))
        return Format(ranks=tuple(ranks))


def _finest(tensor: Tensor) -> Format:
    """Return the format in which every rank of a tensor has its own: what `measure_boundaries` reads."""
    outer = [FormatRank(kind="B") for _ in tensor.ranks[1:]]
    return Format(ranks=(*outer, FormatRank(kind="CP")))


def _walk_back(tensor: Tensor, option: int, weighed: Weighed) -> Iterator[FormatRank]:
    """Yield the ranks of a format, outermost first."""
    count, ranks = len(tensor.ranks), []
    state = 0, option, int(weighed.path[0, min(option, count), 1] < weighed.path[0, min(option, count), 0])
    if option > count:
        state = next(
            (b, c, 1)
            for b in range(1, count + 1)
            for c in range(b, count + 1)
            if option_of_runs(count, b, c) == option
        )
        ranks.append(FormatRank(kind="RLE", of=_dimensions(tensor, state[0], 0), metadata_bits=RUN_BITS))
    while state[0] < count:
        outer, compressed, known, kind = (int(one) for one in weighed.came[state])
        name = RankKind(kind).name
        pointed = bool(state[2]) and name in ("B", "CP")
        bits = int(weighed.words).bit_length() if pointed else None
        ranks.append(FormatRank(kind=name, of=_dimensions(tensor, outer, state[0]), payload_bits=bits))
        state = outer, compressed, known
    yield from reversed(ranks)


def _dimensions(tensor: Tensor, outer: int, inner: int) -> tuple[str, ...]:
    """Return the dimensions of the ranks of a tensor between two boundaries."""
    count = len(tensor.ranks)
    own = tensor.ranks[count - outer : count - inner]
    return tuple(dict.fromkeys(term.dimension for rank in own for term in rank))
