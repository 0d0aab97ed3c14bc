"""What is asked and what is published, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from procrustes_model.errors import Issue, SpecError
from procrustes_model.reproduction.request import EVERYTHING, SYSTEMS, Rules
from procrustes_model.reproduction.system import load_systems
from procrustes_model.reproduction.validation import load_validations
from procrustes_model.spec.text.words import did_you_mean

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network

_FILE = Path(__file__).with_name("items.yaml")
_QUICK_LAYERS = 2
_QUICK_BATCH = 16


@dataclass(frozen=True)
class Subject:
    """A network of the evaluation.

    Attributes
    ----------
    label : str
        In tables and figures.
    network, density : str
        What ships.
    """

    label: str
    network: str
    density: str


@dataclass(frozen=True)
class Published:
    """A number of the publication that a gain is held against.

    Attributes
    ----------
    says : {'most', 'range'}
    low, high : float
        Times less than the dense machine; equal where one number is published.
    source : str
    recalled : bool
        Whether it is as recalled from the paper.
    """

    says: Literal["most", "range"]
    low: float
    high: float
    source: str
    recalled: bool

    def __str__(self) -> str:
        value = f"up to {self.high:g}x" if self.says == "most" else f"{self.low:g}x to {self.high:g}x"
        return f"{value} ({self.source}{'; as recalled from the paper' if self.recalled else ''})"


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes
    ----------
    name, title : str
    reasons : tuple of str
        Why results may differ from what is published.
    dataflows, architectures : tuple of str
        Compared; empty: the settings' one.
    """

    name: str
    title: str
    reasons: tuple[str, ...] = ()
    dataflows: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What all runs share.

    Attributes
    ----------
    architecture, sparsity, baseline, dataflow : str
    batch : int
    objective : str
    rules : {'published', 'model'}
        The published rules with stride 1 at the output's size and the backward phase as a gather, or the
        model's own.
    quick : bool
        Only the first layers, in a small batch: numbers that say nothing, for trying things out.
    """

    architecture: str
    sparsity: str
    baseline: str
    dataflow: str
    batch: int
    objective: str
    rules: Rules = "published"
    quick: bool = False

    def network(self, source: Network) -> Network:
        """Return a network as these settings run it."""
        if not self.quick:
            return source
        return source.model_copy(update={"layers": source.layers[:_QUICK_LAYERS], "batch": _QUICK_BATCH})


@dataclass(frozen=True)
class Study:
    """Everything that `items.yaml` says.

    Attributes
    ----------
    settings : Settings
    subjects : tuple of Subject
    items : dict of str to Item
    published : dict of str to tuple of Published
        By what is gained: 'energy' and 'cycles'.
    conv512 : dict
        By phase and design: published (cycles, mJ); and the source.
    layer : dict
        The network and densities of item conv512.
    """

    settings: Settings
    subjects: tuple[Subject, ...]
    items: dict[str, Item]
    published: dict[str, tuple[Published, ...]]
    conv512: dict[str, Any]
    layer: dict[str, Any]

    def with_options(
        self, networks: tuple[str, ...] | None = None, *, rules: Rules = "published", quick: bool = False
    ) -> Study:
        """Return the study of some networks, under other rules, or quick.

        Raises
        ------
        SpecError
            When a network is none of the evaluation.
        """
        settings = replace(self.settings, rules=rules, quick=quick)
        if rules == "model":
            settings = replace(settings, sparsity="procrustes", baseline="dense")
        subjects = self.subjects
        if networks is not None and not networks:
            raise SpecError(Issue("no network is named", f"some of {', '.join(s.network for s in subjects)}"))
        if networks is not None:
            known = {subject.network: subject for subject in subjects}
            known |= {subject.network.removesuffix("_2020"): subject for subject in subjects}
            known |= {subject.label: subject for subject in subjects}
            for name in networks:
                if name not in known:
                    names = [subject.network for subject in subjects]
                    raise SpecError(
                        Issue(
                            f"'{name[:60]}' is no network of the evaluation",
                            did_you_mean(name, known) or f"some of {', '.join(names)}",
                        )
                    )
            chosen = {known[name].network for name in networks}
            subjects = tuple(subject for subject in subjects if subject.network in chosen)
        return replace(self, settings=settings, subjects=subjects)

    def item(self, name: str) -> Item:
        """Return an item by name.

        Raises
        ------
        SpecError
            When there is none.
        """
        if name not in self.items:
            hint = did_you_mean(name, [*self.titles, SYSTEMS, EVERYTHING])
            raise SpecError(Issue(f"there is no item '{name[:60]}'", hint))
        return self.items[name]

    @property
    def titles(self) -> dict[str, str]:
        """Titles by name, of the items, the published validations, and ways to train with less."""
        items = {one.name: one.title for one in self.items.values()}
        return items | {
            one.name: one.title for kind in (load_validations(), load_systems()) for one in kind.values()
        }


@cache
def load_study() -> Study:
    """Return what ships."""
    import yaml

    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return Study(
        settings=Settings(**data["settings"]),
        subjects=tuple(Subject(**one) for one in data["networks"]),
        items={
            one["name"]: Item(
                one["name"],
                one["title"],
                *(tuple(one.get(key, ())) for key in ("reasons", "dataflows", "architectures")),
            )
            for one in data["items"]
        },
        published={
            what: tuple(
                Published(
                    one["says"],
                    one.get("low", one.get("times")),
                    one.get("high", one.get("times")),
                    one["source"],
                    one["recalled"],
                )
                for one in data["published"][what]
            )
            for what in ("energy", "cycles")
        },
        conv512=data["published"]["conv512"],
        layer=data["layer"],
    )
