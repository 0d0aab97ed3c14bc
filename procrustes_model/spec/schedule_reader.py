"""From a schedule as written, with epochs, repetition and ramps, to its parts one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import Field

from procrustes_model.spec.layer_rule import Groups, LayerRule
from procrustes_model.spec.network_density import Part, WeightDensity
from procrustes_model.spec.network_items import Times
from procrustes_model.spec.own_design import read_design, read_file
from procrustes_model.spec.schedule import MAX_PARTS, Schedule, SchedulePart
from procrustes_model.spec.schema import LARGEST_BOUND, Count, Frozen, Positive, build, keys_of
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.widths import NO_BITS, read_bits

_LENGTHS = ("iterations", "epochs")
_PART_KEYS = [*dict.fromkeys((*_LENGTHS, "steps_per_epoch", "repeat", *keys_of(SchedulePart)))]
_NO_LENGTH = "training steps; or 'epochs', with 'steps_per_epoch' here or of the schedule"


class PartGroup(Frozen):
    """Parts that stand together and may repeat."""

    other_keys: ClassVar[tuple[str, ...]] = ("parts",)

    repeat: Times = Field(default=1, description="how often the parts follow each other")
    steps_per_epoch: Count | None = Field(default=None, description="in place of the schedule's")


Stretches = Annotated[int, Field(strict=True, ge=2, le=1000)]


class Ramp(Frozen):
    """Densities that change over a part: of its `steps` stretches the first has `from`, the last `to`."""

    start: Part = Field(validation_alias="from", description="density of the first stretch")
    to: Part = Field(description="density of the last stretch")
    steps: Stretches = Field(description="stretches of equal length, each of one density")
    power: Positive = Field(
        default=3.0,
        description="how the density goes from one to the other: to + (from - to)(1 - t)^power, t from 0 "
        "to 1; 3: cubic (Zhu and Gupta, 2017); 1: evenly",
    )

    def densities(self) -> list[float]:
        """Return the density of every stretch."""
        times = (number / (self.steps - 1) for number in range(self.steps))
        return [self.to + (self.start - self.to) * (1 - time) ** self.power for time in times]


def read_schedule(document: Document) -> Schedule:
    """Return the run that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `schedule`.

    Raises
    ------
    SpecError
        With every issue found.
    """
    content = document.section("schedule")
    data = {key: value for key, value in content.items() if key in Schedule.model_fields}
    for key in content:
        if key not in data:
            unknown_key(document, ("schedule", key), keys_of(Schedule))
    if "sparsity" in data:
        data["sparsity"] = read_design(data["sparsity"], ("schedule", "sparsity"), document)
    blank = (SchedulePart(iterations=1),)
    if "parts" not in data:
        missing_key(document, ("schedule", "parts"), content, keys_of(Schedule), "a list of parts")
    head = build(Schedule, {**data, "parts": blank}, document, ("schedule",))
    steps = _Steps(None if head is None else head.steps_per_epoch)
    written = data.get("parts")
    if isinstance(written, list) and written:
        data["parts"] = _parts(written, ("schedule", "parts"), steps, document)
    document.raise_issues()
    if steps.stated is not None and not steps.used:
        path = ("schedule", "steps_per_epoch")
        document.complain(path, "'steps_per_epoch' has no effect: no part is counted in epochs", key=True)
    schedule = build(Schedule, data, document, ("schedule",))
    document.raise_issues()
    assert schedule is not None
    return schedule


class _Steps:
    """Training steps of an epoch, and whether a part was counted in them."""

    def __init__(self, stated: int | None) -> None:
        self.stated = stated
        self.used = False

    def take(self) -> int | None:
        self.used = True
        return self.stated


def _parts(written: list[Any], path: Path, steps: _Steps, document: Document) -> list[SchedulePart]:
    """Return the parts of a list, every repetition and ramp written out."""
    parts: list[SchedulePart] = []
    for number, one in enumerate(written):
        place = (*path, number)
        if not isinstance(one, dict):
            document.complain(place, f"item {number + 1} of 'parts' must be {PAIRS}, is {shorten(one)}")
        elif "parts" in one:
            parts += _group(one, place, steps, document)
        else:
            parts += _part(one, place, steps, document)
        if len(parts) > MAX_PARTS:
            document.complain(place, f"the schedule has more than {MAX_PARTS} parts", "repeat less", key=True)
            return []
    return parts


def _group(one: dict[str, Any], place: Path, steps: _Steps, document: Document) -> list[SchedulePart]:
    own = {key: value for key, value in one.items() if key != "parts"}
    group = build(PartGroup, own, document, place)
    written = one["parts"]
    if not isinstance(written, list) or not written:
        document.complain((*place, "parts"), f"'parts' must be a list of parts, is {shorten(written)}")
        return []
    if group is None:
        return []
    inner = steps if group.steps_per_epoch is None else _Steps(group.steps_per_epoch)
    parts = _parts(written, (*place, "parts"), inner, document)
    if inner is not steps and not inner.used:
        message = "'steps_per_epoch' has no effect: no part is counted in epochs"
        document.complain((*place, "steps_per_epoch"), message, key=True)
    if len(parts) * group.repeat > MAX_PARTS:
        document.complain(place, f"the schedule has more than {MAX_PARTS} parts", "repeat less", key=True)
        return []
    return parts * group.repeat


def _part(one: dict[str, Any], place: Path, steps: _Steps, document: Document) -> list[SchedulePart]:
    """Return a part, or the stretches of its ramp; none where there is an issue."""
    known = len(document.issues)
    for key in one:
        if key not in _PART_KEYS:
            unknown_key(document, (*place, key), _PART_KEYS)
    data = {key: value for key, value in one.items() if key in SchedulePart.model_fields}
    iterations = _iterations(one, place, steps, document)
    data["iterations"] = 1 if iterations is None else iterations
    ramp = _read_values(data, place, document)
    group = build(PartGroup, {"repeat": one.get("repeat", 1)}, document, place)
    part = build(SchedulePart, data, document, place)
    if part is None or group is None or len(document.issues) > known:
        return []
    once = [part] if ramp is None else list(_stretches(part, ramp, place, document))
    return once * group.repeat


def _iterations(one: dict[str, Any], place: Path, steps: _Steps, document: Document) -> int | None:
    """Return the training steps of a part; None where there is an issue."""
    stated = [key for key in _LENGTHS if key in one]
    if not stated:
        missing_key(document, (*place, "iterations"), one, _PART_KEYS, _NO_LENGTH)
        return None
    if len(stated) > 1:
        message = "the length of the part is given twice: by 'iterations' and by 'epochs'"
        document.complain((*place, "epochs"), message, "keep one", key=True)
        return None
    if stated == ["iterations"]:
        if "steps_per_epoch" in one:
            message = "'steps_per_epoch' has no effect: the part is counted in iterations"
            document.complain((*place, "steps_per_epoch"), message, key=True)
        found = build(SchedulePart, {"iterations": one["iterations"]}, document, place)
        return None if found is None else found.iterations
    return _of_epochs(one, place, steps, document)


class _Epochs(Frozen):
    epochs: Positive = Field(description="passes over the training data")
    steps_per_epoch: Count | None = Field(default=None, description="in place of the schedule's")


def _of_epochs(one: dict[str, Any], place: Path, steps: _Steps, document: Document) -> int | None:
    own = {key: float(value) if _is_count(value) and key == "epochs" else value for key, value in one.items()}
    read = build(_Epochs, {key: own[key] for key in _Epochs.model_fields if key in own}, document, place)
    if read is None:
        return None
    length = steps.take() if read.steps_per_epoch is None else read.steps_per_epoch
    if length is None:
        message = "nothing says how many training steps an epoch has"
        document.complain((*place, "epochs"), message, "give 'steps_per_epoch', here or of the schedule")
        return None
    found = read.epochs * length
    if not math.isclose(found, round(found), rel_tol=1e-12) or not 1 <= round(found) <= LARGEST_BOUND:
        wanted = f"a whole number of training steps, from 1 to {LARGEST_BOUND}"
        message = f"{read.epochs:g} epochs of {length:,} steps must be {wanted}, are {found:.10g}"
        document.complain((*place, "epochs"), message)
        return None
    return round(found)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_values(data: dict[str, Any], place: Path, document: Document) -> Ramp | None:
    """Turn what stands in a part into what its model takes; return the ramp of its weights."""
    if "bits" in data:
        data["bits"] = read_bits(data["bits"], (*place, "bits"), document)
    if "sparsity" in data:
        data["sparsity"] = read_design(data["sparsity"], (*place, "sparsity"), document)
    if isinstance(data.get("masks"), str):
        data["masks"] = read_file(data["masks"], document)
    if isinstance(data.get("layers"), list):
        data["layers"] = _rules(data["layers"], (*place, "layers"), document)
    elif "layers" in data:
        document.complain(
            (*place, "layers"), f"'layers' must be a list of rules, is {shorten(data['layers'])}"
        )
        del data["layers"]
    return _read_weights(data, (*place, "weights"), document) if "weights" in data else None


def _read_weights(data: dict[str, Any], path: Path, document: Document) -> Ramp | None:
    """Turn the weights of a part into densities or groups; return their ramp."""
    written = data.pop("weights")
    ramp = None
    if isinstance(written, dict) and "model" in written:
        found: Frozen | None = build(Groups, written, document, path)
    else:
        if isinstance(written, dict) and isinstance(written.get("overall"), dict):
            ramp = build(Ramp, written["overall"], document, (*path, "overall"))
            written = {**written, "overall": 1.0}
        found = build(WeightDensity, written, document, path)
    if found is not None:
        data["weights"] = found
    return ramp


def _rules(written: list[Any], path: Path, document: Document) -> list[LayerRule]:
    rules = []
    for number, one in enumerate(written):
        place = (*path, number)
        if not isinstance(one, dict):
            document.complain(place, f"item {number + 1} of 'layers' must be {PAIRS}, is {shorten(one)}")
            continue
        data = dict(one)
        if "sparsity" in data:
            data["sparsity"] = read_design(data["sparsity"], (*place, "sparsity"), document)
        if "bits" in data:
            data["bits"] = read_bits(data["bits"], (*place, "bits"), document) or NO_BITS
        if isinstance(data.get("weights"), dict):
            data["weights"] = build(Groups, data["weights"], document, (*place, "weights"))
        known = len(document.issues)
        rule = build(LayerRule, data, document, place)
        if rule is not None and len(document.issues) == known:
            rules.append(rule)
    return rules


def _stretches(part: SchedulePart, ramp: Ramp, place: Path, document: Document) -> Iterator[SchedulePart]:
    """Yield the parts of a ramp, of lengths that differ by at most one step."""
    if part.iterations < ramp.steps:
        message = f"a ramp of {ramp.steps} steps needs as many iterations, the part has {part.iterations}"
        document.complain((*place, "weights", "overall", "steps"), message)
        return
    assert isinstance(part.weights, WeightDensity)
    ends = [part.iterations * number // ramp.steps for number in range(ramp.steps + 1)]
    for density, (begin, end) in zip(ramp.densities(), pairwise(ends), strict=True):
        weights = part.weights.model_copy(update={"overall": density})
        yield part.model_copy(update={"iterations": end - begin, "weights": weights})
