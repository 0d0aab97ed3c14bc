"""Numbers as an architecture writes them: expressions over attributes, and amounts with units."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from procrustes_model.spec.schema import LARGEST_BOUND
from procrustes_model.spec.text.amounts import QUANTITIES, Quantity, is_plain, split_unit, unit_problem
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.expressions import ExpressionError, evaluate, parse
from procrustes_model.spec.text.words import IDENTIFIER_RULE, PAIRS, is_identifier, shorten
from procrustes_model.spec.text.yaml_text import Path

Values = dict[str, float | str]

BY_KEY = {
    "read": QUANTITIES["energy"],
    "write": QUANTITIES["energy"],
    "update": QUANTITIES["energy"],
    "gated": QUANTITIES["energy"],
    "skipped": QUANTITIES["energy"],
    "metadata": QUANTITIES["energy"],
    "idle": QUANTITIES["energy"],
    "energy_pj": QUANTITIES["energy"],
    "area_um2": QUANTITIES["area"],
    "leakage_mw": QUANTITIES["power"],
    "access_ns": QUANTITIES["time"],
}
"""What keys measure whose numbers may have a unit; without one it is that of the key."""


def read_attributes(written: Any, path: Path, before: Values, document: Document) -> Values:
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
            number = read_number(value, place, known, document)
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


def evaluated(
    item: dict[str, Any], keys: tuple[str, ...], path: Path, names: Values, document: Document
) -> dict[str, Any]:
    """Return a copy of `item` in which the values of `keys` are numbers where they were expressions.

    An energy, an area, a power or a time may have a unit, and is then in that of its key.
    """
    wanted = set(keys)
    return {
        key: read_number(value, (*path, key), names, document, BY_KEY.get(key)) if key in wanted else value
        for key, value in item.items()
    }


def read_number(
    value: Any,
    path: Path,
    names: Mapping[str, float | str],
    document: Document,
    quantity: Quantity | None = None,
) -> Any:
    """Return the value of an expression; anything else as it is; 1 where there is an issue.

    Parameters
    ----------
    value : Any
        As written.
    path : tuple
        Where it stands.
    names : dict
        Attributes that it may use.
    document : Document
        Gets the issues.
    quantity : Quantity, optional
        What it measures: it may then have a unit.
    """
    if not isinstance(value, str):
        return value
    if quantity is not None and not is_plain(value) and split_unit(value) is not None:
        return read_amount(value, path, names, document, quantity)
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


def read_amount(
    value: Any, path: Path, names: Mapping[str, float | str], document: Document, quantity: Quantity
) -> float:
    """Return an amount, which has a unit, in the base unit of its quantity; 1 where there is an issue.

    Whole amounts stay whole numbers; parameters are those of `read_number`.
    """
    written = split_unit(value) if isinstance(value, str) else None
    problem = unit_problem(value, written and written[1], quantity, str(path[-1]))
    if written is None or problem is not None:
        assert problem is not None
        document.complain(path, *problem)
        return 1
    number = read_number(written[0], path, names, document)
    exact = Fraction(number) * quantity.units[written[1]]
    if isinstance(number, float) and quantity.units[written[1]] == 1:
        return number
    return int(exact) if exact.denominator == 1 else float(exact)


def with_capacity(part: dict[str, Any], path: Path, names: Values, document: Document) -> dict[str, Any]:
    """Return the keys of a memory with `capacity`, which has a unit, as `capacity_words`."""
    if "capacity" not in part:
        return part
    written = part["capacity"]
    part = {key: value for key, value in part.items() if key != "capacity"}
    if "capacity_words" in part:
        document.complain(
            (*path, "capacity"), "'capacity' and 'capacity_words' are both given", "keep one", key=True
        )
    elif written is not None:
        part["capacity_words"] = read_capacity(
            written, part.get("word_bits"), (*path, "capacity"), names, document
        )
    return part


def read_capacity(
    value: Any, word_bits: Any, path: Path, names: Mapping[str, float | str], document: Document
) -> int:
    """Return a capacity with its unit, such as `128 KB`, in words."""
    quantity = QUANTITIES["capacity"]
    written = split_unit(value) if isinstance(value, str) else None
    problem = unit_problem(value, written and written[1], quantity, "capacity")
    if written is None or problem is not None:
        assert problem is not None
        document.complain(path, *problem)
        return 1
    amount, unit = read_number(written[0], path, names, document), written[1]
    if unit == "words":
        words = Fraction(amount)
    elif isinstance(word_bits, int) and word_bits >= 1:
        words = Fraction(amount) * quantity.units[unit] / word_bits
    else:
        return 1  # word_bits has an issue of its own
    if words.denominator != 1 or not 1 <= words <= LARGEST_BOUND:
        shown = int(words) if words.denominator == 1 else float(words)
        of_bits = "" if unit == "words" else f" of {word_bits} bits"
        message = f"the capacity {value.strip()} is {shown} words{of_bits}"
        document.complain(path, message, f"it must be a whole number from 1 to {LARGEST_BOUND}")
        return 1
    return int(words)
