"""The fenced blocks and marked tables of a Markdown file, with the comments that stand before them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

_FENCE = re.compile(r"```(\w*)")
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->")
_MARK = re.compile(r"(output|error|arch|problem|file|name|keys|mistakes|columns|not run|followed)(?::\s*|$)")
_CONTINUES = re.compile(r"<!--\s*continues:\s*(\S+)\s*-->")


@dataclass
class Block:
    """A fenced block, or a table that has comments.

    Attributes
    ----------
    document : Path
    line : int
        Of its first line of content, counted from 1.
    kind : str
        The fence's language, or 'table'.
    text : str
    marks : dict of str to str
        What the comments before it say, such as `{'error': 'unknown key'}`.
    before : list of Block
        The blocks that stand above, in this document and in those that it continues.
    """

    document: Path
    line: int
    kind: str
    text: str
    marks: dict[str, str]
    before: list[Block] = field(repr=False, default_factory=list)

    def __str__(self) -> str:
        """Return the place, as pytest shows it."""
        return f"{place(self.document)}:{self.line}"

    @property
    def files(self) -> dict[str, str]:
        """The files that blocks above it, or itself, say they are."""
        return {one.marks["file"]: one.text for one in (*self.before, self) if "file" in one.marks}

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table without its head, code without its backquotes."""
        lines = self.text.splitlines()[2:]
        cells = [line.strip().strip("|").split("|") for line in lines]
        return [[_plain(cell) for cell in row] for row in cells]


def place(document: Path) -> str:
    """Return where a document is in the project, as pytest shows it."""
    return document.relative_to(ROOT).as_posix()


def _plain(cell: str) -> str:
    cell = cell.strip()
    if cell.startswith("`` ") and cell.endswith(" ``"):
        return cell[3:-3]
    return cell[1:-1] if cell.startswith("`") and cell.endswith("`") else cell


def read_blocks(document: Path) -> list[Block]:
    """Return the blocks of a document in order.

    A comment ``<!-- continues: layer.md -->`` before its first block says that it goes on where another
    document ends, with that document's files.

    Parameters
    ----------
    document : Path
        A Markdown file.

    Returns
    -------
    list of Block
    """
    text = document.read_text(encoding="utf-8")
    lines = text.splitlines()
    start = _CONTINUES.search(text)
    earlier = [] if start is None else _with_earlier(document.parent / start[1])
    blocks: list[Block] = []
    marks: dict[str, str] = {}
    at = 0
    while at < len(lines):
        fence, comments = _FENCE.fullmatch(lines[at]), _COMMENT.findall(lines[at])
        first = at + 1
        if fence:
            end = lines.index("```", first)
            content = "\n".join([*lines[first:end], ""])
            blocks.append(Block(document, first + 1, fence[1], content, marks, [*earlier, *blocks]))
            marks, at = {}, end
        elif lines[at].startswith("|") and marks:
            end = next((i for i in range(at, len(lines)) if not lines[i].startswith("|")), len(lines))
            blocks.append(
                Block(document, first, "table", "\n".join(lines[at:end]), marks, [*earlier, *blocks])
            )
            marks, at = {}, end - 1
        elif comments:
            for comment in comments:
                marks |= _marks(comment)
        elif lines[at].strip():
            marks = {}
        at += 1
    return blocks


def _with_earlier(document: Path) -> list[Block]:
    """Return the blocks of a document after those of the documents that it continues."""
    blocks = read_blocks(document)
    return [*blocks[-1].before, blocks[-1]] if blocks else []


def _marks(comment: str) -> dict[str, str]:
    """Return the marks of one comment; `arch: A problem: B` and `error: any text` are both understood."""
    start = _MARK.match(comment)
    if start is None:
        return {}
    if start[1] == "arch" and " problem: " in comment:
        arch, problem = comment.split(" problem: ")
        return {"arch": arch.removeprefix("arch:").strip(), "problem": problem.strip()}
    return {start[1]: comment[start.end() :]}
