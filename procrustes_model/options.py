"""Requests: frozen objects whose fields are options, each described once, where it stands.

The command line, the keyword arguments of a verb, its docstring and the command that repeats a run are all
made from these fields. Nothing heavy is imported here: ``--help`` reads it.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import wraps
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast, overload

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import SPEC, Form
from procrustes_model.versions import SPECIFICATIONS

T = TypeVar("T")
P = ParamSpec("P")
Asked = TypeVar("Asked", bound="Request")
Asked_contra = TypeVar("Asked_contra", bound="Request", contravariant=True)
Given = TypeVar("Given")
Given_co = TypeVar("Given_co", covariant=True)


@dataclass(frozen=True)
class Option:
    """What is said of one field of a request.

    Attributes
    ----------
    form : Form
    help : str
        One sentence, for ``--help`` and the reference.
    details : str
        More, for the reference alone.
    flags : tuple of str
        Names on the command line where they are not the field's; an empty tuple means the field's.
    off : str, optional
        Name on the command line that turns off a switch that is on by default.
    metavar : str, optional
        In place of the form's.
    least, most : float, optional
        Bounds of a number, themselves allowed.
    spec : str, optional
        The kind of specification that it names, as `procrustes list` calls one.
    decides : bool
        Whether results depend on it: a run records those.
    recorded : str, optional
        What records call it where that is not the field's name.
    """

    form: Form[Any]
    help: str
    details: str = ""
    flags: tuple[str, ...] = ()
    off: str | None = None
    metavar: str | None = None
    least: float | None = None
    most: float | None = None
    spec: str | None = None
    decides: bool = True
    recorded: str | None = None

    def take(self, name: str, value: Any) -> Any:
        """Return a value in its usual form.

        Raises
        ------
        SpecError
            When it is of another kind or out of bounds.
        """
        wanted = " ".join([self.form.wanted, *self._bounds()])
        wrong = SpecError(Issue(f"{name} must be {wanted}, is {str(value)[:60]!r}"))
        try:
            taken = self.form.take(value)
        except SpecError:
            raise
        except ValueError:
            raise wrong from None
        low = self.least is not None and taken is not None and taken < self.least
        high = self.most is not None and taken is not None and taken > self.most
        if low or high:
            raise wrong
        return taken

    def _bounds(self) -> list[str]:
        least = [] if self.least is None else [f"of at least {self.least:g}"]
        return least if self.most is None else [*least, f"and at most {self.most:g}"]


def option(default: T, form: Form[Any], help: str, **more: Any) -> T:  # noqa: A002  # as typer calls it
    """Return the default of a field that is an option; `more` are attributes of `Option`."""
    return field(default=default, metadata={"option": Option(form, help, **more)})


def argument(form: Form[Any], help: str, **more: Any) -> dict[str, Option]:  # noqa: A002
    """Return the metadata of a field without a default: ``field(metadata=argument(...))``."""
    return {"option": Option(form, help, **more)}


def again(request: type[Request], name: str, default: T) -> T:
    """Return the default of a field that is an option of a base class, described there."""
    return field(default=default, metadata={"option": options_of(request)[name].option})


def beside(about: str) -> Any:
    """Return the default, None, of a field that is no option and decides nothing of the answer."""
    return field(default=None, compare=False, repr=False, metadata={"about": about})


@dataclass(frozen=True)
class Described:
    """A field of a request that is an option.

    Attributes
    ----------
    name : str
    option : Option
    default : object
        `MISSING` where there is none.
    kinds : tuple of str
        Its type, as it is written, without None.
    nullable : bool
        Whether None is a value.
    positional : bool
        Whether the command line takes it without its name.
    """

    name: str
    option: Option
    default: Any
    kinds: tuple[str, ...]
    nullable: bool
    positional: bool

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def flags(self) -> tuple[str, ...]:
        """Its names on the command line."""
        return self.option.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def recorded(self) -> str:
        """Its name in records."""
        return self.option.recorded or self.name

    @property
    def metavar(self) -> str | None:
        """What stands for its value."""
        return self.option.metavar or self.option.form.metavar


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: checked when it is made, and never changed afterwards.

    Raises
    ------
    SpecError
        When a value is none of its kind, or one is given that others leave without effect.
    """

    def __post_init__(self) -> None:
        for name, described in options_of(type(self)).items():
            value = getattr(self, name)
            if value is not None or not described.nullable:
                object.__setattr__(self, name, described.option.take(name, value))
        self.check()

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""

    def given(self, *names: str) -> list[str]:
        """Return the flags of those options, of all where none is named, that differ from their defaults."""
        described = options_of(type(self))
        return [
            described[name].flags[0]
            for name in names or described
            if getattr(self, name) != described[name].default
        ]

    def shared(self, kind: type[Request]) -> dict[str, Any]:
        """Return by name the values of those options that another kind of request has, too."""
        return {name: getattr(self, name) for name in options_of(type(self)) if name in options_of(kind)}

    def decisive(self) -> Self:
        """Return the request with all at its default that results do not depend on."""
        options = options_of(type(self)).items()
        return replace(self, **{name: one.default for name, one in options if not one.option.decides})

    def to_words(self) -> list[str]:
        """Return the request as words of a command line: what differs from the defaults, in order.

        Specifications must be names or files.
        """
        words = []
        for name, described in options_of(type(self)).items():
            value = getattr(self, name)
            if value == described.default:
                continue
            off = described.option.off if value is False else None
            flag = [] if described.positional else [off or described.flags[0]]
            words += flag if value is True or off else [*flag, described.option.form.write(value)]
        return words


