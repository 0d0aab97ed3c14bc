"""``--set PATH=VALUE``: a specification is changed before it is read, by every command that takes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from procrustes_model.cli import app
from procrustes_model.errors import SpecError
from procrustes_model.spec.load import edit, load_architecture, load_problem
from procrustes_model.spec.text.changes import Change, Said, parse_path, parse_setting
from procrustes_model.versions import SPECIFICATIONS
from tests.cli.conftest import ARCHITECTURE, MAPPING, PROBLEM, Run

LITTLE = ("machine.yaml", "little.yaml", "by_hand.yaml")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in zip(LITTLE, (ARCHITECTURE, PROBLEM, MAPPING), strict=True):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)


def changed(*settings: str) -> list[str]:
    return [word for one in settings for word in ("--set", one)]


def test_a_change_is_what_a_changed_file_would_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text(
        ARCHITECTURE.replace("mesh_x: 4", "mesh_x: 2").replace("32 words", "48 words")
    )
    (tmp_path / "large.yaml").write_text(PROBLEM.replace("M: 8", "M: 16"))
    (tmp_path / "other.yaml").write_text(MAPPING.replace("M=4 N=6", "M=8 N=6"))
    done = run("evaluate", "wide.yaml", "large.yaml", "other.yaml", "--json", "file.json", "-q")
    assert done.returncode == 0, done.stderr
    words = changed(
        "architecture.compute.mesh_x=2",
        "architecture.levels.Buffer.capacity=48 words",
        "problem.dimensions.M=16",
        "mapping.levels.DRAM.temporal=M=8 N=6 K=2",
    )
    done = run("evaluate", *LITTLE, *words, "--json", "set.json", "-q")
    assert done.returncode == 0, done.stderr
    results = [json.loads(Path(name).read_text()) for name in ("file.json", "set.json")]
    assert results[0] == results[1]


@pytest.mark.parametrize(("setting", "said"), [
    ("architecture.levels.Bufer.capacity=1 KB", "no 'Bufer' in architecture.levels; did you mean 'Buffer'?"),
    ("architecture.levels.Buffer.capasity=1 KB", "unknown key 'capasity'; did you mean 'capacity'?"),
    ("architecture.levels[7].capacity=1 KB", "no [7] in architecture.levels; it has 2 items, from [0] on"),
    ("architecture.level.Buffer.capacity=1 KB", "no 'level' in architecture; did you mean 'levels'?"),
    ("architecture.name.first=x", "architecture.name is 'two_levels': nothing of it can be set"),
    ("architecture.levels.Buffer.capacity=1 parsec", "'capacity' must be a number and a unit, is '1 parsec'"),
    ("architecture=x", "'architecture' is a whole specification; such as architecture.name"),
    ("problem.dimensions.M=0", "the bound of M must be at least 1, is 0"),
    ("problm.name=x", "this command has no 'problm' to change; did you mean 'problem'?"),
    ("sparsity.name=x", "no sparsity is given to change"),
    ("architecture.levels.Buffer", "a change is written PATH=VALUE"),
    ("architecture..name=x", "'architecture..name' is no path"),
    ("architecture.name=[", "not YAML"),
    ("architecture.foo.bar=x", "unknown key 'foo'"),
])  # fmt: skip
def test_errors_name_the_change(run: Run, setting: str, said: str) -> None:
    done = run("evaluate", *LITTLE, "--set", setting)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --set {setting}:"), done.stderr
    assert said in done.stderr


def test_all_numbers_of_a_changed_machine(run: Run) -> None:
    words = ("show", "machine.yaml", "--set", "architecture.levels.Buffer.capacity=48 words")
    assert "capacity_words: 48" in run(*words, "--resolved").stdout
    assert run(*words).stderr == "error: --set changes what --resolved shows; add --resolved\n"


def test_all_mistakes_at_once(run: Run) -> None:
    done = run("explain", *LITTLE, "Buffer", "A", *changed("architecture.nam=x", "architecture.compute=3"))
    assert done.stderr.count("error: --set ") == 2


def test_what_is_validated_is_changed(run: Run) -> None:
    wide = changed("architecture.compute.mesh_x=2", "mapping.levels.Buffer.spatial_x=M=4")
    words = ("validate", "by_hand.yaml", "machine.yaml", "--arch", "machine.yaml", "--problem", "little.yaml")
    done = run(*words, *wide)
    assert done.returncode == 2
    assert "spatial_x M=4 needs 4 MAC instances" in done.stderr and "there are 2 on this axis" in done.stderr
    assert run(*words, *changed("problem.name=other")).returncode == 0
    for setting, said in (
        ("problm.name=x", "no kind of file is called 'problm'; did you mean 'problem'?"),
        ("network.name=x", "no network is checked; leave it out"),
        ("architecture.nam=x", "unknown key 'nam'; did you mean 'name'?"),
    ):
        done = run(*words, "--set", setting)
        assert (done.returncode, done.stderr.startswith(f"error: --set {setting}: ")) == (2, True)
        assert said in done.stderr
    done = run("validate", "by_hand.yaml", "--set", "mapping.name=x")
    assert "a mapping is changed where it is checked for a machine; add --arch and --problem" in done.stderr


def test_every_command_that_takes_a_specification_changes_it() -> None:
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        takes = {one.name for one in command.params} & {*SPECIFICATIONS, "files", "arch"} - {"rules"}
        if takes and name != "diff":
            assert any("--set" in one.opts for one in command.params), name


def test_later_changes_win_and_parts_may_be_new() -> None:
    settings = (
        "architecture.levels.DRAM.energy_pj={read: 1, write: 1}",
        "architecture.levels.DRAM.energy_pj.read=7",
    )
    machine = load_architecture(edit("simple_3level", map(parse_setting, settings), "architecture"))
    assert (machine.levels[0].energy.read, machine.levels[0].energy.write) == (7, 1)
    level = "architecture.levels.DRAM.read_bandwidth=3"
    assert (
        load_architecture(edit("simple_3level", [parse_setting(level)], "architecture"))
        .levels[0]
        .read_bandwidth
        == 3
    )


def test_data_of_python_are_copied_and_changed() -> None:
    content = {"problem": {"name": "a", "dimensions": {"M": 4}}}
    change = Change(("problem", "dimensions", "M"), 8)
    assert edit(content, [change], "problem")["problem"]["dimensions"] == {"M": 8}
    assert content["problem"]["dimensions"] == {"M": 4}  # type: ignore[index]
    with pytest.raises(SpecError, match="give a file, a name or a dict"):
        edit(load_architecture("simple_3level"), [change], "architecture")


def test_paths() -> None:
    said = Said(None)
    assert parse_path('a.b[2]."x.y".c', said) == ("a", "b", 2, "x.y", "c")
    for wrong in ("", ".a", "a.", "a[x]", "a[1]b", 'a."b'):
        with pytest.raises(SpecError):
            parse_path(wrong, said)


def test_items_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("problem:\n  name: a\n  list: [{name: x}, {name: x}]\n")
    twice = edit(str(path), [Change(("problem", "list", "x", "y"), 1)], "problem")
    with pytest.raises(SpecError, match=r"2 items of problem.list are called 'x'; write problem.list\[0\]"):
        load_problem(twice)


@pytest.mark.parametrize(
    "text", ["a.b[0].c=64 KB", 'a."x.y"={"k": [1, 2.5]}', "a.b=3", 'a.b="3"', "a.b=true"]
)
def test_settings_are_written_as_they_are_read(text: str) -> None:
    assert parse_setting(text).to_setting() == text
    assert parse_setting(parse_setting(text).to_setting()) == parse_setting(text)
