"""A sweep as cases: all that its points search, each thing once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar, cast

from procrustes_model.errors import Issue, SpecError
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.network.case import Case
from procrustes_model.network.dataflow import dataflow_constraints
from procrustes_model.network.plan import Entry, make_case, make_plan
from procrustes_model.network.record import CaseRecord, describe_case
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import DENSE, load_work, states_of
from procrustes_model.options import options_of, spec_kinds
from procrustes_model.spec.load import (
    edit,
    load_architecture,
    load_mapping,
    load_network,
    load_problem,
    load_sparsity,
)
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.spec.sweep import WrittenSweep, load_sweep
from procrustes_model.spec.text.changes import Change, Said
from procrustes_model.spec.text.words import did_you_mean, shorten
from procrustes_model.sweeps.family import is_family, load_family
from procrustes_model.sweeps.points import BY_TENSOR, Point, expand
from procrustes_model.sweeps.request import (
    POINTS,
    REQUIRED,
    ZEROS,
    PointEvaluation,
    PointNetwork,
    PointSearch,
)
from procrustes_model.vocabulary import PHASES, Phase

if TYPE_CHECKING:
    from procrustes_model.options import Request
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.zeros import Zeros

T = TypeVar("T")
_LOADERS: dict[str, Callable[[Any], Any]] = {
    "architecture": load_architecture,
    "problem": load_problem,
    "network": load_network,
    "sparsity": load_sparsity,
}
"""Of specifications that are read without others, and once for all points that share them."""


@dataclass(frozen=True, eq=False)
class PlannedPoint:
    """A point with what it searches, or has evaluated.

    Attributes
    ----------
    point : Point
    architecture : Architecture
    objective : str or None
        None: nothing is searched.
    entries : tuple of Entry
        What it adds up, by the keys of cases.
    records : dict of str to CaseRecord
        By key, what was evaluated and needs no search.
    failed : tuple of Issue
        Why it has no result.
    """

    point: Point
    architecture: Architecture
    objective: str | None
    entries: tuple[Entry, ...] = ()
    records: dict[str, CaseRecord] = field(default_factory=dict)
    failed: tuple[Issue, ...] = ()


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """All that a sweep does.

    Attributes
    ----------
    written : WrittenSweep
    axes : tuple of str
    points : tuple of PlannedPoint
    cases : dict of str to Case
        By key: what is searched.
    seconds : float or None
        Time limit of each search.
    """

    written: WrittenSweep
    axes: tuple[str, ...]
    points: tuple[PlannedPoint, ...]
    cases: dict[str, Case]
    seconds: float | None

    def explain(self, failed: Mapping[str, tuple[Issue, ...]]) -> list[Issue]:
        """Return the issues of cases, each with the first of the points that it is about."""
        issues: dict[Issue, None] = {}
        told: dict[str, None] = {}
        for planned in self.points:
            for entry in planned.entries:
                for issue in failed.get(entry.key, ()):
                    if issue.message not in told:
                        told[issue.message] = None
                        issues[_at(self.written, planned.point, issue)] = None
        return list(issues)


def _at(written: WrittenSweep, point: Point, issue: Issue) -> Issue:
    """Return an issue that says at which point, unless it has a place of its own."""
    said = written.said(written.sweep.run, key=True)
    return issue if issue.file else said.issue(f"{point.text}: {issue.message}", issue.hint)


def check_sweep(source: Any) -> str:
    """Read a sweep and all that it names, without running anything, and return its name.

    Of a family, which says nothing of what is run, axes and conditions are read.

    Raises
    ------
    SpecError
        With what is wrong.
    """
    if is_family(source):
        written = load_family(source)
        expand(written)
        return written.sweep.name
    return plan_sweep(load_sweep(source), check_only=True).written.sweep.name


def plan_sweep(
    written: WrittenSweep, *, check_only: bool = False, given: Mapping[str, Any] | None = None
) -> SweepPlan:
    """Return what a sweep has to do.

    Parameters
    ----------
    written : WrittenSweep
    check_only : bool
        Evaluate nothing.
    given : mapping of str to Any, optional
        Options of what is run, checked, in place of those that the sweep states.

    Raises
    ------
    SpecError
        When the sweep, or what some point is about, is wrong.
    """
    planner = _Planner(written, check_only, given)
    axes, points = expand(written)
    planned = [planner.add(point) for point in points]
    if planner.issues:
        raise SpecError(planner.issues.values())
    planned = [one for one in planned if one and _is_small(written, one)]
    if not planned:
        raise SpecError(written.said("most_area_um2").issue("no point is left: each machine is larger"))
    default = planner.options["seconds"].default if "seconds" in planner.options else None
    seconds = planner.given.get("seconds", default)
    return SweepPlan(written, axes, tuple(one for one in planned if one), planner.cases, seconds)


def _is_small(written: WrittenSweep, planned: PlannedPoint) -> bool:
    """Say whether the machine of a point keeps to the area that a sweep allows."""
    most, area = written.sweep.most_area_um2, planned.architecture.area
    if most is None:
        return True
    if area.total_um2 is None or area.unstated:
        parts = ", ".join(area.unstated or area.parts)
        said = written.said("most_area_um2")
        message = f"{planned.point.text}: no area is stated of {parts}"
        raise SpecError(said.issue(message, "state it in the architecture"))
    return area.total_um2 <= most


class _Planner:
    """Collects cases; reads each specification once."""

    def __init__(
        self, written: WrittenSweep, check_only: bool, given: Mapping[str, Any] | None = None
    ) -> None:
        self.written = written
        self.check_only = check_only
        self.cases: dict[str, Case] = {}
        self.issues: dict[tuple[str, str | None], Issue] = {}
        self.options = options_of(POINTS[written.sweep.run])
        self.kinds = spec_kinds(self.options)
        self.given = self._options() if given is None else dict(given)
        if isinstance(self.given.get(BY_TENSOR), str):
            self.given[BY_TENSOR] = _by_tensor(self.given[BY_TENSOR], Said(None))
        self._read: dict[tuple[str, str, str], Any] = {}

    def _options(self) -> dict[str, Any]:
        """Return the options that the sweep states, each checked where it is written."""
        run, given = self.written.sweep.run, {}
        for name, value in self.written.sweep.options.items():
            if name not in self.options:
                said = self.written.said(run, name, key=True)
                raise SpecError(
                    said.issue(f"{run} has no '{name[:60]}'", did_you_mean(name, list(self.options)))
                )
            given[name] = self._take(name, value, self.written.said(run, name))
        return given

    def _take(self, name: str, value: Any, said: Said) -> Any:
        """Return the value of an option as its request takes it."""
        if name == BY_TENSOR:
            return _by_tensor(value, said)
        if name in self.kinds and isinstance(value, str):
            value = self._beside(value)
        elif value is None and self.options[name].nullable:
            return None
        try:
            return self.options[name].option.take(name, value)
        except SpecError as error:
            raise SpecError([said.issue(one.message, one.hint) for one in error.issues]) from None

    def _beside(self, name: str) -> str:
        """Return a file that lies beside the sweep; else the name as it is."""
        beside = FilePath(self.written.folder) / name
        try:
            return str(beside) if self.written.folder and beside.is_file() else name
        except (OSError, ValueError):
            return name

    def add(self, point: Point) -> PlannedPoint | None:
        """Plan a point; None where something is wrong with it, which is noted."""
        try:
            request = self._request(point)
            if isinstance(request, PointSearch):
                return self._search(point, request)
            if isinstance(request, PointEvaluation):
                return self._evaluate(point, request)
            return self._network(point, cast("PointNetwork", request))
        except SpecError as error:
            for issue in error.issues:  # what is wrong at many points is said of the first
                self.issues.setdefault((issue.message, issue.hint), _at(self.written, point, issue))
            return None

    def _request(self, point: Point) -> Request:
        """Return what is asked at a point, its specifications changed and read."""
        run = self.written.sweep.run
        options, changes = dict(self.given), dict[str, list[Change]]()
        places = {name: self.written.said(run, name) for name in options}
        for change in point.changes:
            if change.head == BY_TENSOR and len(change.path) == 2:
                more = _by_tensor({str(change.path[1]): change.value}, change.said)
                options[BY_TENSOR] = {**(options.get(BY_TENSOR) or {}), **more}
            elif len(change.path) == 1:
                options[change.head] = self._take(change.head, change.value, change.said)
                places[change.head] = change.said
            else:
                changes.setdefault(change.head, []).append(change)
        for name in (*REQUIRED[run], *changes):
            if not options.get(name):
                said = changes[name][0].said if name in changes else self.written.said(run, key=True)
                raise SpecError(said.issue(f"'{run}' states no '{name}'", self.options[name].option.help))
        for name, kind in self.kinds.items():
            if options.get(name) is not None:
                options[name] = self._load(kind, options[name], changes.get(name, ()), places[name])
        if "sparsity" in point.values and _is_dense(options.get("sparsity")):
            options = {name: value for name, value in options.items() if name not in ZEROS}
        if isinstance(options.get(BY_TENSOR), dict):
            options[BY_TENSOR] = ",".join(f"{name}={value}" for name, value in options[BY_TENSOR].items())
        return POINTS[run](**options)

    def _load(self, kind: str, source: Any, changes: Sequence[Change], said: Said) -> Any:
        """Return a specification, changed; one that is read without others is read once for all points."""
        source = edit(source, changes, kind)
        if kind not in _LOADERS:
            return source
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else repr(source)
        key = (kind, name, repr([(change.path, change.value) for change in changes]))
        if key not in self._read:
            try:
                self._read[key] = _LOADERS[kind](source)
            except SpecError as error:
                issues = [one if one.file else said.issue(one.message, one.hint) for one in error.issues]
                raise SpecError(issues) from None
        return self._read[key]

    def _search(self, point: Point, request: PointSearch) -> PlannedPoint:
        machine, problem = cast("Architecture", request.architecture), cast("Problem", request.problem)
        entries = []
        for phased in request.in_phases(problem):
            zeros, note = _with_arrays(request.find(phased), phased), ""
            if request.constraints is not None:
                rules = load_constraints(cast("str", request.constraints), machine, phased)
            else:
                rules, note = dataflow_constraints(request.dataflow, machine, phased)
            entries.append(self._enter(request, phased, rules, zeros, note))
        return PlannedPoint(point, machine, str(request.objective), tuple(entries))

    def _enter(
        self,
        request: PointSearch,
        problem: Problem,
        rules: Constraints,
        zeros: Zeros | None,
        note: str,
    ) -> Entry:
        machine = cast("Architecture", request.architecture)
        case = make_case(
            machine,
            problem,
            rules,
            objective=str(request.objective),
            seed=request.seed,
            zeros=zeros,
            way=request.way,
        )
        self.cases.setdefault(case.key, case)
        return _entry(problem, zeros, case.key, note)

    def _evaluate(self, point: Point, request: PointEvaluation) -> PlannedPoint:
        from procrustes_model.model.evaluator import Evaluator

        machine, problem = cast("Architecture", request.architecture), cast("Problem", request.problem)
        entries, records = [], {}
        for phased in request.in_phases(problem):
            zeros = _with_arrays(request.find(phased), phased)
            evaluator = Evaluator(machine, phased, **({} if zeros is None else zeros.arguments()))
            case = make_case(machine, phased, Constraints(), objective="edp", seed=0, zeros=zeros)
            entries.append(_entry(phased, zeros, case.key, ""))
            design = evaluator.sparsity
            roomy = () if design is None else design.phase(phased.phase).roomy
            try:
                schedule = load_mapping(cast("str", request.mapping), machine, phased, roomy)
                if self.check_only:
                    continue
                result = evaluator.evaluate(schedule)
            except SpecError as error:
                if self.check_only:
                    raise
                return PlannedPoint(point, machine, None, failed=error.issues)
            records[case.key] = describe_case(
                case, schedule.to_dict(), result, proven=False, gap=None, limit=None
            )
        return PlannedPoint(point, machine, None, tuple(entries), records)

    def _network(self, point: Point, request: PointNetwork) -> PlannedPoint:
        work = load_work(RunRequest(**request.shared(RunRequest)))
        plan = make_plan(work, states_of(work))
        self.cases |= {key: case for key, case in plan.cases.items() if key not in self.cases}
        return PlannedPoint(point, work.architecture, work.objective, plan.entries)


def _with_arrays(zeros: Zeros | None, problem: Problem) -> Zeros | None:
    """Return what is zero with masks in place of their files: keys of cases are of what is in them."""
    if zeros is None or not zeros.masks:
        return zeros
    from procrustes_model.model.sparse.masks import read_mask

    return replace(zeros, masks={name: read_mask(mask, problem, name) for name, mask in zeros.masks.items()})


def _entry(problem: Problem, zeros: Zeros | None, key: str, note: str) -> Entry:
    return Entry(
        layer=problem.name,
        kind=problem.shape,
        phase=problem.phase or Phase.FORWARD,
        design=DENSE if zeros is None else zeros.sparsity.name,
        problem={},
        key=key,
        densities={},
        assumed=False,
        note=note,
    )


def _is_dense(design: Any) -> bool:
    return design is None or (
        isinstance(design, Sparsity) and all(design.phase(phase) == SparsePhase() for phase in PHASES)
    )


def _by_tensor(value: Any, said: Said) -> dict[str, Any]:
    """Return densities by tensor, of text such as ``W=0.1,X=0.5`` or of pairs."""
    found = {} if value is None else value
    if isinstance(value, str):
        found = {}
        for part in value.split(","):
            name, _, number = (piece.strip() for piece in part.partition("="))
            found[name] = _number(number)
    right = isinstance(found, dict) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1 for one in found.values()
    )
    if not right:
        hint = "numbers from 0 to 1 by tensor, such as {W: 0.1, X: 0.5}"
        raise SpecError(said.issue(f"{shorten(value)} gives no densities", hint))
    return dict(found)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
