"""`evaluate`: what it refuses, and what its results say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from procrustes_model import (
    Architecture,
    Mapping,
    Problem,
    SpecError,
    evaluate,
    explain,
    load_architecture,
    load_mapping,
    load_problem,
)
from procrustes_model.shipped import list_shipped

FULL = """mapping:
  levels:
    - level: DRAM
      temporal: C=16
    - level: GlobalBuffer
      temporal: C=16
      spatial_x: K=16
      spatial_y: N=16
    - level: RegFile
      temporal: K=16 P=7 Q=7 R=3 S=3
"""


def test_tiles_that_do_not_fit_are_named_with_their_place(tmp_path: Path) -> None:
    architecture, problem = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    file = tmp_path / "full.yaml"
    file.write_text(FULL, encoding="utf-8")
    mapping = load_mapping(file, architecture, problem)
    with pytest.raises(SpecError) as caught:
        evaluate(architecture, problem, mapping)
    assert [(issue.file, issue.line) for issue in caught.value.issues] == [(str(file), 5), (str(file), 9)]
    assert "tiles at level 'RegFile' take 1,009 words, its capacity is 256: 753 too many" in str(caught.value)
    assert evaluate(architecture, problem, mapping, check_capacity=False).level("RegFile").used_words == 1009


def test_counts_beyond_2_62_are_refused() -> None:
    energy = {"read": 1, "write": 1}
    levels = [{"name": "Far", "class": "dram", "word_bits": 8, "energy_pj": energy, "source": "test"}]
    architecture = load_architecture(
        {"architecture": {"name": "a", "levels": levels, "compute": {"energy_pj": 1, "source": "test"}}}
    )
    shape = {
        "name": "outer",
        "dimensions": ["A", "B"],
        "coefficients": {"c": 1},
        "tensors": {"X": {"projection": ["A*c", "B*c"]}, "Z": {"projection": ["A"], "output": True}},
    }
    bounds, coefficients = {"A": 2**20, "B": 2**20}, {"c": 2**20}
    problem = load_problem(
        {"problem": {"name": "p", "shape": shape, "dimensions": bounds, "coefficients": coefficients}}
    )
    nest = {"mapping": {"levels": [{"level": "Far", "temporal": [f"{d}={n}" for d, n in bounds.items()]}]}}
    mapping = load_mapping(nest, architecture, problem)
    with pytest.raises(SpecError, match=r"2\^62"):
        evaluate(architecture, problem, mapping)


LEAST_USED = {
    "crossbar_64x64/resnet18_conv2_2": 0.26,
    "ipu_like/resnet18_conv2_2": 0.69,
    "outerspace_like/resnet18_conv4_2_outer_product": 0.02,
}
"""Of mappings whose layer has no work for all units, or waits for DRAM, as every product does there."""


@pytest.mark.parametrize("name", list_shipped("mapping"))
def test_what_ships_is_valid_and_uses_its_machine(name: str) -> None:
    machine = name.split("/", maxsplit=1)[0]
    fitting = []
    for problem_name in list_shipped("problem"):
        architecture, problem = load_architecture(machine), load_problem(problem_name)
        try:
            mapping = load_mapping(name, architecture, problem)
        except SpecError:
            continue
        fitting.append(evaluate(architecture, problem, mapping))
    assert fitting
    assert max(result.utilization for result in fitting) > LEAST_USED.get(name, 0.9)


def test_derived_figures_follow_from_counts() -> None:
    architecture, problem = load_architecture("procrustes_16x16"), load_problem("vgg_s/conv3_2")
    result = evaluate(
        architecture, problem, load_mapping("procrustes_16x16/vgg_s_conv3_2_kn", architecture, problem)
    )
    records = result.to_records()
    assert sum(record["energy_pj"] for record in records) == pytest.approx(result.energy_pj, rel=1e-12)
    assert result.energy_per_mac_pj * problem.computes == pytest.approx(result.energy_pj)
    assert result.edp_j_cycles == pytest.approx(result.energy_pj * 1e-12 * result.cycles)
    assert result.utilization == result.array_utilization == 1.0
    assert result.to_dict()["levels"][0]["tensors"][0]["reads"] == result.tensor("DRAM", "Weights").reads


def test_no_element_of_a_sliding_output_is_fetched_before_it_exists() -> None:
    """Rows 0, 2 and 4 come to the first column: a tile of one word moves three times."""
    architecture = load_architecture("procrustes_16x16")
    bounds = {"R": 4, "S": 1, "P": 2, "Q": 1, "C": 1, "K": 1, "N": 1}
    coefficients = {"stride_h": 2, "stride_w": 2}
    problem = load_problem(
        {
            "problem": {
                "name": "strided",
                "shape": "conv_backward",
                "dimensions": bounds,
                "coefficients": coefficients,
            }
        }
    )
    nest = {"mapping": {"levels": [{"level": "GlobalBuffer", "temporal": "R=2 P=2", "spatial_x": "R=2"}]}}
    counts = evaluate(architecture, problem, load_mapping(nest, architecture, problem)).tensor(
        "RegFile", "Inputs"
    )
    assert (counts.fills, counts.fill_energy_pj) == (0, 0.0)
    text = explain(
        architecture, problem, load_mapping(nest, architecture, problem), "RegFile", "Inputs"
    ).to_text()
    assert "fills = transfers_RegFile - touched_RegFile = 3 - 3 = 0" in text


def one_level(bounds: dict[str, int], **ports: float) -> tuple[Architecture, Problem, Mapping]:
    """Return a machine of one level, a matmul, and the mapping that loops over all of it there."""
    level = {"name": "Far", "class": "dram", "word_bits": 8, "energy_pj": {"read": 1, "write": 1}} | ports
    compute = {"energy_pj": 1, "source": "test"}
    architecture = load_architecture(
        {"architecture": {"name": "a", "levels": [level | {"source": "test"}], "compute": compute}}
    )
    problem = load_problem({"problem": {"name": "p", "shape": "matmul", "dimensions": bounds}})
    nest = {
        "mapping": {
            "levels": [{"level": "Far", "temporal": [f"{d}={n}" for d, n in bounds.items() if n > 1]}]
        }
    }
    return architecture, problem, load_mapping(nest, architecture, problem)


def test_cycles_beyond_2_62_are_refused() -> None:
    with pytest.raises(SpecError, match=r"2\^62"):
        evaluate(*one_level({"M": 1024, "K": 1024, "N": 1}, read_bandwidth=1e-15))


def test_cycles_are_whole_steps_where_no_bandwidth_limits() -> None:
    result = evaluate(*one_level({"M": 94906267, "K": 94906269, "N": 1}))
    assert result.cycles == result.levels[0].cycles == 94906267 * 94906269
    assert result.bottleneck == "MAC"
