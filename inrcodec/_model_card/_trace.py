"""What a network does for one frame, recorded on the meta device: nothing is computed.

In: a configuration. Out: a tree of `Call`s, one for each module that ran and in the order in which
they ran, with the functions called between them as `Op`s; each call knows its output's shape, its
multiply-accumulates, and which steps' outputs went into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from inrcodec._model_card._labels import has_children, is_layer, layer_label, op_label
from inrcodec.models import Network

__all__ = ["EMBEDDING", "FRAME_INDEX", "Call", "Op", "trace"]

FRAME_INDEX, EMBEDDING = "frame index", "embedding"


@dataclass(frozen=True)
class Op:
    """A function that a module called itself, as `F.gelu`."""

    label: str
    shape: tuple[int, ...]
    mark: str  # unique in the trace
    inputs: tuple[str, ...]  # marks of what its arguments came from


@dataclass
class Call:
    """One run of a module."""

    path: str  # attribute path inside the decoder; "" is the decoder
    module: nn.Module
    mark: str = ""  # unique in the trace
    sources: tuple[str, ...] = ()  # steps and inputs that its arguments came from
    inputs: tuple[str, ...] = ()  # marks of the layers that they came from
    in_shape: tuple[int, ...] | None = None  # of its first argument, without the batch
    shape: tuple[int, ...] | None = None  # of its output, without the batch
    macs: int = 0  # those of inner calls included
    inner: list[Call | Op] = field(default_factory=list)

    @property
    def own_macs(self) -> int:
        """Multiply-accumulates outside of inner calls."""
        return self.macs - sum(call.macs for call in self.calls())

    @property
    def is_whole(self) -> bool:
        """Whether this is drawn as one layer, not by what it calls."""
        if is_layer(self.module):
            return True
        has_own = next(self.module.parameters(recurse=False), None) is not None
        return not has_children(self.module) and not (has_own and self.inner)

    def calls(self) -> Iterator[Call]:
        """Yield the inner calls."""
        return (item for item in self.inner if isinstance(item, Call))


def trace(network: Network, steps: Mapping[int, str]) -> tuple[Call, list[str]]:
    """Decode one frame; return the whole run, and the labels of the squashing functions.

    Args:
        network: on the meta device.
        steps: names of the steps, by `id` of the modules (or parameters) that they are made of.
    """
    with torch.device("meta"):
        indices = torch.zeros(1, dtype=torch.int64)
        shape = network.embedding_shape
        embeddings = None if shape is None else torch.zeros(1, *shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        tracer = _Tracer(Call("", network), steps, lambda: int(counter.get_total_flops()) // 2)
        tracer.mark([indices], (FRAME_INDEX,))
        if embeddings is not None:
            tracer.mark([embeddings], (EMBEDDING,))
        for parameter in network.decoder.parameters():
            if id(parameter) in steps:
                tracer.mark([parameter], (steps[id(parameter)],))
        handles = list(tracer.watch(network.decoder, ""))
        network.decode = tracer.during(network.decode)  # type: ignore[method-assign]
        network.squash = tracer.after(network.squash)  # type: ignore[method-assign,assignment]
        try:
            with tracer:
                network(indices, embeddings)
        finally:
            for handle in handles:
                handle.remove()
            del network.decode, network.squash  # the methods of its class are there again
    tracer.root.macs = tracer.macs()
    return tracer.root, tracer.squashing


class _Tracer(TorchFunctionMode):
    """Follows calls by hooks, and functions and the origin of tensors by overriding torch's."""

    def __init__(self, root: Call, steps: Mapping[int, str], macs: Callable[[], int]) -> None:
        super().__init__()
        self.root, self.macs, self.squashing = root, macs, list[str]()
        self._steps = steps
        self._open = [root]
        self._sources: dict[int, tuple[str, ...]] = {}  # by id of the tensors
        self._makers: dict[int, tuple[str, ...]] = {}
        self._alive: list[Tensor] = []  # so that no id is used twice
        self._squashes = False

    def mark(self, tensors: Iterable[Tensor], sources: tuple[str, ...]) -> None:
        """Remember which steps these tensors come from."""
        for tensor in tensors:
            self._sources[id(tensor)] = sources
            self._alive.append(tensor)

    def watch(self, module: nn.Module, path: str) -> Iterator[Any]:
        """Hook a module and what it consists of, down to layers; yields the hooks' handles."""
        yield module.register_forward_pre_hook(
            lambda m, args, kwargs: self._enter(m, path, (args, kwargs)), with_kwargs=True
        )
        yield module.register_forward_hook(lambda m, args, output: self._leave(m, output))
        if not is_layer(module):
            for name, child in module.named_children():
                yield from self.watch(child, f"{path}.{name}" if path else name)

    def during(self, decode: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap `Network.decode`, whose output is not cropped yet."""

        def traced(frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
            x_hat = decode(frame_indices, embeddings)
            self.root.shape = tuple(x_hat.shape[1:])
            self.root.sources = _union(self._sources, x_hat)
            return x_hat

        return traced

    def after(self, squash: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Wrap `Network.squash`."""

        def traced(x: Tensor) -> Tensor:
            self._squashes = True
            return squash(x)

        return traced

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = list(_tensors(result))
        if outputs:
            inputs = (args, kwargs)
            label = op_label(func, list(_tensors(inputs)), outputs[0], kwargs or {})
            makers = _union(self._makers, inputs)
            if label and self._squashes:
                self.squashing.append(label)
            elif label and label != "clamp" and not is_layer(self._open[-1].module):
                op = Op(label, tuple(outputs[0].shape[1:]), f"op {len(self._alive)}", makers)
                self._open[-1].inner.append(op)
                makers = (op.mark,)
            self._made(outputs, makers)
            self.mark(outputs, _union(self._sources, inputs))
        return result

    def _enter(self, module: nn.Module, path: str, inputs: object) -> None:
        call = Call(path, module, macs=-self.macs())
        call.sources = _union(self._sources, inputs)
        call.inputs = _union(self._makers, inputs)
        first = next(_tensors(inputs), None)
        call.in_shape = None if first is None else tuple(first.shape[1:])
        self._open[-1].inner.append(call)
        self._open.append(call)

    def _leave(self, module: nn.Module, output: object) -> None:
        call = self._open.pop()
        call.macs += self.macs()
        outputs = list(_tensors(output))
        if outputs:
            call.shape = tuple(outputs[0].shape[1:])
        if call.is_whole and layer_label(module, None):
            call.mark = f"layer {len(self._alive)}"
            self._made(outputs, (call.mark,))
        sources = _union(self._sources, outputs)
        if id(module) in self._steps:
            sources = (self._steps[id(module)],)
        self.mark(outputs, sources)

    def _made(self, tensors: Iterable[Tensor], makers: tuple[str, ...]) -> None:
        for tensor in tensors:
            self._makers[id(tensor)] = makers


def _union(known: Mapping[int, tuple[str, ...]], inputs: object) -> tuple[str, ...]:
    """Return what is known of the tensors in `inputs`, each only once."""
    found: dict[str, None] = {}
    for tensor in _tensors(inputs):
        found.update(dict.fromkeys(known.get(id(tensor), ())))
    return tuple(found)


def _tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
