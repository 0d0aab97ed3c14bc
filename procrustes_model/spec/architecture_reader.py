"""From an architecture as written, with expressions and units, to an `Architecture`."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from procrustes_model.spec.architecture import Architecture, Component, ComputeLevel, StorageLevel, Title
from procrustes_model.spec.schema import LARGEST_BOUND, Origin, build
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.expressions import ExpressionError, evaluate, parse
from procrustes_model.spec.text.words import IDENTIFIER_RULE, PAIRS, did_you_mean, is_identifier, shorten
from procrustes_model.spec.text.yaml_text import Path, Place

_TOP_KEYS = ["name", "description", "attributes", "bits", "levels", "compute", "components"]
_LEVEL_NUMBERS = (
    "mesh_x",
    "mesh_y",
    "capacity_words",
    "word_bits",
    "words_per_access",
    "read_bandwidth",
    "write_bandwidth",
    "shared_bandwidth",
    "area_um2",
)
_COMPUTE_EXAMPLE = "such as compute: {name: MAC, energy_pj: 4.6}"
_COMPUTE_NUMBERS = ("mesh_x", "mesh_y", "energy_pj", "area_um2")
_COMPONENT_NUMBERS = ("instances", "energy_pj", "power_pj_per_cycle", "area_um2")
_BITS = {"B": 8, "bytes": 8, "KB": 8 * 2**10, "MB": 8 * 2**20, "GB": 8 * 2**30, "bits": 1, "bit": 1}
_CAPACITY = re.compile(r"(.*[\s0-9)])\s*(B|bytes|KB|MB|GB|words|word|bits|bit)", re.DOTALL)
_UNITS = "words, bits, B, KB, MB or GB (1 KB = 1024 B)"

Values = dict[str, float | str]


def read_architecture(document: Document) -> Architecture:
    """Return the architecture that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `architecture`.

    Returns
    -------
    Architecture

    Raises
    ------
    SpecError
        With every issue found.
    """
    content = document.section("architecture")
    path: Path = ("architecture",)
    for key in content:
        if key not in _TOP_KEYS:
            unknown_key(document, (*path, key), _TOP_KEYS)
    shared = _attributes(content.get("attributes"), (*path, "attributes"), {}, document)
    bits = {} if content.get("bits") is None else content["bits"]
    if isinstance(bits, dict):
        bits = _evaluated(bits, tuple(bits), (*path, "bits"), shared, document)
    levels = _levels(content, shared, document)
    compute = _compute(content, shared, document)
    components = _components(content, shared, document)
    _check_names(content, document)
    title: dict[str, Any] = {key: content[key] for key in ("name", "description") if key in content}
    title["bits"] = bits
    build(Title, title, document, path)
    document.raise_issues()
    parts = {"levels": levels, "compute": compute, "components": components}
    architecture = build(Architecture, {**title, **parts}, document, path)
    document.raise_issues()
    assert architecture is not None
    places: dict[Path, Place] = {
        (*path, "bits", name): document.place((*path, "bits", name), key=True) for name in bits
    }
    for index, level in enumerate(architecture.levels):
        for position in range(len(level.tensors or ())):
            tensor = (*path, "levels", index, "tensors", position)
            places[tensor] = document.place(tensor)
    for index, component in enumerate(architecture.components):
        if component.use is not None and component.use.tensor is not None:
            tensor = (*path, "components", index, "use", "tensor")
            places[tensor] = document.place(tensor)
    return architecture.read_from(Origin(document.file, by_path=places))


def _levels(content: dict[str, Any], shared: Values, document: Document) -> list[StorageLevel | None]:
    path: Path = ("architecture", "levels")
    written = content.get("levels")
    if "levels" not in content:
        missing_key(document, path, content, _TOP_KEYS, "a list of storage levels, outermost first")
    elif not isinstance(written, list) or not written:
        hint = "each item starts with '- name:'"
        document.complain(path, f"'levels' must be a list of storage levels, is {shorten(written)}", hint)
    levels = []
    for index, item in enumerate(written if isinstance(written, list) else []):
        place = (*path, index)
        if isinstance(item, dict):
            levels.append(build(StorageLevel, _level_numbers(item, place, shared, document), document, place))
        else:
            document.complain(place, f"a storage level must be {PAIRS}, is {shorten(item)}")
    return levels


def _level_numbers(item: dict[str, Any], path: Path, shared: Values, document: Document) -> dict[str, Any]:
    """Return a level's keys with every expression evaluated and its capacity in words."""
    own = _attributes(item.get("attributes"), (*path, "attributes"), shared, document)
    names = {**shared, **own}
    written_words = item.get("capacity_words")
    if isinstance(written_words, str) and _CAPACITY.fullmatch(written_words.strip()):
        message = f"'capacity_words' must be a number without a unit, is {shorten(written_words)}"
        document.complain(
            (*path, "capacity_words"), message, f"write 'capacity: {written_words.strip()[:60]}'"
        )
        item = {**item, "capacity_words": 1}
    level = _evaluated(item, _LEVEL_NUMBERS, path, names, document)
    if isinstance(level.get("energy_pj"), dict):
        keys = ("read", "write", "update")
        level["energy_pj"] = _evaluated(level["energy_pj"], keys, (*path, "energy_pj"), names, document)
    if "attributes" in item:
        level["attributes"] = own
    if "capacity" in level:
        written = level.pop("capacity")
        if "capacity_words" in level:
            document.complain(
                (*path, "capacity"), "'capacity' and 'capacity_words' are both given", "keep one", key=True
            )
        elif written is not None:
            level["capacity_words"] = _capacity(
                written, level.get("word_bits"), (*path, "capacity"), names, document
            )
    return level


