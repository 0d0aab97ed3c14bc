"""Requests as the command line reads them: each field of one becomes an argument or an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import complete_shipped
from procrustes_model.cli.values import metavar, reader
from procrustes_model.options import Described, Request, options_of

Asked = TypeVar("Asked", bound=Request)
Complete = Callable[[str], list[str]]


def flattened(
    *,
    complete: Mapping[str, Complete] | None = None,
    **requests: type[Request],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of requests in place of its parameters for the requests.

    Errors that a user can mend are reported, while the requests are made and while the command runs.

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
        for name, parameter in inspect.signature(command).parameters.items():
            if name in requests:
                parameters += [
                    _parameter(one, (complete or {}).get(one.name))
                    for one in options_of(requests[name]).values()
                ]
            else:
                annotated = parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
                parameters.append(annotated)

        @wraps(command)
        def call(**values: Any) -> None:
            with reported_errors():
                made = {name: make_request(kind, values) for name, kind in requests.items()}
                taken = {name for kind in requests.values() for name in options_of(kind)}
                command(**made, **{name: value for name, value in values.items() if name not in taken})

        del call.__wrapped__  # else Typer sees its parameters
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return decorate


def make_request(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    """Return a request of what the command line has read; what it has not been given is None."""
    return kind(**{name: values[name] for name in options_of(kind) if values[name] is not None})


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
