"""The verb: the best mapping on the best machine of a family, with proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.request import SearchRequest
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.search import bound_all, find
from procrustes_model.mapper.task import Task
from procrustes_model.objective import parse_objective
from procrustes_model.options import verb
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import edit, load_problem
from procrustes_model.spec.text.changes import Edited, format_path
from procrustes_model.spec.text.document import open_document
from procrustes_model.sweeps.family import load_family
from procrustes_model.sweeps.over_result import Member, OverResult, Standing
from procrustes_model.sweeps.plan import PlannedPoint, SweepPlan, plan_sweep
from procrustes_model.sweeps.request import OverRequest, PointSearch

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem


@verb(OverRequest)
def search_over(request: OverRequest) -> OverResult:
    """Find the best mapping on the best machine of a family.

    Each member of the family is bounded first; they are searched from the least bound on, each for a mapping
    that beats the best so far, until no bound is below it.

    Returns
    -------
    OverResult

    Raises
    ------
    SpecError
        When a specification is wrong; when no member has a valid mapping, with the first one's reasons; or
        when none was found in time.
    """
    plan = plan_sweep(load_family(request.over), given=request.shared(PointSearch))
    _check_changes(request, plan)
    return _Family(request, plan).search()


def _check_changes(request: OverRequest, plan: SweepPlan) -> None:
    """Raise where a change of what members share is of something that the family sets for each."""
    sources = [value for value in vars(request).values() if isinstance(value, Edited)]
    own = {one.path: one for planned in plan.points for one in planned.point.changes}
    issues = [
        change.said.issue(
            f"the family sets {format_path(path)}, so that this change has no effect",
            "leave it out, or take that out of the family",
        )
        for source in sources
        for change in source.changes
        for path in own
        if path[: len(change.path)] == change.path[: len(path)]
    ]
    if issues:
        raise SpecError(issues)


@dataclass
class _Found:
    """The best mapping so far, and where it was found."""

    number: int
    task: Task
    incumbent: Incumbent
    certificate: Certificate


@dataclass
class _Family:
    """Searches members, the least bound first."""

    request: OverRequest
    plan: SweepPlan
    deadline: Deadline = field(init=False)
    members: dict[int, Member] = field(default_factory=dict)
    best: _Found | None = None
    interrupted: bool = False
    issues: tuple[Issue, ...] = ()

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.request.seconds)

    def search(self) -> OverResult:
        """Bound all members, and search those that may be the best."""
        bounds = {planned.point.number: self._bound(planned) for planned in self.plan.points}
        by_bound = sorted(self.plan.points, key=lambda one: (bounds[one.point.number], one.point.number))
        known: dict[str, int] = {}
        for planned in by_bound:
            number, (entry,) = planned.point.number, planned.entries
            if entry.key in known and self.members[known[entry.key]].standing != Standing.OPEN:
                self._note(planned, Standing.SAME, bounds[number], same=self.members[known[entry.key]])
                continue
            known[entry.key] = number
            if number in self.members:  # nothing is valid
                continue
            if self.best is not None and bounds[number] >= self.best.incumbent.value:
                self._drop(planned, bounds[number])
            elif self.interrupted or (self.deadline.late and self.best is not None):
                self._note(planned, Standing.OPEN, bounds[number])
            else:
                self._look(planned, bounds[number])
        if self.best is None:
            raise SpecError(self.issues)
        return self._conclude(self.best)

    def _ask(self, planned: PlannedPoint) -> SearchRequest:
        """Return what the search of one member is asked."""
        (entry,) = planned.entries
        case, request = self.plan.cases[entry.key], self.request
        left = None if request.seconds is None else max(1e-6, request.seconds - self.deadline.elapsed)
        return SearchRequest(
            planned.architecture,
            self._problem,
            case.constraints,
            case.objective,
            seconds=left,
            seed=request.seed,
            threads=request.threads,
            progress=request.progress,
            **({} if case.zeros is None else case.zeros.arguments()),
        )

    @property
    def _problem(self) -> Problem:
        (problem,) = self.request.in_phases(load_problem(self.request.problem))
        return problem

    def _bound(self, planned: PlannedPoint) -> float:
        """Return what no mapping on a member falls below."""
        try:
            with self.deadline.suspended():
                least = bound_all(self._ask(planned))
            return least()
        except SpecError as error:
            self.issues = self.issues or error.issues
            self._note(planned, Standing.INVALID, math.inf, error=error.issues[0].message)
            return math.inf

    def _drop(self, planned: PlannedPoint, bound: float) -> None:
        """Note a member that its bound excludes."""
        if math.isinf(bound):
            self._note(planned, Standing.INVALID, bound, error="no mapping is valid")
        else:
            self._note(planned, Standing.BOUNDED, bound)

    def _look(self, planned: PlannedPoint, bound: float) -> None:
        """Search a member for something better than the best so far."""
        beat = None if self.best is None else (self.best.incumbent.energy, self.best.incumbent.cycles)
        before = self.deadline.clock()
        try:
            task, incumbent, certificate, interrupted = find(self._ask(planned), beat=beat)
        except SpecError as error:
            self.issues = self.issues or error.issues
            standing = Standing.OPEN if self.deadline.late else Standing.INVALID
            self._note(planned, standing, bound, error=str(error.issues[0].message))
            return
        # What compiling took does not count for a member, nor does it for all of them.
        spent = self.deadline.clock() - before
        self.deadline.leave_out(max(0.0, spent - task.space.deadline.elapsed))
        self.interrupted = interrupted
        bound = max(bound, certificate.lower_bound)
        if incumbent.nests is None:
            standing = Standing.EXCLUDED if certificate.proven else Standing.OPEN
            self._note(planned, standing, bound)
            return
        number = planned.point.number
        self.best = _Found(number, task, incumbent, certificate)
        self._note(planned, Standing.SEARCHED, bound, found=incumbent)

    def _note(
        self,
        planned: PlannedPoint,
        standing: Standing,
        bound: float,
        *,
        found: Incumbent | None = None,
        same: Member | None = None,
        error: str = "",
    ) -> None:
        number = planned.point.number
        self.members[number] = Member(
            number=number,
            values=planned.point.values,
            standing=standing,
            value=found.value if found else same.value if same else None,
            lower_bound=same.lower_bound if same else bound,
            energy_pj=found.energy if found else same.energy_pj if same else None,
            cycles=int(found.cycles) if found else same.cycles if same else None,
            area=planned.architecture.area,
            error=same.error if same else error,
        )

    def _conclude(self, best: _Found) -> OverResult:
        planned = next(one for one in self.plan.points if one.point.number == best.number)
        found = best.task.conclude(best.incumbent, best.certificate, "optimal", interrupted=self.interrupted)
        (entry,) = planned.entries
        zeros = self.plan.cases[entry.key].zeros
        return OverResult(
            name=self.plan.written.sweep.name,
            objective=str(parse_objective(self.request.objective)),
            axes=self.plan.axes,
            members=tuple(self.members[number] for number in sorted(self.members)),
            best=best.number,
            found=found,
            architecture=planned.architecture,
            machine=_write_machine(self.request.architecture, planned),
            sparsity=None if zeros is None else zeros.sparsity,
            seconds=self.deadline.elapsed,
        )


def _write_machine(source: Any, planned: PlannedPoint) -> str | None:
    """Return the file of a member's machine as text; None where no file says it."""
    import yaml

    own: Sequence[Any] = [one for one in planned.point.changes if one.head == "architecture"]
    for change in own:
        if len(change.path) == 1:
            source = change.value
    if isinstance(source, Architecture):
        return None
    changed = edit(source, [one for one in own if len(one.path) > 1], "architecture")
    data = open_document(changed, "architecture").data
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None))
