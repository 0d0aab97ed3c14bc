"""What went into a network run, as files that the command line reads back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from procrustes_model.spec.network import Network
from procrustes_model.versions import with_version
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult

DATAFLOWS = ("KN", "CN", "CK", "PQ", "any")


def input_files(result: NetworkResult) -> dict[str, str]:
    """Return the inputs of a run as YAML, by file name; reading them gives the same specifications.

    Parameters
    ----------
    result : NetworkResult

    Returns
    -------
    dict of str to str
        ``architecture.yaml``, ``network.yaml``, one file per sparse design, ``densities.yaml`` where layers
        have densities, and ``constraints.yaml`` where there are some in place of a dataflow.
    """
    inputs = result.inputs
    files = {
        "architecture.yaml": _yaml({"architecture": _architecture(inputs["architecture"])}),
        "network.yaml": Network(**inputs["network"]).to_yaml(),
    }
    for design in inputs["designs"]:
        if design["sparsity"] is not None:
            files[sparsity_file(design["name"])] = _yaml({"sparsity": _sparsity(design["sparsity"])})
    if densities := _densities(inputs):
        files["densities.yaml"] = _yaml({"density": densities})
    if inputs["constraints"] is not None:
        files["constraints.yaml"] = _yaml({"constraints": _constraints(inputs["constraints"])})
    return files


def sparsity_file(design: str) -> str:
    """Return the name of a design's file."""
    return f"sparsity_{design.replace('/', '_')}.yaml"


def repeat_command(result: NetworkResult) -> str:
    """Return a command that repeats a run from the files of `input_files`.

    Masks of weights are not among them.

    Parameters
    ----------
    result : NetworkResult
    """
    inputs = result.inputs
    words = ["procrustes", "network", "architecture.yaml", "network.yaml", "--batch", str(result.batch)]
    words += ["--phases", ",".join(phase.short for phase in result.phases)]
    if inputs["constraints"] is not None:
        words += ["--constraints", "constraints.yaml"]
    elif inputs["designs"][0]["dataflow"] in DATAFLOWS:
        words += ["--dataflow", inputs["designs"][0]["dataflow"]]
    for option, design in zip(("--sparsity", "--baseline"), inputs["designs"], strict=False):
        if design["sparsity"] is not None:
            words += [option, sparsity_file(design["name"])]
        elif option == "--baseline":
            words += [option, "dense"]
    if _densities(inputs):
        words += ["--density-profile", "densities.yaml"]
    words += ["--objective", result.objective, "--seed", str(inputs["seed"])]
    words += ["--seconds", f"{inputs['seconds'] or 0:g}"]
    if inputs["as_published"]:
        words.append("--as-published")
    return shlex.join(words)


def _architecture(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture as a file writes it."""
    data: dict[str, Any] = _without_defaults(dump)
    for level in data["levels"]:
        level["class"] = level.pop("kind", "sram")
        level["energy_pj"] = level.pop("energy")
    return data


def _sparsity(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sparse design as a file writes it, each phase in full."""
    data: dict[str, Any] = _without_defaults({key: value for key, value in dump.items() if key not in PHASES})
    data["phases"] = {}
    for phase in PHASES:
        section = _without_defaults(dump[phase])
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
            level[kind] = {"factors": " ".join(factors), "order": " ".join(loops["order"])}
            if loops["dimensions"] is not None:
                level[kind]["dimensions"] = list(loops["dimensions"])
        levels.append(level | {key: list(rules[key]) for key in ("keep", "bypass")})
    return {"name": dump["name"], "min_utilization": dump["min_utilization"], "levels": levels}


def _densities(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the densities of the layers as a profile, empty where none is given."""
    weights, activations = (
        {name: one[key] for name, one in inputs["densities"].items() if one[key] is not None}
        for key in ("weights", "activations")
    )
    weighted = {layer["name"] for layer in inputs["network"]["layers"] if layer["has_weights"]}
    weights = {name: value for name, value in weights.items() if name in weighted}
    if not weights and not activations:
        return {}
    data: dict[str, Any] = {"name": f"{inputs['network']['name']}_of_run"[-100:]}
    if weights:
        data["weights"] = {"layers": weights}
    if activations:
        data["activations"] = {"layers": activations}
    return data


def _without_defaults(value: Any) -> Any:
    """Return nested data without what is empty."""
    if isinstance(value, Mapping):
        return {key: _without_defaults(one) for key, one in value.items() if one is not None and one != ""}
    return [_without_defaults(one) for one in value] if isinstance(value, list | tuple) else value


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    # Through JSON, so that only plain data are written, and nothing as an alias.
    plain = json.loads(json.dumps(with_version(data)))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None))
