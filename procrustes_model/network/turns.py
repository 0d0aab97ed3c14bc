"""The parts of a training run as turns: what holds for every layer of a network in each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.densities import LayerState, check_used, find_states, unused_tensors
from procrustes_model.network.places import located
from procrustes_model.spec.layer_rule import Groups, matches
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.vocabulary import Phase, Role

if TYPE_CHECKING:
    from procrustes_model.network.work import Work
    from procrustes_model.spec.layer_rule import LayerRule
    from procrustes_model.spec.network import Layer, Network
    from procrustes_model.spec.schedule import Schedule, SchedulePart
    from procrustes_model.spec.sparsity import Sparsity

_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Turn:
    """Iterations in a row in which every layer stays what it is.

    Attributes
    ----------
    part : SchedulePart
    states : dict of str to LayerState
        By layer.
    dense : str
        The layers whose turn it is to be dense; empty: no partitions take turns.
    at_once : int or None
        A number that turns share which run at the same time, each on a machine of its own.
    """

    part: SchedulePart
    states: dict[str, LayerState]
    dense: str = ""
    at_once: int | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same of turns in which everything is the same."""
        return (*(state.key for state in self.states.values()), self.part.bits)


def find_turns(work: Work, run: Schedule, file: str | None, *, recorded: bool) -> list[Turn]:
    """Return the turns of a run, first to last.

    Parameters
    ----------
    work : Work
    run : Schedule
    file : str or None
        Where it stands, for messages.
    recorded : bool
        Whether it was recorded: then a design needs a use for only one of the tensors.

    Raises
    ------
    SpecError
        Where a part speaks of layers that are not there, or designs have no use for what it says.
    """
    turns: list[Turn] = []
    known: dict[int, list[Turn]] = {}
    for number, part in enumerate(run.parts, 1):
        if id(part) not in known:  # parts that repeat are one object
            try:
                _check_names(part, work.network, file)
                known[id(part)] = list(_turns(work, part, number, run.sparsity, file, recorded=recorded))
            except SpecError as error:
                issues = [
                    Issue(f"part {number}: {one.message}", one.hint, file, one.line, one.column)
                    for one in error.issues
                ]
                raise SpecError(issues) from None
        at_once = number if part.parallel else None
        turns += [replace(turn, at_once=at_once) for turn in known[id(part)]]
    if recorded:
        states = {f"{i} {name}": one for i, turn in enumerate(turns) for name, one in turn.states.items()}
        design = work.designs[0].sparsity
        check_used(states, dict.fromkeys(states, design), recorded=True)
    return turns


def _turns(
    work: Work, part: SchedulePart, number: int, shared: Sparsity | None, file: str | None, *, recorded: bool
) -> Iterator[Turn]:
    network = work.network
    states = _states(work, part, number, shared)
    designs = {layer.name: work.design_of(layer, states[layer.name]).sparsity for layer in network.layers}
    if not any(designs.values()) and part.sparsity is None and shared is None and not part.layers:
        _check_dense(part)
    elif not recorded:
        check_used(states, designs)
    if part.partitions is None:
        yield Turn(part, states)
        return
    trained = [states[layer.name] for layer in network.layers if layer.weights]
    if all(one.weights == 1 and one.groups is None and one.mask is None for one in trained):
        message = "'partitions' take turns being dense, and no weights are zero"
        issue = Issue(message, "state 'weights', or a design with zeros in weights")
        raise SpecError(located(issue, file, "partitions"))
    for names in _partitions(part.partitions, network):
        dense = {name: replace(states[name], weights=1.0, groups=None, mask=None) for name in names}
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield Turn(part, states | dense, ", ".join(names[:_MOST_NAMED]) + more)


def _check_dense(part: SchedulePart) -> None:
    """Raise where a part states zeros, and no sparse design says what they save."""
    stated = [name for name in ("weights", "activations", "gradients", "masks") if _says(part, name)]
    if stated:
        message = f"'{stated[0]}' has zeros, and no sparse design says what they save"
        raise SpecError(Issue(message, "such as --sparsity procrustes"))


def _says(part: SchedulePart, name: str) -> bool:
    return bool(getattr(part, name) != type(part).model_fields[name].get_default())


def _states(work: Work, part: SchedulePart, number: int, shared: Sparsity | None) -> dict[str, LayerState]:
    """Return what one part says of every layer."""
    network = work.network
    if part.masks is not None:
        states = find_states(network, masks=part.masks, step=part.step)
    else:
        states = find_states(network, profile=part.profile(f"part {number}"))
    gradients = part.gradients
    found = {}
    for layer in network.layers:
        stated = gradients.layers.get(layer.name, gradients.default)
        state = replace(states[layer.name], weights_assumed=False)
        state = state if stated is None and part.masks is not None else replace(state, gradients=stated)
        if layer.weights and isinstance(part.weights, Groups):
            state = replace(state, weights=None, groups=part.weights)
        design = None if layer.sparsity is not None else part.sparsity or shared
        if (
            layer.weights
            and part.masks is None
            and part.says_nothing_of_weights
            and (design or layer.sparsity)
        ):
            state = replace(state, weights=None)  # what its own design says
        found[layer.name] = replace(state, design=design, phases=part.phases)
    _apply_rules(work, part, found)
    if part.stop_gradient_at is not None:
        _stop(network, part.stop_gradient_at, found)
    return found


