"""Which figures there are of which kind of result, by the names that ``--plot`` and `plot` take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.words import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """A figure that can be drawn.

    Attributes
    ----------
    module, function : str
        Which function of this package draws it; it is loaded when it does.
    about : str
        What it shows.
    """

    module: str
    function: str
    about: str

    def draw(self, subject: Any) -> Figure | None:
        """Return the figure of a subject; None where it has nothing to show."""
        figure: Figure | None = getattr(import_module(f"{__package__}.{self.module}"), self.function)(subject)
        return figure


EVALUATION: Mapping[str, Drawn] = {
    "energy": Drawn("evaluation", "draw_energy", "energy by level and tensor, and cycles of each part"),
    "capacity": Drawn("evaluation", "draw_capacity", "how full levels are, by tensor"),
    "mapping": Drawn("mapping", "draw_mapping", "the loop nest beside the tiles that levels hold"),
    "roofline": Drawn("roofline", "draw_roofline", "operations per cycle under the machine's bandwidths"),
}
FRONT: Mapping[str, Drawn] = {
    "front": Drawn("front", "draw_front", "energy against cycles, the best product marked")
}
NETWORK: Mapping[str, Drawn] = {
    "energy": Drawn("network", "draw_energy_by_layer", "energy of each layer by level"),
    "phases": Drawn("network", "draw_phases", "energy by level and cycles in each phase"),
    "layers": Drawn("network", "draw_layers", "energy and cycles of each layer, phases stacked"),
    "roofline": Drawn("roofline", "draw_roofline", "layers under the machine's bandwidths, by phase"),
    "imbalance": Drawn("network", "draw_layer_imbalance", "the slowest element over the mean, by layer"),
}
TRAINING: Mapping[str, Drawn] = {
    "run": Drawn("train_cost", "draw_run", "density, and energy over that of dense training"),
    "steps": Drawn("train_cost", "draw_training", "energy and cycles of a step over the iterations"),
}
IMBALANCE: Mapping[str, Drawn] = {
    "histogram": Drawn("imbalance", "draw_imbalance", "work of processing elements over the mean")
}
SWEEP: Mapping[str, Drawn] = {"front": Drawn("sweep", "draw_sweep", "the points, those of the front marked")}
"""Figures of each kind of subject, the default first."""

_SUBJECTS: dict[str, tuple[Mapping[str, Drawn], Callable[[Any], Any]]] = {
    "Result": (EVALUATION, lambda result: [result]),
    "SearchResult": (EVALUATION, lambda found: [found.result]),
    "NetworkResult": (NETWORK, lambda result: result),
    "TrainCost": (TRAINING, lambda cost: cost),
    "SweepResult": (SWEEP, lambda result: result),
}
"""By the name of a result's class: its figures, and what they are drawn of."""


def find_figure(figures: Mapping[str, Drawn], name: str | None) -> Drawn:
    """Return a figure by its name; the default where none is named.

    Raises
    ------
    SpecError
        When there is no such figure, with those that there are.
    """
    if name is None:
        return next(iter(figures.values()))
    if name not in figures:
        known = f"one of {', '.join(figures)}"
        raise SpecError(Issue(f"unknown figure '{name[:40]}'", did_you_mean(name, list(figures)) or known))
    return figures[name]


def draw(result: Any, name: str | None = None) -> Figure:
    """Return a figure of a result.

    Parameters
    ----------
    result : Result, SearchResult, NetworkResult, TrainCost or SweepResult
    name : str, optional
        As in the tables above; the default where none is named.

    Raises
    ------
    SpecError
        When there is no such figure, it has nothing to show, or matplotlib is not installed.
    """
    kind = next(one.__name__ for one in type(result).__mro__ if one.__name__ in _SUBJECTS)
    figures, subject = _SUBJECTS[kind]
    return draw_of(figures, name, subject(result))


def draw_of(figures: Mapping[str, Drawn], name: str | None, subject: Any) -> Figure:
    """Return one of some figures of a subject; see `draw`."""
    figure = find_figure(figures, name).draw(subject)
    if figure is None:
        raise SpecError(Issue(f"figure '{name}' has nothing to show here", "leave it out"))
    return figure
