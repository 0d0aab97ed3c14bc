"""From an architecture as written, with expressions and units, to an `Architecture`."""

from __future__ import annotations

from typing import Any

from procrustes_model.spec.architecture import (
    CLOCK_HINT,
    Architecture,
    Component,
    ComputeLevel,
    StorageLevel,
    Title,
)
from procrustes_model.spec.by_width import read_by_width
from procrustes_model.spec.estimates import MACHINE_KEYS, Estimates
from procrustes_model.spec.interconnect import NETWORK_NUMBERS
from procrustes_model.spec.schema import Origin, build
from procrustes_model.spec.text.amounts import QUANTITIES, split_unit
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import PAIRS, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.values import Values, evaluated, read_amount, read_attributes, with_capacity

_TOP_KEYS = [
    *("name", "description", "attributes", "bits", "sum_bits", "clock", *MACHINE_KEYS, "mixed_families"),
    *("levels", "compute", "components"),
]
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
    "leakage_mw",
    "access_ns",
    "cluster_size",
)
_COMPUTE_EXAMPLE = "such as compute: {name: MAC, energy_pj: 4.6}"
_COMPUTE_NUMBERS = ("mesh_x", "mesh_y", "fill_drain_cycles", "area_um2", "leakage_mw")
_BY_WIDTH = ("energy_pj", "gated_energy_pj", "skipped_energy_pj", "cycles_per_compute")
_COMPONENT_NUMBERS = ("instances", "energy_pj", "power_pj_per_cycle", "per_cycle", "area_um2", "leakage_mw")


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
    shared = read_attributes(content.get("attributes"), (*path, "attributes"), {}, document)
    bits = {} if content.get("bits") is None else content["bits"]
    if isinstance(bits, dict):
        bits = evaluated(bits, tuple(bits), (*path, "bits"), shared, document)
    estimates = Estimates(content, shared, document)
    levels = _levels(content, shared, estimates, document)
    compute = _compute(content, shared, estimates, document)
    components = _components(content, shared, estimates, document)
    estimates.check_families()
    _check_names(content, document)
    title: dict[str, Any] = {key: content[key] for key in ("name", "description") if key in content}
    title["bits"] = bits
    title |= evaluated(
        {key: content[key] for key in ("sum_bits",) if key in content}, ("sum_bits",), path, shared, document
    )
    if content.get("clock") is not None:
        clock = (*path, "clock")
        title["clock"] = read_amount(content["clock"], clock, shared, document, QUANTITIES["frequency"])
    else:
        _check_leakage([*levels, compute, *components], document)
    build(Title, title, document, path)
    document.raise_issues()
    parts = {"levels": levels, "compute": compute, "components": components}
    architecture = build(Architecture, {**title, **parts}, document, path)
    document.raise_issues()
    assert architecture is not None
    places = {part: document.place(part) for part in (*document.keys, *document.values)}
    places |= {(*path, "bits", name): document.place((*path, "bits", name), key=True) for name in bits}
    return architecture.read_from(Origin(document.file, by_path=places))


def _levels(
    content: dict[str, Any], shared: Values, estimates: Estimates, document: Document
) -> list[StorageLevel | None]:
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
            numbers = _level_numbers(item, place, shared, estimates, document)
            levels.append(build(StorageLevel, numbers, document, place))
        else:
            document.complain(place, f"a storage level must be {PAIRS}, is {shorten(item)}")
    return levels


def _level_numbers(
    item: dict[str, Any], path: Path, shared: Values, estimates: Estimates, document: Document
) -> dict[str, Any]:
    """Return a level's keys with every expression evaluated, its capacity in words, and its figures."""
    own = read_attributes(item.get("attributes"), (*path, "attributes"), shared, document)
    names = {**shared, **own}
    written_words = item.get("capacity_words")
    amount = split_unit(written_words) if isinstance(written_words, str) else None
    if isinstance(written_words, str) and amount and amount[1] in QUANTITIES["capacity"].units:
        message = f"'capacity_words' must be a number without a unit, is {shorten(written_words)}"
        document.complain(
            (*path, "capacity_words"), message, f"write 'capacity: {written_words.strip()[:60]}'"
        )
        item = {**item, "capacity_words": 1}
    level = evaluated(item, _LEVEL_NUMBERS, path, names, document)
    if isinstance(level.get("energy_pj"), dict):
        level["energy_pj"] = _energies(level["energy_pj"], (*path, "energy_pj"), names, document)
    if isinstance(level.get("metadata"), dict):
        level["metadata"] = _metadata_store(level["metadata"], (*path, "metadata"), names, document)
    if "energy_pj_per_bit" in level:
        _price_per_bit(level, path, names, document)
    if isinstance(level.get("network"), dict):
        level["network"] = evaluated(level["network"], NETWORK_NUMBERS, (*path, "network"), names, document)
    if level.get("tensors") == []:  # only a fan-out: nothing is read or written there
        level.setdefault("word_bits", 1)
        level.setdefault("energy_pj", {"read": 0, "write": 0})
    if "attributes" in item:
        level["attributes"] = own
    level = with_capacity(level, path, names, document)
    return estimates.fill_level(item, level, path, names)


