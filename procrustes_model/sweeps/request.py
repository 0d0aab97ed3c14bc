"""What a sweep is asked with, and the options that one may state for what it runs at each point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import DEFAULT_SECONDS, SPEC, File, Source
from procrustes_model.mapper.request import Method, SearchRequest
from procrustes_model.network.case import Way
from procrustes_model.network.request import Effort, Engine, NetworkRequest, RunRequest
from procrustes_model.network.sparse_options import PhaseChoice, SparseOptions
from procrustes_model.options import Request, again, argument, beside, option, options_of
from procrustes_model.vocabulary import ANY_DATAFLOW

if TYPE_CHECKING:
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.level_rules import Constraints
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.objective import Objective
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping as LoopNest
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.sweep import RunKind


@dataclass(frozen=True)
class SweepRequest(Request):
    """What `sweep` and ``procrustes sweep`` are asked."""

    sweep: Source = field(
        metadata=argument(SPEC, "What to run, for which values: file or name.", spec="sweep", metavar="SWEEP")
    )
    _: KW_ONLY
    workers: int | None = again(Effort, "workers", None)
    scheduler: str | None = again(NetworkRequest, "scheduler", None)
    out: File | None = again(NetworkRequest, "out", None)
    progress: Callable[[RunProgress], None] | None = beside(
        "Called with `RunProgress` when a search is done."
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.scheduler is not None and self.workers is not None:
            raise SpecError(
                Issue("a scheduler has workers of its own, and all of them are used", "leave out --workers")
            )


@dataclass(frozen=True)
class SweepEffort:
    """How the searches of a sweep are done; see `network.engine.Searches`."""

    seconds: float | None
    workers: int | None
    scheduler: str | None
    out: File | None
    progress: Callable[[RunProgress], None] | None

    @property
    def engine(self) -> Engine:
        """A cluster where a scheduler is named."""
        return "local" if self.scheduler is None else "dask"


@dataclass(frozen=True, kw_only=True)
class PointEvaluation(SparseOptions):
    """What an evaluation at one point is asked."""

    architecture: Source | Architecture = again(SearchRequest, "architecture", "")
    problem: Source | Problem = again(SearchRequest, "problem", "")
    mapping: Source | LoopNest = option("", SPEC, "Mapping: file or name.", spec="mapping")


@dataclass(frozen=True, kw_only=True)
class PointSearch(SparseOptions):
    """What a search at one point is asked."""

    architecture: Source | Architecture = again(SearchRequest, "architecture", "")
    problem: Source | Problem = again(SearchRequest, "problem", "")
    dataflow: str = again(NetworkRequest, "dataflow", ANY_DATAFLOW)
    constraints: Source | Constraints | None = again(NetworkRequest, "constraints", None)
    objective: str | Objective = again(SearchRequest, "objective", "edp")
    method: Method = again(SearchRequest, "method", "optimal")
    mappings: int | None = again(SearchRequest, "mappings", None)
    imperfect: bool = again(SearchRequest, "imperfect", False)
    effort: int | None = again(SearchRequest, "effort", None)
    seed: int = again(SearchRequest, "seed", 0)
    seconds: float | None = again(Effort, "seconds", DEFAULT_SECONDS)

    @property
    def way(self) -> Way:
        """How it is searched."""
        return Way(self.method, self.mappings, self.imperfect, self.effort)

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        super().check()
        SearchRequest(
            self.architecture, self.problem, sparsity=self.sparsity, seed=self.seed, **vars(self.way)
        )
        if self.constraints is not None and self.dataflow != ANY_DATAFLOW:
            raise SpecError(
                Issue("a dataflow and constraints are both given", "write it into the constraints")
            )


@dataclass(frozen=True)
class OverRequest(SparseOptions):
    """What `search_over` and ``procrustes search --over`` are asked."""

    architecture: Source | Architecture = field(
        metadata=argument(SPEC, "Architecture: file or name.", spec="architecture", metavar="ARCH")
    )
    problem: Source | Problem = field(
        metadata=argument(SPEC, "Problem: file or name.", spec="problem", metavar="PROBLEM")
    )
    over: Source = field(
        metadata=argument(
            SPEC,
            "Search the best machine or design of a family, too: a sweep's file, with axes alone.",
            spec="sweep",
            metavar="FILE",
        )
    )
    _: KW_ONLY
    dataflow: str = again(NetworkRequest, "dataflow", ANY_DATAFLOW)
    constraints: Source | Constraints | None = again(SearchRequest, "constraints", None)
    objective: str | Objective = again(SearchRequest, "objective", "edp")
    seed: int = again(SearchRequest, "seed", 0)
    seconds: float | None = again(SearchRequest, "seconds", None)
    threads: int | None = again(SearchRequest, "threads", None)
    progress: Callable[[Progress], None] | None = beside("Called with `Progress` of each search.")

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        super().check()
        if self.phase is PhaseChoice.ALL:
            raise SpecError(Issue("a family is searched in one phase at a time", "phase fw, bw or wu"))


@dataclass(frozen=True, kw_only=True)
class PointNetwork(Request):
    """What a run of a network at one point is asked: one design, wherever it runs."""

    architecture: Source | Architecture = again(NetworkRequest, "architecture", "")
    network: Source = again(NetworkRequest, "network", "")
    sparsity: Source | None = again(NetworkRequest, "sparsity", None)
    batch: int | None = again(NetworkRequest, "batch", None)
    dataflow: str = again(NetworkRequest, "dataflow", ANY_DATAFLOW)
    constraints: Source | Constraints | None = again(NetworkRequest, "constraints", None)
    objective: str | Objective = again(NetworkRequest, "objective", "edp")
    phases: Sequence[str] | str = again(RunRequest, "phases", ("forward", "backward", "weight_update"))
    densities: Mapping[str, float] | str | None = again(RunRequest, "densities", None)
    profile: Source | None = again(RunRequest, "profile", None)
    masks: File | None = again(RunRequest, "masks", None)
    step: int | None = again(RunRequest, "step", None)
    as_published: bool = again(RunRequest, "as_published", False)
    seed: int = again(NetworkRequest, "seed", 0)
    seconds: float | None = again(Effort, "seconds", DEFAULT_SECONDS)


POINTS: Mapping[RunKind, type[Request]] = {
    "search": PointSearch,
    "evaluate": PointEvaluation,
    "network": PointNetwork,
}
"""What each kind of run is asked at a point."""
REQUIRED: Mapping[RunKind, tuple[str, ...]] = {
    "search": ("architecture", "problem"),
    "evaluate": ("architecture", "problem", "mapping"),
    "network": ("architecture", "network"),
}
"""Options without which nothing can be run."""
ZEROS = ("densities", "profile", "masks", "layer", "step")
"""Options that say what is zero, of which a dense design knows nothing."""


def option_names(run: RunKind) -> list[str]:
    """Return the options that a sweep may state."""
    return list(options_of(POINTS[run]))
