"""The names of a run's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from procrustes_model.network.files import mapping_files, problem_files, write_run
from procrustes_model.network.result import NetworkResult


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        (("a/b", "a_b", "A_b"), ("a_b-3", "a_b", "A_b-2")),
        (("a b", "a?b"), ("a_b", "a_b-2")),
        (("../x", "..\\y", "-"), ("_x", "_y", "-")),
        (("x" * 300, "x" * 301), ("x" * 80, "x" * 80 + "-2")),
    ],
)
def test_layers_keep_their_own_files(
    tiny_run: NetworkResult, tmp_path: Path, layers: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    row = tiny_run.rows[0]
    rows = tuple(
        replace(row, entry=replace(row.entry, layer=layer, problem={"of": layer})) for layer in layers
    )
    result = replace(tiny_run, rows=rows)
    end = f"_{row.phase.short}"
    stems = [name.partition("-") if name != "-" else (name, "", "") for name in wanted]
    names = [f"{first}{end}{dash}{number}.yaml" for first, dash, number in stems]
    assert [problem_files(result)[layer, row.phase] for layer in layers] == names
    write_run(result, tmp_path)
    assert (
        len(list((tmp_path / "mappings").iterdir()))
        == len(set(mapping_files(result).values()))
        == len(layers)
    )
    for layer, name in zip(layers, names, strict=True):
        written = yaml.safe_load((tmp_path / "problems" / name).read_text(encoding="utf-8"))
        assert written["problem"]["of"] == layer
