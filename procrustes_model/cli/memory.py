"""``procrustes memory``: what training a network keeps off the chip."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from procrustes_model.cli.outputs import check_outputs, print_written, to_stdout, write_output
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.network.memory_request import MemoryRequest


@flattened(request=MemoryRequest)
def memory_command(
    request: MemoryRequest,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write a CSV: a row per moment of a step; - to stdout."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write everything as JSON; - to stdout.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Tell what training keeps off the chip: weights, states, gradients, activations, and their peak."""
    outputs = {"--csv": csv, "--json": json}
    check_outputs(outputs, (str(request.network),))
    from procrustes_model.network.memory import training_memory
    from procrustes_model.report.tables.memory import memory_json, memory_text
    from procrustes_model.report.terminal.memory import format_memory
    from procrustes_model.report.terminal.style import Style

    memory = training_memory(request)
    for path, text in ((csv, memory_text), (json, memory_json)):
        if path is not None:
            write_output(path, text(memory))
    if not quiet and not to_stdout(outputs):
        say(format_memory(memory, Style.of(sys.stdout)), styled=True)
        print_written(outputs)
