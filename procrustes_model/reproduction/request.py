"""What is asked of a reproduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import FOLDER, NAMES, SWITCH, TEXT, File, one_of
from procrustes_model.network.request import Effort
from procrustes_model.options import beside, option, options_of

if TYPE_CHECKING:
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.report.terminal.style import Style

Rules = Literal["published", "model"]
RULES: tuple[Rules, ...] = get_args(Rules)
VALIDATIONS = Path(__file__).with_name("validations")
"""Where a file is a published validation."""
SYSTEMS_FOLDER = Path(__file__).with_name("systems")
"""Where a file is a published way to train with less."""
SYSTEMS = "systems"
"""All of them, as the command line calls them."""
CONV512 = "conv512"
"""The item that is one layer, and no network of the evaluation."""
EVERYTHING = "all"
_OF_NETWORKS = ("networks", "rules", "quick", "seconds", "workers")
"""Options that only searches of networks take."""


def is_validation(item: str | None) -> bool:
    """Say whether an item is a published validation: evaluations of single layers, without a search."""
    return _is_in(VALIDATIONS, item)


def is_system(item: str | None) -> bool:
    """Say whether an item is a published way to train with less: what is counted, without a search."""
    return _is_in(SYSTEMS_FOLDER, item)


def searches_nothing(item: str | None) -> bool:
    """Say whether an item takes no option of searches."""
    return is_validation(item) or is_system(item) or item == SYSTEMS


def _is_in(folder: Path, item: str | None) -> bool:
    return item is not None and (folder / f"{item}.yaml").is_file() and item.isidentifier()


@dataclass(frozen=True)
class Run:
    """One run of a network.

    Attributes
    ----------
    subject : str
        Label of the network, or 'conv512'.
    architecture, dataflow : str
    """

    subject: str
    architecture: str
    dataflow: str

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.subject}_{self.architecture}_{self.dataflow}"


@dataclass(frozen=True)
class ReproduceRequest(Effort):
    """What `reproduce` and ``procrustes reproduce`` are asked."""

    item: str | None = option(
        None,
        TEXT,
        "What to reproduce, 'systems' or 'all'; without it, the items are listed.",
        details="In Python one item, such as 'energy'.",
        metavar="[ITEM]",
    )
    out: File = option(
        "reproduced",
        FOLDER,
        "Folder for CSV, figures and runs; an earlier run goes on.",
        flags=("--out", "-o"),
        details="Items share runs.",
        decides=False,
    )
    _: KW_ONLY
    networks: Sequence[str] | str | None = option(
        None,
        NAMES,
        "Only these networks of the evaluation.",
        metavar="resnet18,vgg_s",
    )
    rules: Rules = option(
        "published",
        one_of("rules", RULES),
        "How zeros are counted: as the authors' tool does, or as this model does.",
    )
    quick: bool = option(False, SWITCH, "First layers only, small batch: to try it, not for numbers.")
    style: Style | None = beside("Of the text; plain by default.")
    announce: Callable[[Run, int, int], None] | None = beside(
        "Called before each run with the run, its number and how many there are."
    )
    progress: Callable[[RunProgress], None] | None = beside(
        "Called with `RunProgress` when a search is done."
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.item is None and (stated := self.given(*_OF_NETWORKS)):
            raise SpecError(Issue(f"no item is named for {', '.join(stated)}", "such as energy"))
        if self.item == CONV512 and self.networks is not None:
            raise SpecError(Issue("conv512 is one layer, of no network", "leave out --networks"))
        if searches_nothing(self.item) and (stated := self.given(*_OF_NETWORKS)):
            raise SpecError(
                Issue(f"{self.item} searches nothing: it takes no {', '.join(stated)}", "leave it out")
            )

    def about(self, item: str) -> ReproduceRequest:
        """Return the request for one item of all; what the others search does not matter to validations."""
        if searches_nothing(item) and item != self.item:
            described = options_of(type(self))
            return replace(self, item=item, **{name: described[name].default for name in _OF_NETWORKS})
        return replace(self, item=item, networks=None if item == CONV512 != self.item else self.networks)
