"""From the class of a part to its figures: what is not written by hand comes from tables that ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrustes_model.energies.estimate import (
    ACCESS_TIME,
    AREA,
    KEYS,
    LEAKAGE,
    Estimate,
    EstimateError,
    Figure,
)
from procrustes_model.energies.estimators import CLASSES, ESTIMATORS, LEVEL_ACTIONS, UNIT_ACTIONS
from procrustes_model.spec.text.amounts import QUANTITIES
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.words import closest, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.values import Values, read_amount

MACHINE_KEYS = ("technology", "device")
"""Keys that an architecture may give for all of its parts that take them and give none of their own."""

TABLE_KEYS = (*KEYS, "estimator")
"""Keys of parts that choose figures."""

_ACCESS = ("read", "write")
_SIZES = ("capacity", "capacity_words", "word_bits", "words_per_access")
_COSTS = ("energy_pj", "power_pj_per_cycle", "leakage_mw", "area_um2", "per_cycle")
"""Any of these is enough for a component."""

_NO_LIMIT = object()
"""The capacity of a level that states none."""

_HOW = {
    "device": "write device: lstp, which leaks little, or device: hp, which is fast and leaks"
    " thousands of times as much",
}


class Estimates:
    """Fills in the figures of parts, one after the other.

    Parameters
    ----------
    content : dict
        The architecture as written.
    names : dict
        Its attributes.
    document : Document
        Gets the issues.
    """

    def __init__(self, content: Mapping[str, Any], names: Values, document: Document) -> None:
        self._document = document
        given = {key: content[key] for key in MACHINE_KEYS if key in content}
        self._machine = self._read(given, ("architecture",), names)
        self._families: dict[str, Path] = {}
        self._mixed = content.get("mixed_families", False)
        if not isinstance(self._mixed, bool):
            message = f"'mixed_families' must be true or false, is {shorten(self._mixed)}"
            document.complain(("architecture", "mixed_families"), message)
            self._mixed = True

    def fill_level(
        self, item: Mapping[str, Any], level: Mapping[str, Any], path: Path, names: Values
    ) -> dict[str, Any]:
        """Return a level's keys without those of tables, and with the figures that these have.

        Parameters
        ----------
        item : dict
            As written.
        level : dict
            With numbers evaluated, and the capacity in words.
        path : tuple
            Where the level stands.
        names : dict
            Attributes that amounts may use.
        """
        own = self._read({key: item[key] for key in KEYS if key in item}, path, names)
        part = {key: value for key, value in level.items() if key not in TABLE_KEYS}
        bits, words = part.get("word_bits"), part.get("capacity_words")
        if not _is_count(bits):
            return _spoilt(part, LEVEL_ACTIONS)  # word_bits has an issue of its own
        if own.get("width") is not None:
            self._set_access(part, own["width"], path)
        each = part.get("words_per_access", 1)
        if not _is_count(each):
            return _spoilt(part, LEVEL_ACTIONS)
        if any((*path, key) in self._document.wrong for key in _SIZES):
            own["capacity"] = None  # what stands in for it is no size to look up
        size: dict[str, Any] = {"width": bits * each, "capacity": _NO_LIMIT, "entries": _NO_LIMIT}
        if words is not None and _is_count(words):
            size |= {"capacity": words * bits / 8, "entries": words / each}
        return self._filled(item, part, size | own | {"attributes": names}, path, LEVEL_ACTIONS)

    def fill_unit(
        self, item: Mapping[str, Any], unit: Mapping[str, Any], path: Path, names: Values
    ) -> dict[str, Any]:
        """Return the keys of compute units or of a component likewise; see `fill_level`."""
        own = self._read({key: item[key] for key in KEYS if key in item}, path, names)
        part = {key: value for key, value in unit.items() if key not in TABLE_KEYS}
        return self._filled(item, part, own | {"attributes": names}, path, UNIT_ACTIONS)

    def _read(self, given: Mapping[str, Any], path: Path, names: Values) -> dict[str, Any]:
        """Return the values of keys: amounts in the units of tables, words as they are; None: an issue."""
        found: dict[str, Any] = dict.fromkeys(given)
        for key, value in given.items():
            quantity, place = KEYS[key].quantity, (*path, key)
            if quantity is not None:
                before = len(self._document.issues)
                amount = read_amount(value, place, names, self._document, QUANTITIES[quantity])
                if not amount > 0:
                    self._document.complain(place, f"'{key}' must be more than 0, is {shorten(value)}")
                if len(self._document.issues) == before:
                    found[key] = amount
            elif isinstance(value, str) and value.strip():
                found[key] = value.strip()
            else:
                hint = f"such as {key}: {KEYS[key].example}"
                self._document.complain(place, f"'{key}' must be text, is {shorten(value)}", hint)
        return found

    def _set_access(self, part: dict[str, Any], width: float, path: Path) -> None:
        """Set the words of an access from its width in bits."""
        words = width / part["word_bits"]
        if words != int(words) or words < 1:
            message = f"the width {width:g} bits is {words:g} words of {part['word_bits']} bits"
            self._document.complain((*path, "width"), message, "it must be a whole number from 1 on")
        elif part.setdefault("words_per_access", int(words)) != words:
            message = f"'width' is {int(words)} words, 'words_per_access' says otherwise"
            self._document.complain((*path, "width"), message, "keep one of them")

    def _filled(
        self,
        item: Mapping[str, Any],
        part: dict[str, Any],
        asked: dict[str, Any],
        path: Path,
        actions: tuple[str, ...],
    ) -> dict[str, Any]:
        """Return a part with the figures of its class, where it asks for them."""
        kind = part.get("class")
        known = CLASSES.get(kind) if isinstance(kind, str) else None
        if known is not None and known.is_level != (actions == LEVEL_ACTIONS):
            known = None
        own = [key for key in TABLE_KEYS if key in item and (key != "width" or actions == UNIT_ACTIONS)]
        takes = KEYS if item.get("estimator", "tables") != "tables" else known.keys if known else ()
        shared = [key for key in self._machine if key in takes]
        missing = _missing(part, actions)
        if self._refuse_class(
            item, part, path, actions, needs="energy_pj" in missing or bool(own and missing)
        ):
            return _spoilt(part, actions)
        if not own and not shared:
            if known is not None and "energy_pj" in missing and "energy_pj" not in part:
                hint = f"give it, or for the figures of class {kind} the keys {', '.join(known.required)}"
                self._document.complain((*path, "energy_pj"), "missing key 'energy_pj'", hint, key=True)
                return _spoilt(part, actions)
            return part
        if not missing:
            return part
        asked = {key: self._machine[key] for key in shared} | asked
        if None in asked.values():
            return _spoilt(part, actions)  # what is wrong with a key was said where it stands
        asked = {key: None if value is _NO_LIMIT else value for key, value in asked.items()}
        before = len(self._document.issues)
        try:
            estimate = self._estimate(item, asked, path, actions)
        except EstimateError as error:
            self._complain(error, item, path)
            return _spoilt(part, actions)
        if estimate is None or len(self._document.issues) > before:
            return _spoilt(part, actions)
        used = {key: one for key, one in estimate.figures.items() if key in missing}
        if estimate.family is not None and used:
            self._families.setdefault(estimate.family, path)
        return _merged(part, used)

    def _refuse_class(
        self,
        item: Mapping[str, Any],
        part: Mapping[str, Any],
        path: Path,
        actions: tuple[str, ...],
        *,
        needs: bool,
    ) -> bool:
        """Note a class that no table knows, where figures are needed that only one can give."""
        kind = item.get("class")
        if not needs or not isinstance(kind, str) or not kind or item.get("estimator", "tables") != "tables":
            return False
        if "components" in path and not any(key in item for key in TABLE_KEYS):
            needs = bool(self._machine) and not any(key in part for key in _COSTS)
        known = [name for name, one in CLASSES.items() if one.is_level == (actions == LEVEL_ACTIONS)]
        if kind in known or not needs:
            return False
        near = closest(kind, known)
        meant = f"did you mean '{near}'? there are" if near else "choose from"
        by_hand = "" if "energy_pj" in part else "; or give 'energy_pj'"
        message = f"no table knows the class {shorten(kind)} here"
        self._document.complain((*path, "class"), message, f"{meant} {', '.join(known)}{by_hand}")
        return True

    def _estimate(
        self, item: Mapping[str, Any], asked: dict[str, Any], path: Path, actions: tuple[str, ...]
    ) -> Estimate | None:
        """Return what the estimator of a part says; None where its keys are wrong, which is then noted."""
        name, kind = item.get("estimator", "tables"), item.get("class")
        if not isinstance(name, str) or name not in ESTIMATORS:
            message = f"unknown estimator {shorten(name)}"
            self._document.complain((*path, "estimator"), message, did_you_mean(str(name), ESTIMATORS))
            return None
        if not isinstance(kind, str) or not kind:
            hint = f"it chooses the table, such as class: {'sram' if actions == LEVEL_ACTIONS else 'mac'}"
            self._document.complain((*path, "class"), "missing key 'class'", hint, key=True)
            return None
        known = CLASSES.get(kind)
        if name == "tables" and known is not None and known.is_level == (actions == LEVEL_ACTIONS):
            for key in KEYS:
                if key in item and key not in known.keys and key != "width":
                    message = f"class {kind} takes no '{key}'"
                    hint = f"its keys are {', '.join(known.keys)}"
                    self._document.complain((*path, key), message, hint, key=True)
            for key in known.required:
                if key not in asked:
                    hint = _HOW.get(key, f"such as {key}: {KEYS[key].example}")
                    message = f"missing key '{key}' for the figures of class {kind}"
                    self._document.complain((*path, key), message, hint, key=True)
                    return None
        return ESTIMATORS[name].estimate(kind, actions, asked)

    def _complain(self, error: EstimateError, item: Mapping[str, Any], path: Path) -> None:
        """Note why there is no estimate, at the key that is wrong where it stands."""
        key = error.key or "class"
        if key == "capacity" and key not in item:
            key = "capacity_words"
        if key in MACHINE_KEYS and key not in item and key in self._machine:
            path = ("architecture",)
            item = self._machine
        self._document.complain((*path, key), error.message, error.hint, key=key not in item)

    def check_families(self) -> None:
        """Note that figures of compute units come from tables that do not go together."""
        if len(self._families) < 2 or self._mixed:
            return
        path = list(self._families.values())[1]
        message = f"compute units have figures of the families {' and '.join(self._families)}"
        hint = (
            "they do not go together: a multiply-accumulate of one may be 7 times that of another;"
            " choose one 'family', or write mixed_families: true for the architecture"
        )
        self._document.complain((*path, "class"), message, hint)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _missing(part: Mapping[str, Any], actions: tuple[str, ...]) -> list[str]:
    """Return the keys of figures that are not written by hand."""
    others = (LEAKAGE, AREA, ACCESS_TIME) if actions == LEVEL_ACTIONS else (LEAKAGE, AREA)
    found = [key for key in others if part.get(key) is None]
    energies = part.get("energy_pj")
    if energies is None:
        return [*(_ACCESS if actions == LEVEL_ACTIONS else ()), "energy_pj", *found]
    if actions == LEVEL_ACTIONS and isinstance(energies, dict):
        return [*(key for key in _ACCESS if key not in energies), *found]
    return found


def _merged(part: dict[str, Any], figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return a part with figures, and with where they come from."""
    new = dict(part)
    for key, figure in figures.items():
        if key in _ACCESS:
            new["energy_pj"] = {**(new.get("energy_pj") or {}), key: figure.value}
        else:
            new[key] = figure.value
    stated = new.get("origins") or {}
    if figures and isinstance(stated, dict):
        new["origins"] = {**{key: figure.origin for key, figure in figures.items()}, **stated}
    return new


def _spoilt(part: dict[str, Any], actions: tuple[str, ...]) -> dict[str, Any]:
    """Return a part with figures in place of those that cannot be had, so that nothing else complains."""
    keys = _ACCESS if actions == LEVEL_ACTIONS else ("energy_pj",)
    return _merged(part, {key: Figure(1.0, "") for key in keys if key in _missing(part, actions)})
