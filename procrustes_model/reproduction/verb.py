"""The verb: answer one question of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.files import csv_text, write_atomically
from procrustes_model.network.run import prepare_folder
from procrustes_model.options import verb
from procrustes_model.reproduction.request import (
    EVERYTHING,
    SYSTEMS,
    ReproduceRequest,
    is_system,
    is_validation,
)
from procrustes_model.reproduction.rows import COLUMNS, Rows, make_rows
from procrustes_model.reproduction.runs import Results, carry_out, runs_of
from procrustes_model.reproduction.study import load_study
from procrustes_model.reproduction.system import System, load_systems
from procrustes_model.reproduction.text import item_text
from procrustes_model.reproduction.validation import Validation, load_validations
from procrustes_model.versions import VERSION_COLUMN

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Reproduction:
    """An answered question.

    Attributes
    ----------
    item : str
        Its name.
    rows : list of dict
        Of the CSV.
    text : str
        The table, and next to it what is published.
    files : tuple of Path
        What was written.
    """

    item: str
    rows: Rows
    text: str
    files: tuple[Path, ...]


@verb(ReproduceRequest)
def reproduce(request: ReproduceRequest) -> Reproduction:
    """Answer a question of the Procrustes evaluation, or repeat a validation: table, CSV, PNG and SVG.

    Returns
    -------
    Reproduction

    Raises
    ------
    SpecError
        When the item or a network is unknown, or figures cannot be drawn.
    """
    from procrustes_model.report.figures.style import check_plotting
    from procrustes_model.reproduction.figures import draw_item

    if request.item in (None, EVERYTHING, SYSTEMS):
        raise SpecError(Issue("one item is reproduced at a time", f"one of {', '.join(load_study().titles)}"))
    if is_validation(request.item):
        return _validate(load_validations()[str(request.item)], request)
    if is_system(request.item):
        return _count(load_systems()[str(request.item)], request)
    networks = None if request.networks is None else tuple(request.networks)
    study = load_study().with_options(networks, rules=request.rules, quick=request.quick)
    asked = study.item(str(request.item))
    check_plotting()
    folder = prepare_folder(request.out)
    runs = runs_of(asked, study)
    results: Results = {}
    for number, run in enumerate(runs, 1):
        if request.announce is not None:
            request.announce(run, number, len(runs))
        results[run] = carry_out(run, study, request)
    rows = make_rows(asked, study, results)
    text = item_text(asked, study, rows, request.style)
    return _written(asked.name, rows, text, draw_item(asked, rows), folder)


def _validate(validation: Validation, request: ReproduceRequest) -> Reproduction:
    from procrustes_model.report.figures.style import check_plotting
    from procrustes_model.reproduction.validation_report import (
        draw_validation,
        validation_rows,
        validation_text,
    )

    check_plotting()
    folder = prepare_folder(request.out)
    rows = validation_rows(validation)
    text = validation_text(validation, rows, request.style)
    return _written(validation.name, rows, text, draw_validation(validation, rows), folder)


def _count(system: System, request: ReproduceRequest) -> Reproduction:
    from procrustes_model.report.figures.style import check_plotting
    from procrustes_model.reproduction.system_report import draw_system, system_rows, system_text

    check_plotting()
    folder = prepare_folder(request.out)
    rows = system_rows(system)
    text = system_text(system, rows, request.style)
    return _written(system.name, rows, text, draw_system(rows), folder)


def _written(name: str, rows: Rows, text: str, figure: Figure, folder: Path) -> Reproduction:
    """Write an answer's CSV and figures."""
    from procrustes_model.report.figures.style import write_figure

    columns = [column for column in COLUMNS if column in VERSION_COLUMN or any(column in row for row in rows)]
    files = tuple(folder / f"{name}.{ending}" for ending in ("csv", "png", "svg"))
    write_atomically(files[0], csv_text(columns, rows))
    for path in files[1:]:
        write_figure(figure, path)
    return Reproduction(name, rows, text, files)
