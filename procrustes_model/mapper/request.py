"""What is asked of the mapper: each option of `search` and `find_pareto_front` is described here, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import (
    DEFAULT_SECONDS,
    SECONDS,
    SPEC,
    SWITCH,
    WHOLE,
    Form,
    Source,
    is_usual,
    one_of,
)
from procrustes_model.objective import OBJECTIVES, Objective, parse_limits, parse_objective
from procrustes_model.options import Request, argument, beside, option

if TYPE_CHECKING:
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.level_rules import Constraints
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping as LoopNest
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.rules import Rules
    from procrustes_model.spec.sparsity import Sparsity

Method = Literal["optimal", "random", "exhaustive"]
Formats = Literal["stated", "auto"]
METHODS: tuple[Method, ...] = get_args(Method)
FORMATS: tuple[Formats, ...] = get_args(Formats)


def _check_objective(given: Any) -> str:
    if not isinstance(given, str | Objective):
        raise ValueError
    return str(parse_objective(given))


def _check_limits(given: Any) -> str | Objective:
    parse_limits(given)
    return given if isinstance(given, Objective) else str(given)


def _check_by_tensor(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError
    return given


_OBJECTIVE = Form("text", _check_objective, metavar="|".join(OBJECTIVES), words=tuple(OBJECTIVES))
_LIMITS = Form("text", _check_limits)
_BY_TENSOR = Form("a mapping by tensor", _check_by_tensor)
_DENSITIES = Form(
    "a mapping by tensor, or text such as 'W=0.1,X=0.5'",
    lambda given: given if isinstance(given, str) else _check_by_tensor(given),
)


@dataclass(frozen=True)
class MapperRequest(Request):
    """What a search and a front are both asked with."""

    architecture: Source | Architecture = field(
        metadata=argument(SPEC, "Architecture: file or name.", spec="architecture", metavar="ARCH")
    )
    problem: Source | Problem = field(
        metadata=argument(SPEC, "Problem: file or name.", spec="problem", metavar="PROBLEM")
    )
    constraints: Source | Constraints | None = option(
        None,
        SPEC,
        "What mappings must obey: file or name.",
        details="Beside what the architecture demands.",
        flags=("--constraints",),
        spec="constraints",
    )
    _: KW_ONLY
    sparsity: Source | Sparsity | None = option(
        None,
        SPEC,
        "Sparse design: file or name.",
        details="It says what is zero and what that saves; None: nothing is zero.",
        spec="sparsity",
    )
    densities: Mapping[str, Any] | str | None = option(
        None, _DENSITIES, "In place of the design's, by tensor.", details="As `Evaluator` takes them."
    )
    masks: Mapping[str, Any] | None = option(
        None, _BY_TENSOR, "In place of densities, by tensor.", details="As `Evaluator` takes them."
    )
    rules: Source | Rules | None = option(
        None,
        SPEC,
        "Where counting follows a published model: file.",
        details="The sparse design's, or this model's own, by default.",
    )
    seconds: float | None = option(
        DEFAULT_SECONDS,
        SECONDS,
        "Stop then, with the best so far and how far it may be off; 0: to its end.",
        details="None, as 0. The default holds where nothing else bounds the search: not with `effort`, "
        "`mappings` or the method 'random'.",
        least=0,
    )
    effort: int | None = option(
        None,
        WHOLE,
        "Stop after as many mappings and parts of mappings.",
        details="As `seconds`, but the same result on any machine, however busy; of the method 'optimal'. "
        "Pieces of work are not cut, so that somewhat more is looked at.",
        least=0,
    )
    seed: int = option(
        0,
        WHOLE,
        "The same seed gives the same answer.",
        details="For any number of threads, unless time runs out.",
        least=0,
    )
    threads: int | None = option(None, WHOLE, "Default: all cores.", least=1, decides=False)
    progress: Callable[[Progress], None] | None = beside("Called with `Progress` when something has changed.")

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        from procrustes_model.spec.zeros import check_zeros

        check_zeros(self.sparsity, self.densities, self.masks)

    @property
    def limit(self) -> float | None:
        """Seconds after which it stops; None: never."""
        return None if is_usual(self.seconds) and self._is_bounded() else self.seconds

    def _is_bounded(self) -> bool:
        """Return whether it ends soon enough without a time limit."""
        return self.effort is not None


@dataclass(frozen=True)
class SearchRequest(MapperRequest):
    """What `search` and ``procrustes search`` are asked."""

    objective: str | Objective = option(
        "edp",
        _OBJECTIVE,
        "What to minimise; also as 'energy^3*cycles', and with a limit: 'energy, cycles<=200000'.",
        details="See `parse_objective`. Of mappings with equal cycles the one with least energy is best.",
        flags=("--objective",),
    )
    _: KW_ONLY
    method: Method = option(
        "optimal",
        one_of("method", METHODS),
        "Proof, seeded random walks, or every mapping.",
        details="The last in small spaces only.",
    )
    mappings: int | None = option(
        None,
        WHOLE,
        "Budget of the random search.",
        details="1,000,000 where neither a budget nor a time limit is given. With `imperfect`, of the walks; "
        "96,000 where neither is given.",
        least=1,
    )
    imperfect: bool = option(
        False,
        SWITCH,
        "Look at loops with a shorter last pass, such as K=14/2, too.",
        details="What is found is never worse; what is proven says `search_imperfect_space`.",
    )
    uneven: bool = option(
        False,
        SWITCH,
        "Look at mappings whose tensors of a level have tiles at several of its loops, too.",
        details="What is found is never worse, and proven of even and uneven mappings; "
        "see `search_uneven_space`.",
    )
    start: Source | LoopNest | None = option(
        None,
        SPEC,
        "A mapping to begin from: file or name.",
        details="What is found is never worse. It must be one that the search may find.",
        flags=("--start",),
        spec="mapping",
    )
    formats: Formats = option(
        "stated",
        one_of("formats", FORMATS),
        "Formats as the sparse design states them, or the best with the mapping.",
        details="The best of all lists of ranks that can be read back, of every tensor with zeros at every "
        "level; see `search_formats`.",
    )

    def _is_bounded(self) -> bool:
        """Return whether it ends soon enough without a time limit."""
        return super()._is_bounded() or self.mappings is not None or self.method == "random"

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        super().check()
        if self.imperfect and self.sparsity is not None:
            raise SpecError(
                Issue("shorter last passes are not searched under a sparse design", "leave out one of them")
            )
        if self.imperfect and self.rules is not None:
            raise SpecError(
                Issue("shorter last passes are not searched under other rules", "leave out one of them")
            )
        if self.uneven and (self.imperfect or self.method != "optimal"):
            raise SpecError(
                Issue("uneven mappings are searched with proof and whole passes", "leave out one of them")
            )
        if self.uneven and (self.sparsity is not None or self.rules is not None):
            raise SpecError(
                Issue("uneven mappings are searched where nothing is zero, by this model's own rules")
            )
        if self.formats == "auto" and self.start is not None:
            raise SpecError(Issue("a mapping to begin from has the formats stated", "leave out one of them"))
        if self.effort is not None and (self.method != "optimal" or self.imperfect):
            hint = "method 'optimal' without shorter last passes; walks have a budget of 'mappings'"
            raise SpecError(Issue("effort is counted by the proof alone", hint))
        if self.formats == "auto" and self.method == "random":
            raise SpecError(
                Issue("method 'random' chooses no formats: it knows no bounds", "method 'optimal'")
            )
        if self.method == "exhaustive" and not self.imperfect and self.given("seed"):
            raise SpecError(
                Issue("method 'exhaustive' tries every mapping: a seed decides nothing", "leave it out")
            )
        if self.mappings is not None and self.method != "random" and not self.imperfect:
            raise SpecError(
                Issue(f"method '{self.method}' has no budget of mappings", "method 'random', or seconds")
            )


@dataclass(frozen=True)
class FrontRequest(MapperRequest):
    """What `find_pareto_front` is asked."""

    _: KW_ONLY
    points: int = option(100, WHOLE, "Most points to return, from least energy on.", least=1)
    limits: str | Objective | None = option(
        None,
        _LIMITS,
        "What points of the front may take at most: 'cycles<=200000, energy<=5e9' (pJ).",
        details="See `parse_limits`.",
    )
