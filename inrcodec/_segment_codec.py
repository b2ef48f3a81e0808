"""One segment's network, from the integers of the file to frames.

In: the network's configuration and the payload of its section. Out: a `SegmentDecoder` that
computes any frames, uint8 RGB, in fp32 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inrcodec._memory import keep_freed_memory
from inrcodec.bitstream import unpack_segment
from inrcodec.errors import BitstreamError, ModelError
from inrcodec.fitting import fp32_arithmetic
from inrcodec.models import Network, NetworkConfig, config_from_dict, prepare_for_inference
from inrcodec.quantization import QuantizedTensors

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_BATCH = 16
_BATCH_BYTES = 1 << 29
_BYTES_A_VALUE = 12  # fp32 input, output and scratch of the widest layer
_CACHED_BYTES = 1 << 22  # of the widest map, on a CPU: larger batches are slower
_ROUNDS = 2.0**23  # added to a float, it leaves the nearest integer in the lowest bits
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
        self.embeddings = None if embeddings is None else embeddings.to(device)
        self.batch_size = _batch_size(network.config, device, self.dtype)
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
        with torch.random.fork_rng(devices=[]):
            network = config.build(with_encoder=False)
        names = list(network.decoder.state_dict())
        shapes = [p.shape for p in network.decoder.state_dict().values()]
        decoder = {
            name: tensor.reshape(shape)
            for name, tensor, shape in zip(names, tensors, shapes, strict=False)
        }
        network.decoder.load_state_dict(decoder)
        embeddings: Tensor | None = None
        if network.embedding_shape is not None:
            _, rows, columns = network.embedding_shape
            channels = [t.reshape(-1, rows, columns) for t in tensors[len(decoder) :]]
            embeddings = torch.stack(channels, 1)  # (N, C, h, w)
        return cls(network, embeddings, device=device, precision=precision)

    @torch.inference_mode()
    def decode(self, indices: Sequence[int]) -> Tensor:
        """Return the frames at `indices` of the segment, `(N, 3, H, W)` uint8 on the device."""
        height, width = self.network.config.height, self.network.config.width
        shape = (len(indices), 3, height, width)
        frames = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(indices), self.batch_size):
            batch = torch.tensor(indices[start : start + self.batch_size], device=self.device)
            frames[start : start + len(batch)] = self._decode(batch)[..., :height, :width]
        return frames

    def _decode(self, indices: Tensor) -> Tensor:
        """Decode (B,) indices to (B, 3, H', W') uint8."""
        embeddings = None if self.embeddings is None else self.embeddings[indices]
        low = self.dtype != torch.float32
        with fp32_arithmetic(), torch.autocast(self.device.type, self.dtype, enabled=low):
            x_hat = self.network.decode(indices, embeddings)
        x_hat = self.network.squash(x_hat.float())  # (B, 3 * s * s, h, w) in [0, 1]
        rounded = x_hat.mul_(255).add_(_ROUNDS).view(torch.int32)
        return _shuffle(rounded.to(torch.uint8), self.head_stride)


def tensor_layout(config: NetworkConfig) -> tuple[list[str], list[int], list[int]]:
    """Return names and sizes of the stored tensors, and how many each rANS payload holds.

    They are the decoder's parameters, then the channels of the embeddings.
    """
    with torch.device("meta"):
        decoder = config.build(with_encoder=False).decoder
    names = [name for name, _ in decoder.named_parameters()]
    sizes = [parameter.numel() for parameter in decoder.parameters()]
    groups = [len(names)]
    if config.embedding_shape is not None:
        channels, rows, columns = config.embedding_shape
        names += [f"embeddings.{i}" for i in range(channels)]
        sizes += [config.num_frames * rows * columns] * channels
        groups.append(channels)
    return names, sizes, groups


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


def read_segment(config: NetworkConfig, data: bytes) -> QuantizedTensors:
    """Return the integers of a segment from the payload of its section."""
    _, sizes, groups = tensor_layout(config)
    return unpack_segment(data, sizes, groups, num_frames=config.num_frames)


def _shuffle(x: Tensor, stride: int) -> Tensor:
    """PixelShuffle of bytes, (B, 3 * s * s, h, w) -> (B, 3, h * s, w * s), into planes."""
    batch, _, rows, columns = x.shape
    x = x.permute(0, 2, 3, 1).contiguous()  # (B, h, w, 3 * s * s)
    words = x.view(_WORDS.get(stride, torch.uint8)).view(batch, rows, columns, 3, stride, -1)
    planes = words.permute(0, 3, 1, 4, 2, 5).contiguous()  # (B, 3, h, s, w, words)
    return planes.view(torch.uint8).view(batch, 3, rows * stride, columns * stride)


def _batch_size(config: NetworkConfig, device: torch.device, dtype: torch.dtype) -> int:
    """Frames at once, such that the widest feature maps stay within the caches or the memory."""
    batch_size = _BATCH_BYTES // (_BYTES_A_VALUE * config.largest_map)
    if device.type == "cpu" and not config.frames_share_work:
        batch_size = min(batch_size, _CACHED_BYTES // (dtype.itemsize * config.largest_map))
    return max(1, min(_MAX_BATCH, batch_size))