def _check_names(part: SchedulePart, network: Network, file: str | None) -> None:
    """Raise where a part names layers that the network has not, with the place of the first."""
    names = [layer.name for layer in network.layers]
    asked = [*part.gradients.layers, *part.activations.layers]
    asked += [] if isinstance(part.weights, Groups) else list(part.weights.layers)
    asked += [] if part.stop_gradient_at is None else [part.stop_gradient_at]
    partitions = part.partitions if isinstance(part.partitions, tuple) else ()
    patterns = [one for rule in part.layers for one in rule.names or ()]
    patterns += [one for partition in partitions for one in partition]
    missing = [name for name in asked if name not in names]
    missing += [one for one in patterns if not any(matches((one,), name) for name in names)]
    if missing:
        first = ", ".join(f"'{name[:100]}'" for name in missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        what = "layer" if len(missing) == 1 else "layers"
        message = f"{network.name} has no {what} {first}{more}"
        issue = Issue(message, did_you_mean(missing[0], sorted(names)))
        raise SpecError(located(issue, file, missing[0]))


def _apply_rules(work: Work, part: SchedulePart, states: dict[str, LayerState]) -> None:
    """Apply the rules of a part to the states of the layers that they choose, in order."""
    layers = work.network.layers
    silent = part.masks is None and part.says_nothing_of_weights
    said: set[str] = set()
    for number, rule in enumerate(part.layers, 1):
        chosen = [layer for i, layer in enumerate(layers) if rule.chooses(layer, i, len(layers))]
        for layer in chosen:
            unsaid = silent and layer.name not in said
            states[layer.name] = _ruled(rule, layer, states[layer.name], unsaid)
        weights = rule.weights
        if weights is not None:
            said |= {layer.name for layer in chosen}
        if chosen and (isinstance(weights, Groups) or (weights is not None and weights < 1)):
            designs = [work.design_of(layer, states[layer.name]) for layer in chosen]
            if unused_tensors([Role.WEIGHTS.tensor], *(design.sparsity for design in designs)):
                names = ", ".join(dict.fromkeys(design.name for design in designs))
                message = f"rule {number} of 'layers' has zeros in weights, and {names} has none there"
                raise SpecError(Issue(message, "give the rule a 'sparsity' that has"))


def _ruled(rule: LayerRule, layer: Layer, state: LayerState, silent: bool) -> LayerState:
    """Return the state of a layer with what a rule says; `silent`: so far nothing was said of its weights."""
    if rule.sparsity is not None:
        state = replace(state, design=rule.sparsity)
        if silent and layer.weights:
            state = replace(state, weights=None)  # what the design says
    if layer.weights and isinstance(rule.weights, Groups):
        state = replace(state, weights=None, groups=rule.weights, mask=None)
    elif layer.weights and isinstance(rule.weights, float):
        state = replace(state, weights=rule.weights, groups=None, mask=None)
    if rule.activations is not None:
        state = replace(state, activations=rule.activations, assumed=False)
    if rule.gradients is not None:
        state = replace(state, gradients=rule.gradients)
    if rule.phases is not None:
        state = replace(state, phases=rule.phases)
    return replace(state, bits=state.bits.updated(rule.bits))


def _stop(network: Network, last: str, states: dict[str, LayerState]) -> None:
    """Leave out what no gradient reaches: backward of a layer, and of those before it all but forward."""
    below = True
    for layer in network.layers:
        state = states[layer.name]
        below = below and layer.name != last
        kept = {Phase.FORWARD} if below else set(Phase) - ({Phase.BACKWARD} if layer.name == last else set())
        phases = tuple(phase for phase in state.phases if phase in kept)
        states[layer.name] = replace(state, phases=phases)


def _partitions(written: int | Sequence[Sequence[str]], network: Network) -> list[list[str]]:
    """Return the names of the layers of each partition; a number means runs of nearly equal length."""
    names = [layer.name for layer in network.layers if layer.weights]
    if isinstance(written, int):
        if written > len(names):
            message = f"{written} partitions of {len(names)} layers with weights: some would be empty"
            raise SpecError(Issue(message, f"at most {len(names)}"))
        ends = [len(names) * number // written for number in range(written + 1)]
        return [names[begin:end] for begin, end in pairwise(ends)]
    found = [[name for name in names if matches(tuple(patterns), name)] for patterns in written]
    taken: dict[str, int] = {}
    for number, partition in enumerate(found, 1):
        if not partition:
            raise SpecError(Issue(f"partition {number} has no layer with weights"))
        for name in partition:
            if name in taken:
                message = f"layer '{name}' is in partition {taken[name]} and in partition {number}"
                raise SpecError(Issue(message, "each layer takes one turn"))
            taken[name] = number
    return found


def designs_of(work: Work, turns: Sequence[Turn]) -> dict[str, Sparsity | None]:
    """Return the designs that layers have in some turn, by name, in the order in which they come up."""
    found: dict[str, Sparsity | None] = {}
    for turn in {turn.key: turn for turn in turns}.values():
        for layer in work.network.layers:
            design = work.design_of(layer, turn.states[layer.name])
            found.setdefault(design.name, design.sparsity)
    return found


def describe_designs(states: Mapping[str, LayerState], work: Work) -> tuple[str, ...]:
    """Return the names of the designs of the layers of a turn, those of most layers first."""
    names = [work.design_of(layer, states[layer.name]).name for layer in work.network.layers]
    return tuple(sorted(dict.fromkeys(names), key=lambda name: -names.count(name)))
