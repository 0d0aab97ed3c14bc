"""The verb: search every layer and phase of a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.engine import check_engine, run_cases
from procrustes_model.network.plan import Plan, make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.request import NetworkRequest, RunRequest
from procrustes_model.network.result import NetworkResult, Row
from procrustes_model.network.store import CaseStore
from procrustes_model.network.work import describe, load_work, states_of
from procrustes_model.options import verb


@verb(RunRequest)
def run_network(request: RunRequest) -> NetworkResult:
    """Search the best mapping of every layer of a network in every phase of training.

    Returns
    -------
    NetworkResult

    Raises
    ------
    SpecError
        When an input is wrong, or for some layer no mapping is valid; the other layers are kept in `out`.
    KeyboardInterrupt
        When interrupted; finished cases are kept in `out`.
    """
    check_engine(request)
    work = load_work(request)
    states = states_of(work)
    plan = make_plan(work, states)
    records = find_records(plan, request)
    result = NetworkResult(
        architecture=work.architecture.name,
        network=work.network.name,
        batch=work.batch,
        phases=work.phases,
        designs=tuple(design.name for design in work.designs),
        objective=work.objective,
        inputs=describe(work, states),
        rows=tuple(Row(entry, records[entry.key]) for entry in plan.entries),
    )
    if request.out is not None:
        from procrustes_model.network.files import write_run

        write_run(result, Path(request.out))
    return result


def prepare_folder(out: str | os.PathLike[str]) -> Path:
    """Return a folder, made if need be.

    Raises
    ------
    SpecError
        When it cannot be made or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(Issue(f"no folder for results: {error.strerror}", None, str(folder))) from None
    if not os.access(folder, os.W_OK):
        raise SpecError(Issue("no folder for results: it may not be written", None, str(folder)))
    return folder


def find_records(plan: Plan, request: NetworkRequest) -> dict[str, CaseRecord]:
    """Return the record of every case: from the request's folder, or searched now."""
    store = CaseStore(None if request.out is None else prepare_folder(request.out))
    records = {
        key: record
        for key in plan.cases
        if (record := store.get(key)) is not None and record.answers(request.seconds)
    }
    missing = sorted(
        (case for key, case in plan.cases.items() if key not in records),
        key=lambda case: (-case.effort, case.key),
    )
    kept, whole = len(records), sum(case.effort for case in missing)
    failed: dict[str, tuple[Issue, ...]] = {}
    spent = 0.0

    def tell(latest: CaseRecord | None) -> None:
        if request.progress is not None:
            done = len(records) + len(failed)
            request.progress(
                RunProgress(done, len(plan.cases), kept, spent / whole if whole else 1.0, latest)
            )

    tell(None)
    if missing:
        _compile(missing)
        for key, outcome in run_cases(missing, request):
            spent += plan.cases[key].effort
            if isinstance(outcome, CaseRecord):
                store.put(outcome)
                records[key] = outcome
                tell(outcome)
            else:
                failed[key] = outcome
                tell(None)
    if failed:
        raise SpecError(_explain(plan, failed))
    return records


def _compile(cases: Sequence[Case]) -> None:
    """Compile in this process what all workers need, lest each of them does."""
    from procrustes_model.mapper.task import compile_kernels

    for sparse in sorted({case.zeros is not None for case in cases}):
        compile_kernels(sparse=sparse)


def _explain(plan: Plan, failed: Mapping[str, tuple[Issue, ...]]) -> list[Issue]:
    """Return the issues of cases without a result, each with the layers that it is the case of."""
    issues = []
    for key, found in failed.items():
        rows = [
            f"{entry.layer} ({entry.phase}, {entry.design})" for entry in plan.entries if entry.key == key
        ]
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        issues += [
            Issue(f"{rows[0]}{more}: {issue.message}", issue.hint, issue.file, issue.line, issue.column)
            for issue in found
        ]
    return issues
