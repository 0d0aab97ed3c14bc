"""A sparse design where another specification names it: a file beside it, a name, or the design itself."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from procrustes_model.errors import SpecError
from procrustes_model.shipped import list_shipped, resolve
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.sparsity_reader import read_sparsity
from procrustes_model.spec.text.document import Document, read_document
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path

_KIND = "sparsity"
_EXAMPLE = "such as sparsity: dense"


def read_design(written: Any, path: Path, document: Document) -> Sparsity | None:
    """Return the sparse design that stands at a path of a document; None where there is an issue.

    Parameters
    ----------
    written : Any
        The name of a shipped design, a file, relative to the document's, or what a file says under
        ``sparsity``.
    path : tuple of str and int
        Where it stands.
    document : Document
        Gets the issues.
    """
    try:
        if isinstance(written, dict):
            return read_sparsity(_inner(written, path, document))
        if isinstance(written, str):
            return read_sparsity(read_document(_find(written, document)))
    except SpecError as error:
        if isinstance(written, dict):
            document.issues += error.issues
        for issue in error.issues if isinstance(written, str) else ():
            place = f"{issue.file}:{issue.line}: " if issue.file and issue.line else ""
            document.complain(path, f"{place}{issue.message}", issue.hint)
        return None
    wanted = f"a name, a file or {PAIRS}"
    document.complain(path, f"'{path[-1]}' must be {wanted}, is {shorten(written)}", _EXAMPLE)
    return None


def read_file(written: str, document: Document) -> str:
    """Return a file that a document names: relative to the document's own."""
    return str(FilePath(document.file).parent / written) if document.file else written


def _find(written: str, document: Document) -> FilePath:
    """Return the file that a text means: one beside the document before what ships."""
    file = FilePath(read_file(written, document))
    named = written in list_shipped(_KIND) or not FilePath(written).suffix
    return resolve(_KIND, written) if named and not file.is_file() else resolve(_KIND, file)


def _inner(written: dict[str, Any], path: Path, document: Document) -> Document:
    """Return the document of a design that stands in another one, with its places there."""

    def moved(places: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
        depth = len(path)
        return {(_KIND, *one[depth:]): at for one, at in places.items() if one[:depth] == path}

    return Document(
        {_KIND: written},
        document.file,
        moved(document.keys),
        moved(document.values),
        moved(document.text_start),
    )
