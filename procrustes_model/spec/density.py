"""A density: which elements of a tensor are zero."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from procrustes_model.densities import DENSITIES, DensityRule
from procrustes_model.spec.schema import (
    LARGEST_BOUND,
    Count,
    Frozen,
    Identifier,
    NonNegative,
    Text,
    check_once,
    one_of,
)
from procrustes_model.spec.text.words import is_identifier


def _share(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError("must be from 0 to 1")
    return number + 0.0  # no negative zero


def _blocks(value: Any) -> Any:
    """Return pairs of n and m, from the innermost but one inwards."""
    parts = value if isinstance(value, list | tuple) and value else [value]
    found = []
    for part in parts:
        text = ":".join(map(str, part)) if isinstance(part, list | tuple) else part
        match = re.fullmatch(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})", text) if isinstance(text, str) else None
        if match is None:
            raise ValueError("must be n:m in quotes, such as '4:8', or a list of these")
        if int(match[1]) > int(match[2]):
            raise ValueError("has more nonzeros than its group has elements")
        found.append((int(match[1]), int(match[2])))
    return tuple(found)


def _dimensions(value: Any) -> Any:
    """Return a dimension, or several in a tuple."""
    names = value if isinstance(value, list | tuple) and value else [value]
    if not all(isinstance(name, str) and is_identifier(name) for name in names):
        raise ValueError("must be a dimension, or a list of them such as [R, S, C]")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"has '{twice}' twice")
    return names[0] if len(names) == 1 else tuple(names)


Blocks = Annotated[tuple[tuple[int, int], ...], BeforeValidator(_blocks)]
Band = Annotated[int, Field(strict=True, ge=0, le=LARGEST_BOUND)]
Diagonal = Annotated[tuple[Identifier, Identifier], AfterValidator(check_once)]
Dimensions = Annotated[str | tuple[str, ...], BeforeValidator(_dimensions)]
Share = Annotated[float, Field(strict=True), AfterValidator(_share)]
DensityName = Annotated[str, Field(strict=True), AfterValidator(one_of(DENSITIES))]


def _takers(key: str) -> str:
    """Return the density models that take a key."""
    return " and ".join(one.name for one in DENSITIES.values() if key in (*one.keys, *one.optional))


class Density(Frozen):
    """Which elements of a tensor are zero."""

    model: DensityName = Field(description="; ".join(f"{one.name}: {one.rule}" for one in DENSITIES.values()))
    density: Share | None = Field(default=None, description=f"nonzeros / elements; {_takers('density')}")
    nonzeros: Count | None = Field(default=None, description=f"n of n:m; {_takers('nonzeros')}")
    group: Count | None = Field(default=None, description=f"m of n:m; {_takers('group')}")
    of: Blocks | None = Field(
        default=None,
        description="'n:m', or a list of them: groups are of blocks, n of m of which are kept, each of which "
        f"keeps n of m elements, or blocks again; {_takers('of')}",
    )
    along: Dimensions | None = Field(
        default=None,
        description="dimension that groups run along, or several, flattened to one, the last one fastest; "
        f"{_takers('along')}",
    )
    short_groups: Literal["pruned", "dense"] | None = Field(
        default=None,
        description="where m does not divide the dimension. pruned, the default: the last group, of r "
        f"elements, keeps min(n, r) of them; dense: nothing is zero; {_takers('short_groups')}",
    )
    terms: Blocks | None = Field(
        default=None,
        description="'n:m' of every term, in order, every m a multiple of the one before; "
        f"{_takers('terms')}",
    )
    exponent: NonNegative | None = Field(
        default=None,
        description=f"how fast nonzeros become fewer, row by row; 0: not at all; {_takers('exponent')}",
    )
    rows: Identifier | None = Field(
        default=None, description=f"dimension that tells rows apart, the fullest first; {_takers('rows')}"
    )
    band: Band | None = Field(
        default=None,
        description=f"how far from the diagonal elements are not zero, 0: on it only; {_takers('band')}",
    )
    diagonal: Diagonal | None = Field(
        default=None,
        description=f"two dimensions whose ranks have the same index on the diagonal; {_takers('diagonal')}",
    )
    mask: Text | None = Field(
        default=None, description=f"a .npy or .npz file, nonzero = kept; {_takers('mask')}"
    )

    @model_validator(mode="after")
    def _check(self) -> Density:
        needed, optional = self.rule.keys, self.rule.optional
        for key in type(self).model_fields:
            if key in ("model", *optional):
                continue
            if (getattr(self, key) is not None) != (key in needed):
                rule = "needs" if key in needed else "takes no"
                raise ValueError(f"of model '{self.model}' {rule} '{key}'")
        if self.nonzeros is not None and self.group is not None and self.nonzeros > self.group:
            raise ValueError("has more nonzeros than its group has elements")
        self._check_terms()
        return self

    def _check_terms(self) -> None:
        """Raise a ValueError where a term is not of what the ones before it leave."""
        size = kept = 1
        for number, (n, m) in enumerate(self.terms or ()):
            if m % size:
                raise ValueError(f"of model 'series' has groups of {m} after {size}, no multiple of that")
            kept = (kept * (m // size) if number else 0) + n
            if kept > m:
                raise ValueError(f"of model 'series' keeps {kept} of {m} elements: more than there are")
            size = m

    @property
    def is_mask(self) -> bool:
        """Whether it says of every element whether it is zero."""
        return self.mask is not None or self.rule.place is not None

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """N and m of every level of groups, outermost first; empty where there are none.

        Of a series m counts blocks: the groups of the term before.
        """
        if self.terms is not None:
            sizes = (1, *(m for _, m in self.terms))
            ratios = [(n, m // before) for (n, m), before in zip(self.terms, sizes, strict=False)]
            return tuple(ratios[::-1])
        if self.nonzeros is None or self.group is None:
            return ()
        return ((self.nonzeros, self.group), *(self.of or ()))

    @property
    def is_nested(self) -> bool:
        """Whether groups are of blocks, run through several ranks, or are summed."""
        return self.terms is not None or self.of is not None or isinstance(self.along, tuple)

    @property
    def average(self) -> float | None:
        """Nonzeros / elements as far as it is known without the mask."""
        return self.rule.average(self.model_dump())

    @property
    def rule(self) -> DensityRule:
        """What the model says."""
        return DENSITIES[self.model]
