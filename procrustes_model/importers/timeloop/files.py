"""Timeloop's files: found, read and merged by top-level key, as that tool merges them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.importers.timeloop.dialect import TAG, DialectBuilder
from procrustes_model.importers.timeloop.node import Findings, Node
from procrustes_model.importers.timeloop.words import TAGS_READ
from procrustes_model.spec.text.document import read_any
from procrustes_model.spec.text.words import PAIRS, did_you_mean, shorten

MAX_FILES = 200
_SHOWN = 3
_SUFFIXES = (".yaml", ".yml")
_OTHER = ".cfg"
"""The ending of files in another language that that tool reads, too."""


@dataclass(frozen=True)
class Inputs:
    """What all files together say.

    Attributes
    ----------
    sections : dict of str to list of Node
        What stands under each top-level key, file by file; keys with underscores in place of hyphens.
    files : tuple of str
        In the order in which they were read.
    findings : Findings
    """

    sections: dict[str, list[Node]]
    files: tuple[str, ...]
    findings: Findings

    def one(self, *keys: str) -> Node | None:
        """Return the only content of a section that may be given once; twice with equal content is once."""
        nodes = [node for key in keys for node in self.sections.get(key, ()) if node.data is not None]
        for other in nodes[1:]:
            if other.data != nodes[0].data:
                other.refuse(
                    f"'{other.path[0]}' stands in {nodes[0].place} already, with other content", key=True
                )
        return nodes[0] if nodes else None

    def lacks(self, key: str) -> None:
        """Note that no file has a section that is needed."""
        more = f" and {len(self.files) - _SHOWN} more" if len(self.files) > _SHOWN else ""
        files = f"{', '.join(self.files[:_SHOWN])}{more}"
        self.findings.issues.append(
            Issue(f"there is no {key}", f"one of the files has the key '{key}'", files)
        )

    def listed(self, *keys: str) -> list[Node]:
        """Return the items of sections that are lists, of all files, one after the other."""
        items: list[Node] = []
        for key in keys:
            for node in self.sections.get(key, ()):
                items += node.list()
        return items


def find_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that are meant: those named, and every YAML file below a folder, in order of names.

    Raises
    ------
    SpecError
        When a folder holds none, or there are too many.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            readable = (*_SUFFIXES, _OTHER)
            inside = sorted(one for one in path.rglob("*") if one.suffix in readable and one.is_file())
            if not inside:
                raise SpecError(Issue("there is no YAML file in this folder", "they end in .yaml", str(path)))
            found |= dict.fromkeys(inside)
        else:
            found[path] = None
    if len(found) > MAX_FILES:
        message = f"{len(found)} files are too many to be one design"
        raise SpecError(Issue(message, f"at most {MAX_FILES} are read; name those that the tool was given"))
    return list(found)


def read_files(paths: Iterable[str | os.PathLike[str]]) -> Inputs:
    """Read files and merge them.

    Parameters
    ----------
    paths : iterable of path
        Files, or folders of them.

    Raises
    ------
    SpecError
        When a file cannot be read, or its content is no 'key: value' pairs.
    """
    findings = Findings()
    sections: dict[str, list[Node]] = {}
    files = find_files(paths)
    for path in files:
        if path.suffix == _OTHER:
            message, hint = "libconfig is not read", "write the same keys and values as YAML"
            findings.issues.append(Issue(message, hint, str(path)))
            continue
        document = read_any(path, DialectBuilder)
        findings.issues += document.issues
        top = Node(document, (), document.data, findings)
        if not isinstance(document.data, dict):
            top.refuse(f"a file of Timeloop holds {PAIRS}, this is {shorten(document.data)}")
            continue
        for key, node in top.items():
            sections.setdefault(key, []).append(node)
    findings.refuse()
    return Inputs(sections, tuple(map(str, files)), findings)


def tag_of(node: Node) -> str | None:
    """Return the tag of a node of an architecture, without its mark; an unknown one is an issue."""
    tag = node.data.get(TAG) if isinstance(node.data, dict) else None
    if tag is None:
        return None
    name = str(tag).lstrip("!")
    if name not in TAGS_READ:
        node.refuse(f"unknown tag '{tag}'", did_you_mean(name, TAGS_READ))
        return None
    return name
