"""``procrustes diff``: two results side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.outputs import check_outputs, print_written, to_stdout, write_output
from procrustes_model.cli.say import say

_HELP = "JSON of 'evaluate' or 'search', or the folder of a 'network'."


def diff_command(
    a: Annotated[Path, typer.Argument(metavar="A", help=_HELP)],
    b: Annotated[Path, typer.Argument(metavar="B", help="The same, to compare with it.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Show what is equal, too, and every phase by itself.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write a CSV: a row per number; - to stdout.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write everything as JSON; - to stdout.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Compare two results level by level: energy, cycles, counts, and their ratios."""
    with reported_errors():
        outputs = {"--csv": csv, "--json": json}
        check_outputs(outputs, (str(a), str(b)))
        from procrustes_model.files import csv_text, json_text
        from procrustes_model.network.compare import DIFF_COLUMNS, compare

        found = compare(a, b)
        records = [line.to_record() for line in found.lines]
        if csv is not None:
            write_output(csv, csv_text(list(DIFF_COLUMNS), records))
        if json is not None:
            heads = {"a": found.names[0], "b": found.names[1], "different": list(found.different)}
            write_output(json, json_text({**heads, "numbers": records}))
        if not quiet and not to_stdout(outputs):
            from procrustes_model.report.terminal.compare import format_comparison
            from procrustes_model.report.terminal.style import Style

            say(format_comparison(found, Style.of(sys.stdout), everything=everything), styled=True)
            print_written(outputs)