def _compute(content: dict[str, Any], shared: Values, document: Document) -> ComputeLevel | None:
    path: Path = ("architecture", "compute")
    if "compute" not in content:
        missing_key(document, path, content, _TOP_KEYS, _COMPUTE_EXAMPLE)
        return None
    written = content["compute"]
    if not isinstance(written, dict):
        document.complain(path, f"'compute' must be {PAIRS}, is {shorten(written)}", _COMPUTE_EXAMPLE)
        return None
    return build(ComputeLevel, _evaluated(written, _COMPUTE_NUMBERS, path, shared, document), document, path)


def _components(content: dict[str, Any], shared: Values, document: Document) -> list[Component | None]:
    path: Path = ("architecture", "components")
    written = content.get("components")
    if written is None:
        return []
    if not isinstance(written, list):
        hint = "each item starts with '- name:'"
        document.complain(path, f"'components' must be a list, is {shorten(written)}", hint)
        return []
    components = []
    for index, item in enumerate(written):
        place = (*path, index)
        if isinstance(item, dict):
            numbers = _evaluated(item, _COMPONENT_NUMBERS, place, shared, document)
            components.append(build(Component, numbers, document, place))
            _check_use(item.get("use"), (*place, "use"), content, document)
        else:
            document.complain(place, f"a component must be {PAIRS}, is {shorten(item)}")
    return components