def options_of(request: type[Request]) -> dict[str, Described]:
    """Return the fields of a request that are options by name: its own first, then those that it shares."""
    own: dict[str, Field[Any]] = {one.name: one for one in fields(request)}
    homes = {
        one.name: base
        for base in request.__mro__
        if hasattr(base, "__dataclass_fields__")
        for one in fields(base)
    }
    order = list(request.__mro__)
    names = sorted(own, key=lambda name: (own[name].kw_only, own[name].kw_only and order.index(homes[name])))
    return {name: _describe(own[name]) for name in names if "option" in own[name].metadata}


def spec_kinds(options: Mapping[str, Described]) -> dict[str, str]:
    """Return the kind of specification by the name of each option that takes one."""
    kinds = {name: one.option.spec or name for name, one in options.items() if one.option.form is SPEC}
    return {name: kind for name, kind in kinds.items() if kind in SPECIFICATIONS}


def _describe(one: Field[Any]) -> Described:
    said: Option = one.metadata["option"]
    kinds = str(one.type).split(" | ")
    return Described(
        name=one.name,
        option=said,
        default=one.default,
        kinds=tuple(kind for kind in kinds if kind != "None"),
        nullable="None" in kinds,
        positional=not one.kw_only and not said.flags,
    )


class Verb(Protocol[Asked_contra, P, Given_co]):
    """A function of a request, or of what the request is made of."""

    @overload
    def __call__(self, request: Asked_contra, /) -> Given_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Given_co: ...


def verb(
    request: Callable[P, Asked],
) -> Callable[[Callable[[Asked], Given]], Verb[Asked, P, Given]]:
    """Let a function of a request be called with the fields of the request as well.

    Type checkers and editors see the names, types and defaults of the fields; the docstring gets a section
    ``Parameters`` from them.
    """

    def decorate(function: Callable[[Asked], Given]) -> Verb[Asked, P, Given]:
        kind = cast("type[Request]", request)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Given:
            if len(args) == 1 and not kwargs and isinstance(args[0], kind):
                return function(cast("Asked", args[0]))
            return function(request(*args, **kwargs))

        call.__doc__ = _documented(function.__doc__ or "", kind)
        returned = inspect.signature(function).return_annotation
        call.__signature__ = inspect.signature(kind).replace(return_annotation=returned)  # type: ignore[attr-defined]
        del call.__wrapped__  # else inspection sees its single parameter
        return call

    return decorate


_IN_PROSE = {"Source": "path, str, mapping", "File": "path"}


def _documented(text: str, request: type[Request]) -> str:
    """Return a docstring with a section on the fields of a request after its summary."""
    head, mark, tail = inspect.cleandoc(text).partition("\nReturns\n")
    options = options_of(request)
    lines = ["Parameters", "----------"]
    for name, one in options.items():
        words = one.option.form.words
        kind = " or ".join(_IN_PROSE.get(kind, kind) for kind in one.kinds)
        said = f"{one.option.help} {one.option.details}".strip()
        lines += _entry(name, f"{{{', '.join(words)}}}" if words else kind, one.default, said)
    for other in fields(request):
        if other.name not in options:
            lines += _entry(other.name, str(other.type), other.default, other.metadata["about"])
    return f"{head}\n" + "\n".join(lines) + f"\n{mark}{tail}"


def _entry(name: str, kind: str, default: Any, said: str) -> list[str]:
    """Return the lines on one parameter."""
    if default is None:
        kind = f"{kind.removesuffix(' | None')}, optional"
    elif default is not MISSING:
        kind += f", default {', '.join(map(str, default)) if isinstance(default, tuple) else default}"
    return [f"{name} : {kind}", *textwrap.wrap(said, 106, initial_indent="    ", subsequent_indent="    ")]
