"""A sweep is its searches, each once: however it is run, interrupted or shared out."""

from __future__ import annotations

import csv
import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.mapper.search import search
from procrustes_model.model.evaluate import evaluate
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.run import run_network
from procrustes_model.report.page.sweep import sweep_html, write_sweep_html
from procrustes_model.report.tables.sweep import columns_of
from procrustes_model.report.terminal.sweep import format_sweep
from procrustes_model.spec.load import edit, load_problem
from procrustes_model.spec.text.changes import Change, Said, parse_path
from procrustes_model.sweeps.plan import check_sweep
from procrustes_model.sweeps.result import SweepResult, find_front
from procrustes_model.sweeps.verb import sweep
from procrustes_model.vocabulary import PHASES, Phase
from procrustes_model.workloads.phases import in_phase
from tests.network.test_html import Page
from tests.sweeps.conftest import BUFFER, SEARCH, grid, sweep_of

WIDTH = "architecture.compute.mesh_x"
TWO = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}


@pytest.fixture
def result() -> SweepResult:
    return sweep(grid(), workers=1)


def machine(**values: Any) -> Any:
    """Return the machine with other values."""
    return edit(
        "machine.yaml",
        [Change(parse_path(path, Said(None)), value) for path, value in values.items()],
        "architecture",
    )


def test_a_sweep_is_its_searches(result: SweepResult) -> None:
    assert len(result.points) == 4
    for point in result.points:
        assert point.totals is not None
        found = search(machine(**point.values), "little.yaml")
        assert (point.totals.energy_pj, point.totals.cycles) == (found.result.energy_pj, found.result.cycles)
        assert point.totals.proven == point.totals.rows == 1


def test_phases_and_zeros_are_those_of_single_searches() -> None:
    problem = {"problem": {"name": "c", "shape": "conv", "dimensions": dict.fromkeys("NKCPQRS", 2)}}
    common = {"architecture": "procrustes_16x16", "problem": problem, "densities": {"X": 0.5}, "seconds": 0}
    axes = {"sparsity": ["dense", "procrustes"], "densities.W": [0.25, 0.5], "phase": ["wu", "all"]}
    where = ["W == 0.25 or sparsity == 'dense'", "sparsity != 'dense' or phase == 'all'"]
    done = sweep(sweep_of(search=common, axes=axes, where=where), workers=1)
    assert len(done.points) == 4
    assert done.searched == 3 + 3  # the dense machine knows no density, and one phase is among all
    for point in done.points:
        energy = 0.0
        for phase in PHASES if point.values["phase"] == "all" else [Phase.WEIGHT_UPDATE]:
            phased = in_phase(load_problem(problem), phase)
            there = {tensor.name for tensor in phased.tensors}
            known = {"Weights": point.values["densities.W"], "Inputs": 0.5}
            known = {name: density for name, density in known.items() if name in there}
            zeros = (
                {} if point.values["sparsity"] == "dense" else {"sparsity": "procrustes", "densities": known}
            )
            energy += search("procrustes_16x16", phased, **zeros).result.energy_pj
        assert point.totals is not None
        assert point.totals.energy_pj == pytest.approx(energy, rel=1e-12)


def test_what_points_share_is_searched_once() -> None:
    axes = {"search_name": {"set": "problem.name", "values": ["a", "b", "c"]}, WIDTH: [2, 4]}
    done = sweep(sweep_of(axes=axes), workers=1)
    assert (len(done.points), done.searched) == (6, 2)


