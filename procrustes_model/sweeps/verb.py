"""The verb: one question for many values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.engine import check_engine
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.result import Row, add_up
from procrustes_model.network.run import find_outcomes
from procrustes_model.options import verb
from procrustes_model.spec.sweep import WrittenSweep, load_sweep
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.sweeps.plan import PlannedPoint, SweepPlan, plan_sweep
from procrustes_model.sweeps.request import SweepEffort, SweepRequest
from procrustes_model.sweeps.result import MEASURES, SweepPoint, SweepResult

TABLE = "points.csv"
"""The table, in the folder of a sweep."""


@verb(SweepRequest)
def sweep(request: SweepRequest) -> SweepResult:
    """Search, evaluate or run a network for every point of a sweep.

    What several points search is searched once. A point for which no mapping is valid has no result, and says
    why.

    Returns
    -------
    SweepResult

    Raises
    ------
    SpecError
        When an input is wrong, before anything is searched; or when no point has a result.
    KeyboardInterrupt
        When interrupted; finished searches are kept in `out`.
    """
    written = load_sweep(request.sweep)
    _check_measures(written)
    plan = plan_sweep(written)
    effort = SweepEffort(plan.seconds, request.workers, request.scheduler, request.out, request.progress)
    check_engine(effort)
    records, failed = find_outcomes(plan.cases, effort, plan.explain)
    result = SweepResult(
        name=written.sweep.name,
        run=written.sweep.run,
        axes=plan.axes,
        pareto=written.sweep.pareto,
        points=tuple(_finish(planned, records, failed) for planned in plan.points),
        searched=len(plan.cases),
    )
    if all(point.totals is None for point in result.points):
        raise SpecError(_explain(plan, failed))
    if request.out is not None:
        result.to_csv(Path(request.out) / TABLE)
    return result


def _check_measures(written: WrittenSweep) -> None:
    alone = isinstance(written.document.data["sweep"].get("pareto"), str)
    issues = [
        written.said("pareto", *([] if alone else [number])).issue(
            f"'{name[:60]}' is no column of which less is better", did_you_mean(name, MEASURES)
        )
        for number, name in enumerate(written.sweep.pareto)
        if name not in MEASURES
    ]
    if issues:
        raise SpecError(issues)


def _explain(plan: SweepPlan, failed: Mapping[str, tuple[Issue, ...]]) -> list[Issue]:
    """Return why no point has a result: the first one's reasons."""
    issues = plan.explain(failed)
    issues += [issue for planned in plan.points for issue in planned.failed]
    return list(dict.fromkeys(issues))[:5]


def _finish(
    planned: PlannedPoint, records: Mapping[str, CaseRecord], failed: Mapping[str, tuple[Issue, ...]]
) -> SweepPoint:
    issues = planned.failed or [
        issue
        for key in dict.fromkeys(entry.key for entry in planned.entries)
        for issue in failed.get(key, ())
    ]
    machine = planned.architecture
    # What a point evaluates is its own: its key does not tell with which mapping.
    known = {**records, **planned.records} if planned.records else records
    return SweepPoint(
        number=planned.point.number,
        values=planned.point.values,
        totals=None if issues else add_up(Row(entry, known[entry.key]) for entry in planned.entries),
        objective=planned.objective,
        area=machine.area,
        clock_ghz=machine.clock_ghz,
        error="; ".join(dict.fromkeys(str(issue) for issue in issues)),
    )
