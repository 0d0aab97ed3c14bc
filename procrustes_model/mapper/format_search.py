"""Search for formats and mapping together: a tree over what formats leave out, a search for each part."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.sparse.arrays import ChoiceArrays
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.open_formats import OpenFormats, Options, Slot, Weighed
from procrustes_model.mapper.request import SearchRequest
from procrustes_model.mapper.result import Certificate, SearchResult
from procrustes_model.mapper.task import Run, Task, compile_kernels
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.result import Result
from procrustes_model.model.sparse.lower import SparseDesign
from procrustes_model.objective import parse_objective
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.sparsity import Sparsity

Find = Callable[[SearchRequest, ChoiceArrays | None], tuple[Task, Incumbent, Certificate, bool]]
"""Searches a space; see `search.find`."""

NO_DESIGN = "formats are chosen under a sparse design", "state one: it says what is zero"
"""What is wrong where there is none, and what would be right."""

_SAME = 1e-12
"""Relative difference of costs that rounding errors explain."""


@dataclass(frozen=True)
class _Found:
    """A mapping, the design it was evaluated under, and what it costs."""

    mapping: Mapping
    sparsity: Sparsity
    result: Result


@dataclass
class _Tree:
    """What is left of the space, and the best so far.

    Attributes
    ----------
    request : SearchRequest
    formats : OpenFormats
    find : callable
    deadline : Deadline
    """

    request: SearchRequest
    formats: OpenFormats
    find: Find
    deadline: Deadline
    best: _Found | None = None
    measured: int = 0
    searches: int = 0
    mapspace: int | None = None
    refused: SpecError | None = None
    interrupted: bool = False
    settled: float = math.inf
    _open: list[tuple[float, int, Options]] = field(default_factory=list)
    _number: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def value(self) -> float:
        """Objective of the best so far; infinite while there is none."""
        return math.inf if self.best is None else self._score(self.best.result)

    @property
    def lower_bound(self) -> float:
        """What no mapping falls below in any formats."""
        waiting = self._open[0][0] if self._open else math.inf
        return min(waiting, self.settled, self.value)

    def _score(self, result: Result) -> float:
        aim = parse_objective(self.request.objective)
        return float(Incumbent(aim).score(result.energy_pj, float(result.cycles)))

    def offer(self, found: _Found) -> None:
        """Keep what is better, and within the limits."""
        aim, result = parse_objective(self.request.objective), found.result
        allowed = aim.allows(np.array([result.energy_pj]), np.array([float(result.cycles)]))[0]
        key = self._score(result), result.energy_pj
        if allowed and (self.best is None or key < (self.value, self.best.result.energy_pj)):
            self.best = found

    def run(self) -> None:
        """Search until nothing that is left can be better, or time is over."""
        self._try_stated()
        heapq.heappush(self._open, (0.0, next(self._number), self.formats.every_option()))
        while self._open and not self.interrupted and not self.deadline.late:
            bound, _, options = self._open[0]
            if bound >= self.value * (1 - _SAME):
                break
            heapq.heappop(self._open)
            try:
                self._search_part(bound, options)
            except KeyboardInterrupt:  # before that part had any mapping
                if self.best is None:
                    raise
                self.interrupted = True
                self._push(bound, options)

    def _left(self) -> SearchRequest:
        """Return the request with the time and the effort that are left."""
        seconds, effort = self.request.limit, self.request.effort
        left = None if seconds is None else max(0.0, seconds - self.deadline.elapsed)
        work = None if effort is None else max(0, effort - self.deadline.spent)
        return replace(self.request, seconds=left, effort=work, formats="stated")

    def _try_stated(self) -> None:
        """Search under the formats that the design states: what is found is never worse."""
        try:
            task, incumbent, certificate, self.interrupted = self.find(self._left(), None)
        except SpecError as error:
            self.refused = error
            return
        self.deadline.spend(task.space.deadline.spent)
        self.measured, self.mapspace = certificate.measured, certificate.mapspace
        self.searches += 1
        assert incumbent.nests is not None
        mapping = task.space.to_mapping(incumbent.nests, "stated", incumbent.last)
        self.offer(_Found(mapping, self.formats.sparsity, task.evaluator.evaluate(mapping)))

    def _search_part(self, bound: float, options: Options) -> None:
        """Bound a part of the space; then it is settled, or split in two."""
        machine, sparsity, choices = self.formats.relax(options)
        request = replace(self._left(), architecture=machine, sparsity=sparsity)
        try:
            task, incumbent, certificate, stopped = self.find(request, choices)
        except SpecError as error:
            if self.deadline.late:
                self._push(bound, options)
            self.refused = self.refused or error
            return
        self.searches += 1
        self.deadline.spend(task.space.deadline.spent)
        self.measured += certificate.measured
        self.interrupted = self.interrupted or stopped
        bound = max(bound, certificate.lower_bound)
        assert incumbent.nests is not None
        mapping = task.space.to_mapping(incumbent.nests, "relaxed", incumbent.last)
        if not isinstance(task.space.design, SparseDesign):  # nothing is compressed, and nothing saved
            self.offer(_Found(mapping, sparsity, task.evaluator.evaluate(mapping)))
            self.settled = min(self.settled, bound)
            return
        nests = lower_mapping(self.formats.problem, mapping)
        weighed = self.formats.weigh(task.space.design, nests)
        chosen = {slot: one.best(options[slot])[0] for slot, one in weighed.items()}
        self._settle(mapping, chosen, weighed, options)
        if certificate.proven and self.value <= bound * (1 + _SAME):
            self.settled = min(self.settled, bound)
            return
        if bound >= self.value * (1 - _SAME) or not certificate.proven:
            self.settled = min(self.settled, bound)
            return
        self._split(bound, options, weighed, chosen)

    def _push(self, bound: float, options: Options) -> None:
        heapq.heappush(self._open, (bound, next(self._number), options))

    def _split(
        self, bound: float, options: Options, weighed: dict[Slot, Weighed], chosen: dict[Slot, int]
    ) -> None:
        """Split the options of the slot in which no single one takes as little as all together."""
        several = {slot: one for slot, one in weighed.items() if len(one.best(options[slot])) > 1}
        left = several or {slot: one for slot, one in weighed.items() if len(options[slot]) > 1}
        if not left:
            self.settled = min(self.settled, bound)
            return
        slot = max(left, key=lambda one: (left[one].words, one))
        option = frozenset({chosen[slot]})
        for part in (option, options[slot] - option):
            if part:
                self._push(bound, {**options, slot: part})

    def _evaluate(
        self, mapping: Mapping, chosen: dict[Slot, int], weighed: dict[Slot, Weighed]
    ) -> _Found | None:
        """Return a mapping in the formats of options; None where it is not valid."""
        formats = self.formats
        written = {slot: formats.format_of(slot, option, weighed[slot]) for slot, option in chosen.items()}
        sparsity = formats.with_formats(written)
        try:
            return _Found(mapping, sparsity, self.evaluate(mapping, sparsity))
        except SpecError:
            return None

    def evaluate(self, mapping: Mapping, sparsity: Sparsity) -> Result:
        """Evaluate a mapping under a design with formats."""
        formats = self.formats
        evaluator = Evaluator(formats.architecture, formats.problem, sparsity=sparsity, **formats.zeros)
        return evaluator.evaluate(mapping)

    def _settle(
        self, mapping: Mapping, chosen: dict[Slot, int], weighed: dict[Slot, Weighed], options: Options
    ) -> None:
        """Offer the mapping in the options chosen, once each slot has been changed while that is better."""
        best = self._evaluate(mapping, chosen, weighed)
        for slot, one in weighed.items():
            for option in one.best(options[slot])[1:]:
                other = self._evaluate(mapping, {**chosen, slot: option}, weighed)
                if other is not None and (
                    best is None or self._score(other.result) < self._score(best.result)
                ):
                    best, chosen[slot] = other, option
        if best is not None:
            self.offer(best)


def search_formats(request: SearchRequest, find: Find, run: Run) -> SearchResult:
    """Find the best mapping and formats together.

    A node of the tree allows some options in every slot, and is bounded by a search in which each tile takes
    the fewest bits and the least data of them. Its best mapping is evaluated in real formats; where these
    cost more than the bound, the options of a slot are split.

    Parameters
    ----------
    request : SearchRequest
    find : callable
        Searches under formats that are stated.
    run : callable
        What searches, as `compile_kernels` takes it.

    Returns
    -------
    SearchResult
        With the design in `sparsity`. A KeyboardInterrupt ends the search with the best so far.

    Raises
    ------
    SpecError
        As `search`; or where no format could be open.
    """
    if request.sparsity is None:
        raise SpecError(Issue(*NO_DESIGN))
    deadline = Deadline(request.limit, effort=request.effort)
    with deadline.suspended():
        compile_kernels(sparse=True, masks=request.masks is not None, run=run)
    zeros: dict[str, Any] = {"densities": request.densities, "masks": request.masks, "rules": request.rules}
    base = Evaluator(request.architecture, request.problem, sparsity=request.sparsity, **zeros)
    assert base.sparsity is not None
    assert isinstance(base.design, SparseDesign)
    formats = OpenFormats(base.architecture, base.problem, base.sparsity, zeros, base.design)
    tree = _Tree(request, formats, find, deadline)
    tree.run()
    if tree.best is None:
        assert tree.refused is not None
        raise tree.refused
    aim, best = parse_objective(request.objective), tree.best
    proven = tree.lower_bound >= tree.value * (1 - _SAME)
    name = f"{aim.plain_name}_{'optimal' if proven else 'best_found'}"
    mapping = best.mapping.model_copy(update={"name": name})
    return SearchResult(
        objective=str(aim),
        method=request.method,
        mapping=mapping,
        result=tree.evaluate(mapping, best.sparsity),
        certificate=Certificate(
            proven=proven,
            value=tree.value,
            lower_bound=tree.value if proven else tree.lower_bound,
            mapspace=tree.mapspace,
            measured=tree.measured,
            searches=tree.searches,
        ),
        history=(),
        seconds=deadline.elapsed,
        interrupted=tree.interrupted,
        stopped="" if proven else deadline.over,
        sparsity=best.sparsity,
    )
