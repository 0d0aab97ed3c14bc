"""What MkDocs asks while it builds the site: the command line's reference, from the commands themselves."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from notebooks import read_notebook, to_markdown

MARK = "<!-- generate: command line -->"
"""Where a page has this comment, the commands are described."""
NOTEBOOK = re.compile(r"<!-- notebook: (\w+\.ipynb) -->")
"""Where a page has this comment, a notebook stands with its outputs."""
NOTEBOOKS = Path(__file__).parent.parent / "docs" / "notebooks"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with its mark replaced; MkDocs calls this for every page."""
    if MARK in markdown:
        return markdown.replace(MARK, "\n".join(command_line()))
    return NOTEBOOK.sub(lambda found: to_markdown(read_notebook(NOTEBOOKS / found[1])), markdown)


def command_line() -> Iterator[str]:
    """Yield the lines of Markdown that describe every command."""
    from typer.main import get_command

    from procrustes_model.cli import app

    root = get_command(app)
    yield from _describe(root, "procrustes", None)


def _describe(command: Any, name: str, parent: Any) -> Iterator[str]:
    """Yield a command's section, then those of the commands below it."""
    context = command.context_class(command, parent, name, **command.context_settings)
    children = getattr(command, "commands", {}).values()
    if parent is not None:
        yield from ("", f"## {name}", "")
        # As on the terminal: a blank line parts paragraphs, and \f ends what is shown.
        yield from (command.help or "").split("\f")[0].strip().splitlines()
    if not children:
        yield from _usage(command, name, context)
    for child in children:
        yield from _describe(child, f"{name} {child.name}", context)


def _usage(command: Any, name: str, context: Any) -> Iterator[str]:
    """Yield how a command is written, and a row per argument and option."""
    written = " ".join([name, *command.collect_usage_pieces(context)])
    yield from ("", "```text", written, "```", "", "| | |", "|---|---|")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            option, about = (" ".join(part.split()) for part in record)
            about = about.replace("|", "\\|").replace("<", "&lt;")
            yield f"| `{option}` | {about} |"
