"""--csv, --json, --html, --plot and -o mean the same in every command; - is standard output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

Specs = tuple[str, str, str]


def test_what_goes_to_stdout_is_alone_there(run: Run, specs: Specs, tmp_path: Path) -> None:
    assert run("evaluate", *specs, "--csv", "whole.csv", "-q").stdout == ""
    done = run("evaluate", *specs, "--csv", "-")
    assert done.stdout == (tmp_path / "whole.csv").read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) > 3
    told = json.loads(run("evaluate", *specs, "--json", "-", "--csv-wide", "wide.csv").stdout)
    assert told["cycles"] == 288 and (tmp_path / "wide.csv").exists()
    both = run("evaluate", *specs, "--json", "-", "--csv", "-")
    assert (both.returncode, both.stdout) == (2, "")
    assert both.stderr == "error: --csv and --json both go to standard output; give one of them a file\n"
    assert run("evaluate", *specs, "--csv", "--json").stderr.startswith("error: --csv is followed by --json")


@pytest.mark.parametrize(
    ("plot", "said"),
    [
        ("work.jpeg", "--plot has no ending of a figure; one of .png, .svg, .pdf"),
        ("-", "--plot has no ending of a figure"),
        ("rooflne=a.png", "--plot: unknown figure 'rooflne'; did you mean 'roofline'?"),
        ("front=a.png", "--plot: unknown figure 'front'; choose from energy, capacity, mapping, roofline"),
        ("no/work.png", "--plot cannot be written"),
    ],
)
def test_a_wrong_plot_is_one_line(run: Run, specs: Specs, plot: str, said: str) -> None:
    pytest.importorskip("matplotlib")
    done = run("evaluate", *specs, "--plot", plot)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_plots_are_written(run: Run, specs: Specs, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("evaluate", *specs, "--plot", "a.svg", "--plot", "capacity=b.svg")
    assert done.stdout.endswith("Wrote a.svg\nWrote b.svg\n")
    assert "DRAM" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert (tmp_path / "b.svg").stat().st_size > 1000


def test_a_found_mapping_goes_on_to_the_next_command(run: Run, specs: Specs, tmp_path: Path) -> None:
    machine, problem, _ = specs
    found = run("search", machine, problem, "-o", "-")
    (tmp_path / "found.yaml").write_text(found.stdout, encoding="utf-8")
    assert found.stdout.startswith("# Proven: ")
    assert run("evaluate", machine, problem, "found.yaml", "-q").returncode == 0
    front = run("search", machine, problem, "--pareto", "-").stdout
    assert front.startswith("energy_pj,cycles,")
    refused = run("search", machine, problem, "--phase", "all", "-o", "-")
    assert "--out - takes one phase at a time" in refused.stderr


def test_words_are_nearly_known(run: Run, specs: Specs) -> None:
    machine, problem, mapping = specs
    for words, said in (
        (("search", machine, "resnet18"), "is a network, and no problem; procrustes network arch.yaml resn"),
        (("evaluate", machine, "resnet18", mapping), "is a network, and no problem"),
        (("search", machine, problem, "--method", "optmal"), "did you mean 'optimal'?"),
        (("search", machine, problem, "--objective", "edpp"), "did you mean 'edp'?"),
        (("network", machine, "resnet18", "--phases", "foward"), "did you mean 'forward'?"),
    ):
        done = run(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