_ENERGIES = ("read", "write", "update", "gated", "skipped", "metadata", "idle")


def _energies(written: dict[str, Any], path: Path, names: Values, document: Document) -> dict[str, Any]:
    """Return energies with every expression evaluated, also those by action."""
    energies = evaluated(written, _ENERGIES, path, names, document)
    for key, value in energies.items():
        if isinstance(value, dict):
            energies[key] = _energies(value, (*path, key), names, document)
    return energies


def _price_per_bit(level: dict[str, Any], path: Path, names: Values, document: Document) -> None:
    """Put energies per access of a level in place of those per bit: an access moves all its bits."""
    key = "energy_pj_per_bit"
    written, place = level.pop(key), (*path, key)
    if "energy_pj" in level:
        document.complain(place, f"'energy_pj' and '{key}' are both given", "keep one", key=True)
        return
    store = level.get("metadata") or level
    bits, described = (
        one.get("word_bits", 1) * one.get("words_per_access", 1)
        if all(type(one.get(of, 1)) is int for of in ("word_bits", "words_per_access"))
        else 1
        for one in (level, store)
    )
    if not isinstance(written, dict):
        hint = "such as {read: 0.2, write: 0.25}"
        document.complain(place, f"'{key}' must be {PAIRS}, is {shorten(written)}", hint)
        level["energy_pj"] = {"read": 1, "write": 1}
        return
    priced = _energies(written, place, names, document)
    level["energy_pj"] = {
        action: one if action == "idle" else _times(one, described if action == "metadata" else bits)
        for action, one in priced.items()
    }


def _times(energy: Any, bits: int) -> Any:
    """Return an energy, or energies by action, of so many bits; what is no number is left as it is."""
    if isinstance(energy, dict):
        return {key: _times(one, bits) for key, one in energy.items()}
    return energy * bits if isinstance(energy, (int, float)) and not isinstance(energy, bool) else energy


def _metadata_store(written: dict[str, Any], path: Path, names: Values, document: Document) -> dict[str, Any]:
    """Return the keys of a store of metadata with every expression evaluated, its capacity in words."""
    keys = ("word_bits", "words_per_access", "capacity_words")
    return with_capacity(evaluated(written, keys, path, names, document), path, names, document)


def _compute(
    content: dict[str, Any], shared: Values, estimates: Estimates, document: Document
) -> ComputeLevel | None:
    path: Path = ("architecture", "compute")
    if "compute" not in content:
        missing_key(document, path, content, _TOP_KEYS, _COMPUTE_EXAMPLE)
        return None
    written = content["compute"]
    if not isinstance(written, dict):
        document.complain(path, f"'compute' must be {PAIRS}, is {shorten(written)}", _COMPUTE_EXAMPLE)
        return None
    numbers = evaluated(written, _COMPUTE_NUMBERS, path, shared, document)
    for key in _BY_WIDTH:
        if key in numbers:
            numbers[key] = read_by_width(numbers[key], (*path, key), shared, document)
    return build(ComputeLevel, estimates.fill_unit(written, numbers, path, shared), document, path)


def _components(
    content: dict[str, Any], shared: Values, estimates: Estimates, document: Document
) -> list[Component | None]:
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
            numbers = evaluated(item, _COMPONENT_NUMBERS, place, shared, document)
            components.append(
                build(Component, estimates.fill_unit(item, numbers, place, shared), document, place)
            )
            _check_use(item.get("use"), (*place, "use"), content, document)
        else:
            document.complain(place, f"a component must be {PAIRS}, is {shorten(item)}")
    return components


def _check_leakage(parts: list[StorageLevel | ComputeLevel | Component | None], document: Document) -> None:
    """Note the first part that leaks where there is no clock: how much that is cannot be said."""
    part = next((one for one in parts if one is not None and one.leakage_mw), None)
    if part is not None:
        message = f"{part.name} leaks {part.leakage_mw:g} mW, and without a clock that is no energy"
        document.complain(("architecture", "clock"), message, CLOCK_HINT, key=True)


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
