"""``procrustes export timeloop`` as users call it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run

LAYER = ("procrustes_16x16", "vgg_s/conv3_2", "procrustes_16x16/vgg_s_conv3_2_kn")


def test_what_is_exported_is_imported_with_the_same_numbers(run: Run, tmp_path: Path) -> None:
    done = run("export", "timeloop", *LAYER, "--out", "theirs")
    assert (done.returncode, done.stderr) == (0, "")
    names = ["architecture", "ERT", "problem", "mapping"]
    assert done.stdout.splitlines()[:4] == [f"Wrote theirs/{name}.yaml" for name in names]
    assert run("import", "timeloop", "theirs", "--out", "ours").returncode == 0
    found = []
    for model in (LAYER, tuple(f"ours/{name}.yaml" for name in ("architecture", "problem", "mapping"))):
        done = run("evaluate", *model, "--json", "result.json", "--quiet")
        assert (done.returncode, done.stdout) == (0, "")
        result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
        found.append((result["energy_pj"], result["cycles"]))
    assert found[0] == found[1]


def test_what_cannot_be_said_leaves_no_file(run: Run, tmp_path: Path) -> None:
    done = run("export", "timeloop", *LAYER, "--sparsity", "procrustes", "--out", "theirs")
    assert (done.returncode, done.stdout) == (2, "")
    assert "procrustes.yaml:12:17: Weights at DRAM is stored as 'csb'; Timeloop has formats" in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not (tmp_path / "theirs").exists()
    done = run("export", "timeloop", *LAYER, "--out", "theirs", "--rules", "2022")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the rule 'output_fills' is 'after_first' here, and would be 'all' there" in done.stderr


def test_a_folder_holds_one_phase(run: Run, tmp_path: Path) -> None:
    done = run("export", "timeloop", *LAYER, "--phase", "all", "--out", "theirs")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a folder holds one phase" in done.stderr
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "old.yaml").write_text("", encoding="utf-8")
    assert "is not empty" in run("export", "timeloop", *LAYER, "--out", "theirs").stderr
