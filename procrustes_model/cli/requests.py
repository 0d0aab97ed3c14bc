"""Requests as the command line reads them: each field of one becomes an argument or an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import complete_shipped
from procrustes_model.cli.values import metavar, reader
from procrustes_model.errors import Issue, SpecError
from procrustes_model.options import Described, Request, options_of, spec_kinds
from procrustes_model.versions import SPECIFICATIONS

Asked = TypeVar("Asked", bound=Request)
Complete = Callable[[str], list[str]]


def flattened(
    *,
    complete: Mapping[str, Complete] | None = None,
    **requests: type[Request],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of requests in place of its parameters for the requests.

    Errors that a user can mend are reported, while the requests are made and while the command runs. A
    command that takes specifications gets the option ``--set``, whose changes are in what it is then given.

    Parameters
    ----------
    complete : mapping of str to callable, optional
        What offers values of an option to a shell.
    **requests
        The kind of each request, by the parameter that takes it.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters = []
        kinds: dict[str, str] = {}
        for name, parameter in inspect.signature(command).parameters.items():
            if name in requests:
                options = options_of(requests[name])
                parameters += [_parameter(one, (complete or {}).get(one.name)) for one in options.values()]
                kinds |= spec_kinds(options)
            else:
                if name in SPECIFICATIONS:
                    kinds[name] = name
                annotated = parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
                parameters.append(annotated)

        if kinds:
            parameters.append(_SET)

        @wraps(command)
        def call(**values: Any) -> None:
            with reported_errors():
                if kinds:
                    values = change(values, values.pop(_SET.name) or [], kinds)
                made = {name: make_request(kind, values) for name, kind in requests.items()}
                taken = {name for kind in requests.values() for name in options_of(kind)}
                command(**made, **{name: value for name, value in values.items() if name not in taken})

        del call.__wrapped__  # else Typer sees its parameters
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return decorate


def change(values: Mapping[str, Any], settings: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return values with changed specifications in place of those that settings name.

    Parameters
    ----------
    values : mapping of str to Any
        What the command line has read, by option.
    settings : sequence of str
        ``PATH=VALUE`` each; a path starts with the name of an option.
    kinds : mapping of str to str
        By option that names a specification, its kind.

    Raises
    ------
    SpecError
        For all that are none, or name what the command does not take or was not given.
    """
    if not settings:
        return dict(values)
    from procrustes_model.spec.load import edit
    from procrustes_model.spec.text.changes import Change, parse_setting
    from procrustes_model.spec.text.words import did_you_mean

    issues: list[Issue] = []
    found: dict[str, list[Change]] = {}
    for text in settings:
        try:
            one = parse_setting(text)
        except SpecError as error:
            issues += error.issues
            continue
        if one.head not in kinds:
            hint = did_you_mean(one.head, list(kinds))
            issues.append(one.said.issue(f"this command has no '{one.head[:60]}' to change", hint))
        elif values[one.head] is None:
            issues.append(one.said.issue(f"no {one.head} is given to change", "name one"))
        else:
            found.setdefault(one.head, []).append(one)
    if issues:
        raise SpecError(issues)
    return {**values, **{name: edit(values[name], changes, kinds[name]) for name, changes in found.items()}}


def changes_of(request: Request) -> list[str]:
    """Return the words of a command line that change the specifications of a request."""
    from procrustes_model.spec.text.changes import SETTING, Edited

    edited = [getattr(request, name) for name in options_of(type(request))]
    changes = [change for one in edited if isinstance(one, Edited) for change in one.changes]
    return [word for change in changes for word in (SETTING, change.to_setting())]


def make_request(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    """Return a request of what the command line has read; what it has not been given is None."""
    return kind(**{name: values[name] for name in options_of(kind) if values[name] is not None})


Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a specification, such as architecture.levels.DRAM.word_bits=16; may be repeated.",
    ),
]
_SET = inspect.Parameter("changes", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Changes)


def _parameter(one: Described, complete: Complete | None) -> inspect.Parameter:
    """Return an option as a parameter that Typer understands."""
    option, form = one.option, one.option.form
    kind = form.parsed
    more: dict[str, Any] = {"help": option.help, "metavar": one.metavar}
    offered = complete or _completion(one)
    if offered is not None:
        more["autocompletion"] = offered
    if kind in (int, float):
        more |= {
            "parser": reader(one.name if one.positional else one.flags[0], option),
            "metavar": metavar(option),
        }
    default = inspect.Parameter.empty if one.required else one.default
    if kind is str and default is not inspect.Parameter.empty and default is not None:
        default = form.write(default)
    flags = [f"{one.flags[0]}/{option.off}"] if option.off else one.flags
    said = typer.Argument(**more) if one.positional else typer.Option(*flags, **more)
    annotation: Any = Annotated[kind | None if one.default is None else kind, said]
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _completion(one: Described) -> Complete | None:
    spec, words = one.option.spec, one.option.form.words

    def offer(incomplete: str) -> list[str]:
        if spec is not None:
            return complete_shipped(spec, incomplete)
        return [word for word in words if word.startswith(incomplete)]

    return offer if spec is not None or words else None
