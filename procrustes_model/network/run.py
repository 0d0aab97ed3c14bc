"""The verb: search every layer and phase of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.mapper.constraints import Constraints, load_constraints
from procrustes_model.network.dataflow import ANY, check_dataflow
from procrustes_model.network.densities import LayerState, find_states, unused_tensors
from procrustes_model.network.engine import Engine, check_engine, run_cases
from procrustes_model.network.plan import Case, Design, Plan, make_plan
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.result import NetworkResult, Row
from procrustes_model.network.store import CaseStore
from procrustes_model.objective import Objective
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_network, load_sparsity
from procrustes_model.spec.network import Network
from procrustes_model.spec.network_density import DensityProfile, load_density
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.vocabulary import PHASES, Phase

Source = str | os.PathLike[str] | Mapping[str, Any]
DENSE = "dense"
SECONDS = 20.0
"""Time limit of a search; most end after one or two."""


@dataclass(frozen=True)
class RunProgress:
    """A moment of a running run.

    Attributes
    ----------
    done, total : int
        Cases.
    kept : int
        Of those done, how many an earlier run had finished.
    share : float
        How much of the search is done, from 0 to 1, as far as it can be told.
    latest : CaseRecord or None
        The case that was finished last.
    """

    done: int
    total: int
    kept: int
    share: float
    latest: CaseRecord | None


def run_network(
    architecture: Source | Architecture,
    network: Source | Network,
    *,
    batch: int | None = None,
    phases: Sequence[str] = PHASES,
    dataflow: str = ANY,
    constraints: Source | Constraints | None = None,
    sparsity: Source | Sparsity | None = None,
    baseline: Source | Sparsity | None = None,
    density: Mapping[str, float] | None = None,
    profile: Source | DensityProfile | None = None,
    masks: str | os.PathLike[str] | None = None,
    step: int | None = None,
    objective: str | Objective = "edp",
    seconds: float | None = SECONDS,
    seed: int = 0,
    as_published: bool = False,
    out: str | os.PathLike[str] | None = None,
    engine: Engine = "local",
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[RunProgress], None] | None = None,
) -> NetworkResult:
    """Search the best mapping of every layer of a network in every phase of training.

    Parameters
    ----------
    architecture : path, str, mapping or Architecture
    network : path, str, mapping or Network
    batch : int, optional
        Samples per training step; the network's own by default.
    phases : sequence of str
        Of 'forward', 'backward', 'weight_update', or 'fw', 'bw', 'wu'.
    dataflow : str
        'KN', 'CN', 'CK', 'PQ' or 'any'; see `network.dataflow`.
    constraints : path, mapping or Constraints, optional
        In place of a dataflow.
    sparsity : path, str, mapping or Sparsity, optional
        What is zero and what that saves; None: nothing is zero.
    baseline : path, str, mapping or Sparsity, optional
        Design to compare with, such as 'dense', with best mappings of its own.
    density : mapping, optional
        By tensor (Weights, Inputs, Outputs), the same for all layers.
    profile : path, str, mapping or DensityProfile, optional
        Densities by layer; a file of recorded masks (.npz) gives its densities.
    masks : path, optional
        A file of recorded masks: zeros are then counted and not expected.
    step : int, optional
        Recorded step of the masks; the last by default.
    objective : str or Objective
        Of every search, limits too; see `parse_objective`.
    seconds : float or None
        Time limit of each search; None: until the best is proven. With a larger limit, a run with the same
        `out` searches again what was not proven.
    seed : int
    as_published : bool
        Stride 1 at the output's size, and the backward phase as a gather, as published numbers used.
    out : path, optional
        A folder that gets every finished case at once, and mappings and problems at the end. Another run with
        it searches only what is not there yet.
    engine : {'local', 'dask'}
    workers : int, optional
        Searches at a time; all processors by default. Their number does not change the result.
    scheduler : str, optional
        Address of a Dask scheduler.
    progress : callable, optional
        Called with `RunProgress` when a case is done.

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
    check_engine(engine, scheduler)
    if seconds is not None and seconds <= 0:
        raise SpecError(Issue(f"a search cannot find anything in {seconds:g} s", "None: until it is proven"))
    machine, net = load_architecture(architecture), load_network(network)
    designs = find_designs(dataflow, constraints, sparsity, baseline)
    states = _states(net, designs[0], density, profile, masks, step)
    plan = make_plan(
        machine,
        net,
        designs,
        states,
        batch=batch,
        phases=check_phases(phases),
        objective=objective,
        constraints=None if constraints is None else load_constraints(constraints, machine),
        seed=seed,
        as_published=as_published,
    )
    folder = None if out is None else prepare_folder(out)
    records = find_records(plan, CaseStore(folder), seconds, engine, workers, scheduler, progress)
    result = NetworkResult(
        architecture=machine.name,
        network=net.name,
        batch=plan.batch,
        phases=plan.phases,
        designs=tuple(design.name for design in designs),
        objective=plan.objective,
        inputs=_describe(plan, states, seconds),
        rows=tuple(Row(entry, records[entry.key]) for entry in plan.entries),
    )
    if folder is not None:
        from procrustes_model.network.files import write_run

        write_run(result, folder)
    return result


