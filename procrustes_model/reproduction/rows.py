"""The rows of each item's CSV; its table and its figure are made of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from procrustes_model.report.figures.network import energy_parts
from procrustes_model.reproduction.request import CONV512, Run
from procrustes_model.reproduction.runs import Results, select
from procrustes_model.versions import VERSION_COLUMN
from procrustes_model.vocabulary import Phase, Searched

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult, Totals
    from procrustes_model.reproduction.study import Item, Study

ALL = "all"
TOTAL = "total"
Rows = list[dict[str, Any]]
COLUMNS: dict[str, str] = {
    "network": "label of the network",
    "architecture": "name of the architecture",
    "dataflow": "dimensions over columns and rows of the array",
    "phase": "forward, backward, weight_update, or all",
    "machine": "dense or sparse",
    "design": "name of the sparse design",
    "part": "level, compute, balancing, or total",
    "energy_pj": "energy, in pJ",
    "cycles": "cycles; layers and phases one after the other",
    "edp_j_cycles": "joules x cycles",
    "utilization": "operations done / operations that all units could do in the cycles",
    "dense_over_this": "the dense machine's number / this one",
    "energy_over_first": "energy / that of the settings' dataflow",
    "cycles_over_first": "cycles / those of the settings' dataflow",
    "small_over_this": "cycles of the same machine on the first architecture / these",
    "proven": f"mappings proven the best of those with {Searched.WHOLE}",
    "mappings": "mappings, one per layer and phase",
    "published_energy_mj": "energy that the authors' tool found, in mJ",
    "published_cycles": "cycles that the authors' tool found",
    "edp_over_published": "this energy-delay product / the published one; at most 1 is no worse",
    "system": "name of a published way to train with less",
    "point": "what is compared, such as a layer",
    "at": "its place on the axis of the figure, where there is one",
    "series": "way in which it is found here",
    "measure": "what is found: a name in `reproduction.measures`",
    "value": "the number found here",
    "published": "the published number; empty: none is",
    "over_published": "this number / the published one",
    "exact": "the number by arithmetic; empty: none is known",
    "over_exact": "this number / that by arithmetic",
    "quantity": "what the number is",
    "work_from": "lower end of the bin: work / mean of the array-level tile",
    "work_to": "upper end",
    "elements_before": "processing elements in the bin, without balancing",
    "elements_after": "processing elements in the bin, with balancing",
    "slowest_before": "array-level tiles whose slowest element is in the bin, without balancing",
    "slowest_after": "array-level tiles whose slowest element is in the bin, with balancing",
    "mean_before": "mean of the slowest element's work / mean, over all array-level tiles, without balancing",
    "mean_after": "the same with balancing",
    **VERSION_COLUMN,
}
"""All columns that some item's CSV has."""


def make_rows(item: Item, study: Study, results: Results) -> Rows:
    """Return the rows of an item's CSV.

    Parameters
    ----------
    item : Item
    study : Study
    results : dict of Run to NetworkResult
        Of the runs that the item needs.
    """
    makers: dict[str, Callable[[Item, Study, Results], Iterator[dict[str, Any]]]] = {
        "energy": _energy,
        "cycles": _cycles,
        "dataflows": _dataflows,
        "imbalance": _imbalance,
        "scaling": _scaling,
        CONV512: _conv512,
    }
    return list(makers[item.name](item, study, results))


def machines(result: NetworkResult) -> dict[str, str]:
    """Return the designs of a run by what they are: dense first, then sparse."""
    named = {"sparse": result.design}
    return named if result.baseline is None else {"dense": result.baseline} | named


def _phases(result: NetworkResult) -> Iterator[tuple[str, Phase | None]]:
    yield from ((phase, phase) for phase in result.phases)
    yield ALL, None


def _main(study: Study, results: Results) -> dict[str, NetworkResult]:
    return select(results, study.settings.architecture, study.settings.dataflow)


def _energy(_: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    for network, result in _main(study, results).items():
        for phase, one in _phases(result):
            for machine, design in machines(result).items():
                totals = result.totals(design, one)
                head = {"network": network, "phase": phase, "machine": machine, "design": design}
                for part in energy_parts(result):
                    if part in totals.energy_by_level:
                        yield head | {"part": part, "energy_pj": totals.energy_by_level[part]}
                last = head | {"part": TOTAL, "energy_pj": totals.energy_pj, **_proof(totals)}
                if machine == "sparse":
                    last["dense_over_this"] = result.totals(result.baseline, one).energy_pj / totals.energy_pj
                yield last


def _cycles(_: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    for network, result in _main(study, results).items():
        for phase, one in _phases(result):
            for machine, design in machines(result).items():
                totals = result.totals(design, one)
                row = {
                    "network": network,
                    "phase": phase,
                    "machine": machine,
                    "design": design,
                    "cycles": totals.cycles,
                    "utilization": totals.utilization,
                    **_proof(totals),
                }
                if machine == "sparse":
                    row["dense_over_this"] = result.totals(result.baseline, one).cycles / totals.cycles
                yield row


def _dataflows(item: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    settings = study.settings
    first = _main(study, results)
    for network, base in first.items():
        for flow in item.dataflows:
            result = results[Run(network, settings.architecture, flow)]
            for phase, one in _phases(result):
                totals, reference = result.totals(None, one), base.totals(None, one)
                yield {
                    "network": network,
                    "dataflow": flow,
                    "phase": phase,
                    "design": result.design,
                    "energy_pj": totals.energy_pj,
                    "cycles": totals.cycles,
                    "utilization": totals.utilization,
                    "energy_over_first": totals.energy_pj / reference.energy_pj,
                    "cycles_over_first": totals.cycles / reference.cycles,
                    **_proof(totals),
                }


def _scaling(item: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    flow = study.settings.dataflow
    for network in dict.fromkeys(run.subject for run in results):
        small = results[Run(network, item.architectures[0], flow)]
        for architecture in item.architectures:
            result = results[Run(network, architecture, flow)]
            for phase, one in _phases(result):
                for machine, design in machines(result).items():
                    totals = result.totals(design, one)
                    row = {
                        "network": network,
                        "architecture": architecture,
                        "phase": phase,
                        "machine": machine,
                        "design": design,
                        "energy_pj": totals.energy_pj,
                        "cycles": totals.cycles,
                        "utilization": totals.utilization,
                        "small_over_this": small.totals(design, one).cycles / totals.cycles,
                        **_proof(totals),
                    }
                    if machine == "sparse":
                        row["dense_over_this"] = result.totals(result.baseline, one).cycles / totals.cycles
                    yield row


def _conv512(_: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    (result,) = _main(study, results).values()
    for phase in result.phases:
        for machine, design in machines(result).items():
            totals = result.totals(design, phase)
            cycles, millijoules = study.conv512[phase][machine]
            yield {
                "phase": phase,
                "machine": machine,
                "design": design,
                "energy_pj": totals.energy_pj,
                "cycles": totals.cycles,
                "edp_j_cycles": totals.edp_j_cycles,
                "published_energy_mj": millijoules,
                "published_cycles": cycles,
                "edp_over_published": totals.edp_j_cycles / (millijoules * 1e-3 * cycles),
                **_proof(totals),
            }


def _imbalance(_: Item, study: Study, results: Results) -> Iterator[dict[str, Any]]:
    from procrustes_model.reproduction.working_sets import count_working_sets

    for network, result in _main(study, results).items():
        for row in count_working_sets(result):
            yield {"network": network, "phase": Phase.FORWARD, "design": result.design, **row}


def _proof(totals: Totals) -> dict[str, int]:
    return {"proven": totals.proven, "mappings": totals.rows}
