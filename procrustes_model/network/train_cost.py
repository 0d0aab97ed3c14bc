"""What a whole training run costs: one training step per state of the network, times its iterations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.computations import (
    Computations,
    computations_of,
    count_computations,
    counted_rows,
)
from procrustes_model.network.densities import LayerState, weights_kept
from procrustes_model.network.engine import check_engine
from procrustes_model.network.plan import Memo, Plan, counts_first_gradient, make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.record import CaseRecord, with_result
from procrustes_model.network.request import TrainRequest, is_recorded
from procrustes_model.network.result import Row
from procrustes_model.network.run import find_records
from procrustes_model.network.train_result import PartCost, TrainCost
from procrustes_model.network.turns import Turn, describe_designs, designs_of, find_turns
from procrustes_model.network.work import (
    DENSE,
    Design,
    Work,
    check_names,
    kinds_of_problems,
    load_work,
    make_design,
)
from procrustes_model.options import verb
from procrustes_model.spec.load import load_schedule
from procrustes_model.spec.network import Layer, Network
from procrustes_model.spec.schedule import Schedule
from procrustes_model.vocabulary import Phase, Role
from procrustes_model.workloads.layer import alike, training_problem


@verb(TrainRequest)
def train_cost(request: TrainRequest) -> TrainCost:
    """Return energy and cycles of a whole training run, and of dense training.

    Every distinct state of a layer is evaluated once: parts, layers of equal shape and runs with the same
    folder share what is found.

    Returns
    -------
    TrainCost

    Raises
    ------
    SpecError
        When an input is wrong, or for some layer no mapping is valid.
    KeyboardInterrupt
        When interrupted; finished searches are kept in `out`.
    """
    check_engine(request)
    work = load_work(request)
    run = _load(request.schedule, work.network, request.iterations)
    file = os.fspath(request.schedule) if isinstance(request.schedule, str | os.PathLike) else None
    turns = find_turns(work, run, file, recorded=is_recorded(request.schedule))
    designs = designs_of(work, turns)
    _check_designs(request, work, turns, list(designs.values()))
    nothing_zero = replace(work, designs=(Design(DENSE, None, work.designs[0].dataflow),), own_designs=False)
    memo, blank = Memo(), {layer.name: LayerState() for layer in work.network.layers}
    dense = make_plan(nothing_zero, blank, memo=Memo(memo.problems))
    distinct = {turn.key: turn for turn in turns}
    plans = {key: make_plan(work, turn.states, turn.part.bits, memo) for key, turn in distinct.items()}
    known = _count(dense, plans) if request.macs else _search(dense, plans, request)
    shares: dict[Any, float] = {}
    kept = {key: _kept(work, turn, shares) for key, turn in distinct.items()}
    parts = [
        PartCost(
            turn.part.iterations,
            kept[turn.key],
            known.rows(plans[turn.key]),
            turn.part.bits,
            counted_rows(plans[turn.key], known.counts),
            describe_designs(turn.states, work),
            turn.dense,
            turn.at_once,
        )
        for turn in turns
    ]
    iterations = sum(part.iterations for part in parts)
    return TrainCost(
        architecture=work.architecture.name,
        network=work.network.name,
        schedule=run.name,
        design=", ".join(designs),
        batch=work.batch,
        mappings=request.mappings,
        parts=tuple(parts),
        dense=PartCost(iterations, 1.0, known.rows(dense), counted=counted_rows(dense, known.counts)),
        states=len(distinct),
        searches=known.searches,
        unsaved=tuple(
            dict.fromkeys(
                (entry.layer, entry.phase)
                for plan in plans.values()
                for entry in plan.entries
                if entry.key in known.unsaved
            )
        ),
        clock_ghz=work.architecture.clock_ghz,
        first_data_gradient=request.first_data_gradient
        and counts_first_gradient(counted_rows(dense, known.counts)),
        macs=request.macs,
    )


@dataclass
class _Known:
    """What was found of the cases of a run, by key."""

    counts: dict[str, Computations]
    records: dict[str, CaseRecord] = field(default_factory=dict)
    searches: int = 0
    unsaved: set[str] = field(default_factory=set)

    def rows(self, plan: Plan) -> tuple[Row, ...]:
        """Return the rows of a plan; none where computations alone were counted."""
        return tuple(Row(entry, self.records[entry.key]) for entry in plan.entries if self.records)


def _count(dense: Plan, plans: Mapping[Any, Plan]) -> _Known:
    return _Known(count_computations(_together([dense, *plans.values()])))


def _search(dense: Plan, plans: Mapping[Any, Plan], request: TrainRequest) -> _Known:
    searched = [dense, *plans.values()] if request.mappings == "each" else [dense]
    records = find_records(_together(searched), request)
    found = _Known({}, records, searches=len(records))
    records |= _together(list(plans.values())).ready
    if request.mappings == "dense":
        records |= dict(_evaluated(dense, list(plans.values()), records, found.unsaved, request.progress))
    cases = _together([dense, *plans.values()]).cases
    found.counts = {
        key: computations_of(cases[key], record.result["compute"]["computes"])
        for key, record in records.items()
        if key in cases
    }
    return found


def _load(schedule: Any, network: Network, iterations: int | None) -> Schedule:
    """Return the run that a schedule, or a file of recorded masks, describes."""
    if is_recorded(schedule):
        from procrustes_model.training.masks import load_mask_densities
        from procrustes_model.workloads.recorded_schedule import schedule_from_masks

        return schedule_from_masks(load_mask_densities(schedule), network, iterations)
    return load_schedule(schedule)


def _check_designs(request: TrainRequest, work: Work, turns: Sequence[Turn], designs: Sequence[Any]) -> None:
    """Raise where nothing differs from dense training, or a design fits no level, or is used nowhere."""
    layers = work.network.layers
    differs = any(
        turn.part.bits or state.bits or state.phases != tuple(Phase)
        for turn in turns
        for state in turn.states.values()
    )
    if not any(designs) and not differs:
        hint = "name a sparse design, or give parts 'bits'"
        raise SpecError(Issue("dense training costs what the comparison says", hint))
    flow = work.designs[0].dataflow
    problems = kinds_of_problems(work.request)
    check_names([make_design(one, flow) for one in designs if one is not None], work.architecture, problems)
    used = any(
        work.design_of(layer, turn.states[layer.name]) is work.designs[0]
        for turn in turns
        for layer in layers
    )
    if not used and request.given("sparsity"):
        message = "'--sparsity' has no effect: the schedule states the design of every layer in every part"
        raise SpecError(Issue(message, "leave it out"))


def _kept(work: Work, turn: Turn, shares: dict[Any, float]) -> float:
    """Return the share of the weights of a network that are kept in a turn; `shares` is a memo."""
    weights, kept = work.network.weights, 0.0
    for layer in work.network.layers:
        state = turn.states[layer.name]
        if (key := (alike(layer), state.key)) not in shares:
            shares[key] = _share(work, layer, state)
        kept += layer.weights * shares[key]
    return kept / weights if weights else 1.0


def _share(work: Work, layer: Layer, state: LayerState) -> float:
    """Return the share of a layer's weights that are kept: forward, or else backward."""
    design = work.design_of(layer, state).sparsity
    if not layer.weights or design is None:
        return 1.0
    for phase in (Phase.FORWARD, Phase.BACKWARD):
        if Role.WEIGHTS.tensor in design.phase(phase).densities:
            return weights_kept(training_problem(layer, phase), design, state, dict(layer.densities))
    return 1.0


