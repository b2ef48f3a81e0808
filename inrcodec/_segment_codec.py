"""One segment's network, from the integers of the file to frames.

In: the network's configuration and the payload of its section. Out: a `SegmentDecoder` that
computes any frames, uint8 RGB, in fp32 unless told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from inrcodec._memory import keep_freed_memory
from inrcodec.bitstream import unpack_segment
from inrcodec.errors import BitstreamError, ModelError
from inrcodec.fitting import fp32_arithmetic
from inrcodec.models import (
    Network,
    NetworkConfig,
    build_on_meta,
    config_from_dict,
    halves,
    prepare_for_inference,
)
from inrcodec.quantization import Grid, QuantizedTensors

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_BATCH = 16
_BATCH_BYTES = 1 << 29
_BYTES_A_VALUE = 12  # fp32 input, output and scratch of the widest layer
_CACHED_BYTES = 1 << 22  # of the widest map, on a CPU: larger batches are slower
_SMALL_MAPS_AT_ONCE = 8  # frames
_CACHED_VALUES = 1 << 17  # of a frame, rounded at once
_ROUNDS = 2.0**23  # added to a float, it leaves the nearest integer in the lowest bits
# Of a segment, more than its side information and states take: in all, and for each tensor.
_SIDE_BYTES, _SIDE_BYTES_A_TENSOR = 1 << 20, 64
_WORDS = {2: torch.int16, 4: torch.int32}  # what holds one row of a cell of so many bytes


class SegmentDecoder:
    """Computes frames of one segment.

    Args:
        network: with its weights, and without an encoder; it is changed.
        embeddings: those of all frames, (N, C, h, w), where the network decodes from them.
        device: where to compute.
        precision: `fp32` (the reference), `bf16` or `fp16`.
    """

    def __init__(
        self,
        network: Network,
        embeddings: Tensor | None,
        *,
        device: torch.device,
        precision: str = "fp32",
    ) -> None:
        self.device = device
        self.dtype = PRECISIONS[precision]
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.head_stride = prepare_for_inference(self.network, self.dtype)
        self.halves = halves(self.network)
        self.embeddings = None if embeddings is None else embeddings.to(device)
        self.batch_size = _batch_size(network.config, device, self.dtype)
        self.at_once = self.batch_size  # frames whose small maps are computed together
        if self.halves is not None:
            self.at_once = max(self.batch_size, min(_SMALL_MAPS_AT_ONCE, _fitting(network.config)))
        if device.type == "cpu":
            keep_freed_memory()

    @classmethod
    def load(
        cls,
        config: NetworkConfig,
        quantized: QuantizedTensors,
        *,
        device: torch.device,
        precision: str = "fp32",
    ) -> SegmentDecoder:
        """Build the network with its tensors, as `read_segment` gives them."""
        tensors = [torch.from_numpy(w) for w in quantized.weights()]
        with _Unfilled():
            network = config.build(with_encoder=False)
        names = list(network.decoder.state_dict())
        shapes = [p.shape for p in network.decoder.state_dict().values()]
        decoder = {
            # In memory of PyTorch's own: what is computed can depend on how it is aligned.
            name: tensor.reshape(shape).clone()
            for name, tensor, shape in zip(names, tensors, shapes, strict=False)
        }
        network.decoder.load_state_dict(decoder, assign=True)
        embeddings: Tensor | None = None
        if network.embedding_shape is not None:
            _, rows, columns = network.embedding_shape
            channels = [t.reshape(-1, rows, columns) for t in tensors[len(decoder) :]]
            embeddings = torch.stack(channels, 1)  # (N, C, h, w)
        return cls(network, embeddings, device=device, precision=precision)

    @torch.no_grad()
    def decode(self, indices: Sequence[int]) -> Tensor:
        """Return the frames at `indices` of the segment, `(N, 3, H, W)` uint8 on the device."""
        height, width = self.network.config.height, self.network.config.width
        shape = (len(indices), 3, height, width)
        frames = torch.empty(shape, dtype=torch.uint8, device=self.device)
        done = 0
        for start in range(0, len(indices), self.at_once):
            batch = torch.tensor(indices[start : start + self.at_once], device=self.device)
            for part in self._decode(batch):
                frames[done : done + len(part)] = part[..., :height, :width]
                done += len(part)
        return frames

    def _decode(self, indices: Tensor) -> Iterator[Tensor]:
        """Decode (B,) indices to (b, 3, H', W') uint8, at most `batch_size` frames at a time."""
        embeddings = None if self.embeddings is None else self.embeddings[indices]
        if self.halves is None:
            with self._arithmetic():
                x_hat = self.network.decode(indices, embeddings)
            yield _shuffle(self._to_bytes(x_hat), self.head_stride)
            return
        first, rest = self.halves
        network = self.network
        with self._arithmetic():
            small_maps = first(indices if embeddings is None else network.drawn_from(embeddings))
        for start in range(0, len(indices), self.batch_size):
            part = slice(start, start + self.batch_size)
            with self._arithmetic():
                x_hat = rest(small_maps[part])
                if embeddings is not None:
                    x_hat = network.place(x_hat, embeddings[part])
            yield _shuffle(self._to_bytes(x_hat), self.head_stride)

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        low = self.dtype != torch.float32
        with fp32_arithmetic(), torch.autocast(self.device.type, self.dtype, enabled=low):
            yield

    def _to_bytes(self, x_hat: Tensor) -> Tensor:
        """Squash and round the decoder's output (B, C, h, w) of any float dtype to uint8.

        On a CPU a few rows at a time: what lies between stays in the caches.
        """
        x_bytes = torch.empty_like(x_hat, dtype=torch.uint8)
        pieces = [(x_hat, x_bytes)]
        if self.device.type == "cpu":
            num_rows = max(1, _CACHED_VALUES // (x_hat.shape[1] * x_hat.shape[3]))
            pieces = [
                piece
                for pair in zip(x_hat, x_bytes, strict=True)  # frames (C, h, w)
                for piece in zip(*(frame.split(num_rows, 1) for frame in pair), strict=True)
            ]
        for values, rounded in pieces:
            squashed = self.network.squash(values.float())  # in [0, 1]
            if self.device.type != "cpu":  # there no number's lowest byte is 0 by itself
                squashed.nan_to_num_(0.0)
            rounded.copy_(squashed.mul_(255).add_(_ROUNDS).view(torch.int32))
        return x_bytes


class _Unfilled(TorchFunctionMode):
    """Leaves out of a network that is built what `torch.empty` makes: the parameters.

    They are on the meta device, where initial values are not drawn: neither time nor the process's
    random numbers are spent. Constants of the network are computed as ever. Other threads build
    undisturbed.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.empty:
            named["device"] = "meta"
        return func(*args, **named)