@pytest.mark.parametrize(
    ("axes", "ways"),
    [
        ({"imperfect": [False, True]}, [{}, {"imperfect": True}]),
        ({"method": ["optimal", "exhaustive"]}, [{}, {"method": "exhaustive"}]),
        (
            {"many": {"set": ["mappings"], "values": [20, 40]}, "method": ["random"]},
            [{"method": "random", "mappings": 20}, {"method": "random", "mappings": 40}],
        ),
        ({"effort": [None, 50]}, [{}, {"effort": 50}]),
    ],
)
def test_ways_to_search_are_those_of_single_searches(
    tmp_path: Path, axes: dict[str, Any], ways: list[dict[str, Any]]
) -> None:
    odd = {"problem": {"name": "odd", "shape": "matmul", "dimensions": {"M": 7, "K": 4, "N": 5}}}
    asked = sweep_of(search={**SEARCH, "problem": odd}, axes=axes)
    done = sweep(asked, workers=1, out=tmp_path / "kept")
    assert done.searched == len(ways)
    for point, way in zip(done.points, ways, strict=True):
        found = search("machine.yaml", odd, threads=1, **way)
        assert point.totals is not None
        assert (point.totals.energy_pj, point.totals.cycles) == (found.result.energy_pj, found.result.cycles)
        assert bool(point.totals.proven) == found.certificate.proven
    seen: list[RunProgress] = []
    again = sweep(asked, workers=1, out=tmp_path / "kept", progress=seen.append)
    assert seen[0].kept == seen[0].total and not seen[0].damaged
    assert again.to_records() == done.to_records()


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"method": "randm"}, "unknown method 'randm'; did you mean 'random'?"),
        ({"mappings": 10}, "method 'optimal' has no budget of mappings"),
        (
            {"imperfect": True, "sparsity": "procrustes"},
            "shorter last passes are not searched under a sparse",
        ),
        ({"formats": "auto"}, "search has no 'formats'"),
    ],
)
def test_ways_that_do_not_go_together(search: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_sweep(sweep_of(search={**SEARCH, **search}, axes={"seed": [0, 1]}))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_interrupted_and_resumed_is_the_same(tmp_path: Path) -> None:
    sweep(grid(), workers=1, out=tmp_path / "whole")

    def stop(progress: RunProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(grid(), workers=1, out=tmp_path / "parts", progress=stop)
    kept = _files(tmp_path / "parts")
    assert len(kept) == 2
    file = tmp_path / "parts" / min(kept)  # as a full disk would leave it, written by another program
    file.write_bytes(file.read_bytes()[:100])
    seen: list[RunProgress] = []
    sweep(grid(), workers=1, out=tmp_path / "parts", progress=seen.append)
    assert (seen[0].kept, len(seen[0].damaged)) == (1, 1)
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")


def test_two_workers_find_what_one_does(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    for workers in (1, 2):
        sweep(grid(), workers=workers, out=tmp_path / str(workers))
    assert _files(tmp_path / "1") == _files(tmp_path / "2")


def test_a_cluster_finds_what_one_worker_does(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    sweep(grid(), workers=1, out=tmp_path / "here")
    with distributed.LocalCluster(**TWO) as cluster:
        sweep(grid(), scheduler=cluster.scheduler_address, out=tmp_path / "there")
    assert _files(tmp_path / "here") == _files(tmp_path / "there")


def test_evaluations(tmp_path: Path) -> None:
    run = {"architecture": "machine.yaml", "problem": "little.yaml", "mapping": "by_hand.yaml"}
    axes = {WIDTH: [1, 2, 4], "architecture.compute.energy_pj": [0.5, 1]}
    done = sweep(sweep_of(evaluate=run, axes=axes))
    assert done.searched == 0
    for point in done.points:
        if point.values[WIDTH] == 1:
            assert point.totals is None and "spatial_x M=2 needs 2" in point.error
            continue
        assert point.totals is not None
        one = evaluate(machine(**point.values), "little.yaml", "by_hand.yaml")
        assert (point.totals.energy_pj, point.totals.cycles) == (one.energy_pj, one.cycles)
    rows = list(csv.DictReader(_csv(done, tmp_path).splitlines()))
    assert [row["proven"] for row in rows] == [""] * 6
    assert [bool(row["error"]) for row in rows] == [True, True, False, False, False, False]
    with pytest.raises(SpecError, match="spatial_x M=2 needs 2"):  # nothing is left to show
        sweep(sweep_of(evaluate=run, axes={WIDTH: [1]}))


def test_evaluations_of_several_mappings() -> None:
    run = {"architecture": "machine.yaml", "problem": "little.yaml", "mapping": "by_hand.yaml"}
    path, nests = "mapping.levels.DRAM.temporal", ["M=4 N=6 K=2", "K=2 M=4 N=6", "N=6 K=2 M=4"]
    done = sweep(sweep_of(evaluate=run, axes={path: nests}))
    energies = []
    for nest in nests:
        mapping = edit("by_hand.yaml", [Change(parse_path(path, Said(None)), nest)], "mapping")
        energies.append(evaluate("machine.yaml", "little.yaml", mapping).energy_pj)
    assert [point.totals and point.totals.energy_pj for point in done.points] == energies
    assert len(set(energies)) > 1


def test_networks_are_runs() -> None:
    layers = [{"name": "a", "kind": "fully_connected", "input_channels": 4, "channels": 4}]
    network = {"network": {"name": "tiny", "layers": [*layers, {**layers[0], "name": "b"}]}}
    common = {"architecture": "procrustes_16x16", "network": network, "batch": 2, "phases": "fw,wu"}
    common |= {"densities": {"W": 0.5}, "seconds": 0}
    axes = {"dataflow": ["KN", "CN"], "sparsity": [None, "procrustes"]}
    done = sweep(sweep_of(network=common, axes=axes, combine="zip"), workers=1)
    for point, zeros in zip(done.points, ({}, {"sparsity": "procrustes", "densities": "W=0.5"}), strict=True):
        asked = {"batch": 2, "phases": "fw,wu", "dataflow": point.values["dataflow"], "seconds": 0}
        run = run_network("procrustes_16x16", network, workers=1, **asked, **zeros)
        assert point.totals == run.totals()


def _csv(result: SweepResult, folder: Path) -> str:
    result.to_csv(folder / "points.csv")
    return (folder / "points.csv").read_text()


def test_table(result: SweepResult, tmp_path: Path) -> None:
    rows = list(csv.DictReader(_csv(result, tmp_path).splitlines()))
    assert list(rows[0]) == result.columns
    for row, point in zip(rows, result.points, strict=True):
        assert [row[axis] for axis in result.axes] == [str(value) for value in point.values.values()]
        levels = [float(row[name]) for name in row if name.startswith("energy_pj_")]
        assert sum(levels) == pytest.approx(float(row["energy_pj"]))
        assert row["front"] == str(point.number in result.front)
    columns = columns_of(result)
    for values in columns.values():
        assert len({type(value) for value in values if value is not None}) <= 1
    assert {name: len(values) for name, values in columns.items()} == dict.fromkeys(result.columns, 4)


def test_parquet_reads_back(result: SweepResult, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    from procrustes_model.report.tables.sweep import write_parquet

    write_parquet(result, tmp_path / "points.parquet")
    assert parquet.read_table(tmp_path / "points.parquet").to_pydict() == columns_of(result)


def test_front_against_every_pair() -> None:
    draw = random.Random(3)  # noqa: S311
    for _ in range(200):
        sides = draw.choice([1, 2, 3])
        values = {key: [draw.randrange(5) for _ in range(sides)] for key in range(draw.randrange(1, 12))}
        beaten = {
            key
            for key, other in itertools.permutations(values, 2)
            if all(a <= b for a, b in zip(values[other], values[key], strict=True))
            and values[other] != values[key]
        }
        assert set(find_front(values)) == values.keys() - beaten


@pytest.mark.parametrize(("objective", "powers"), [("cycles", (0, 1)), ("e2dp", (2, 1))])
def test_best_is_the_least_of_what_was_minimised(objective: str, powers: tuple[int, int]) -> None:
    axes = {WIDTH: [1, 4], BUFFER: ["16 words", "64 words"]}
    done = sweep(sweep_of(search={**SEARCH, "objective": objective}, axes=axes), workers=1)
    known = {point.number: point.totals for point in done.points if point.totals is not None}
    scores = {key: one.energy_pj ** powers[0] * one.cycles ** powers[1] for key, one in known.items()}
    assert done.best is not None
    assert scores[done.best.number] == pytest.approx(min(scores.values()), rel=1e-12)


def test_what_minimises_different_things_has_no_best() -> None:
    assert sweep(sweep_of(axes={"objective": ["edp", "energy"]}), workers=1).best is None


def test_page_is_whole_and_loads_nothing(result: SweepResult, tmp_path: Path) -> None:
    write_sweep_html(result, tmp_path / "points.html")
    text = (tmp_path / "points.html").read_text(encoding="utf-8")
    assert text == sweep_html(result)
    page = Page(text)
    assert page.loads == []
    rows = page.tables["points"][1:]
    assert [row[0][1] for row in rows] == [str(float(point.number)) for point in result.points]
    assert "Content-Security-Policy" in text and "default-src 'none'" in text


def test_page_escapes_names() -> None:
    name = "</script><b>&"
    done = sweep(sweep_of(name=name, axes={"problem.name": [name, "b"]}), workers=1)
    assert "<b>&" not in sweep_html(done).replace("<b>&amp;", "")


def test_terminal_fits(result: SweepResult) -> None:
    lines = format_sweep(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.rstrip().endswith("*") for line in lines) == len(result.front)


@pytest.mark.parametrize("over", [None, "mesh_x"])
def test_figures(result: SweepResult, tmp_path: Path, over: str | None) -> None:
    pytest.importorskip("matplotlib")
    from procrustes_model.report.figures.style import write_figure
    from procrustes_model.report.figures.sweep import draw_sweep

    write_figure(draw_sweep(result, over), tmp_path / "points.svg")
    assert (tmp_path / "points.svg").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(SpecError, match="no axis is called 'mesh'; did you mean 'mesh_x'"):
        draw_sweep(result, "mesh")


def test_the_sweep_that_ships() -> None:
    assert check_sweep("procrustes_buffers") == "procrustes_buffers"


def test_notebooks_show_sweeps(result: SweepResult) -> None:
    head, front = repr(result).split("\n")
    assert head == "<SweepResult: little, 4 points over architecture.levels.Buffer.capacity, " + WIDTH
    assert "on the front of energy_pj and cycles; point " in front and front.endswith("has the least edp>")
    page = result._repr_html_()
    assert page.count("<tr>") == 1 + 4 and page == result._repr_html_()
    pytest.importorskip("matplotlib")
    assert result.plot().axes[0].get_ylabel() == "energy [nJ]"
