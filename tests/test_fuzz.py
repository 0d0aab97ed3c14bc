"""Damaged files of every kind are refused in words; what the fuzzer looks for, it finds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzz import Bench, Summary, fuzz, main
from fuzz_mutations import misspell, mutate_bytes, mutate_data, mutate_text
from fuzz_subjects import Subject

SPECIFICATIONS = (
    "architecture",
    "constraints",
    "density",
    "mapping",
    "network",
    "problem",
    "rules",
    "schedule",
    "shape",
    "sparsity",
    "sweep",
)
seeded = random.Random
CONTENT = {"a": {"b": [1, "two", 3.0], "c": True}, "d": None}


def test_damaged_specifications_are_refused_in_words() -> None:
    summary = fuzz(600, seed=7, kinds=SPECIFICATIONS)
    assert sum(summary.tried.values()) == 600
    assert not summary.findings, summary.to_text()
    assert summary.to_text().endswith("600 damages: 0 tracebacks, 0 accepted unknown names")


def test_damages_are_the_same_for_the_same_seed() -> None:
    for way in (lambda rng: mutate_data(CONTENT, rng), lambda rng: mutate_text("a: 1\nb: 2\n", rng)):
        first, second = ([way(seeded(seed)) for seed in range(50)] for _ in range(2))
        assert repr(first) == repr(second)
    assert CONTENT == {"a": {"b": [1, "two", 3.0], "c": True}, "d": None}
    assert all(misspell("word", seeded(seed)) != "word" for seed in range(50))
    assert len({mutate_bytes(b"some bytes", seeded(seed))[0] for seed in range(50)}) > 20


def _careless(path: Path) -> Any:
    """Read what is known, and nothing else."""
    data = yaml.safe_load(path.read_bytes())
    return data["known"]["number"] + 1


@pytest.mark.parametrize("wanted", ["traceback", "unknown name"])
def test_a_careless_reader_is_found(tmp_path: Path, wanted: str) -> None:
    content = b"known: {number: 1, word: some}\n"
    summary = Summary()
    bench = Bench(tmp_path, [Subject("careless", "test", ".yaml", content, _careless)], seed=1)
    for number in range(100):
        bench.try_one(number, summary)
    found = [one for one in summary.findings if one.kind == wanted]
    assert found and f"--only {found[0].number}" in summary.to_text()
    assert not list(tmp_path.iterdir())


def test_it_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("fuzz._limit_memory", lambda: None)
    monkeypatch.setattr("sys.argv", ["fuzz.py", "--mutations", "5", "--kinds", "rules"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "5 damages: 0 tracebacks" in capsys.readouterr().out
