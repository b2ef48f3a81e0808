"""The steps from a frame's index or embedding to its pixels: the children of a decoder by name.

In: a configuration of any registered network. Out: a `Drawing`: the steps in the order in which
they run, each with its output's shape, what it is made of, its parameters, its
multiply-accumulates and the steps whose outputs it takes. All parameters and all
multiply-accumulates of the decoder are in exactly one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from torch import nn

from inrcodec._model_card._labels import class_label, has_children, is_container, is_layer
from inrcodec._model_card._parts import Part, chains_of, parts_of
from inrcodec._model_card._trace import Call, Op, trace
from inrcodec.models import NetworkConfig, build_on_meta

__all__ = ["Drawing", "Step", "draw_steps"]

_DECODER = "decoder"  # the step of what belongs to no child


@dataclass
class Step:
    """One box of the drawing."""

    name: str
    kind: str = ""  # class, where it says something
    shape: tuple[int, ...] | None = None  # (C, h, w) or (C,); None where nothing is put out
    parts: list[Part] = field(default_factory=list)
    parameters: int = 0
    macs: int = 0
    sources: tuple[str, ...] = ()
    calls: int = 0


@dataclass(frozen=True)
class Drawing:
    """All steps, and what follows them."""

    steps: list[Step]
    macs: int
    squashing: tuple[str, ...]

    def step(self, name: str) -> Step | None:
        """Return the step of that name; frame index and embedding are none."""
        return next((step for step in self.steps if step.name == name), None)


def draw_steps(config: NetworkConfig) -> Drawing:
    """Follow one frame through the network; allocates nothing."""
    decoder = (network := build_on_meta(config)).decoder
    modules = dict(_step_modules(decoder))
    names = {id(module): name for name, held in modules.items() for module in held}
    # Parameters may be used without a call of the module that holds them: a ParameterList.
    names |= {id(p): names[id(m)] for m in decoder.modules() if id(m) in names for p in _own(m)}
    names |= {id(parameter): _DECODER for parameter in _own(decoder)}
    root, squashing = trace(network, names)

    steps = {name: Step(name) for name in (_DECODER, *modules)}
    seen: set[int] = set()
    for name, held in {_DECODER: [decoder], **modules}.items():
        for module in held:
            steps[name].parts += _parameter_parts(module)
            parameters = _own(module) if module is decoder else module.parameters()
            steps[name].parameters += _count(parameters, seen)
    _spend(steps, root, _DECODER, names)
    order = _order(steps, root, names)
    never_called = [name for name in modules if name not in order]  # they hold parameters
    kept = [s for s in map(steps.__getitem__, [*never_called, *order]) if s.calls or s.parameters]
    return Drawing(kept, root.macs, tuple(squashing))


def _step_modules(decoder: nn.Module, prefix: str = "") -> Iterator[tuple[str, list[nn.Module]]]:
    """Yield names and modules of the steps: children by name, those of lists one by one.

    Nameless layers of a Sequential are taken together: each with what has no parameters after it.
    """
    if isinstance(decoder, nn.Sequential):
        yield from _groups(decoder)
        return
    for name, child in decoder.named_children():
        if is_container(child):
            yield from _step_modules(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", [child]


def _groups(layers: nn.Sequential) -> Iterator[tuple[str, list[nn.Module]]]:
    group: list[tuple[str, nn.Module]] = []
    for name, child in layers.named_children():
        held = sum(bool(_own(module)) or has_children(module) for _, module in group)
        if group and (has_children(child) or (held and _own(child))):
            yield _group_name(group), [module for _, module in group]
            group = []
        group.append((name, child))
    if group:
        yield _group_name(group), [module for _, module in group]


def _group_name(group: list[tuple[str, nn.Module]]) -> str:
    first, last = group[0][0], group[-1][0]
    return first if first == last else f"{first}-{last}"


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


def _count(parameters: Iterable[nn.Parameter], seen: set[int]) -> int:
    """Count the values of parameters that were not seen yet."""
    new = {id(p): p.numel() for p in parameters if id(p) not in seen}
    seen.update(new)
    return sum(new.values())


def _parameter_parts(module: nn.Module) -> list[Part]:
    """Return the learned tensors that a module of no known kind holds itself, or in a list."""
    lists = (nn.ParameterList, nn.ParameterDict)
    if is_layer(module) and not isinstance(module, lists):
        return []
    held = list(module.named_parameters(recurse=False))
    for name, child in module.named_children():
        if isinstance(child, lists):
            held += child.named_parameters(prefix=name)
    return [
        Part(name, ((f"learned {' x '.join(map(str, p.shape))}",),), p.numel()) for name, p in held
    ]


def _order(steps: dict[str, Step], root: Call, names: dict[int, str]) -> list[str]:
    """Complete the steps by what ran; return their names in the order in which they did."""
    own = steps[_DECODER]
    computes_first = bool(own.parameters or own.macs)
    waiting: list[Op] = []  # called by the decoder itself, since the last step
    calls: dict[str, list[Call]] = {}  # the first of each module
    for event in _events(root, names):
        if isinstance(event, Op):
            waiting.append(event)
            continue
        name = names[id(event.module)]
        if waiting and name not in calls:
            if not calls and computes_first:
                _close(own, waiting, event.sources, event.in_shape)
                others = [s for s in steps[name].sources if s not in (_DECODER, *event.sources)]
                steps[name].sources = (_DECODER, *others)
            else:
                steps[name].parts.append(Part("input", chains_of(waiting)))
        waiting = []
        known = calls.setdefault(name, [])
        if all(call.module is not event.module for call in known):
            known.append(event)
    for name, first in calls.items():
        _complete(steps[name], first)
    if calls and not waiting:
        return [_DECODER, *calls]
    if calls and not own.macs and steps[[*calls][-1]].shape == root.shape:
        steps[[*calls][-1]].parts.append(Part("output", chains_of(waiting)))
        return [_DECODER, *calls]
    _close(own, waiting, root.sources, root.shape)
    return [*calls, _DECODER]


def _spend(steps: dict[str, Step], call: Call, owner: str, names: dict[int, str]) -> None:
    """Give each step its multiply-accumulates, number of calls and sources."""
    name = names.get(id(call.module), owner)
    step = steps[name]
    step.macs += call.own_macs
    if name != owner or id(call.module) in names:
        step.calls += 1
        new = [source for source in call.sources if source not in (*step.sources, name)]
        step.sources = (*step.sources, *new)
    for inner in call.calls():
        _spend(steps, inner, name, names)


def _events(call: Call, names: dict[int, str]) -> Iterator[Op | Call]:
    """Yield runs of steps, and the functions called outside of them."""
    for item in call.inner:
        if isinstance(item, Op):
            yield item
        elif id(item.module) in names:
            yield item
            yield from (c for c in _nested(item) if id(c.module) in names)
        else:
            yield from _events(item, names)


def _nested(call: Call) -> Iterator[Call]:
    for inner in call.calls():
        yield inner
        yield from _nested(inner)


def _close(
    step: Step, ops: list[Op], sources: tuple[str, ...], shape: tuple[int, ...] | None
) -> None:
    """Complete the step of what the decoder computes itself."""
    step.calls = 1
    step.sources = tuple(name for name in sources if name != step.name)
    step.shape = shape
    if ops:
        step.parts.append(Part("", chains_of(ops), macs=step.macs))


def _complete(step: Step, calls: list[Call]) -> None:
    """Add what a step is made of, from the first run of each of its modules."""
    step.shape = calls[-1].shape
    step.calls = max(1, step.calls // len(calls))
    module = calls[0].module
    if len(calls) == 1 and type(module) is not nn.Sequential and not is_layer(module):
        step.kind = class_label(module)
    parts = parts_of(calls)
    if step.parts and len(parts) == 1 and not parts[0].name:
        parts = [_joined(step.parts.pop(), parts[0])]
    step.parts += parts


def _joined(before: Part, part: Part) -> Part:
    """Let what the decoder does with a step's input run on into the step."""
    first = before.chains[-1] + part.chains[0]
    return replace(part, chains=(*before.chains[:-1], first, *part.chains[1:]))
