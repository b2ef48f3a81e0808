"""What one step of a network is made of: its layers and functions in a row, by attribute.

In: the recorded calls of a step. Out: `Part`s. Layers that follow one another are one chain; a
layer that takes something else than the layer before it starts another chain beside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from inrcodec._model_card._labels import class_label, has_children, layer_label
from inrcodec._model_card._trace import Call, Op

__all__ = ["Part", "chains_of", "parts_of"]

_INLINE_LAYERS = 6  # so many are one line, whatever attributes hold them
_INDEX = re.compile(r"\.\d+$")


@dataclass(frozen=True)
class Part:
    """Chains of layers, under the attribute that holds them."""

    name: str
    chains: tuple[tuple[str, ...], ...]
    parameters: int = 0
    macs: int = 0
    count: int = 1  # alike, one after the other

    @property
    def title(self) -> str:
        """The name, and how many there are of it."""
        return f"{self.name} x{self.count}" if self.count > 1 else self.name

    def __str__(self) -> str:
        text = " | ".join(" -> ".join(chain) for chain in self.chains)
        return f"{self.title}: {text}" if self.name else text


@dataclass(frozen=True)
class _Layer:
    label: str
    mark: str
    inputs: tuple[str, ...]


def parts_of(calls: Sequence[Call]) -> list[Part]:
    """Return the parts of a step: of one module, or of nameless modules in a row."""
    layers = [layer for call in calls for layer in _layers(call)]
    if len(calls) == 1 and (len(layers) <= _INLINE_LAYERS or calls[0].is_whole):
        return [Part("", _chained(layers), macs=calls[0].macs)] if layers else []
    items = calls[0].inner if len(calls) == 1 else calls
    prefix = calls[0].path if len(calls) == 1 else ""
    return _merged(_split(items, prefix))


def chains_of(ops: Iterable[Op]) -> tuple[tuple[str, ...], ...]:
    """Return the chains that functions form."""
    return _chained([_Layer(op.label, op.mark, op.inputs) for op in ops])


def _layers(item: Call | Op) -> list[_Layer]:
    """Return the layers and functions of a call in a row, down to the smallest."""
    if isinstance(item, Op):
        return [_Layer(item.label, item.mark, item.inputs)]
    if not item.is_whole:
        return [layer for inner in item.inner for layer in _layers(inner)]
    flat = item.shape is not None and len(item.shape) == 1 and item.shape != item.in_shape
    label = layer_label(item.module, item.shape[0] if flat and item.shape else None)
    return [_Layer(label, item.mark, item.inputs)] if label else []


def _chained(layers: Sequence[_Layer]) -> tuple[tuple[str, ...], ...]:
    chains: list[tuple[str, ...]] = []
    before = ""
    for layer in layers:
        if chains and before in layer.inputs:
            chains[-1] += (layer.label,)
        else:
            chains.append((layer.label,))
        before = layer.mark
    return tuple(chains)


def _split(items: Iterable[Op | Call], prefix: str) -> list[Part]:
    """One part for each named child; nameless layers and functions go on with the part before."""
    parts: list[Part] = []
    held: list[list[_Layer]] = []
    for item in _unrolled(items):
        layers = _layers(item)
        if not layers:
            continue
        name = _name(item, prefix)
        parameters = macs = 0
        if isinstance(item, Call):
            parameters, macs = sum(p.numel() for p in item.module.parameters()), item.macs
        if parts and (not name or _is_afterthought(item, parameters)):
            held[-1] += layers
            parts[-1] = replace(
                parts[-1],
                parameters=parts[-1].parameters + parameters,
                macs=parts[-1].macs + macs,
            )
        else:
            parts.append(Part(name, (), parameters, macs))
            held.append(layers)
    return [replace(p, chains=_chained(layers)) for p, layers in zip(parts, held, strict=True)]


def _unrolled(items: Iterable[Op | Call]) -> Iterator[Op | Call]:
    """Yield what long rows of blocks consist of in their place."""
    for item in items:
        if isinstance(item, Call) and type(item.module) is nn.Sequential:
            yield from item.inner if len(_layers(item)) > _INLINE_LAYERS else [item]
        else:
            yield item


def _name(item: Call | Op, prefix: str) -> str:
    """Return the attribute's name, or for a place in a Sequential that of the block's class."""
    if isinstance(item, Op):
        return ""
    name = item.path[len(prefix) :].lstrip(".")
    if not name.isdecimal():
        return name
    return class_label(item.module) if has_children(item.module) else ""


def _is_afterthought(item: Call | Op, parameters: int) -> bool:
    """Whether this is an activation or the like, and not where something new begins."""
    starts = isinstance(item, Call) and item.in_shape == ()  # it takes the frame's index
    return not parameters and not starts and len(_layers(item)) == 1


def _merged(parts: list[Part]) -> list[Part]:
    """Put equal neighbours of a list (`blocks.0`, `blocks.1`) together."""
    merged: list[Part] = []
    for part in parts:
        base = _INDEX.sub("", part.name)
        last = merged[-1] if merged else None
        if last and part.chains == last.chains and base and base == _INDEX.sub("", last.name):
            merged[-1] = Part(
                base,
                part.chains,
                last.parameters + part.parameters,
                last.macs + part.macs,
                last.count + 1,
            )
        else:
            merged.append(part)
    return merged
