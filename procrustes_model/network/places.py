"""Where a file says something that only turns out to be wrong beside another file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.text.document import Document, read_document
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Network


def located(issue: Issue, source: Any, word: str, *under: str) -> Issue:
    """Return an issue with the file, line and column at which a word stands.

    Parameters
    ----------
    issue : Issue
    source : Any
        What a user gave: where it is a file, it is looked into.
    word : str
        A value, or a key; the first such, below the item of a list that is called `under` where one is named.
    *under : str
        The name of an item, and keys inside it.
    """
    file = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if file is None or not FilePath(file).is_file() or FilePath(file).suffix == ".npz":
        return Issue(issue.message, issue.hint, issue.file or file)
    document = read_document(file)
    for path, is_key in _places(document, word):
        if all(_passes(document, path, name) for name in under):
            line, column = document.place(path, key=is_key)
            return Issue(issue.message, issue.hint, file, line, column)
    return Issue(issue.message, issue.hint, file)


def _places(document: Document, word: str) -> Iterator[tuple[Path, bool]]:
    """Yield the paths to a word, each with whether it is a key."""

    def walk(data: Any, path: Path) -> Iterator[tuple[Path, bool]]:
        parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        for key, value in parts:
            inner = (*path, key)
            if key == word:
                yield inner, True
            if value == word:
                yield inner, False
            yield from walk(value, inner)

    yield from walk(document.data, ())


def _passes(document: Document, path: Path, name: str) -> bool:
    """Return whether a path leads through an item, or a key, of some name."""
    data = document.data
    for part in path:
        if part == name or (isinstance(data, dict) and data.get("name") == name):
            return True
        data = data[part]
    return False


def check_against(network: Network, machine: Architecture, own: str, source: Any) -> None:
    """Raise where layers name levels that their machine lacks, or files of another shape than theirs.

    Parameters
    ----------
    network : Network
    machine : Architecture
        That of the run.
    own : str
        What the network calls it; empty where nothing.
    source : Any
        What the network was read from.

    Raises
    ------
    SpecError
        With the places of all that is wrong.
    """
    from procrustes_model.model.sparse.masks import read_mask

    issues = []
    for layer in network.elementwise:
        one = network.machines.get(layer.machine or own, machine)
        names = [level.name for level in one.levels]
        for tensor, level in layer.at.items():
            if level not in names:
                message = f"'{tensor}' begins or ends at '{level}', no level of {one.name}"
                issue = Issue(message, did_you_mean(level, names))
                issues.append(located(issue, source, level, layer.name, "at"))
    for given in network.layers:
        if not isinstance(given, ProblemLayer) or given.kind != "spmm":
            continue
        for tensor, density in given.densities:
            if density.mask is None:
                continue
            try:
                read_mask(density.mask, given.problem, tensor, alone=True)
            except SpecError as error:
                issues += [
                    located(Issue(f"{given.name}: {one}"), source, "adjacency", given.name)
                    for one in error.issues
                ]
    if issues:
        raise SpecError(issues)
