"""The command line over a family of machines."""

from __future__ import annotations

from pathlib import Path

from procrustes_model import load_architecture
from tests.cli.conftest import ARCHITECTURE, PROBLEM, Run

BUFFER, WIDTH = "architecture.levels.Buffer.capacity", "architecture.compute.mesh_x"


def test_the_command_writes_what_evaluate_reads(run: Run, tmp_path: Path) -> None:
    for name, text in (("machine", ARCHITECTURE), ("little", PROBLEM)):
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "family.yaml").write_text(
        f"sweep:\n  name: little\n  axes:\n    {BUFFER}: [8 words, 32 words]\n    {WIDTH}: [2, 4]\n"
    )
    files = ("--machine", "best.yaml", "--out", "mapping.yaml", "--csv", "all.csv", "--json", "all.json")
    done = run("search", "machine.yaml", "little.yaml", "--over", "family.yaml", *files)
    assert done.returncode == 0, done.stderr
    assert "Proven" in done.stdout and "Wrote best.yaml" in done.stdout
    assert load_architecture(tmp_path / "best.yaml").name == load_architecture(tmp_path / "machine.yaml").name
    again = run("evaluate", "best.yaml", "little.yaml", "mapping.yaml")
    assert again.returncode == 0, again.stderr
    for words, said in (
        (("--over", "family.yaml", "--pareto", "-"), "--over does without --pareto"),
        (("--over", "family.yaml", "--imperfect"), "--over does without --imperfect"),
        (("--over", "family.yaml", "--phase", "all"), "one phase at a time"),
        (("--machine", "best.yaml"), "add --over FILE"),
    ):
        refused = run("search", "machine.yaml", "little.yaml", *words)
        assert (refused.returncode, refused.stdout) == (2, "") and said in refused.stderr


def test_a_change_of_what_the_family_sets_is_refused(run: Run, tmp_path: Path) -> None:
    for name, text in (("machine", ARCHITECTURE), ("little", PROBLEM)):
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "family.yaml").write_text(
        f"sweep:\n  name: little\n  axes:\n    {BUFFER}: [8 words, 32 words]\n"
    )
    words = ("search", "machine.yaml", "little.yaml", "--over", "family.yaml")
    refused = run(*words, "--set", f"{BUFFER}=16 words")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"the family sets {BUFFER}, so that this change has no effect" in refused.stderr
    taken = run(*words, "--set", f"{WIDTH}=2")
    assert taken.returncode == 0, taken.stderr
