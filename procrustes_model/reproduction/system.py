"""Ways to train with less as data: a file in `systems` is one, with what is asked and what is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from procrustes_model.reproduction.request import SYSTEMS_FOLDER
from procrustes_model.spec.text.expressions import evaluate as calculate
from procrustes_model.spec.text.expressions import parse

Values = dict[str, float]
"""What a run tells, by names that expressions take."""

MACHINE = "procrustes_16x16"
"""Where a machine decides nothing: computations are the same on all."""

_SAMPLE = (1024, 1024)
_SEED = 0


@dataclass(frozen=True)
class Row:
    """A number.

    Attributes
    ----------
    name, quantity, digits : str
        What it is, of what, and how it is written.
    run, here : str
        The run that tells it, and the expression of its values.
    over : str
        A run whose number it is divided by; empty: none.
    exact : float or None
        By arithmetic.
    published : str
        What is published; empty: nothing of this number.
    """

    name: str
    quantity: str
    digits: str
    run: str
    here: str
    over: str
    exact: float | None
    published: str


@dataclass(frozen=True)
class System:
    """A published way to train with less.

    Attributes
    ----------
    name, title, about, source, published : str
    reasons : tuple of str
        Why numbers may differ from what is published.
    rows : tuple of Row
    runs : dict of str to dict
        What is asked, by name: the options of a verb, and `what` it is.
    """

    name: str
    title: str
    about: str
    source: str
    published: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    runs: Mapping[str, Mapping[str, Any]]

    def find(self) -> list[float]:
        """Return the numbers of all rows as this model finds them."""
        values = {name: VERBS[run["what"]](**_options(run)) for name, run in self.runs.items()}
        found = []
        for row in self.rows:
            number = _number(row.here, values[row.run])
            found.append(number / _number(row.here, values[row.over]) if row.over else number)
        return found


@cache
def load_systems() -> dict[str, System]:
    """Return the systems that ship, by name."""
    import yaml

    found = {}
    for file in sorted(SYSTEMS_FOLDER.glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        rows = tuple(
            Row(
                name=one["name"],
                quantity=one.get("quantity", content["quantity"]),
                digits=one.get("digits", content["digits"]),
                run=one["run"],
                here=str(one["here"]),
                over=one.get("over", ""),
                exact=_number(str(one["exact"]), {}) if "exact" in one else None,
                published=str(one.get("published", "")),
            )
            for one in content["rows"]
        )
        found[file.stem] = System(
            name=file.stem,
            rows=rows,
            runs=content["runs"],
            reasons=tuple(content["reasons"]),
            **{key: content[key] for key in ("title", "about", "source", "published")},
        )
    return found


def _options(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "what"}


def _number(expression: str, values: Values) -> float:
    return float(calculate(parse(expression), values))


def _identifier(name: str) -> str:
    """Return a name as expressions take it."""
    return re.sub(r"\W", "_", name)


def _train_cost(**options: Any) -> Values:
    """Count the computations of a training run."""
    from procrustes_model.network.train_cost import train_cost

    cost = train_cost(MACHINE, macs=True, **options)
    done, dense = cost.computations(), cost.dense_computations()
    values = {"dense": dense.done, "done": done.done, "weights": cost.weight_density}
    values |= {"bits": float(done.bit_operations or 0)}
    for number, part in enumerate(cost.parts, 1):
        one = part.computations()
        values |= {
            f"part_{number}_weights": part.weight_density,
            f"part_{number}_done": one.done,
            f"part_{number}_bits": float(one.bit_operations or 0),
        }
    return values


def _macs(**options: Any) -> Values:
    """Count the computations of a training step."""
    from procrustes_model.network.macs import count_macs

    counted = count_macs(MACHINE, **options)
    whole = counted.totals()
    values = {"dense": float(whole.dense), "done": float(whole.done)}
    for layer in counted.layers:
        own = counted.totals(layer=layer)
        name = _identifier(layer)
        values |= {f"{name}_dense": float(own.dense), f"{name}_done": float(own.done)}
    return values


def _evaluate(
    architecture: Any,
    mapping: Any,
    problem: Any = None,
    network: str | None = None,
    layer: str | None = None,
    phase: str = "forward",
    batch: int = 1,
    sparsity: Any = None,
) -> Values:  # fmt: skip
    """Evaluate a mapping of a problem, or of a layer of a network."""
    from procrustes_model.model.evaluator import Evaluator
    from procrustes_model.model.sparse.result import SparseTensorCounts
    from procrustes_model.spec.load import load_network
    from procrustes_model.vocabulary import Phase
    from procrustes_model.workloads.layer import training_problem

    if network is not None:
        own = next(one for one in load_network(network).layers if one.name == layer)
        problem = training_problem(own, Phase.parse(phase), batch=batch)
    result = Evaluator(architecture, problem, sparsity=sparsity).evaluate(mapping, check_capacity=False)
    values: Values = {"energy_pj": result.energy_pj, "cycles": float(result.cycles)}
    values |= {"computes": float(result.compute.computes)}
    values |= {f"uses_{one.name}": float(one.uses) for one in result.components}
    for level in result.levels:
        for counts in level.tensors:
            name = f"{level.name}_{counts.tensor}"
            values[f"reads_{name}"] = float(counts.reads)
            if isinstance(counts, SparseTensorCounts):
                values[f"stored_{name}"] = counts.sparse.stored_words
    return values


def _link(network: str, batch: int = 1, phases: str = "fw") -> Values:
    """Add up what crosses a network's link."""
    from procrustes_model.network.links import link_costs
    from procrustes_model.network.request import check_phases
    from procrustes_model.spec.load import load_network

    costs = link_costs(load_network(network), MACHINE, batch, check_phases(phases))
    return {
        "energy_pj": sum(one.energy_pj for one in costs),
        "bits": float(sum(one.bits for one in costs)),
        "elements": float(sum(one.elements for one in costs)),
    }


def _memory(**options: Any) -> Values:
    """Find what training keeps off the chip, in bits."""
    from procrustes_model.network.memory import training_memory

    memory = training_memory(**options)
    values = {"peak": float(memory.peak.total)}
    return values | {_identifier(name): float(one.stored) for name, one in memory.traffic.items()}


def _series(terms: list[str], density: float) -> Values:
    """Take the terms of a series off random nonzeros."""
    from procrustes_model.training.patterns import NM
    from procrustes_model.training.series import decompose

    mask = np.random.default_rng(_SEED).random(_SAMPLE) < density
    sizes = [term.split(":") for term in terms]
    patterns = [NM(int(kept), int(group)) for kept, group in sizes]
    return {"kept": decompose(mask, patterns).kept}


VERBS: dict[str, Callable[..., Values]] = {
    "train_cost": _train_cost,
    "macs": _macs,
    "evaluate": _evaluate,
    "link": _link,
    "memory": _memory,
    "series": _series,
}
"""What a run may be."""