def _together(plans: Sequence[Plan]) -> Plan:
    """Return one plan with the entries and cases of all."""
    cases: dict[str, Case] = {}
    for plan in plans:
        cases |= plan.cases
    ready = {key: record for plan in plans for key, record in plan.ready.items()}
    entries = tuple(entry for plan in plans for entry in plan.entries)
    return replace(plans[0], entries=entries, cases=cases, ready=ready)


def _evaluated(
    dense: Plan,
    plans: Sequence[Plan],
    records: Mapping[str, CaseRecord],
    unsaved: set[str],
    progress: Callable[[RunProgress], None] | None,
) -> Iterator[tuple[str, CaseRecord]]:
    """Yield the cases of sparse plans, each with the mapping that the dense plan has there.

    Levels keep what the design saves accesses of, also where the dense mapping bypasses them; where this does
    not fit, nothing is saved there, and `unsaved` gets the case's key.
    """
    from procrustes_model.model.evaluate import evaluate
    from procrustes_model.model.sparse.effects import keeping_what_saves, without_idle
    from procrustes_model.spec.level_roles import place_levels
    from procrustes_model.spec.load import load_mapping

    at = {(entry.layer, entry.phase): entry.key for entry in dense.entries}
    wanted = {
        entry.key: (plan.cases[entry.key], entry.layer, entry.phase)
        for plan in plans
        for entry in plan.entries
        if entry.key not in records
    }
    for number, (key, (case, layer, phase)) in enumerate(wanted.items(), 1):
        record = records[at[layer, phase]]
        mapping = load_mapping(record.mapping, case.architecture, case.problem)
        ask: dict[str, Any] = {} if case.zeros is None else case.zeros.arguments()
        try:
            # A case without zeros differs from the dense one in its bits alone.
            if case.zeros is not None:
                design, _ = place_levels(case.zeros.sparsity, case.architecture, case.problem)
                kept = keeping_what_saves(design, case.architecture, case.problem, mapping)
                try:
                    result = evaluate(case.architecture, case.problem, kept, **ask)
                    mapping = kept
                except SpecError:
                    ask["sparsity"] = without_idle(design, case.problem, mapping)
                    unsaved.add(key)
                    result = evaluate(case.architecture, case.problem, mapping, **ask)
            else:
                result = evaluate(case.architecture, case.problem, mapping)
        except SpecError as error:
            hint = "its best dense mapping does not do here: choose mappings 'each'"
            message = f"{layer} ({phase}): {error.issues[0].message}"
            raise SpecError(Issue(message, hint)) from None
        found = with_result(record, case, mapping, result)
        if progress is not None:
            progress(RunProgress(number, len(wanted), 0, number / len(wanted), found))
        yield key, found
