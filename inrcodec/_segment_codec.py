"""One segment's network, from the integers of the file to frames.

In: the network's configuration and the payload of its section. Out: a `SegmentDecoder` that
computes any frames, uint8 RGB, in fp32 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inrcodec.bitstream import unpack_segment
from inrcodec.errors import BitstreamError, ModelError
from inrcodec.fitting import fp32_arithmetic
from inrcodec.models import Network, NetworkConfig, config_from_dict
from inrcodec.quantization import QuantizedTensors

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BATCH_BYTES = 1 << 29
_MAX_BATCH = 16
_BYTES_A_VALUE = 12  # fp32 input, output and scratch of the widest layer


class SegmentDecoder:
    """Computes frames of one segment.

    Args:
        config: the segment's network.
        quantized: its tensors, as `unpack_segment` gives them.
        device: where to compute.
        precision: `fp32` (the reference), `bf16` or `fp16`.
    """

    def __init__(
        self,
        config: NetworkConfig,
        quantized: QuantizedTensors,
        *,
        device: torch.device,
        precision: str = "fp32",
    ) -> None:
        self.num_frames = config.num_frames
        self.device = device
        self.dtype = PRECISIONS[precision]
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
        self.network: Network = network.to(device).to(memory_format=torch.channels_last)
        self.embeddings: Tensor | None = None
        if network.embedding_shape is not None:
            _, rows, columns = network.embedding_shape
            channels = [t.reshape(-1, rows, columns) for t in tensors[len(decoder) :]]
            self.embeddings = torch.stack(channels, 1).to(device)  # (N, C, h, w)
        self.batch_size = _batch_size(config)

    @torch.inference_mode()
    def decode(self, indices: Sequence[int]) -> Tensor:
        """Return the frames at `indices` of the segment, `(N, 3, H, W)` uint8 on the device."""
        parts = []
        for start in range(0, len(indices), self.batch_size):
            batch = torch.tensor(indices[start : start + self.batch_size], device=self.device)
            embeddings = None if self.embeddings is None else self.embeddings[batch]
            low = self.dtype != torch.float32
            with fp32_arithmetic(), torch.autocast(self.device.type, self.dtype, enabled=low):
                x_hat = self.network(batch, embeddings)
            parts.append(torch.round(x_hat.float() * 255).clamp(0, 255).to(torch.uint8))
        return torch.cat(parts).contiguous()


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


def _batch_size(config: NetworkConfig) -> int:
    """Frames at once, such that the widest feature maps stay within a fixed memory."""
    return max(1, min(_MAX_BATCH, _BATCH_BYTES // (_BYTES_A_VALUE * config.largest_map)))
