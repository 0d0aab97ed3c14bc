"""Field types that the specifications share, and pydantic's complaints in a user's words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import IDENTIFIER_RULE, PAIRS, closest, is_identifier, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path, Place
from procrustes_model.vocabulary import PHASES, Phase

LARGEST_BOUND = 2**31
LARGEST_PRODUCT = 2**62

_NAME_RULE = "must be 1 to 100 printable characters"


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(_NAME_RULE)
    return text


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise ValueError(f"must be {IDENTIFIER_RULE}")
    return text


def _phases(value: Any) -> tuple[Phase, ...]:
    words = value if isinstance(value, list | tuple) else [value]
    known = [*(phase.value for phase in PHASES), *(phase.short for phase in PHASES)]
    if not words or not all(isinstance(one, str) and one in known for one in words):
        raise ValueError(f"must be a list of phases, some of {', '.join(PHASES)}")
    wanted = {Phase.parse(one) for one in words}
    return tuple(phase for phase in PHASES if phase in wanted)


Phases = Annotated[tuple[Phase, ...], BeforeValidator(_phases)]
"""Phases of training, by long or short names, in the order of a training step."""
Name = Annotated[str, Field(strict=True), AfterValidator(_name)]
Identifier = Annotated[str, Field(strict=True), AfterValidator(_identifier)]
Text = Annotated[str, Field(strict=True, max_length=10_000)]
Count = Annotated[int, Field(strict=True, ge=1, le=LARGEST_BOUND)]
Positive = Annotated[float, Field(strict=True, gt=0, le=1e15, allow_inf_nan=False)]
Unsigned = AfterValidator(lambda number: number + 0.0)
"""Makes zero of a negative zero, which results would show with its sign."""
NonNegative = Annotated[float, Field(strict=True, ge=0, le=1e15, allow_inf_nan=False), Unsigned]


class UnknownWordError(ValueError):
    """A word that is none of those that are known, and which of these was probably meant."""

    def __init__(self, word: str, known: Iterable[str]) -> None:
        names = list(known)
        super().__init__(f"must be one of {', '.join(names)}")
        near = closest(word, names)
        self.hint = None if near is None else f"did you mean '{near}'?"


class PartError(ValueError):
    """What is wrong with one part of a description because of others: mostly that it would have no effect.

    Parameters
    ----------
    path : tuple of str and int
        Where it stands in the description: keys as a user writes them, and indices.
    message, hint : str
        As `Issue` takes them.
    """

    def __init__(self, path: Path, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.hint = hint


def check_needs(given: Iterable[str], needs: Mapping[str, tuple[str, ...]], has: Iterable[str]) -> None:
    """Raise a `PartError` for a key that is given and has no effect without another one.

    Parameters
    ----------
    given : iterable of str
        Keys that a user states.
    needs : mapping of str to tuple of str
        By key, those that it needs.
    has : iterable of str
        Keys with a value that has an effect.
    """
    for key in given:
        for needed in needs.get(key, ()):
            if needed not in has:
                raise PartError((key,), f"'{key}' has no effect without '{needed}'")


def check_once(names: Iterable[str]) -> tuple[str, ...]:
    """Return names, or raise where one stands twice; for `AfterValidator`."""
    found = tuple(names)
    seen = set()
    for name in found:
        if name in seen:
            raise ValueError(f"has '{name}' twice")
        seen.add(name)
    return found


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """Return a check that a word is one of those of a table, for `AfterValidator`."""

    def check(word: str) -> str:
        if word not in (names := tuple(known)):
            raise UnknownWordError(word, names)
        return word

    return check


Model = TypeVar("Model", bound="Frozen")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a specification was read. All origins are equal: equal specs may come from different files.

    Attributes
    ----------
    file : str or None
        None for a spec that was made in Python.
    places : tuple of (line, column)
        Of the parts that messages may have to point at.
    by_path : dict
        The same for a specification whose parts are best named by their path in the document.
    """

    file: str | None = dataclasses.field(default=None, compare=False)
    places: tuple[tuple[int, int], ...] = dataclasses.field(default=(), compare=False)
    by_path: dict[Path, Place] = dataclasses.field(default_factory=dict, compare=False, repr=False)


class Frozen(BaseModel):
    """A description that checks itself when it is made and never changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)
    other_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that users may write beside the fields' own; the reader turns them into fields."""


