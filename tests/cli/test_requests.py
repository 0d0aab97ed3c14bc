"""The command line has every field of a request as an option, with its name, default and help."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from procrustes_model.cli import app
from procrustes_model.cli.requests import make_request
from procrustes_model.cli.search import SearchFiles, SearchOptions
from procrustes_model.errors import SpecError
from procrustes_model.mapper.request import FrontRequest, SearchRequest
from procrustes_model.network.engine import longest
from procrustes_model.network.request import RunRequest, TrainRequest
from procrustes_model.network.sparse_options import SparseOptions
from procrustes_model.options import Request, options_of
from procrustes_model.reproduction.request import ReproduceRequest
from procrustes_model.sweeps.request import POINTS
from tests.cli.conftest import Run

GROUP: Any = typer.main.get_command(app)
SPECS = {"architecture", "problem", "mapping", "changes"}
VERBS: list[tuple[str, type[Request], set[str]]] = [
    ("network", RunRequest, {"csv", "json", "html", "plot", "quiet", "changes"}),
    ("train-cost", TrainRequest, {"csv", "json", "plot", "clock_ghz", "quiet", "changes"}),
    ("reproduce", ReproduceRequest, {"quiet"}),
    ("evaluate", SparseOptions, SPECS | {"csv", "csv_wide", "json", "plot", "quiet"}),
    (
        "search",
        SearchOptions,
        {"architecture", "problem", "plot", "quiet", "changes"}
        | {*options_of(SparseOptions), *options_of(SearchFiles)},
    ),
    ("imbalance", SparseOptions, SPECS | {"csv", "json", "plot", "bins", "samples", "seed", "quiet"}),
]


@pytest.mark.parametrize(("verb", "kind", "others"), VERBS)
def test_options_are_fields(verb: str, kind: type[Request], others: set[str]) -> None:
    parameters = {one.name: one for one in GROUP.commands[verb].params}
    options = options_of(kind)
    assert parameters.keys() - {"help"} == options.keys() | others
    for name, one in options.items():
        found = parameters[name]
        assert one.option.help and found.help == one.option.help
        assert found.required == one.required
        if not one.positional:
            assert tuple(found.opts) == one.flags


@pytest.mark.parametrize("kind", [RunRequest, TrainRequest, ReproduceRequest, SearchRequest, SparseOptions])
def test_every_choice_has_a_near_word(kind: type[Request]) -> None:
    for name, one in options_of(kind).items():
        for word in one.option.form.words:
            with pytest.raises(SpecError, match="did you mean"):
                one.option.take(name, f"{word}s")


@pytest.mark.parametrize(("verb", "kind", "words"), [
    ("network", RunRequest, ["a", "b"]),
    ("train-cost", TrainRequest, ["a", "b", "--schedule", "c"]),
    ("reproduce", ReproduceRequest, []),
])  # fmt: skip
def test_what_is_left_out_has_the_default_of_its_field(
    verb: str, kind: type[Request], words: list[str]
) -> None:
    given = [word for word in words if not word.startswith("-")]
    assert make_request(kind, GROUP.commands[verb].make_context(verb, words).params) == kind(*given)


@pytest.mark.parametrize(("verb", "kind", "_"), VERBS)
def test_help_is_complete(run: Run, verb: str, kind: type[Request], _: set[str]) -> None:
    done = run(verb, "--help", environment={"COLUMNS": "400"})
    text = " ".join(done.stdout.split())
    for one in options_of(kind).values():
        assert " ".join(one.option.help.split()) in text
        assert one.positional or f"{one.flags[0]} " in text


def test_options_of_zeros_that_have_no_effect() -> None:
    for options, said in (
        ({"step": 3}, "--step chooses among masks"),
        ({"layer": "a", "sparsity": "procrustes"}, "--layer chooses among masks"),
        ({"densities": "W=0.1"}, "need a sparse design"),
    ):
        with pytest.raises(SpecError, match=said):
            SparseOptions(**options)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("network", "procrustes_16x16", "resnet18", "--step", "3"), "--step chooses among recorded masks"),
        (("network", "procrustes_16x16", "resnet18", "--seconds", "-1"), "--seconds"),
        (("train-cost", "a", "b", "--schedule", "c", "--clock-ghz", "1", "-q"), "what --quiet leaves out"),
        (("reproduce", "--quick"), "no item is named for --quick"),
        (("reproduce", "conv512", "--networks", "vgg_s"), "conv512 is one layer"),
        (
            ("imbalance", "a", "b", "c", "--sparsity", "procrustes", "--bins", "9"),
            "add --csv, --json or --plot",
        ),
        (("search", "simple_3level", "matmul/512", "--mappings", "9"), "has no budget of mappings"),
        (
            ("search", "simple_3level", "matmul/512", "--pareto", "f.csv", "--out", "b.yaml"),
            "--pareto does without --out",
        ),
    ],
)
def test_options_that_have_no_effect(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("search A P --phase xx", "unknown phase 'xx'; one of fw, bw, wu, all"),
        ("network A N --batch 0", "--batch must be a whole number of at least 1, is '0'"),
        ("network A N --batch 1.5", "--batch must be a whole number of at least 1, is '1.5'"),
        ("search A P --seconds nan", "--seconds must be a number of seconds of at least 0, is 'nan'"),
        ("search A P --threads many", "--threads must be a whole number of at least 1, is 'many'"),
        ("train-cost A N --clock-ghz 0", "--clock-ghz must be a number of at least 1e-06 and at most 1e+06"),
        ("masks from-checkpoint a.npz --out b.npz --keep x", "--keep must be a number, is 'x'"),
        ("masks show a.npz --step x", "--step must be a whole number, is 'x'"),
        ("import onnx a.onnx --batch 0", "--batch must be a whole number of at least 1, is '0'"),
        ("import timeloop a --out b --rules 2024", "unknown year '2024'; did you mean '2020'?"),
        ("list problem", "unknown kind 'problem'; did you mean 'problems'?"),
        ("list \x1b", r"unknown kind '\x1b'; choose from architectures, problems"),
        ("show vgg_s --kind network", "unknown kind 'network'; did you mean 'networks'?"),
    ],
)
def test_words_and_numbers_that_are_none(run: Run, words: str, said: str) -> None:
    """They are refused like all else, and not in the words of what reads the command line."""
    done = run(*words.split())
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}") and done.stderr.count("\n") == 1
    assert not done.stdout


def test_searches_have_one_limit_wherever_they_run() -> None:
    for kind in (SearchRequest, FrontRequest, RunRequest, TrainRequest, ReproduceRequest, *POINTS.values()):
        if (one := options_of(kind).get("seconds")) is not None:
            assert one.default == 60
    given = ("simple_3level", "matmul/512")
    assert SearchRequest(*given).limit == 60
    assert SearchRequest(*given, seconds=0).limit is SearchRequest(*given, seconds=None).limit is None
    for other in ({"effort": 10}, {"method": "random"}, {"method": "random", "mappings": 10}):
        assert SearchRequest(*given, **other).limit is None  # type: ignore[arg-type]
        assert SearchRequest(*given, seconds=60, **other).limit == 60  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "options", "most"),
    [
        (5, {"seconds": 10, "workers": 2}, 30),
        (1, {"seconds": 10, "workers": 8}, 10),
        (5, {"seconds": 0, "workers": 2}, None),
        (5, {"seconds": 10, "scheduler": "tcp://here", "engine": "dask"}, None),
        (0, {"seconds": 10, "workers": 2}, 0),
    ],
)
def test_how_long_searches_take_at_most(count: int, options: dict[str, Any], most: float | None) -> None:
    assert longest(count, RunRequest("a", "b", **options)) == most
