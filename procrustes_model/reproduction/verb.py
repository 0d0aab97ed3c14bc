"""The verb: answer one question of the evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.files import csv_text, write_atomically
from procrustes_model.network.run import prepare_folder
from procrustes_model.reproduction.rows import COLUMNS, Rows, make_rows
from procrustes_model.reproduction.runs import Results, Run, carry_out, runs_of
from procrustes_model.reproduction.study import Rules, load_study
from procrustes_model.reproduction.text import item_text
from procrustes_model.versions import VERSION_COLUMN

if TYPE_CHECKING:
    from procrustes_model.network.run import RunProgress
    from procrustes_model.report.terminal.table import Style

SECONDS = 30.0
"""Time limit of each search where none is given."""


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


def reproduce(
    item: str,
    out: str | os.PathLike[str] = "reproduced",
    *,
    networks: Sequence[str] | None = None,
    rules: Rules = "published",
    quick: bool = False,
    seconds: float | None = SECONDS,
    workers: int | None = None,
    style: Style | None = None,
    announce: Callable[[Run, int, int], None] | None = None,
    progress: Callable[[RunProgress], None] | None = None,
) -> Reproduction:
    """Answer one question of the Procrustes evaluation: a table, a CSV, and a figure as PNG and SVG.

    Parameters
    ----------
    item : str
        'energy', 'cycles', 'dataflows', 'imbalance', 'scaling' or 'conv512'.
    out : path
        Folder for results. Runs in it are taken up where they are; items share them.
    networks : sequence of str, optional
        Of those of the evaluation; all by default.
    rules : {'published', 'model'}
        How zeros are counted and charged: as the authors' tool does, or as this model does.
    quick : bool
        Only the first layers, in a small batch: to try things out, not for numbers.
    seconds : float or None
        Time limit of each search; None: until the best is proven.
    workers : int, optional
        Searches at a time; all processors by default.
    style : Style, optional
        Of the text; plain by default.
    announce : callable, optional
        Called before each run with the run, its number and how many there are.
    progress : callable, optional
        Called when a case of a run is done.

    Returns
    -------
    Reproduction

    Raises
    ------
    SpecError
        When the item or a network is unknown, or figures cannot be drawn.
    """
    from procrustes_model.report.figures.style import check_plotting, write_figure
    from procrustes_model.reproduction.figures import draw_item

    study = load_study().with_options(None if networks is None else tuple(networks), rules=rules, quick=quick)
    asked = study.item(item)
    check_plotting()
    folder = prepare_folder(out)
    runs = runs_of(asked, study)
    results: Results = {}
    for number, run in enumerate(runs, 1):
        if announce is not None:
            announce(run, number, len(runs))
        results[run] = carry_out(run, study, folder, seconds=seconds, workers=workers, progress=progress)
    rows = make_rows(asked, study, results)
    text = item_text(asked, study, rows, style)
    columns = [name for name in COLUMNS if name in VERSION_COLUMN or any(name in row for row in rows)]
    figure = draw_item(asked, rows)
    files = tuple(folder / f"{item}.{ending}" for ending in ("csv", "png", "svg"))
    write_atomically(files[0], csv_text(columns, rows))
    for path in files[1:]:
        write_figure(figure, path)
    return Reproduction(item, rows, text, files)
