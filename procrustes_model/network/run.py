"""The verb: search every layer and phase of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.engine import Searches, check_engine, longest, run_cases
from procrustes_model.network.links import link_costs
from procrustes_model.network.plan import Plan, make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.record import CaseRecord, best_of
from procrustes_model.network.request import NetworkRequest, RunRequest
from procrustes_model.network.result import NetworkResult, Row
from procrustes_model.network.store import CASES, CaseStore, DamagedCaseError
from procrustes_model.network.verify import verify
from procrustes_model.network.work import as_read, describe, load_work, states_of
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
    if request.macs:
        raise SpecError(Issue("count_macs counts computations alone; this verb searches", "leave out macs"))
    check_engine(request)
    work = load_work(request)
    states = states_of(work)
    plan = make_plan(work, states)
    records = find_records(plan, request)
    result = NetworkResult(
        architecture=work.architecture.name,
        network=work.network.name,
        batch=work.batch,
        phases=tuple(phase for phase in work.phases if any(entry.phase == phase for entry in plan.entries)),
        designs=tuple(design.name for design in work.designs),
        objective=work.objective,
        inputs=as_read(describe(work, states)),
        rows=tuple(Row(entry, records[entry.key]) for entry in plan.entries),
        links=link_costs(work.network, work.own or work.architecture.name, work.batch, work.phases),
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
    """Return the record of every case: from the request's folder, or searched now.

    What stands in them does not depend on which of the two it was.

    Raises
    ------
    SpecError
        When an input is wrong, or some cases have no result; the others are kept in the folder.
    """
    records, failed = find_outcomes(plan.cases, request, lambda failed: _explain(plan, failed), plan.ready)
    if failed:
        raise SpecError(_explain(plan, failed))
    return records


def find_outcomes(
    cases: Mapping[str, Case],
    request: Searches,
    explain: Callable[[Mapping[str, tuple[Issue, ...]]], list[Issue]],
    ready: Mapping[str, CaseRecord] | None = None,
) -> tuple[dict[str, CaseRecord], dict[str, tuple[Issue, ...]]]:
    """Return by key the records of cases, kept or searched now, and why others have none.

    Parameters
    ----------
    cases : mapping of str to Case
    request : Searches
    explain : callable
        Says which cases some issues are about, by their keys.
    ready : mapping of str to CaseRecord, optional
        Records by key that need no search; they are kept with the others.

    Raises
    ------
    SpecError
        When a design does not fit its machine or problem.
    """
    store = CaseStore(None)
    if request.out is not None:
        store = CaseStore(prepare_folder(request.out))
        prepare_folder(Path(request.out) / CASES)
    ready = {} if ready is None else ready
    for key in ready:
        store.check(key)
    known, damaged = _read_kept(cases, store)
    records = {key: record for key, record in known.items() if record.answers(request.seconds)}
    missing = sorted(
        (case for key, case in cases.items() if key not in records),
        key=lambda case: (-case.effort, case.key),
    )
    for case in missing:
        store.check(case.key)
    if misfits := _find_misfits(missing):
        raise SpecError(explain(misfits))
    kept, whole = len(records), sum(case.effort for case in missing)
    failed: dict[str, tuple[Issue, ...]] = {}
    spent, most = 0.0, longest(len(missing), request)

    def tell(latest: CaseRecord | None) -> None:
        if request.progress is not None:
            done = len(records) + len(failed)
            share = spent / whole if whole else 1.0
            request.progress(RunProgress(done, len(cases), kept, share, latest, damaged, most))

    tell(None)
    if missing:
        _compile(missing)
        for key, outcome in run_cases(missing, request):
            spent += cases[key].effort
            if isinstance(outcome, CaseRecord):
                records[key] = store.put(best_of(known[key], outcome) if key in known else outcome)
                tell(records[key])
            else:
                failed[key] = outcome
                tell(None)
    return records | {key: store.put(record) for key, record in ready.items()}, failed


def _find_misfits(cases: Sequence[Case]) -> dict[str, tuple[Issue, ...]]:
    """Return why designs do not fit their machine or a kind of problem, by case: before any search.

    One case of every kind stands for all of it.
    """
    from procrustes_model.model.evaluator import Evaluator

    kinds: dict[tuple[int, str | None, str], Case] = {}
    for case in cases:
        design = None if case.zeros is None else case.zeros.sparsity
        kinds.setdefault((id(design), case.problem.phase, case.problem.shape), case)
    failed: dict[str, tuple[Issue, ...]] = {}
    for case in kinds.values():
        try:
            Evaluator(
                case.architecture, case.problem, **({} if case.zeros is None else case.zeros.arguments())
            )
        except SpecError as error:
            failed[case.key] = error.issues
    return failed


def _read_kept(
    cases: Mapping[str, Case], store: CaseStore
) -> tuple[dict[str, CaseRecord], tuple[Issue, ...]]:
    """Return those of some cases that a store has, and why others of its files are not used."""
    records, damaged = {}, []
    for key, case in cases.items():
        try:
            record = store.get(key)
            if record is not None:
                verify(record, case)
                records[key] = record
        except DamagedCaseError as error:
            damaged.append(Issue(f"not used, and searched again: {error}", None, str(store.path(key))))
    return records, tuple(damaged)


def _compile(cases: Sequence[Case]) -> None:
    """Compile in this process what all workers need, lest each of them does."""
    from procrustes_model.mapper.task import compile_kernels, compile_labels

    for sparse in sorted({case.zeros is not None for case in cases}):
        compile_kernels(sparse=sparse)
        compile_labels(sparse)


def _explain(plan: Plan, failed: Mapping[str, tuple[Issue, ...]]) -> list[Issue]:
    """Return the issues of cases without a result, each with the layers that it is the case of.

    They stand in the order of the plan, and not in that in which searches ended; one that several cases have
    stands once.
    """
    rows: dict[Issue, list[str]] = {}
    for key in plan.cases:
        for issue in failed.get(key, ()):
            rows.setdefault(issue, []).extend(
                f"{entry.layer} ({entry.phase}, {entry.design})" for entry in plan.entries if entry.key == key
            )
    issues = []
    for issue, names in rows.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        issues.append(
            Issue(f"{names[0]}{more}: {issue.message}", issue.hint, issue.file, issue.line, issue.column)
        )
    return issues