def check_phases(phases: Sequence[str]) -> tuple[Phase, ...]:
    """Return phases by their full names.

    Raises
    ------
    SpecError
        When one is unknown or there is none.
    """
    known = ", ".join(phase.short for phase in PHASES)
    full = [next((phase for phase in PHASES if name in (phase, phase.short)), name) for name in phases]
    for name, given in zip(full, phases, strict=True):
        if name not in PHASES:
            raise SpecError(Issue(f"unknown phase '{given[:40]}'", f"some of {known}"))
    if not full:
        raise SpecError(Issue("there is no phase", f"some of {known}"))
    return tuple(phase for phase in PHASES if phase in full)


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


def find_designs(
    dataflow: str,
    constraints: Source | Constraints | None,
    sparsity: Source | Sparsity | None,
    baseline: Source | Sparsity | None,
) -> list[Design]:
    """Return the design asked about, and the baseline."""
    flow = check_dataflow(dataflow)
    if constraints is not None:
        if flow != ANY:
            raise SpecError(
                Issue("a dataflow and constraints are both given", "write it into the constraints")
            )
        flow = load_constraints(constraints).name
    designs = []
    for source in (sparsity, baseline) if baseline is not None else (sparsity,):
        design = None if source is None else load_sparsity(source)
        if design is not None and all(design.phase(phase) == SparsePhase() for phase in PHASES):
            design = None
        designs.append(Design(DENSE if design is None else design.name, design, flow))
    if len(designs) == 2 and designs[0].name == designs[1].name:
        raise SpecError(
            Issue(
                f"the design and the baseline are both '{designs[0].name}'", "--sparsity names another design"
            )
        )
    return designs


def _states(
    network: Network,
    design: Design,
    density: Mapping[str, float] | None,
    profile: Source | DensityProfile | None,
    masks: str | os.PathLike[str] | None,
    step: int | None,
) -> dict[str, LayerState]:
    if design.sparsity is None:
        if density or profile is not None or masks is not None:
            raise SpecError(
                Issue("densities and masks need a sparse design", "such as --sparsity procrustes")
            )
        return {layer.name: LayerState() for layer in network.layers}
    if unused := unused_tensors(density or {}, design.sparsity):
        raise SpecError(Issue(f"{design.name} has no zeros in {', '.join(unused)}, in any phase"))
    from procrustes_model.training.masks import is_mask_file

    use_masks = True
    if isinstance(profile, str | os.PathLike) and is_mask_file(profile):
        if masks is not None:
            raise SpecError(Issue("the densities of weights are given twice: by profile and by masks"))
        masks, profile, use_masks = profile, None, False
    known = None if profile is None else load_density(profile)
    return find_states(network, density=density, profile=known, masks=masks, use_masks=use_masks, step=step)


def find_records(
    plan: Plan,
    store: CaseStore,
    limit: float | None,
    engine: Engine,
    workers: int | None,
    scheduler: str | None,
    progress: Callable[[RunProgress], None] | None,
) -> dict[str, CaseRecord]:
    """Return the record of every case: from the store, or searched now."""
    records = {
        key: record for key in plan.cases if (record := store.get(key)) is not None and record.answers(limit)
    }
    missing = sorted(
        (case for key, case in plan.cases.items() if key not in records),
        key=lambda case: (-case.effort, case.key),
    )
    kept, whole = len(records), sum(case.effort for case in missing)
    failed: dict[str, tuple[Issue, ...]] = {}
    spent = 0.0

    def tell(latest: CaseRecord | None) -> None:
        if progress is not None:
            done = len(records) + len(failed)
            progress(RunProgress(done, len(plan.cases), kept, spent / whole if whole else 1.0, latest))

    tell(None)
    if missing:
        _compile(missing)
        for key, outcome in run_cases(missing, limit, engine=engine, workers=workers, scheduler=scheduler):
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
    from procrustes_model.mapper.search import compile_kernels

    for sparse in sorted({case.sparsity is not None for case in cases}):
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


def _describe(plan: Plan, states: Mapping[str, LayerState], seconds: float | None) -> dict[str, Any]:
    """Return everything that went into a run, as plain data."""
    return {
        "program": program_fingerprint(),
        "architecture": plan.architecture.model_dump(mode="json"),
        "network": plan.network.model_dump(mode="json"),
        "batch": plan.batch,
        "phases": list(plan.phases),
        "designs": [
            {
                "name": design.name,
                "dataflow": design.dataflow,
                "sparsity": design.sparsity and design.sparsity.model_dump(mode="json"),
            }
            for design in plan.designs
        ],
        "constraints": plan.constraints and asdict(plan.constraints),
        "objective": plan.objective,
        "seconds": seconds,
        "seed": plan.seed,
        "as_published": plan.as_published,
        "densities": {
            name: {
                "weights": state.weights,
                "activations": state.activations,
                "gradients": state.gradients,
                "masked": state.mask is not None,
                "assumed": state.assumed,
            }
            for name, state in states.items()
        },
    }
