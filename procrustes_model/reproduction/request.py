"""What is asked of a reproduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import FOLDER, NAMES, SWITCH, TEXT, File, one_of
from procrustes_model.network.request import Effort
from procrustes_model.options import again, beside, option

if TYPE_CHECKING:
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.report.terminal.style import Style

Rules = Literal["published", "model"]
RULES: tuple[Rules, ...] = get_args(Rules)
CONV512 = "conv512"
"""The item that is one layer, and no network of the evaluation."""
EVERYTHING = "all"


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
        "What to reproduce, or 'all'; without it, the items are listed.",
        details="In Python one item, such as 'energy'.",
        metavar="[ITEM]",
    )
    out: File = option(
        "reproduced",
        FOLDER,
        "Folder for CSV, figures and runs; an earlier run goes on.",
        flags=("--out",),
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
    seconds: float | None = again(Effort, "seconds", 30.0)
    style: Style | None = beside("Of the text; plain by default.")
    announce: Callable[[Run, int, int], None] | None = beside(
        "Called before each run with the run, its number and how many there are."
    )
    progress: Callable[[RunProgress], None] | None = beside(
        "Called with `RunProgress` when a search is done."
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.item is None and (stated := self.given("networks", "rules", "quick", "seconds", "workers")):
            raise SpecError(Issue(f"no item is named for {', '.join(stated)}", "such as energy"))
        if self.item == CONV512 and self.networks is not None:
            raise SpecError(Issue("conv512 is one layer, of no network", "leave out --networks"))

    def about(self, item: str) -> ReproduceRequest:
        """Return the request for one item of all; the networks of the others do not matter to one layer."""
        return replace(self, item=item, networks=None if item == CONV512 != self.item else self.networks)
