"""What went into a network run, as files that the command line reads back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from procrustes_model.network.request import RunRequest
from procrustes_model.options import options_of
from procrustes_model.spec.architecture_written import without_defaults, write_architecture
from procrustes_model.spec.network import Network
from procrustes_model.versions import with_version
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult

_FILES = {"density": "densities.yaml"}


def input_files(result: NetworkResult) -> dict[str, str]:
    """Return the inputs of a run as YAML, by file name; reading them gives the same specifications.

    Parameters
    ----------
    result : NetworkResult

    Returns
    -------
    dict of str to str
        ``architecture.yaml``, ``network.yaml``, one file per sparse design, ``densities.yaml`` where they are
        given by layer, and ``constraints.yaml`` where there are some in place of a dataflow.
    """
    return {file: _WRITERS[kind](given) for kind, file, given in _written(result).values()}


def repeat_request(result: NetworkResult) -> RunRequest:
    """Return the request of a run with the files of `input_files` in place of its specifications.

    Recorded masks are not among these files, and stay where they were.

    Parameters
    ----------
    result : NetworkResult
    """
    files = {name: file for name, (_, file, _) in _written(result).items()}
    decisive = {name: one.recorded for name, one in options_of(RunRequest).items() if one.option.decides}
    return RunRequest(**{name: result.inputs[word] for name, word in decisive.items()} | files)


def repeat_command(result: NetworkResult) -> str:
    """Return a command that repeats a run from the files of `input_files`.

    Parameters
    ----------
    result : NetworkResult
    """
    return shlex.join(["procrustes", "network", *repeat_request(result).to_words()])


def _written(result: NetworkResult) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return, by option, the specifications that files are written of: kind, file and content."""
    found = {}
    for name, one in options_of(RunRequest).items():
        given = result.inputs.get(name) if one.option.spec else None
        if isinstance(given, dict):
            kind = str(one.option.spec)
            file = sparsity_file(given["name"]) if kind == "sparsity" else _FILES.get(kind, f"{kind}.yaml")
            found[name] = (kind, file, given)
    return found


def sparsity_file(design: str) -> str:
    """Return the name of a design's file."""
    return f"sparsity_{design.replace('/', '_')}.yaml"


def _sparsity(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sparse design as a file writes it, each phase in full."""
    data: dict[str, Any] = without_defaults({key: value for key, value in dump.items() if key not in PHASES})
    data["phases"] = {}
    for phase in PHASES:
        section = without_defaults(dump[phase])
        section["actions"] = [
            {"level": one["level"], one["kind"]: one["target"], "on": one["on"]}
            for one in dump[phase]["actions"]
        ]
        data["phases"][phase] = section
    return data


def _constraints(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return constraints as a file writes them."""
    levels = []
    for rules in dump["levels"]:
        level: dict[str, Any] = {"level": rules["level"]}
        for kind, loops in rules["loops"].items():
            factors = [f"{one['dimension']}{one['relation']}{one['value']}" for one in loops["factors"]]
            level[kind] = {"factors": factors, "order": list(loops["order"])}
            level[kind] = {key: words for key, words in level[kind].items() if words}
            if loops["dimensions"] is not None:
                level[kind]["dimensions"] = list(loops["dimensions"])
        levels.append(level | {key: list(rules[key]) for key in ("keep", "bypass")})
    return {"name": dump["name"], "min_utilization": dump["min_utilization"], "levels": levels}


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    # Through JSON, so that only plain data are written, and nothing as an alias.
    plain = json.loads(json.dumps(with_version(data)))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None))


_WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "architecture": lambda given: _yaml({"architecture": write_architecture(given)}),
    "network": lambda given: Network(**given).to_yaml(),
    "sparsity": lambda given: _yaml({"sparsity": _sparsity(given)}),
    "constraints": lambda given: _yaml({"constraints": _constraints(given)}),
    "density": lambda given: _yaml({"density": without_defaults(given)}),
}
