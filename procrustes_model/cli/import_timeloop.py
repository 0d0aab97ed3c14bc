"""``procrustes import timeloop``: a design of Timeloop as files of this program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.say import say
from procrustes_model.cli.values import word


class Years(StrEnum):
    """Versions of the tool whose way of counting can be taken; see `importers.timeloop.words.YEARS`."""

    Y2020 = "2020"
    Y2021 = "2021"
    Y2022 = "2022"
    Y2025 = "2025"


def import_timeloop_command(
    files: Annotated[list[str], typer.Argument(metavar="FILES|FOLDERS", help="What that tool was given.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files, new or empty.")
    ],
    rules: Annotated[
        Years,
        typer.Option(help="Count and price as that year's version.", **word("year", Years, list(Years))),
    ] = Years.Y2025,
    mapping: Annotated[
        str | None, typer.Option(metavar="FILE", help="Take the mapping of this file, such as a found one.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the name of the folder.")] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Leave out what only adds to results and cannot be said; list it."),
    ] = False,
) -> None:
    """Translate a design of Timeloop: architecture, energies, problem, mapping, constraints, sparse design.

    Reads the YAML of versions 0.1 to 0.4 with the table of energies (ERT) that Accelergy wrote. What would
    change a number and cannot be said is an error, with file and line; nothing is written then.
    """
    with reported_errors():
        from procrustes_model.importers.timeloop import output, translate

        output.check_folder(out)
        translation = translate(
            files,
            name=name or out.absolute().name[:100].strip() or "imported",
            rules=rules.value,
            mapping=mapping,
            partial=partial,
        )
        output.check_translation(translation)
        written = output.write_files(translation, out)
        for line in output.report_lines(translation):
            say(line)
        for path in written:
            say(f"Wrote {path}")
