"""The runs of networks behind the items; what two items need is run once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.network.run import run_network
from procrustes_model.reproduction.request import CONV512, ReproduceRequest, Run
from procrustes_model.reproduction.study import Item, Settings, Study
from procrustes_model.spec.load import load_network

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult


Results = dict[Run, "NetworkResult"]


def runs_of(item: Item, study: Study) -> list[Run]:
    """Return the runs that an item needs, network by network."""
    settings = study.settings
    if item.name == CONV512:
        return [Run(CONV512, settings.architecture, settings.dataflow)]
    machines = item.architectures or (settings.architecture,)
    flows = item.dataflows or (settings.dataflow,)
    return [
        Run(subject.label, machine, flow)
        for subject in study.subjects
        for machine in machines
        for flow in flows
    ]


def carry_out(run: Run, study: Study, request: ReproduceRequest) -> NetworkResult:
    """Carry out a run, or what is missing of it in its folder.

    Parameters
    ----------
    run : Run
    study : Study
    request : ReproduceRequest
        Its folder gets one for the run; its time limit, workers and progress are the run's.
    """
    settings = study.settings
    density, profile = None, None
    if run.subject == CONV512:
        # A single layer: quick as it is.
        network, batch = load_network({"network": study.layer["network"]}), settings.batch
        density = study.layer["densities"]
    else:
        subject = next(one for one in study.subjects if one.label == run.subject)
        network = settings.network(load_network(subject.network))
        batch = network.batch if settings.quick else settings.batch
        profile = subject.density
    # Other dataflows are compared with each other, not with a dense machine.
    baseline = settings.baseline if run.dataflow == settings.dataflow else None
    return run_network(
        run.architecture,
        network,
        batch=batch,
        dataflow=run.dataflow,
        sparsity=settings.sparsity,
        baseline=baseline,
        densities=density,
        profile=profile,
        objective=settings.objective,
        seconds=request.seconds,
        as_published=settings.rules == "published",
        out=Path(request.out) / "runs" / _folder(run, settings),
        workers=request.workers,
        progress=request.progress,
    )


def _folder(run: Run, settings: Settings) -> str:
    return run.folder + ("_quick" if settings.quick else "") + ("_model" if settings.rules == "model" else "")


def select(results: Results, architecture: str, dataflow: str) -> dict[str, NetworkResult]:
    """Return the results of one machine and dataflow by network, in the order of the study."""
    return {
        run.subject: result
        for run, result in results.items()
        if (run.architecture, run.dataflow) == (architecture, dataflow)
    }
