"""A result as notebooks show it: a line, a table, and a figure where matplotlib is installed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from procrustes_model.report.page.parts import Cell, Column, Table
from procrustes_model.report.page.render import render_page
from procrustes_model.report.page.sweep import sweep_table
from procrustes_model.report.terminal.summary import summarise
from procrustes_model.report.terminal.units import format_energy, format_share, whole_count
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.model.result import Result
    from procrustes_model.network.result import NetworkResult
    from procrustes_model.network.train_result import TrainCost

_ACCESSES = (
    Column("level", True),
    Column("tensor", True),
    *(Column(name, meaning="words of one instance") for name in ("reads", "fills", "updates", "tile")),
    Column("energy"),
    Column("share"),
)
_PIXELS_PER_INCH = 96


def show(result: Any) -> str:
    """Return a result as HTML that stands in another page; the same result gives the same text.

    Parameters
    ----------
    result : Result, SearchResult, NetworkResult, TrainCost or SweepResult
    """
    kind = next(one.__name__ for one in type(result).__mro__ if one.__name__ in _TABLES)
    head, _, costs = summarise(result).partition("\n")
    image, width = _image(result)
    return render_page(
        "notebook.html.j2",
        head=head,
        costs=costs.strip(),
        note=f"{result.claim}." if kind == "SearchResult" else None,
        table=_TABLES[kind](result),
        image=image,
        width=width,
    )


def _image(result: Any) -> tuple[str | None, int]:
    """Return the default figure as base64 of a PNG, and its width in pixels; None without matplotlib."""
    if find_spec("matplotlib") is None:
        return None, 0
    from procrustes_model.report.figures.kinds import draw
    from procrustes_model.report.figures.style import NOTEBOOK_DPI, figure_bytes

    figure = draw(result)
    data = base64.b64encode(figure_bytes(figure, ".png", dpi=NOTEBOOK_DPI)).decode("ascii")
    return data, round(figure.get_size_inches()[0] * _PIXELS_PER_INCH)


def _evaluation(result: Result) -> Table:
    total = result.energy_pj
    rows = []
    for level in result.levels:
        for counts in level.tensors:
            words = (counts.reads, counts.fills, counts.updates, counts.tile_words)
            cells = [Cell(level.name), Cell(counts.tensor), *(Cell(whole_count(one)) for one in words)]
            rows.append((*cells, *_energy(counts.energy_pj, total)))
    others = ((result.compute.name, result.compute.energy_pj), *result.extras, ("total", total))
    empty = [Cell("")] * 5
    rows += [(Cell(name), *empty, *_energy(energy, total)) for name, energy in others]
    return Table("accesses", _ACCESSES, tuple(rows))


def _energy(energy_pj: float, total: float) -> list[Cell]:
    return [Cell(format_energy(energy_pj)), Cell(format_share(energy_pj, total))]


def _search(found: SearchResult) -> Table:
    return _evaluation(found.result)


def _network(result: NetworkResult) -> Table:
    columns = (
        Column("phase", True),
        Column("design", True),
        *(Column(name) for name in ("energy", "cycles", "utilization", "less energy", "fewer cycles")),
    )
    rows = []
    for phase in (*result.phases, None) if len(result.phases) > 1 else result.phases:
        for design in result.designs:
            one = result.totals(design, phase)
            ratio = None if result.baseline in (None, design) else result.ratio(phase)
            rows.append(
                (
                    Cell("all" if phase is None else phase.text),
                    Cell(design),
                    Cell(format_energy(one.energy_pj)),
                    Cell(f"{one.cycles:,}"),
                    Cell(format_share(one.utilization, 1)),
                    Cell("" if ratio is None else f"{ratio.energy:.2f}x"),
                    Cell("" if ratio is None else f"{ratio.cycles:.2f}x"),
                )
            )
    return Table("totals", columns, tuple(rows))


def _training(cost: TrainCost) -> Table:
    columns = (
        Column("iterations", True),
        Column("weights kept"),
        *(Column(f"{phase.text}, a step") for phase in PHASES),
        Column("energy"),
        Column("cycles"),
    )
    rows = []
    for name, part in (*((f"{part.iterations:,}", part) for part in cost.parts), ("dense", cost.dense)):
        steps = [Cell(format_energy(part.step(phase).energy_pj)) for phase in PHASES]
        kept = Cell(format_share(part.weight_density, 1))
        rows.append((Cell(name), kept, *steps, Cell(format_energy(part.energy_pj)), Cell(f"{part.cycles:,}")))
    return Table("parts", columns, tuple(rows))


_TABLES: dict[str, Callable[[Any], Table]] = {
    "Result": _evaluation,
    "SearchResult": _search,
    "NetworkResult": _network,
    "TrainCost": _training,
    "SweepResult": sweep_table,
}