def tensor_layout(config: NetworkConfig) -> tuple[list[str], list[int], list[int]]:
    """Return names and sizes of the stored tensors, and how many each rANS payload holds.

    They are the decoder's parameters, then the channels of the embeddings, motion last.
    """
    weights = _weights(config)
    names, sizes = [name for name, _ in weights], [size for _, size in weights]
    groups = [len(names)]
    if config.embedding_shape is not None:
        channels, rows, columns = config.embedding_shape
        names += [f"embeddings.{i}" for i in range(channels)]
        if config.has_motion:
            names[-2:] = ["motion.right", "motion.down"]
        sizes += [config.num_frames * rows * columns] * channels
        groups.append(channels)
    return names, sizes, groups


@lru_cache(maxsize=8)  # a segment is measured before it is read
def _weights(config: NetworkConfig) -> tuple[tuple[str, int], ...]:
    named = build_on_meta(config).decoder.named_parameters()
    return tuple((name, parameter.numel()) for name, parameter in named)


def read_config(
    model: str, fields: object, *, height: int, width: int, num_frames: int
) -> NetworkConfig:
    """Return the configuration that a header names.

    Raises:
        BitstreamError: there is no such network, or it does not admit these hyper-parameters.
    """
    try:
        return config_from_dict(
            model,
            fields,  # type: ignore[arg-type]  # checked by the callee
            height=height,
            width=width,
            num_frames=num_frames,
        )
    except ModelError as exc:
        raise BitstreamError(f"header: {exc}") from exc


def most_segment_bytes(config: NetworkConfig) -> int:
    """Return a length that no segment's payload has: a symbol takes up to 4 bytes of it."""
    _, sizes, groups = tensor_layout(config)
    num_symbols = sum(sizes) + config.num_frames  # with the gains
    return _SIDE_BYTES + _SIDE_BYTES_A_TENSOR * sum(groups) + 4 * num_symbols


def read_segment(config: NetworkConfig, data: bytes, *, version: int) -> QuantizedTensors:
    """Return the integers of a segment from the payload of its section in a file of `version`."""
    _, sizes, groups = tensor_layout(config)
    return unpack_segment(data, sizes, groups, grid=embedding_grid(config), version=version)


def embedding_grid(config: NetworkConfig) -> Grid | None:
    """Return frames, rows and columns of the embeddings' channels, None for a network without."""
    if config.embedding_shape is None:
        return None
    _, rows, columns = config.embedding_shape
    return config.num_frames, rows, columns


def _shuffle(x: Tensor, stride: int) -> Tensor:
    """PixelShuffle of bytes, (B, 3 * s * s, h, w) -> (B, 3, h * s, w * s), into planes."""
    batch, _, rows, columns = x.shape
    x = x.permute(0, 2, 3, 1).contiguous()  # (B, h, w, 3 * s * s)
    words = x.view(_WORDS.get(stride, torch.uint8)).view(batch, rows, columns, 3, stride, -1)
    planes = words.permute(0, 3, 1, 4, 2, 5).contiguous()  # (B, 3, h, s, w, words)
    return planes.view(torch.uint8).view(batch, 3, rows * stride, columns * stride)


def _batch_size(config: NetworkConfig, device: torch.device, dtype: torch.dtype) -> int:
    """Frames at once, such that the widest feature maps stay within the caches or the memory."""
    batch_size = _fitting(config)
    if device.type == "cpu" and not config.frames_share_work:
        batch_size = min(batch_size, _CACHED_BYTES // (dtype.itemsize * config.largest_map))
    return max(1, min(_MAX_BATCH, batch_size))


def _fitting(config: NetworkConfig) -> int:
    """Frames at once whose widest feature maps fit in the memory; 0 where a single one is large."""
    drawn = 3 * math.prod(config.padded_size)
    return _BATCH_BYTES // (_BYTES_A_VALUE * max(config.largest_map, drawn))
