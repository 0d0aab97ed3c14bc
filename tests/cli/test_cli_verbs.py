"""Every verb but ``evaluate``."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrustes_model.cli.shipped import Kind
from procrustes_model.shipped import list_shipped
from tests.cli.conftest import MAPPING, Run

HEAVY = {"numba", "numpy", "sympy", "pydantic", "rich", "yaml", "matplotlib"}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    # Typer itself takes pydantic, where it is installed, to read the arguments of a verb.
    [(("--help",), set()), (("evaluate", "--help"), {"pydantic"}), (("list",), {"pydantic"})],
)
def test_nothing_heavy_is_imported(run: Run, arguments: tuple[str, ...], allowed: set[str]) -> None:
    done = run(*arguments, python=("-X", "importtime"))
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & HEAVY <= allowed


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_names_every_verb(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    text = done.stdout + done.stderr
    for verb in ("evaluate", "explain", "list", "show", "validate", "--version", "--install-completion"):
        assert verb in text


def test_unknown_verb(run: Run) -> None:
    done = run("evalute", process=True)
    assert done.returncode == 2
    assert "evalute" in done.stderr


def test_version(run: Run) -> None:
    done = run("--version", process=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("procrustes ")


def test_list_of_one_kind_is_bare_names(run: Run) -> None:
    for kind in ("architecture", "problem", "mapping", "shape"):
        assert run("list", f"{kind}s").stdout.splitlines() == list_shipped(kind)


def test_list_of_everything(run: Run) -> None:
    blocks = run("list").stdout.split("\n\n")
    assert [block.splitlines()[0][:-1] for block in blocks] == [kind.value for kind in Kind]


def test_list_of_nothing_known(run: Run) -> None:
    done = run("list", "things")
    assert done.returncode == 2
    assert "architectures" in done.stderr


def test_show_prints_the_file(run: Run, root: Path) -> None:
    done = run("show", "simple_3level")
    assert done.stdout == (root / "arch_specs" / "simple_3level.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "near"), [("simple_3levels", "simple_3level"), ("conv3_2", "vgg_s/conv3_2")]
)
def test_show_of_an_unknown_name(run: Run, name: str, near: str) -> None:
    done = run("show", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: nothing that ships is called '{name}'; did you mean '{near}'?\n"


def test_show_resolved(run: Run, tmp_path: Path) -> None:
    done = run("show", "simple_3level", "--resolved")
    assert done.returncode == 0, done.stderr
    assert "      capacity_words: 8192  # by hand, see source\n" in done.stdout
    (tmp_path / "mine.yaml").write_text(done.stdout, encoding="utf-8")
    again = run("show", "mine.yaml", "--resolved")
    assert "capacity_words: 8192" in again.stdout
    kind = run("show", "matmul/512", "--resolved", "--kind", "problems")
    assert (kind.returncode, kind.stdout) == (2, "")
    assert kind.stderr == "error: --resolved shows architectures; leave out --kind problems\n"
    missing = run("show", "matmul/512", "--resolved")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "neither a file nor an architecture that ships" in missing.stderr


def test_show_of_an_ambiguous_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from procrustes_model import shipped
    from procrustes_model.cli.shipped import show_command

    monkeypatch.setattr(
        shipped, "list_shipped", lambda kind: ["twin"] if kind in ("problem", "shape") else []
    )
    with pytest.raises(typer.Exit) as caught:
        show_command("twin")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == (
        "error: 'twin' is among the problems and shapes; add --kind problems or another of them\n"
    )


def test_validate_says_what_each_file_is(run: Run, specs: tuple[str, ...]) -> None:
    done = run("validate", *specs, "conv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "arch.yaml: ok, architecture two_levels",
        "problem.yaml: ok, problem little",
        "mapping.yaml: ok, mapping by_hand (form only)",
        "conv: ok, shape conv",
    ]


def test_everything_shipped_is_valid(run: Run, root: Path) -> None:
    files = sorted(
        str(path)
        for folder in ("arch_specs", "mappings", "procrustes_model/workloads")
        for path in (root / folder).rglob("*.yaml")
    )
    done = run("validate", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(files) > 10


def test_validate_a_mapping_fully(run: Run, specs: tuple[str, ...]) -> None:
    arch, problem, mapping = specs
    assert run("validate", mapping, "--arch", arch, "--problem", problem).stdout.endswith("mapping by_hand\n")
    done = run("validate", mapping, "--arch", "simple_3level", "--problem", "matmul/512")
    assert done.returncode == 2
    assert "the factors of M" in done.stderr
    half = run("validate", mapping, "--arch", arch)
    assert half.returncode == 2
    assert "both --arch and --problem" in half.stderr


def test_validate_reports_all_files(run: Run, specs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(MAPPING.replace("K=2\n", "K=0 K 2\n"), encoding="utf-8")
    (tmp_path / "what.yaml").write_text("problm: {}\n", encoding="utf-8")
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    done = run("validate", "bad.yaml", specs[0], "what.yaml", "list.yaml", "gone.yaml", ".")
    assert done.returncode == 2
    assert done.stdout == "arch.yaml: ok, architecture two_levels\n"
    lines = done.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert sum(line.startswith("error: bad.yaml:") for line in lines) >= 2
    assert any(
        line.startswith("error: what.yaml:1:1") and "did you mean 'problem'?" in line for line in lines
    )
    for name in ("list.yaml", "gone.yaml", "."):
        assert any(line.startswith(f"error: {name}:") for line in lines)


def test_explain(run: Run, specs: tuple[str, ...]) -> None:
    done = run("explain", *specs, "Buffer", "A")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A at Buffer: tile 4 words   reads ")
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_explain_what_is_not_there(run: Run, specs: tuple[str, ...]) -> None:
    done = run("explain", *specs, "Bufer", "Q")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: architecture 'two_levels' has no level 'Bufer'; did you mean 'Buffer'?",
        "error: problem 'little' has no tensor 'Q'; choose from A, B, Z",
    ]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("procrustes evaluate simple", ["simple_3level"]),
        ("procrustes evaluate simple_3level matmul/5", ["matmul/512"]),
        ("procrustes evaluate simple_3level matmul/512 s", ["simple_3level/matmul_512"]),
        ("procrustes show depthwise_w", ["depthwise_weight_update"]),
        ("procrustes explain simple_3level matmul/512 simple_3level/matmul_512 D", ["DRAM"]),
        ("procrustes explain simple_3level matmul/512 simple_3level/matmul_512 DRAM A", ["A"]),
        ("procrustes explain nothing nothing nothing D", []),
        ("procrustes validate --arch simple", ["simple_3level"]),
    ],
)
def test_completion(run: Run, words: str, offered: list[str]) -> None:
    environment = {
        "_PROCRUSTES_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = run(environment=environment)
    assert done.stdout.split() == offered
