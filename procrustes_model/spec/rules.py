"""Rules: where counting follows a published model rather than this one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from procrustes_model.spec.schema import Frozen


class Rules(Frozen):
    """Where counting follows a published model rather than this one."""

    output_fills: Literal["after_first", "all"] = Field(
        default="after_first",
        description="all: also the first fill of an output, which has nothing to fetch, counts",
    )
    overlap: Literal["relevant", "innermost"] = Field(
        default="relevant",
        description="innermost: where the innermost loop outside does not move a tile, all keep overlap",
    )
    rounding: Literal["exact", "whole_words"] = Field(
        default="exact",
        description="whole_words: expected counts are rounded, removed ones down (outputs' reads: up)",
    )
    access_energy: Literal["by_action", "largest"] = Field(
        default="by_action", description="largest: all accesses of a tensor together cost the dearest action"
    )


def load_rules(source: str | os.PathLike[str] | Mapping[str, Any] | Rules) -> Rules:
    """Return the rules that a file or a dict describes.

    Parameters
    ----------
    source : path, mapping or Rules
        A YAML file with the key ``rules``, its parsed content, or rules, which are returned as they are.

    Returns
    -------
    Rules

    Raises
    ------
    SpecError
        With every issue found.
    """
    if isinstance(source, Rules):
        return source
    from procrustes_model.spec.schema import build
    from procrustes_model.spec.text.document import document_from_data, read_document

    document = document_from_data(source) if isinstance(source, Mapping) else read_document(source)
    rules = build(Rules, document.section("rules"), document, ("rules",))
    document.raise_issues()
    assert rules is not None
    return rules
