"""--csv, --json, --html, --plot and -o mean the same in every command; - is standard output."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from procrustes_model.cli import app
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


def commands() -> dict[str, Any]:
    """Return every command by its name, those of groups too."""
    found: dict[str, Any] = {}

    def walk(one: Any, name: str) -> None:
        for part, inner in getattr(one, "commands", {}).items():
            walk(inner, f"{name} {part}")
        if not hasattr(one, "commands"):
            found[name.strip()] = one

    walk(typer.main.get_command(app), "")
    return found


SHARED = {
    "--csv": ("FILE|-", r"Write a CSV: a row per [a-z, ]+; - to stdout\."),
    "--csv-wide": ("FILE|-", r"Write a CSV: a row per [a-z, ]+; - to stdout\."),
    "--json": ("FILE|-", r"Write everything as JSON; - to stdout\."),
    "--html": ("FILE|-", r"Write a page, one HTML file; - to stdout\."),
    "--plot": (r"(\[FIGURE=\])?FILE", r"Draw a figure as \.png, \.svg or \.pdf \(.*\)\..*"),
    "--quiet": (None, "Print nothing but errors."),
    "--set": ("PATH=VALUE", "Change a specification.*"),
    "--out": (None, r"(Folder for|Write|The file of masks to write).*"),
}
"""What options that commands share take, and what they are said to do."""


@pytest.mark.parametrize("name", commands())
def test_options_mean_the_same_in_every_command(name: str) -> None:
    for one in commands()[name].params:
        for flag in {*one.opts} & {*SHARED}:
            metavar, text = SHARED[flag]
            assert re.fullmatch(text, one.help), (flag, one.help)
            if flag == "--out":
                assert one.metavar in ("DIR", "FILE|-", "FILE.npz") and "-o" in one.opts
                assert one.help.startswith("Folder for") == (one.metavar == "DIR")
            elif flag == "--plot":
                assert re.fullmatch(str(metavar), one.metavar)
            elif metavar is not None:
                assert one.metavar == metavar
        assert "-o" not in one.opts or "--out" in one.opts
        assert "-q" not in one.opts or "--quiet" in one.opts


def test_tables_come_in_pairs() -> None:
    for name, command in commands().items():
        flags = {flag for one in command.params for flag in one.opts}
        assert ("--csv" in flags) == ("--json" in flags), name
        assert "--csv" not in flags or "--quiet" in flags, name


@pytest.mark.parametrize("table", ["csv", "json", "html"])
def test_a_dash_is_stdout(run: Run, specs: Specs, tmp_path: Path, table: str) -> None:
    run("evaluate", *specs, "--json", "a.json", "-q")
    axes = {"architecture.levels.Buffer.word_bits": [8, 4]}
    asked = {"evaluate": dict(zip(("architecture", "problem", "mapping"), specs, strict=True)), "axes": axes}
    (tmp_path / "asked.yaml").write_text(json.dumps({"sweep": {"name": "two", **asked}}), encoding="utf-8")
    nest = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")
    for words in (
        ("evaluate", *specs),
        ("memory", "vgg_s"),
        ("diff", "a.json", "a.json"),
        ("sweep", "asked.yaml", "--workers", "1"),
        ("imbalance", *nest, "--sparsity", "procrustes", "--samples", "1"),
    ):
        if f"--{table}" not in {flag for one in commands()[words[0]].params for flag in one.opts}:
            continue
        assert run(*words, f"--{table}", "to_file", "-q").stdout == ""
        assert run(*words, f"--{table}", "-").stdout == (tmp_path / "to_file").read_text(encoding="utf-8")


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
