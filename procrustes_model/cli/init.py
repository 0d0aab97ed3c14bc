"""``procrustes init``: files to start from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

_NEXT = """\
procrustes evaluate machine.yaml layer.yaml mapping.yaml
procrustes search machine.yaml layer.yaml --sparsity design.yaml --out best.yaml
procrustes network machine.yaml network.yaml --phases fw
procrustes sweep sweep.yaml --html points.html"""


def init_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where they go; made if need be.")],
) -> None:
    """Write a machine, a layer, a mapping, a design, a network and a sweep to start from, with comments.

    A file that is there already is left alone, and nothing is written then.
    """
    with reported_errors():
        from procrustes_model.files import write_atomically
        from procrustes_model.shipped import starter_files

        files = starter_files()
        there = [Issue("this file is there already", "give another folder", str(folder / one.name))
                 for one in files if (folder / one.name).exists()]  # fmt: skip
        if there:
            raise SpecError(there)
        folder.mkdir(parents=True, exist_ok=True)
        for one in files:
            write_atomically(folder / one.name, one.read_text(encoding="utf-8"))
        from procrustes_model.report.terminal.style import Style, wrap

        said = f"Wrote {', '.join(one.name for one in files)} into {folder}/"
        say("\n".join(wrap(said, Style.of(sys.stdout))))
        say(f"Try, in {folder}/:\n" + "\n".join(f"  {line}" for line in _NEXT.splitlines()))
