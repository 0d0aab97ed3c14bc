"""A result in a line or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from procrustes_model.report.terminal.units import format_energy, format_share

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.model.result import Result
    from procrustes_model.network.result import NetworkResult
    from procrustes_model.network.train_result import TrainCost
    from procrustes_model.sweeps.result import SweepResult


def summarise(result: Any) -> str:
    """Return what a result is of, and its energy and cycles.

    Parameters
    ----------
    result : Result, SearchResult, NetworkResult, TrainCost or SweepResult
    """
    return next(_SUMMARIES[kind.__name__] for kind in type(result).__mro__ if kind.__name__ in _SUMMARIES)(
        result
    )


def _costs(energy_pj: float, cycles: int) -> str:
    return f"{format_energy(energy_pj)}, {cycles:,} cycles"


def _evaluation(result: Result) -> str:
    phase = f" ({result.phase.replace('_', ' ')})" if result.phase else ""
    costs = _costs(result.energy_pj, result.cycles)
    return (
        f"{result.problem}{phase} on {result.architecture}, mapping {result.mapping}\n"
        f" {costs}, limited by {result.bottleneck}, {format_share(result.utilization, 1)} utilization"
    )


def _search(found: SearchResult) -> str:
    certificate = found.certificate
    proof = "proven" if certificate.proven else f"up to {certificate.gap:.1%} from the best"
    if not certificate.proven and certificate.lower_bound <= 0:
        proof = "no bound known"
    result = found.result
    phase = f" ({result.phase.replace('_', ' ')})" if result.phase else ""
    return (
        f"{result.problem}{phase} on {result.architecture}, least {found.objective}\n"
        f" {_costs(result.energy_pj, result.cycles)}, {proof}"
    )


def _network(result: NetworkResult) -> str:
    totals = result.totals()
    against = ""
    if result.baseline is not None:
        ratio = result.ratio()
        against = (
            f", {ratio.energy:.2f}x less energy and {ratio.cycles:.2f}x fewer cycles than {result.baseline}"
        )
    return (
        f"{result.network} on {result.architecture}, batch {result.batch}, {result.design}, "
        f"{len(result.layers)} layers\n {_costs(totals.energy_pj, totals.cycles)}{against}"
    )


def _training(cost: TrainCost) -> str:
    dense = _costs(cost.dense.energy_pj, cost.dense.cycles)
    return (
        f"{cost.network} on {cost.architecture}, {cost.design}, {cost.iterations:,} iterations of batch "
        f"{cost.batch}\n {_costs(cost.energy_pj, cost.cycles)}; dense training {dense}"
    )


def _sweep(result: SweepResult) -> str:
    front = f"{len(result.front)} on the front of {' and '.join(result.pareto)}"
    best = result.best
    least = "" if best is None else f"; point {best.number} has the least {best.objective or 'edp'}"
    return f"{result.name}, {len(result.points)} points over {', '.join(result.axes)}\n {front}{least}"


_SUMMARIES: dict[str, Callable[[Any], str]] = {
    "Result": _evaluation,
    "SearchResult": _search,
    "NetworkResult": _network,
    "TrainCost": _training,
    "SweepResult": _sweep,
}
