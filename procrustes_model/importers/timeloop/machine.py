"""From an architecture and a table of energies as Timeloop has them to an architecture of this program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from procrustes_model.importers.timeloop import words
from procrustes_model.importers.timeloop.energies import Table, read_tables
from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.tree import Part, read_parts
from procrustes_model.spec.schema import LARGEST_BOUND
from procrustes_model.spec.text.words import did_you_mean, shorten


@dataclass
class Level:
    """A storage level or a fan-out, as both programs see it.

    Attributes
    ----------
    part : Part
    content : dict
        As an architecture file has it.
    mesh : (int, int)
        Columns and rows of instances in the whole machine.
    holds : bool
        Whether it can keep anything.
    leaks : float
        Energy that a used instance spends in every cycle, pJ.
    table : Table or None
        Its energies; None where it has none.
    """

    part: Part
    content: dict[str, Any]
    mesh: tuple[int, int]
    holds: bool
    leaks: float = 0.0
    table: Table | None = None


@dataclass
class Machine:
    """A translated architecture.

    Attributes
    ----------
    levels : list of Level
        Outermost first.
    compute : dict
    components : list of dict
    complete : bool
        Whether every component was understood: else directives may aim at one that was not.
    compute_table : Table or None
        Energies of compute units.
    nodes : dict of str to Node
        What a file says of storage and compute units, by name.
    """

    levels: list[Level] = field(default_factory=list)
    compute: dict[str, Any] = field(default_factory=dict)
    components: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = True
    compute_table: Table | None = None
    nodes: dict[str, Node] = field(default_factory=dict)

    def find(self, target: str, kind: str) -> Level | None:
        """Return the level that a directive means: by its name, or by the node that fans out from it.

        What a component that fans out spreads, it spreads above itself.
        """
        named = [level for level in self.levels if level.part.name == target]
        fanning = [level for level in self.levels if level.part.holder == target]
        found = [*fanning, *named] if kind == "spatial" else [*named, *fanning]
        return found[0] if found else None

    @property
    def targets(self) -> list[str]:
        """What directives may aim at."""
        return [level.part.holder or level.part.name for level in self.levels]

    def content(self, name: str, description: str) -> dict[str, Any]:
        """Return what an architecture file has under its key."""
        found: dict[str, Any] = {"name": name, "description": description}
        found |= {"levels": [one.content for one in self.levels], "compute": self.compute}
        return found | ({"components": self.components} if self.components else {})


def read_machine(inputs: Inputs, year: words.Year) -> Machine:
    """Return the architecture; what is wrong with it is noted in the findings."""
    machine = Machine()
    tables = read_tables(inputs)
    parts = [part for part in read_parts(inputs) if not _is_network(part)]
    mesh = (1, 1)
    # Compute units are innermost wherever they stand.
    for part in sorted(parts, key=_computes):
        own = _mesh(part)
        fan = _fan_out(part, mesh, own)
        mesh = own
        if _computes(part):
            if machine.compute:
                part.node.refuse(f"'{part.name}' is a second kind of compute unit", "one is read")
            machine.compute_table = _table(part, tables)
            machine.compute = _compute(part, fan, machine.compute_table, year)
            machine.nodes[part.name] = part.node
        elif _has(part, words.STORAGE_CLASSES):
            machine.levels.append(_level(part, own, fan, tables, year))
            machine.nodes.setdefault(part.name, part.node)
        else:
            machine.complete = False
            part.node.refuse(
                f"the class {shorten(part.words or 'none')} of '{part.name}' is unknown",
                "that tool leaves out such components without a word; "
                f"known ones contain {', '.join((*words.STORAGE_CLASSES, *words.COMPUTE_CLASSES))}",
            )
    if parts and not machine.compute:
        parts[-1].node.refuse(
            "the architecture has no compute units", "their class contains 'mac' or 'compute'"
        )
    _wires(tables)
    _check_names(machine)
    return machine


def _has(part: Part, known: tuple[str, ...]) -> bool:
    return any(word in part.words for word in known)


def _fans_out(part: Part) -> bool:
    """Say whether a part only fans out: by class or subclass, unless the class is unlimited storage."""
    first = part.words.split(" ", 1)[0]
    return _has(part, words.FANOUT_CLASSES) and words.UNLIMITED_CLASS not in first


def _computes(part: Part) -> bool:
    """Say whether a part computes: the class itself, without the subclass, may not be one of storage."""
    first = part.words.split(" ", 1)[0]
    return _has(part, words.COMPUTE_CLASSES) and not any(word in first for word in words.STORAGE_CLASSES)


def _is_network(part: Part) -> bool:
    if not _has(part, words.NETWORK_CLASSES):
        return False
    part.node.leave_out(
        f"the network '{part.name}': its energy cannot be said yet", "--partial leaves it out"
    )
    return True


def _mesh(part: Part) -> tuple[int, int]:
    """Return the columns and rows of instances: both are counts over the whole machine."""
    if part.mesh is not None:
        return part.mesh
    columns, rows = (part.attributes.get(key) for key in words.MESHES)
    if columns is None and rows is None:
        return part.instances, 1
    x = None if columns is None else columns.count()
    y = None if rows is None else rows.count()
    if x is None:
        x = max(1, part.instances // (y or 1))
    if y is None:
        y = max(1, part.instances // x)
    if x * y != part.instances:
        part.node.refuse(f"'{part.name}' has {part.instances} instances, but a mesh of {x} x {y}")
    return x, y


def _fan_out(part: Part, outer: tuple[int, int], own: tuple[int, int]) -> dict[str, int]:
    """Return the mesh below each instance of the level above."""
    if own[0] % outer[0] or own[1] % outer[1]:
        part.node.refuse(
            f"a mesh of {own[0]} x {own[1]} '{part.name}' cannot lie below one of {outer[0]} x {outer[1]}",
            "columns and rows must be multiples of those of the level above",
        )
        return {}
    ratio = (own[0] // outer[0], own[1] // outer[1])
    return {key: count for key, count in zip(("mesh_x", "mesh_y"), ratio, strict=True) if count > 1}


def _level(
    part: Part, own: tuple[int, int], fan: dict[str, int], tables: dict[str, Table] | None, year: words.Year
) -> Level:
    bits, block = _words_of(part)
    content: dict[str, Any] = {"name": part.name, "class": _class(part), **fan, "word_bits": bits}
    capacity = _capacity(part, bits, block)
    if _fans_out(part) or capacity == 0:
        content |= {"word_bits": 1, "tensors": [], "energy_pj": {"read": 0, "write": 0}}
        return Level(part, content, own, holds=False)
    if block > 1:
        content["words_per_access"] = block
    if capacity is not None:
        content["capacity_words"] = capacity
    cluster = part.find(words.CLUSTER) or 1
    if cluster > 1:
        content["cluster_size"] = cluster
    content |= _bandwidth(part)
    table = _table(part, tables)
    content["energy_pj"] = {"read": 0, "write": 0} if table is None else table.access_prices(year, cluster)
    _check_unsaid(part)
    leaks = table.leakage if table is not None and year.leakage else 0.0
    return Level(part, content, own, holds=True, leaks=leaks, table=table)


def _class(part: Part) -> str:
    known = part.node.get("subclass") or part.node.get("class")
    return part.words if known is None else known.text()


def _words_of(part: Part) -> tuple[int, int]:
    """Return the bits of a word, and how many words an access moves."""
    bits = part.find(words.WORD_BITS) or words.DEFAULT_WORD_BITS
    block, width = part.find(words.BLOCK), part.find(words.WIDTH)
    cluster = part.find(words.CLUSTER) or 1
    if block is None and width is None:
        block = 1
    elif block is None:
        assert width is not None
        if width % (bits * cluster):
            part.node.refuse(
                f"the width of '{part.name}', {width} bits, is no multiple of words of {bits * cluster} bits"
            )
        block = max(1, width // (bits * cluster))
    elif width is not None and width != bits * block * cluster:
        part.node.refuse(
            f"the width of '{part.name}', {width} bits, is not that of {block} words of {bits} bits"
        )
    return bits, block


def _capacity(part: Part, bits: int, block: int) -> int | None:
    """Return how many words an instance holds; None where there is no limit."""
    if words.UNLIMITED_CLASS in part.words and not _fans_out(part):
        return None
    entries, depth = part.find(words.ENTRIES, 0), part.find(words.DEPTH, 0)
    if entries is None and depth is not None:
        entries = depth * block
    if entries is None:
        size = part.find(words.KILOBYTES, 0)
        entries = None if size is None else size * 1024 * 8 // bits
    if entries is None:
        return None
    times = part.attributes.get(words.BUFFERING[0])
    buffers = 1 if times is None else times.number(part.numbers) or 1
    if buffers < 1:
        part.node.refuse(f"'{words.BUFFERING[0]}' of '{part.name}' must be at least 1, is {buffers}")
        return None
    return min(LARGEST_BOUND, int(entries // buffers))


def _bandwidth(part: Part) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for key in words.BANDWIDTHS:
        node = part.attributes.get(key)
        value = None if node is None else node.number(part.numbers)
        if value is not None:
            found[key] = value
    old = part.attributes.get(words.OLD_BANDWIDTH[0])
    value = None if old is None or found else old.number(part.numbers)
    if value is not None:
        found |= {"read_bandwidth": value / 2, "write_bandwidth": value / 2}
    return found


def _table(part: Part, tables: dict[str, Table] | None) -> Table | None:
    """Return the energies of a part; None with an issue where there are none."""
    given = next((part.attributes[key] for key in words.GIVEN_ENERGY if key in part.attributes), None)
    if given is not None:
        value = given.number() or 0.0
        return Table(given, {"read": float(value), "write": float(value)})
    if tables is None:
        part.node.refuse(
            f"there are no energies of '{part.name}'",
            "that tool then uses tables of its own; give the ERT.yaml that Accelergy wrote",
        )
        return None
    if part.name not in tables:
        part.node.refuse(f"the ERT has no table of '{part.name}'", did_you_mean(part.name, tables))
        return None
    return tables[part.name]


def _compute(part: Part, fan: dict[str, int], table: Table | None, year: words.Year) -> dict[str, Any]:
    _check_unsaid(part)
    energy = 0.0 if table is None else table.compute_price(year)
    if year.leakage and table is not None and table.leakage:
        table.node.findings.drop("leakage of compute units: that tool does not charge it", part.name)
    return {"name": part.name, **fan, "energy_pj": energy}


def _check_unsaid(part: Part) -> None:
    """Refuse attributes with an effect that cannot be said, and list those that have none."""
    for key, node in part.attributes.items():
        if key not in words.READ_ATTRIBUTES and key not in words.UNSAID:
            node.findings.drop("attributes that only the estimator of energies reads", key)
        if key not in words.UNSAID or node.data == words.UNSAID[key][0]:
            continue
        missing = f"'{node.path[-1]}' of '{part.name}': {words.UNSAID[key][1]}; that cannot be said yet"
        if key in words.NETWORK_ATTRIBUTES:
            node.leave_out(missing, "--partial leaves it out", key=True)
        elif str(node.data).lower() not in (str(words.UNSAID[key][0]).lower(), "none"):
            node.refuse(missing, key=True)


def _wires(tables: dict[str, Table] | None) -> None:
    for name, table in (tables or {}).items():
        if words.WIRE in name.lower() and any(table.actions.values()):
            table.node.leave_out(
                "the energy of wires: that tool multiplies it by lengths that follow from areas",
                "networks cannot be said yet; --partial leaves their energy out",
            )


def _check_names(machine: Machine) -> None:
    seen: dict[str, Node] = {}
    for level in machine.levels:
        name = level.part.name
        if name in seen:
            level.part.node.refuse(f"the name '{name}' stands above already")
        seen[name] = level.part.node
