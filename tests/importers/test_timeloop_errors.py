"""What would change a number is refused with its place; broken files give one clear error and no file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.importers.timeloop import translate
from procrustes_model.importers.timeloop.output import check_translation
from procrustes_model.spec.text.foreign import is_foreign


@pytest.fixture
def small(data: Path, tmp_path: Path) -> Path:
    """Return a folder with a design in tagged nodes and its table of energies."""
    folder = tmp_path / "small"
    shutil.copytree(data / "timeloop" / "nodes", folder)
    shutil.copy(data / "timeloop" / "ERT.yaml", folder)
    return folder


def complaints(folder: Path, *, partial: bool = False) -> list[str]:
    with pytest.raises(SpecError) as caught:
        check_translation(translate([folder], partial=partial))
    return [str(issue).replace(f"{folder}/", "") for issue in caught.value.issues]


REFUSED = [
    (
        "machine.yaml",
        "class: smartbuffer_SRAM",
        "class: vault",
        "machine.yaml:13:7: the class 'vault' of 'Near'",
    ),
    ("machine.yaml", "class: smartbuffer_SRAM", "class: 5", "machine.yaml:13:7: the class '5' of 'Near'"),
    ("machine.yaml", "datawidth: 16}", "datawidth: 16, cluster_size: 4}", "no multiple of words of 64 bits"),
    ("machine.yaml", "datawidth: 16}", "datawidth: 16, min_utilization: 0.5}", "'min_utilization' of 'Near'"),
    ("machine.yaml", "datawidth: 16}", "datawidth: 16, has_power_gating: true}", "leakage that ends"),
    ("machine.yaml", "datawidth: 16}", "datawidth: 12}", "no multiple of words of 12 bits"),
    ("machine.yaml", "width: 4 * bits", "width: 4 * bite", "unknown name 'bite'; did you mean 'bits'?"),
    ("machine.yaml", "width: 4 * bits", "width: open('x')", "is not allowed in an expression"),
    ("machine.yaml", "read_bandwidth: 3", "read_bandwidth: .nan", "what it translates to cannot be read"),
    ("machine.yaml", "{meshX: 4, meshY: 2}", "{meshX: 4, meshZ: 2}", "a fan-out has meshX and meshY"),
    ("machine.yaml", "!Parallel", "!Paralel", "unknown tag '!Paralel'; did you mean 'Parallel'?"),
    ("machine.yaml", "!Parallel", "!!python/object/apply:os.system", "unknown tag"),
    (
        "machine.yaml",
        "    - !Component\n      name: MAC",
        "    - !Nothing\n      name: MAC",
        "no compute units",
    ),
    (
        "machine.yaml",
        "class: intmac",
        "class: intmac\n      sparse_optimizations: {action: []}",
        "machine.yaml:37:30: unknown key 'action'; choose from",
    ),
    (
        "machine.yaml",
        "permutation: [K, C, R, P], split: 1",
        "permutation: [K, J]",
        "unknown dimension in 'J'",
    ),
    ("machine.yaml", "{keep: [X, Y], bypass: [W]}", "{keep: [V]}", "unknown data space 'V'"),
    ("layer.yaml", "Step: 2", "Step: two", "unknown name 'two'"),
    ("layer.yaml", "K: 8, ", "", "the problem has no bound of K"),
    ("layer.yaml", "[[R, Gap], [P, Step]]", "[[R, Gap], [P, Stop]]", "'Stop' is neither a dimension nor a"),
    ("layer.yaml", "problem:", "problems:", "unknown key 'problems'"),
    ("nest.yaml", "factors: P=4", "factors: P=5", "the factors of P multiply to 10, its bound is 8"),
    ("nest.yaml", "factors: P=4", "factors: 'P=4,2,1'", "'1' is no factor"),
    ("nest.yaml", "factors: P=4", "factors: P<=4", "'P<=4' is no factor, it bounds one"),
    ("nest.yaml", "target: Regs", "target: Reg", "unknown target 'Reg'; did you mean 'Regs'?"),
    (
        "nest.yaml",
        "type: spatial",
        "type: spacial",
        "unknown type 'spacial' of a directive; did you mean 'spatial'?",
    ),
    ("nest.yaml", "bypass: [W]}", "bypass: [W], hold: [X]}", "'hold' of a keep directive cannot be said"),
    (
        "ERT.yaml",
        "- {name: read, energy: 5.5}",
        "- {name: access, energy: 5.5}",
        "has no action read or random_read",
    ),
    ("ERT.yaml", "board.chip.Near", "board.chip.Nearby", "the ERT has no table of 'Near'"),
    ("ERT.yaml", "energy: 5.5", "energy: -5.5", "an energy must be from 0 to 1e15 pJ"),
    ("ERT.yaml", "energy: 5.5", "energy: much", "unknown name 'much'"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), REFUSED, ids=[f"{one[2][:30]}" for one in REFUSED])
def test_what_cannot_be_said_is_refused(small: Path, file: str, old: str, new: str, said: str) -> None:
    text = (small / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    (small / file).write_text(text.replace(old, new), encoding="utf-8")
    assert any(said in one for one in complaints(small))


def test_every_issue_is_reported_at_once(small: Path) -> None:
    for file, old, new in (
        ("nest.yaml", "target: Regs", "target: Rags"),
        ("layer.yaml", "Step: 2", "Step: 0"),
        ("ERT.yaml", "energy: 1.25", "energy: none"),
    ):
        text = (small / file).read_text(encoding="utf-8")
        (small / file).write_text(text.replace(old, new), encoding="utf-8")
    said = complaints(small)
    files = [one.split(":")[0] for one in said]
    assert list(dict.fromkeys(files)) == ["ERT.yaml", "layer.yaml", "nest.yaml"]


def test_only_what_adds_to_results_can_be_left_out(small: Path) -> None:
    with (small / "ERT.yaml").open("a", encoding="utf-8") as file:
        file.write("    - {name: board.wire, actions: [{name: transfer, energy: 0.25}]}\n")
    (said,) = complaints(small)
    assert said.startswith("ERT.yaml:25:7: the energy of wires")
    found = translate([small], partial=True)
    assert "left out: the energy of wires" in found.files["architecture.yaml"]["architecture"]["description"]
    (small / "nest.yaml").write_text(
        "mapping: [{target: Far, type: temporal, factors: K=2}]", encoding="utf-8"
    )
    assert any("the factors of K multiply to 2" in one for one in complaints(small, partial=True))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no YAML file in this folder"),
        ({"a.yaml": "- 1"}, "a file of Timeloop holds 'key: value' pairs"),
        ({"a.yaml": "architecture: {nodes: []}"}, "there is no problem"),
        ({"a.yaml": "problem: {instance: {}}"}, "there is no architecture"),
        (
            {"a.yaml": "problem: {shape: cnn-layer, instance: {}}"},
            "shapes that ship with that tool are not read",
        ),
        ({"a.yaml": "mapping: {x: 1}"}, "this must be a list"),
        ({"a.yaml": "a: 1\nb: {{ c }}"}, "a.yaml:2:"),
        ({"a.yaml": "architecture: {local: []}"}, "this architecture has no 'nodes', 'subtree' or 'storage'"),
        ({"a.yaml": "a: *b"}, "alias '*b'; there is no anchor of that name above"),
        ({"a.yaml": "a: &b [*b]"}, "alias '*b'; there is no anchor of that name above"),
        ({"a.yaml": "a: !Container [1]"}, "tag '!Container' on a list"),
        ({"a.yaml": "a: [" * 40 + "]" * 40}, "nested more than 32 deep"),
        ({"a.yaml": "problem: {a: 1}", "b.yaml": "problem: {a: 2}"}, "'problem' stands in"),
        ({"a.cfg": "arch: {};"}, "a.cfg: libconfig is not read"),
        ({"a.yaml": "model: {verbose: true, other: 1}"}, "unknown key 'model'"),
        ({"a.yaml": "\x00"}, "control character 0x00"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_broken_files_give_one_clear_error(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert any(said in one for one in complaints(tmp_path))


def test_aliases_cannot_make_a_file_large(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert any("more than 100000 entries" in one for one in complaints(tmp_path))


def test_own_files_are_not_taken_for_foreign_ones() -> None:
    own = (
        {"architecture": {"levels": []}},
        {"mapping": {"levels": []}},
        {"problem": {"shape": {"tensors": {}}}},
    )
    assert not any(is_foreign(one) for one in (*own, {"constraints": {}}, [], None, {"x": 1}))


def test_a_mapping_of_its_own_must_be_one(small: Path) -> None:
    with pytest.raises(SpecError, match=r"layer\.yaml: there is no mapping; the file has no key 'mapping'"):
        translate([small], mapping=small / "layer.yaml")


def test_messages_hold_nothing_that_a_terminal_acts_on(small: Path) -> None:
    text = (small / "machine.yaml").read_text(encoding="utf-8")
    (small / "machine.yaml").write_text(text.replace("name: Near", 'name: "N\\e[31mear"'), encoding="utf-8")
    said = complaints(small)
    assert all(one.isprintable() for one in said)
    assert any("the ERT has no table of 'N\\x1b[31mear'; did you mean 'Near'?" in one for one in said)
    assert not any("multiply" in one for one in said), "that follows from the name"
