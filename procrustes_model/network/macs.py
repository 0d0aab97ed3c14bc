"""The verb: count the computations that remain in every layer and phase of a network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from procrustes_model.errors import SpecError
from procrustes_model.network.computations import (
    Computations,
    CountedRow,
    count_computations,
    counted_rows,
    sum_of,
)
from procrustes_model.network.plan import counts_first_gradient, make_plan
from procrustes_model.network.request import RunRequest, nothing_searched
from procrustes_model.network.work import load_work, states_of
from procrustes_model.options import verb
from procrustes_model.vocabulary import Phase


@dataclass(frozen=True)
class NetworkMacs:
    """Computations of a training step.

    Attributes
    ----------
    architecture, network : str
        Names.
    batch : int
        Samples per training step.
    phases : tuple of Phase
    designs : tuple of str
        The first is the one asked about, a second the baseline.
    first_data_gradient : bool
        Whether the backward phase of the first layer is counted.
    rows : tuple of CountedRow
        By layer, phase and design, in this order.
    """

    architecture: str
    network: str
    batch: int
    phases: tuple[Phase, ...]
    designs: tuple[str, ...]
    first_data_gradient: bool
    rows: tuple[CountedRow, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the network's order."""
        return tuple(dict.fromkeys(row.layer for row in self.rows))

    def totals(
        self, design: str | None = None, phase: Phase | None = None, layer: str | None = None
    ) -> Computations:
        """Return the computations of a design, the one asked about by default, in a phase or all."""
        return sum_of(self.select(design or self.designs[0], phase, layer))

    def select(self, design: str, phase: Phase | None = None, layer: str | None = None) -> list[CountedRow]:
        """Return the rows of a design, in a phase and layer; None means all of them."""
        return [
            row
            for row in self.rows
            if row.design == design and phase in (None, row.phase) and layer in (None, row.layer)
        ]


@verb(RunRequest)
def count_macs(request: RunRequest) -> NetworkMacs:
    """Count the computations that remain in every layer of a network and phase of training, without a search.

    No mapping changes them: a design saves the same whatever the order of loops.

    Returns
    -------
    NetworkMacs

    Raises
    ------
    SpecError
        When an input is wrong, or a design does not fit.
    """
    if request.out is not None:
        raise SpecError(nothing_searched("out"))
    request = replace(request, macs=True)
    work = load_work(request)
    plan = make_plan(work, states_of(work))
    rows = counted_rows(plan, count_computations(plan))
    return NetworkMacs(
        architecture=work.architecture.name,
        network=work.network.name,
        batch=work.batch,
        phases=work.phases,
        designs=tuple(design.name for design in work.designs),
        first_data_gradient=request.first_data_gradient and counts_first_gradient(rows),
        rows=rows,
    )