def _check_use(use: Any, path: Path, content: dict[str, Any], document: Document) -> None:
    """Note a component that works on a level that the architecture lacks or that does not do its action."""
    level = use.get("level") if isinstance(use, dict) else None
    if not isinstance(level, str):
        return
    action = use.get("action")
    if action == "compute":
        compute = content.get("compute")
        names = [compute.get("name", "MAC")] if isinstance(compute, dict) else [level]
    else:
        items = content.get("levels")
        names = (
            [item.get("name") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        )
    if level not in names:
        message = f"no level '{level[:60]}' for the action {shorten(action)}"
        document.complain((*path, "level"), message, did_you_mean(level, map(str, names)))


def _check_names(content: dict[str, Any], document: Document) -> None:
    """Note level names that stand twice; mappings and results could not tell them apart."""
    items = content.get("levels")
    places: list[tuple[Path, Any]] = []
    if isinstance(items, list):
        places += [(("architecture", "levels", index, "name"), item) for index, item in enumerate(items)]
    places.append((("architecture", "compute", "name"), content.get("compute")))
    units = content.get("components")
    if isinstance(units, list):
        places += [(("architecture", "components", index, "name"), item) for index, item in enumerate(units)]
    seen: set[str] = set()
    for path, item in places:
        default = "MAC" if path[1] == "compute" else None
        name = item.get("name", default) if isinstance(item, dict) else None
        if isinstance(name, str):
            if name in seen:
                document.complain(path, f"the name '{name[:60]}' stands above already", "rename one of them")
            seen.add(name)


def _attributes(written: Any, path: Path, before: Values, document: Document) -> Values:
    """Return attributes by name, each a number or, where it is no expression, a text."""
    if written is None:
        return {}
    if not isinstance(written, dict):
        document.complain(path, f"'attributes' must be {PAIRS}, is {shorten(written)}")
        return {}
    values: Values = {}
    known = ChainMap(values, before)
    for name, value in written.items():
        place = (*path, name)
        if not is_identifier(name):
            document.complain(
                place, f"the name of attribute '{name[:60]}' must be {IDENTIFIER_RULE}", key=True
            )
        elif isinstance(value, str) and not _is_arithmetic(value, known):
            values[name] = value
        else:
            number = _number(value, place, known, document)
            if isinstance(number, (int, float)) and not isinstance(number, bool) and number - number == 0:
                values[name] = number
            else:
                document.complain(place, f"attribute '{name}' must be a number or text, is {shorten(value)}")
                values[name] = 1
    return values


def _is_arithmetic(text: str, names: Mapping[str, float | str]) -> bool:
    """Return whether a text attribute is meant as an expression: it parses, and not as one unknown word."""
    try:
        used = parse(text).names
    except ExpressionError:
        return False
    return not used or any(name in names for name in used)


def _evaluated(
    item: dict[str, Any], keys: tuple[str, ...], path: Path, names: Values, document: Document
) -> dict[str, Any]:
    """Return a copy of `item` in which the values of `keys` are numbers where they were expressions."""
    wanted = set(keys)
    return {
        key: _number(value, (*path, key), names, document) if key in wanted else value
        for key, value in item.items()
    }


def _number(value: Any, path: Path, names: Mapping[str, float | str], document: Document) -> Any:
    """Return the value of an expression; anything else as it is; 1 where there is an issue."""
    if not isinstance(value, str):
        return value
    try:
        expression = parse(value)
        for name in expression.names:
            if isinstance(names.get(name), str):
                message = f"attribute '{name}' is the text {shorten(names[name])}, not a number"
                document.complain(path, message, "an expression may use attributes that stand before it")
                return 1
        result = evaluate(expression, names)
    except ExpressionError as error:
        document.complain(path, error.message, error.hint, offset=error.offset)
        return 1
    return float(result) if isinstance(result, Fraction) else result


def _capacity(value: Any, word_bits: Any, path: Path, names: Values, document: Document) -> int:
    """Return a capacity with its unit, such as `128 KB`, in words."""
    match = _CAPACITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        hint = f"such as '128 KB'; the unit is {_UNITS}"
        document.complain(path, f"'capacity' must be a number and a unit, is {shorten(value)}", hint)
        return 1
    amount = _number(match[1], path, names, document)
    if match[2] in ("words", "word"):
        words = Fraction(amount)
    elif isinstance(word_bits, int) and word_bits >= 1:
        words = Fraction(amount) * _BITS[match[2]] / word_bits
    else:
        return 1  # word_bits has an issue of its own
    if words.denominator != 1 or not 1 <= words <= LARGEST_BOUND:
        shown = int(words) if words.denominator == 1 else float(words)
        of_bits = "" if match[2] in ("words", "word") else f" of {word_bits} bits"
        message = f"the capacity {value.strip()} is {shown} words{of_bits}"
        document.complain(path, message, f"it must be a whole number from 1 to {LARGEST_BOUND}")
        return 1
    return int(words)