class Placed(Frozen):
    """A specification that may know where it was read, for messages about it."""

    _origin: Origin = PrivateAttr(default=Origin())

    @property
    def origin(self) -> Origin:
        """Where it was read."""
        return self._origin

    def read_from(self, origin: Origin) -> Self:
        """Return the same specification, knowing that it was read from `origin`: the places of its parts."""
        read = self.model_copy()
        read._origin = origin
        return read


def keys_of(model: type[Frozen]) -> list[str]:
    """Return the keys that a user may write for a model."""
    fields = [str(field.validation_alias or name) for name, field in model.model_fields.items()]
    return [*fields, *model.other_keys]


def build(model: type[Model], data: dict[str, Any], document: Document, path: Path) -> Model | None:
    """Make a model of raw data, or note in the document everything that is wrong with it.

    Parameters
    ----------
    model : type
        A subclass of `Frozen`.
    data : dict
        By the keys that a user writes.
    document : Document
        Gets the issues.
    path : tuple
        Where `data` stands in the document.

    Returns
    -------
    Model or None
        None where there is an issue.
    """
    try:
        return model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _translate(model, dict(detail), document, path)
    return None


def _translate(model: type[Frozen], detail: dict[str, Any], document: Document, path: Path) -> None:
    place: Path = (*path, *detail["loc"])
    key = _shown(place)
    kind = detail["type"]
    value = detail["input"]
    if kind == "extra_forbidden":
        unknown_key(document, place, keys_of(_model_at(model, detail["loc"][:-1])))
    elif kind == "missing":
        inner = _model_at(model, detail["loc"][:-1])
        missing_key(document, place, value, keys_of(inner), _description(inner, str(place[-1])))
    elif kind == "default_factory_not_called":
        pass  # the field it is made from has an issue of its own
    elif kind == "value_error" and isinstance(error := detail["ctx"]["error"], PartError):
        document.complain((*place, *error.path), str(error), error.hint, key=True)
    elif kind == "value_error":
        whole = isinstance(value, (dict, BaseModel))
        error = detail["ctx"]["error"]
        message = str(error) if whole else f"{key} {error}, is {shorten(value)}"
        document.complain(place, message, getattr(error, "hint", None), key=whole)
    else:
        hint = (
            f"its keys are {', '.join(keys_of(_model_at(model, detail['loc'])))}" if kind in _MODEL else None
        )
        wanted = _wanted(kind, detail.get("ctx", {}))
        document.complain(place, f"{key} must be {wanted}, is {shorten(value)}", hint)


def _shown(place: Path) -> str:
    """Return how a message names the value at a place: by its key, or as a list's item."""
    if not place:
        return "this"
    if isinstance(place[-1], int):
        return f"item {place[-1] + 1} of '{place[-2]}'" if len(place) > 1 else f"item {place[-1] + 1}"
    return f"'{place[-1]}'"


def _description(model: type[Frozen], key: str) -> str | None:
    fields = model.model_fields.items()
    return next((field.description for name, field in fields if key in (name, field.validation_alias)), None)


_MODEL = ("model_type", "model_attributes_type")
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes where it looks like a number)",
    "finite_number": "a finite number",
    "dict_type": PAIRS,
    "mapping_type": PAIRS,
    "model_type": PAIRS,
    "model_attributes_type": PAIRS,
    "tuple_type": "a list",
    "list_type": "a list",
    "bool_type": "true or false",
}


def _wanted(kind: str, context: dict[str, Any]) -> str:
    if kind in _WANTED:
        return _WANTED[kind]
    if kind == "greater_than_equal":
        return f"at least {context['ge']:.15g}"
    if kind == "greater_than":
        return f"more than {context['gt']:.15g}"
    if kind == "less_than_equal":
        return f"at most {context['le']:.15g}"
    if kind == "less_than":
        return f"less than {context['lt']:.15g}"
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters long"
    if kind in ("literal_error", "enum"):
        return f"one of {context['expected']}"
    return f"valid ({kind})"


def _model_at(model: type[Frozen], location: tuple[str | int, ...]) -> type[Frozen]:
    """Return the model of the field at a location; keys of a dict and indices stay with their field."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.validation_alias):
                model = _model_in(field.annotation) or model
                break
    return model


def _model_in(annotation: Any) -> type[Frozen] | None:
    """Return the model that a field's type is or holds, as in ``dict[Name, Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)
