"""Walks an architecture of any version and yields its components, outermost first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from procrustes_model.importers.timeloop.files import Inputs, tag_of
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.words import FANOUT_CLASSES, MESHES

_NAME = re.compile(r"(?P<name>.*?)(?:\[\s*(?P<first>[0-9]{1,9})\s*\.\.\s*(?P<last>[0-9]{1,9})\s*\])?")
_KNOWN = ("version", "name", "attributes", "local", "subtree", "nodes", "class", "subclass")
_IGNORED = ("required_actions", "enabled", "version", "area_scale", "energy_scale", "actions")


@dataclass(frozen=True)
class Part:
    """One component of an architecture, or the fan-out of a container.

    Attributes
    ----------
    node : Node
    name : str
    words : str
        Its class and subclass, in lower case: what the tool looks for words in.
    attributes : dict of str to Node
        Its own, and in version 0.4 those of the containers around it.
    instances : int
        In the whole machine.
    mesh : (int, int) or None
        Columns and rows of instances in the whole machine; None: the attributes say.
    constraints : Node or None
        In version 0.4.
    holder : str
        In version 0.4, the container whose fan-out this is.
    beside : tuple of str
        In version 0.4, the tensors that branches parallel to this one keep: they pass this one by.
    """

    node: Node
    name: str
    words: str
    attributes: dict[str, Node]
    instances: int
    mesh: tuple[int, int] | None = None
    constraints: Node | None = None
    holder: str = ""
    beside: tuple[str, ...] = ()

    @property
    def numbers(self) -> dict[str, int | float]:
        """Attributes that are numbers, for expressions."""
        return _numbers(self.attributes)

    def find(self, names: tuple[str, ...], least: int = 1) -> int | None:
        """Return the first of some attributes that the part has, a whole number."""
        node = next((self.attributes[name] for name in names if name in self.attributes), None)
        return None if node is None else node.count(self.numbers, least)


@dataclass(frozen=True)
class _Around:
    """What containers hand down in version 0.4."""

    attributes: dict[str, Node]
    mesh: tuple[int, int] = (1, 1)


def read_parts(inputs: Inputs) -> list[Part]:
    """Return the components of the architecture, outermost first; empty with an issue where there is none."""
    section = inputs.one("architecture", "arch")
    if section is None:
        inputs.lacks("architecture")
        return []
    if section.get("nodes") is not None:
        return list(_nodes(section))
    if section.get("subtree") is not None:
        return list(_trees(section.get("subtree"), 1))
    if section.get("storage") is not None:
        return list(_flat(section))
    section.refuse(
        "this architecture has no 'nodes', 'subtree' or 'storage'",
        "a flattened one does not say what lies in what: give the files that the tool was given",
        key=True,
    )
    return []


def _attributes(node: Node) -> dict[str, Node]:
    part = node.get("attributes")
    return {} if part is None else {key: one for key, one in part.items() if one.data is not None}


def _named(node: Node) -> tuple[str, int]:
    """Return a name without its range, and how many instances the range says."""
    written = node.get("name")
    if written is None:
        node.refuse("a component has no 'name'")
        return "", 1
    match = _NAME.fullmatch(written.text().strip())
    assert match is not None
    if match["first"] is None:
        return match["name"], 1
    count = int(match["last"]) - int(match["first"]) + 1
    if count < 1:
        written.refuse(f"the range of '{written.text()}' is empty")
    return match["name"], max(1, count)


def _words(node: Node) -> str:
    return " ".join(
        part.text().lower() for part in (node.get("class"), node.get("subclass")) if part is not None
    )


def _trees(listed: Node | None, instances: int) -> Iterator[Part]:
    """Yield the components of a list of subtrees, of versions 0.2 and 0.3 and the processed 0.4."""
    trees = [] if listed is None else listed.list()
    for extra in trees[1:]:
        extra.refuse("a tree of several branches cannot be said", "levels here lie one below the other")
    for tree in trees[:1]:
        _, count = _named(tree)
        inside = instances * count
        local = tree.get("local")
        for node in local.list() if local is not None else ():
            name, own = _named(node)
            yield Part(node, name, _words(node), _attributes(node), inside * own)
        yield from _trees(tree.get("subtree"), inside)
        for key, node in tree.items():
            if key not in _KNOWN and key not in _IGNORED:
                node.refuse(f"unknown key '{node.path[-1]}' in a subtree", key=True)


def _nodes(section: Node) -> Iterator[Part]:
    """Yield the components of version 0.4: each is below all that stand before it."""
    listed = section.get("nodes")
    parts, _ = _hierarchy([] if listed is None else listed.list(), _Around({}))
    yield from parts


def _hierarchy(nodes: list[Node], around: _Around) -> tuple[list[Part], _Around]:
    parts: list[Part] = []
    for node in nodes:
        tag = tag_of(node)
        inner = node.get("nodes")
        if tag == "Nothing":
            continue
        if tag in ("Parallel", "Pipelined", "Hierarchical"):
            branches = [] if inner is None else inner.list()
            found, after = _hierarchy(branches, around)
            parts += found if tag != "Parallel" else _passed_by(found, branches)
            if tag == "Hierarchical":
                around = after
            elif after.mesh != around.mesh:
                node.refuse("a fan-out in one of several parallel branches cannot be said")
        elif tag == "Container":
            around = _fan_out(node, around, parts)
            around = replace(around, attributes={**around.attributes, **_attributes(node)})
            if inner is not None:
                node.refuse("a container with nodes of its own is not read", "list them after it")
        elif tag == "Component":
            beside = _fan_out(node, around, parts)
            name, own = _named(node)
            if own > 1:
                node.refuse(f"a range in the name '{name}' of a node", "write spatial: {meshX: ...}")
            own_attributes = {**around.attributes, **_attributes(node)}
            instances = beside.mesh[0] * beside.mesh[1]
            parts.append(
                Part(node, name, _words(node), own_attributes, instances, beside.mesh, _constraints(node))
            )
            around = replace(around, mesh=beside.mesh)
        elif tag is None:
            node.refuse("a node without a tag", "such as !Component")
    return parts, around


def _passed_by(parts: list[Part], branches: list[Node]) -> list[Part]:
    """Return the parts of parallel branches, each with what the other branches keep."""
    kept = {branch.path: _keeps(branch) for branch in branches}
    found = []
    for part in parts:
        own = {path for path in kept if part.node.path[: len(path)] == path}
        others = [name for path, names in kept.items() if path not in own for name in names]
        mine = [name for path in own for name in kept[path]]
        found.append(replace(part, beside=tuple(name for name in others if name not in mine)))
    return found


def _keeps(branch: Node) -> list[str]:
    """Return the tensors that a branch, one node, says it keeps."""
    constraints = branch.get("constraints")
    dataspace = None if constraints is None else constraints.get("dataspace")
    keep = None if dataspace is None else dataspace.get("keep")
    return [] if keep is None else [name.text() for name in keep.list()]


def _constraints(node: Node) -> Node | None:
    return node.get("constraints")


def _fan_out(node: Node, around: _Around, parts: list[Part]) -> _Around:
    """Add the level from which a node's instances fan out, if there are several; return what is below."""
    spatial = node.get("spatial")
    counts = [1, 1]
    for axis, key in enumerate(MESHES):
        part = None if spatial is None else spatial.get(key)
        if part is not None:
            counts[axis] = part.count(_numbers(around.attributes))
    for key, part in spatial.items() if spatial is not None else ():
        if key not in MESHES:
            part.refuse(f"unknown key '{part.path[-1]}'; a fan-out has meshX and meshY", key=True)
    if counts == [1, 1]:
        return around
    name, _ = _named(node)
    mesh = around.mesh
    parts.append(
        Part(
            node,
            f"inter_{name}_spatial",
            FANOUT_CLASSES[0],
            {},
            mesh[0] * mesh[1],
            mesh,
            _constraints(node),
            holder=name,
        )
    )
    return replace(around, mesh=(mesh[0] * counts[0], mesh[1] * counts[1]))


def _numbers(attributes: dict[str, Node]) -> dict[str, int | float]:
    """Return the attributes that are numbers, for expressions."""
    return {
        key: node.data
        for key, node in attributes.items()
        if isinstance(node.data, (int, float)) and not isinstance(node.data, bool)
    }


def _flat(section: Node) -> Iterator[Part]:
    """Yield the components of version 0.1: a list of storage, innermost first, and the arithmetic."""
    storage, arithmetic = section.get("storage"), section.get("arithmetic")
    nodes = [] if storage is None else storage.list()
    for node in reversed(nodes):
        name, _ = _named(node)
        yield _flat_part(node, name, "storage")
    if arithmetic is None:
        section.refuse("the architecture has no 'arithmetic'", key=True)
        return
    title = arithmetic.get("name")
    yield _flat_part(arithmetic, "MAC" if title is None else title.text(), "compute")


def _flat_part(node: Node, name: str, kind: str) -> Part:
    attributes = {key: part for key, part in node.items() if part.data is not None and key != "name"}
    technology, count = attributes.get("technology"), attributes.get("instances")
    words = kind if technology is None else f"{kind} {technology.text().lower()}"
    return Part(node, name, words, attributes, 1 if count is None else count.count())
