"""The reference lists exactly the keys that a user can write, and says which are required."""

from __future__ import annotations

import inspect

import pytest
from pydantic_core import PydanticUndefined

from procrustes_model.spec import (
    architecture,
    density,
    format_ranks,
    interconnect,
    layer_rule,
    mapping,
    network,
    network_checkpointing,
    network_density,
    network_machines,
    prices,
    problem,
    rules,
    schedule,
    schedule_reader,
    sparsity,
    sweep,
)
from procrustes_model.spec.architecture_reader import _TOP_KEYS as ARCHITECTURE_KEYS
from procrustes_model.spec.mapping_reader import _KEYS as MAPPING_KEYS
from procrustes_model.spec.mapping_reader import _LEVEL_KEYS as LEVEL_KEYS
from procrustes_model.spec.network_items import ElementwiseItem, ProblemItem, RecurrentItem, SpmmItem
from procrustes_model.spec.network_reader import _TOP_KEYS as NETWORK_KEYS
from procrustes_model.spec.problem_reader import _KEYS as PROBLEM_KEYS
from procrustes_model.spec.schedule_reader import _PART_KEYS as PART_KEYS
from procrustes_model.spec.schema import Frozen, keys_of
from procrustes_model.spec.shape import _KEYS as SHAPE_KEYS
from procrustes_model.spec.shape import _TENSOR_KEYS as TENSOR_KEYS
from procrustes_model.spec.sparsity_reader import _ACTION_KEYS as ACTION_KEYS
from procrustes_model.spec.sparsity_reader import _SECTIONS as SPARSITY_SECTIONS
from procrustes_model.spec.sparsity_reader import _TITLE as SPARSITY_KEYS
from procrustes_model.vocabulary import LevelRole
from tests.conftest import ROOT
from tests.docs.blocks import Block, read_blocks

TABLES = {
    block.marks["keys"]: block
    for document in sorted((ROOT / "docs" / "reference").glob("*.md"))
    for block in read_blocks(document)
    if "keys" in block.marks
}
READERS = {
    "Architecture": ARCHITECTURE_KEYS,
    "shape": SHAPE_KEYS,
    "tensor": TENSOR_KEYS,
    "problem": PROBLEM_KEYS,
    "mapping": MAPPING_KEYS,
    "level": LEVEL_KEYS,
    "sparsity": [*SPARSITY_KEYS, *SPARSITY_SECTIONS, "phases"],
    "action": ACTION_KEYS,
    "network": NETWORK_KEYS,
    "ProblemItem": keys_of(ProblemItem),
    **{
        model.__name__: [key for key in keys_of(model) if key != "kind"]
        for model in (ElementwiseItem, RecurrentItem, SpmmItem)
    },
    "LinkItem": ["name", "bits", "elements"],
    "SchedulePart": PART_KEYS,
}
"""Keys that are read by hand, by table."""
BY_READERS = {
    "Architecture": "Architecture",
    "Title": "Architecture",
    "Problem": "problem",
    "LevelMapping": "level",
    "Mapping": "mapping",
    "Sparsity": "sparsity",
    "SparsePhase": "sparsity",
    "Action": "action",
    "Network": "network",
    "SchedulePart": "SchedulePart",
}
"""Models whose keys are read by hand, and the table that has them."""
NOT_KEYS = {
    "Term": "part of an expression",
    "ActionEnergy": "listed as AccessEnergy's",
    "Tensor": "listed as shape's",
    "Loop": "written K=16",
    "NetworkLayer": "made of items",
    "Crossing": "made of items",
    "LinkItem": "listed without its kind",
    "_Epochs": "listed as SchedulePart's",
}
ELSEWHERE = {
    *(("Problem", key) for key in ("phase", "tensors")),  # from its shape
    *(("Network", key) for key in ("elementwise", "crossings", "branches")),  # among the layers
    *(("Sparsity", key) for key in ("forward", "backward", "weight_update")),  # under `phases`
    *(("Action", key) for key in ("kind", "target")),  # `skip` and `gate` are both
}
"""Fields that are written otherwise."""

MODELS: dict[str, type[Frozen]] = {
    name: model
    for module in (
        architecture,
        prices,
        interconnect,
        problem,
        mapping,
        density,
        sparsity,
        format_ranks,
        rules,
        network,
        network_checkpointing,
        network_density,
        network_machines,
        schedule,
        schedule_reader,
        layer_rule,
        sweep,
    )
    for name, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, Frozen) and model.__module__ == module.__name__
}


def keys(table: Block) -> list[str]:
    return [row[0] for row in table.rows]


@pytest.mark.parametrize("name", sorted(MODELS.keys() - NOT_KEYS.keys()))
def test_every_field_that_users_write_is_listed(name: str) -> None:
    model = MODELS[name]
    if name in BY_READERS:
        listed = keys(TABLES[BY_READERS[name]])
        assert [key for key in keys_of(model) if key not in listed and (name, key) not in ELSEWHERE] == []
    else:
        assert sorted(keys(TABLES[name])) == sorted(keys_of(model))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_no_key_is_listed_that_is_not_read(table: str) -> None:
    read = READERS[table] if table in READERS else keys_of(MODELS[table])
    assert sorted(keys(TABLES[table])) == sorted(read)


@pytest.mark.parametrize("name", sorted(TABLES.keys() & MODELS.keys()))
def test_defaults(name: str) -> None:
    cells = {row[0]: row[2] for row in TABLES[name].rows}
    for field, about in MODELS[name].model_fields.items():
        key = str(about.validation_alias or field)
        assert (cells[key] == "required") == about.is_required(), key
        if isinstance(about.default, (int, str)) and about.default is not PydanticUndefined and about.default:
            assert cells[key] == str(about.default), key


def test_every_field_has_a_description() -> None:
    for model in MODELS.values():
        assert all(field.description for field in model.model_fields.values())


def test_roles_of_levels_are_what_they_are_said_to_be() -> None:
    text = (ROOT / "docs" / "reference" / "sparsity.md").read_text(encoding="utf-8")
    for role in LevelRole:
        assert f"| `{role}` | {role.rule} |" in text
