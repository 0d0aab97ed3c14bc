"""Each item on the first layers of one network: rows, quotients, files, text."""

from __future__ import annotations

import csv
import functools
import math
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.search import search
from procrustes_model.network.progress import RunProgress
from procrustes_model.reproduction.rows import ALL, COLUMNS, TOTAL
from procrustes_model.reproduction.study import load_study
from procrustes_model.reproduction.text import item_text
from procrustes_model.reproduction.verb import Reproduction, reproduce
from procrustes_model.reproduction.working_sets import BIN
from procrustes_model.spec.load import load_architecture, load_network, load_sparsity
from procrustes_model.spec.network_density import load_density

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[plot]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all items share, so that each case is searched once."""
    return tmp_path_factory.mktemp("reproduced")


def quick(item: str, folder: Path, **options: Any) -> Reproduction:
    """Reproduce an item with a few mappings tried at random: its rows are looked at, not its numbers."""
    search_at_random = functools.partial(search, method="random", mappings=500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("procrustes_model.mapper.search.search", search_at_random)
        return reproduce(item, folder, networks=["vgg_s"], quick=True, seconds=0.2, workers=1, **options)


def read(answer: Reproduction) -> list[dict[str, str]]:
    with answer.files[0].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def one(rows: list[dict[str, str]], **values: str) -> dict[str, str]:
    (row,) = (row for row in rows if all(row[key] == value for key, value in values.items()))
    return row


def check_files(answer: Reproduction) -> None:
    assert [path.suffix for path in answer.files] == [".csv", ".png", ".svg"]
    assert answer.files[1].read_bytes().startswith(b"\x89PNG")
    assert b'width="252' in answer.files[2].read_bytes(), "3.5 inches are 252 points"


def test_energy(folder: Path) -> None:
    answer = quick("energy", folder)
    check_files(answer)
    rows = read(answer)
    order = [row["part"] for row in rows if row["phase"] == ALL and row["machine"] == "sparse"]
    assert order == ["DRAM", "GlobalBuffer", "RegFile", "MAC", "balancing", TOTAL]
    for phase in ("forward", "backward", "weight_update", ALL):
        own = [row for row in rows if row["phase"] == phase]
        totals = {}
        for machine in ("dense", "sparse"):
            parts = [
                float(row["energy_pj"]) for row in own if row["machine"] == machine and row["part"] != TOTAL
            ]
            totals[machine] = one(own, machine=machine, part=TOTAL)
            assert math.isclose(sum(parts), float(totals[machine]["energy_pj"]), rel_tol=1e-12)
        quotient = float(totals["dense"]["energy_pj"]) / float(totals["sparse"]["energy_pj"])
        assert float(totals["sparse"]["dense_over_this"]) == quotient
        assert f"{quotient:.2f}x" in answer.text
    assert "these numbers say nothing of the networks" in " ".join(answer.text.split())
    assert "Published" not in answer.text


def test_cycles_share_the_runs_of_energy(folder: Path) -> None:
    quick("energy", folder)
    seen: list[RunProgress] = []
    answer = quick("cycles", folder, progress=seen.append)
    assert all(moment.kept == moment.total for moment in seen)
    check_files(answer)
    rows = read(answer)
    for machine in ("dense", "sparse"):
        by_phase = [int(row["cycles"]) for row in rows if row["machine"] == machine]
        assert sum(by_phase[:3]) == by_phase[3]
    dense, sparse = (one(rows, machine=machine, phase=ALL) for machine in ("dense", "sparse"))
    assert float(sparse["dense_over_this"]) == int(dense["cycles"]) / int(sparse["cycles"])


def test_dataflows(folder: Path) -> None:
    answer = quick("dataflows", folder)
    check_files(answer)
    rows = read(answer)
    base = one(rows, dataflow="KN", phase=ALL)
    assert base["energy_over_first"] == base["cycles_over_first"] == "1.0"
    for flow in ("CK", "CN", "PQ"):
        row = one(rows, dataflow=flow, phase=ALL)
        assert float(row["energy_over_first"]) == float(row["energy_pj"]) / float(base["energy_pj"])
        assert float(row["cycles_over_first"]) == int(row["cycles"]) / int(base["cycles"])


def test_imbalance(folder: Path) -> None:
    answer = quick("imbalance", folder)
    check_files(answer)
    rows = read(answer)
    sums = {
        name: sum(float(row[name]) for row in rows)
        for name in ("elements_before", "elements_after", "slowest_before", "slowest_after")
    }
    assert math.isclose(sums["elements_before"], sums["elements_after"])
    assert math.isclose(sums["slowest_before"], sums["slowest_after"])
    assert 1 <= float(rows[0]["mean_after"]) <= float(rows[0]["mean_before"])
    # No element of a tile is slower than its slowest, and the slowest is never below the mean.
    assert all(float(row["slowest_before"]) == 0 for row in rows if float(row["work_from"]) < 1 - 1.5 * BIN)
    middle = [(float(row["work_from"]) + BIN / 2) * float(row["slowest_before"]) for row in rows]
    mean = sum(middle) / sums["slowest_before"]
    assert abs(mean - float(rows[0]["mean_before"])) <= BIN / 2 + 1e-9


def test_scaling(folder: Path) -> None:
    answer = quick("scaling", folder)
    check_files(answer)
    rows = read(answer)
    for machine in ("dense", "sparse"):
        small, large = (
            one(rows, architecture=name, machine=machine, phase=ALL)
            for name in ("procrustes_16x16", "procrustes_32x32")
        )
        assert float(large["small_over_this"]) == int(small["cycles"]) / int(large["cycles"])
        assert small["small_over_this"] == "1.0"


def test_conv512_beside_the_authors_tool(folder: Path) -> None:
    # Long enough to fill the array on a machine that does other work.
    answer = reproduce("conv512", folder, quick=True, seconds=2, workers=1)
    check_files(answer)
    rows = read(answer)
    row = one(rows, phase="forward", machine="sparse")
    assert (row["published_cycles"], row["published_energy_mj"]) == ("1126145", "19.1")
    for row in rows:
        edp = float(row["energy_pj"]) * 1e-12 * int(row["cycles"])
        published = float(row["published_energy_mj"]) * 1e-3 * int(row["published_cycles"])
        assert math.isclose(float(row["edp_over_published"]), edp / published)
        assert row["machine"] == "sparse" or int(row["cycles"]) == 9_437_184


def test_what_is_published_stands_beside_what_is_found() -> None:
    study = load_study()
    rows: list[dict[str, Any]] = []
    for network, gain in (("A", 2.0), ("B", 3.0)):
        head = {"network": network, "phase": ALL, "part": TOTAL, "energy_pj": 6e9, "proven": 1, "mappings": 2}
        rows += [head | {"machine": "dense"}]
        rows += [head | {"machine": "sparse", "energy_pj": 6e9 / gain, "dense_over_this": gain}]
    text = " ".join(item_text(study.items["energy"], study, rows).split())
    assert "Published up to 3.26x" in text
    assert "2.3x to 3.3x (Procrustes, MICRO 2020, over its networks; as recalled from the paper)" in text
    assert "Here 2.00x (A) to 3.00x (B)" in text
    assert "the largest gain is 8% below the published one" in text
    assert "the least gain is 13% below the range's lower end" in text
    assert "4 of 8 mappings are proven the best" in text


def test_everything_named_ships() -> None:
    study = load_study()
    for subject in study.subjects:
        assert load_network(subject.network).name == subject.network
        assert load_density(subject.density).name == subject.density
    settings = study.settings
    load_sparsity(settings.sparsity), load_sparsity(settings.baseline)
    for item in study.items.values():
        for name in item.architectures or (settings.architecture,):
            load_architecture(name)
    recalled = [one.recalled for ones in study.published.values() for one in ones]
    assert recalled == [False, True, False, True]


def test_32x32_is_16x16_with_more_elements() -> None:
    small, large = load_architecture("procrustes_16x16"), load_architecture("procrustes_32x32")
    assert [large.instances(i) for i in range(3)] == [1, 1, 1024]
    for one, other in zip(small.levels, large.levels, strict=True):
        same = {"mesh_x": one.mesh_x, "mesh_y": one.mesh_y}
        assert other.model_copy(update=same) == one
    assert small.compute == large.compute


def test_columns_are_described(folder: Path) -> None:
    for name in ("energy", "imbalance"):
        row = read(quick(name, folder))[0]
        assert set(row) <= set(COLUMNS) and row["version"] == "2"


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no item 'enrgy'; did you mean 'energy'"):
        reproduce("enrgy", tmp_path)
    with pytest.raises(
        SpecError, match=r"'resnet19' is no network of the evaluation; did you mean 'resnet18'"
    ):
        reproduce("energy", tmp_path, networks=["resnet19"])
    with pytest.raises(SpecError, match=r"no network is named; some of vgg_s_2020,"):
        reproduce("energy", tmp_path, networks=[])
    assert list(tmp_path.iterdir()) == []
