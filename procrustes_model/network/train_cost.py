"""What a whole training run costs: one training step per state of the network, times its iterations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.densities import LayerState, check_used, find_states
from procrustes_model.network.engine import check_engine
from procrustes_model.network.plan import Plan, make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.record import CaseRecord, with_result
from procrustes_model.network.request import Mappings, TrainRequest, is_recorded
from procrustes_model.network.result import Row, Totals, add_up
from procrustes_model.network.run import find_records
from procrustes_model.network.work import DENSE, Design, load_work
from procrustes_model.options import verb
from procrustes_model.shown import Shown
from procrustes_model.spec.network import Network
from procrustes_model.spec.schedule import Schedule, SchedulePart, load_schedule
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.vocabulary import Phase


@dataclass(frozen=True)
class PartCost:
    """Iterations in a row that cost the same.

    Attributes
    ----------
    iterations : int
    weight_density : float
        Weights kept / weights, of the whole network.
    rows : tuple of Row
        One training step on the sparse design: every layer and phase.
    bits : Bits
        What the part states of the bits of elements.
    """

    iterations: int
    weight_density: float
    rows: tuple[Row, ...]
    bits: Bits = NO_BITS

    def step(self, phase: Phase | None = None) -> Totals:
        """Return the cost of one training step, in a phase or all."""
        return add_up(row for row in self.rows if phase in (None, row.phase))

    @property
    def energy_pj(self) -> float:
        """Energy of all its iterations."""
        return self.iterations * self.step().energy_pj

    @property
    def cycles(self) -> int:
        """Cycles of all its iterations."""
        return self.iterations * self.step().cycles


@dataclass(frozen=True, repr=False)
class TrainCost(Shown):
    """What a training run costs, and the same number of iterations of dense training.

    Attributes
    ----------
    architecture, network, schedule, design : str
        Names; the design is the sparse one, or 'dense' where only bits change.
    batch : int
        Samples per training step.
    mappings : str
        'each' or 'dense'; see `train_cost`.
    parts : tuple of PartCost
        First to last.
    dense : PartCost
        All iterations where nothing is zero, without a sparse design and without the parts' bits.
    states : int
        Distinct states of the network.
    searches : int
        Distinct searches; what a folder had kept counts too.
    unsaved : tuple of (str, Phase)
        Layers and phases whose best dense mapping has no room for what the design saves, so that in some part
        nothing is saved there.
    clock_ghz : float or None
        Of the machine; None: there is no time, only cycles.
    """

    architecture: str
    network: str
    schedule: str
    design: str
    batch: int
    mappings: Mappings
    parts: tuple[PartCost, ...]
    dense: PartCost
    states: int
    searches: int
    unsaved: tuple[tuple[str, Phase], ...] = ()
    clock_ghz: float | None = None

    @property
    def iterations(self) -> int:
        """Training steps of all parts."""
        return sum(part.iterations for part in self.parts)

    @property
    def energy_pj(self) -> float:
        """Energy of the whole run."""
        return sum(part.energy_pj for part in self.parts)

    @property
    def cycles(self) -> int:
        """Cycles of the whole run: layers and phases one after the other."""
        return sum(part.cycles for part in self.parts)

    @property
    def proven(self) -> bool:
        """Whether every mapping is proven the best."""
        return all(row.case.proven for part in (*self.parts, self.dense) for row in part.rows)


@dataclass(frozen=True, eq=False)
class _State:
    """What a part says of the layers, by name, and of bits."""

    layers: dict[str, LayerState]
    bits: Bits

    @property
    def key(self) -> tuple[Any, ...]:
        """What is the same of states that are the same."""
        known = ((one.weights, one.activations, one.gradients, one.assumed) for one in self.layers.values())
        return (*known, self.bits)


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
    net, design = work.network, work.designs[0]
    run = _load(request.schedule, net, request.iterations)
    file = os.fspath(request.schedule) if isinstance(request.schedule, str | os.PathLike) else None
    recorded = is_recorded(request.schedule)
    if design.sparsity is None:
        _check_dense(run, file)
    states = [
        _State(_states(net, part, number, file, None if recorded else design.sparsity), part.bits)
        for number, part in enumerate(run.parts, 1)
    ]
    if recorded and design.sparsity is not None:
        check_used(
            {f"{i} {name}": one for i, state in enumerate(states) for name, one in state.layers.items()},
            design.sparsity,
            recorded=True,
        )
    distinct = {state.key: state for state in states}
    nothing_zero = replace(work, designs=(Design(DENSE, None, design.dataflow),))
    dense = make_plan(nothing_zero, {layer.name: LayerState() for layer in net.layers})
    plans = {key: make_plan(work, state.layers, state.bits) for key, state in distinct.items()}
    searched = [dense, *plans.values()] if request.mappings == "each" else [dense]
    records = find_records(_together(searched), request)
    count = len(records)
    unsaved: set[str] = set()
    if request.mappings == "dense":
        records |= dict(_evaluated(dense, list(plans.values()), records, unsaved, request.progress))
    parts = [
        PartCost(part.iterations, _kept(net, state.layers), _rows(plans[state.key], records), part.bits)
        for part, state in zip(run.parts, states, strict=True)
    ]
    return TrainCost(
        architecture=work.architecture.name,
        network=net.name,
        schedule=run.name,
        design=design.name,
        batch=work.batch,
        mappings=request.mappings,
        parts=tuple(parts),
        dense=PartCost(run.iterations, 1.0, _rows(dense, records)),
        states=len(distinct),
        searches=count,
        unsaved=tuple(
            dict.fromkeys(
                (entry.layer, entry.phase)
                for plan in plans.values()
                for entry in plan.entries
                if entry.key in unsaved
            )
        ),
        clock_ghz=work.architecture.clock_ghz,
    )


def _load(schedule: Any, network: Network, iterations: int | None) -> Schedule:
    """Return the run that a schedule, or a file of recorded masks, describes."""
    if is_recorded(schedule):
        from procrustes_model.training.masks import load_mask_densities
        from procrustes_model.workloads.recorded_schedule import schedule_from_masks

        return schedule_from_masks(load_mask_densities(schedule), network, iterations)
    return load_schedule(schedule)


def _check_dense(run: Schedule, file: str | None) -> None:
    """Raise unless the parts of a run state bits, and no zeros, which are those of a sparse design."""
    if not any(part.bits for part in run.parts):
        hint = "name a sparse design, or give parts 'bits'"
        raise SpecError(Issue("dense training costs what the comparison says", hint))
    blank = SchedulePart(iterations=1)
    for number, part in enumerate(run.parts, 1):
        for name in ("weights", "activations", "gradients"):
            if getattr(part, name) != getattr(blank, name):
                message = f"part {number}: '{name}' has zeros, and no sparse design says what they save"
                raise SpecError(Issue(message, "such as --sparsity procrustes", file))


def _states(
    network: Network, part: SchedulePart, number: int, file: str | None, sparsity: Sparsity | None
) -> dict[str, LayerState]:
    """Return what one part says of every layer; it is checked that a sparse design has a use for it."""
    layers = {layer.name for layer in network.layers}
    issues = []
    for name in part.gradients.layers:
        if name not in layers:
            message = f"{network.name} has no layer '{name[:100]}'"
            issues.append(Issue(message, did_you_mean(name, sorted(layers))))
    gradients = part.gradients
    states = {}
    try:
        states = {
            name: replace(
                state, gradients=gradients.layers.get(name, gradients.default), weights_assumed=False
            )
            for name, state in find_states(network, profile=part.profile(f"part {number}")).items()
        }
        if sparsity is not None:
            check_used(states, sparsity)
    except SpecError as error:
        issues += error.issues
    if issues:
        raise SpecError([Issue(f"part {number}: {one.message}", one.hint, file) for one in issues])
    return states


def _kept(network: Network, states: Mapping[str, LayerState]) -> float:
    kept = sum(layer.weights * (states[layer.name].weights or 0.0) for layer in network.layers)
    return kept / network.weights if network.weights else 1.0


def _together(plans: Sequence[Plan]) -> Plan:
    """Return one plan with the entries and cases of all."""
    cases: dict[str, Case] = {}
    for plan in plans:
        cases |= plan.cases
    return replace(plans[0], entries=tuple(entry for plan in plans for entry in plan.entries), cases=cases)


def _rows(plan: Plan, records: Mapping[str, CaseRecord]) -> tuple[Row, ...]:
    return tuple(Row(entry, records[entry.key]) for entry in plan.entries)


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
