"""What every network is: a decoder that is stored, an encoder that is not, and a crop.

In: frame indices (B,) int64, and for content-adaptive networks embeddings (B, C, h, w).
Out: frames (B, 3, H, W) float32 in [0, 1].
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inrcodec.errors import ModelError

from ._blocks import PixelShuffleHead, StagedDecoder
from ._config import NetworkConfig, Sizing, StoredSize, build_on_meta, count_parameters
from ._convnext import ConvNeXtEncoder
from ._embeddings import EmbeddingTable

__all__ = [
    "Network",
    "NetworkConfig",
    "Sizing",
    "StoredSize",
    "build_on_meta",
    "count_parameters",
    "kmac_per_pixel",
    "macs_per_frame",
]

_CALIBRATION_FRAMES = 8


class Network(nn.Module):
    """Base of the networks; a subclass builds `decoder` and, where it has one, `encoder`.

    `decoder` maps its input to a padded (B, 3, H', W') map before the squashing function: the
    input is the (B, C, h, w) embeddings where `embedding_shape` is set, else the (B,) indices.
    Only the decoder's parameters are stored in a file; it has no persistent buffers.
    """

    config_class: ClassVar[type[NetworkConfig]]
    paper: ClassVar[str]
    arxiv: ClassVar[str]

    config: NetworkConfig
    decoder: nn.Module
    encoder: nn.Module | None

    def __init__(self, config: NetworkConfig, *, with_encoder: bool = True) -> None:
        super().__init__()
        self.config = config
        self.encoder = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "config_class" in vars(cls) and "network" not in vars(cls.config_class):
            cls.config_class.network = cls

    @property
    def embedding_shape(self) -> tuple[int, int, int] | None:
        """(C, h, w) stored for each frame, or None for networks driven by the index."""
        return self.config.embedding_shape

    @property
    def encodes_frames(self) -> bool:
        """Whether embeddings are computed from the frames themselves."""
        return self.encoder is not None and not isinstance(self.encoder, EmbeddingTable)

    @property
    def packed_size(self) -> tuple[int, int]:
        """Height and width of the frames that `forward(packed=True)` leaves, before the crop."""
        config = self.config
        return (config.height, config.width) if config.has_motion else config.padded_size

    @property
    def packing(self) -> int | None:
        """Side s of the blocks of pixels that `forward(packed=True)` leaves as channels.

        1 where frames are read from a canvas. None where the network does not map to [0, 1] by
        tanh, or has auxiliary outputs, which are compared as frames.
        """
        network = type(self)
        if network.squash is not Network.squash or network.auxiliary is not Network.auxiliary:
            return None
        head = None if self.config.has_motion else getattr(self.decoder, "head", None)
        return head.stride if isinstance(head, PixelShuffleHead) else 1

    @property
    def coarse_stride(self) -> int:
        """How many times smaller a side the frames are that `forward(coarse=True)` leaves.

        1 where a network cannot leave the last of its upsampling out.
        """
        return 1

    def embed(self, frames: Tensor | None, frame_indices: Tensor) -> Tensor:
        """Return the embeddings (B, C, h, w) of frames (B, 3, H, W) float in [0, 1].

        Encoded from the frames, or looked up by their indices (B,) int64, for which no frames are
        needed.

        Raises: ModelError where the network has no encoder, or the frames another size.
        """
        if self.encoder is None:
            raise ModelError(f"{type(self).__name__} was built without an encoder")
        if not self.encodes_frames:
            looked_up: Tensor = self.encoder(frame_indices)
            return looked_up
        if frames is None:
            raise ModelError(f"{type(self).__name__} embeds frames; none were given")
        if frames.shape[-2:] != (self.config.height, self.config.width):
            raise ModelError(
                f"frames are {tuple(frames.shape)}; they must be "
                f"(B, 3, {self.config.height}, {self.config.width})"
            )
        embeddings: Tensor = self.encoder(self._padded(frames))
        return embeddings

    def calibrate(self, frames: Tensor, motion: Tensor | None = None) -> None:
        """Adapt a fresh encoder, if there is one, to the clip.

        Args:
            frames: (N, 3, H, W) uint8.
            motion: (N, 2, r, c) in pixels, how far right and down of its place in the frame a point
                is on the canvas; r x c cells cover a frame. For networks with motion alone.
        """
        if isinstance(self.encoder, EmbeddingTable):
            self.encoder.calibrate(frames, self.config.padded_size)
        elif isinstance(self.encoder, ConvNeXtEncoder):
            some = torch.linspace(0, len(frames) - 1, min(_CALIBRATION_FRAMES, len(frames))).long()
            device = next(self.encoder.parameters()).device
            batch = frames[some.to(frames.device)].to(device).float() / 255
            batch = batch.contiguous(memory_format=torch.channels_last)
            self.encoder.calibrate(self._padded(batch))

    def forward(
        self,
        frame_indices: Tensor,
        embeddings: Tensor | None = None,
        *,
        packed: bool = False,
        coarse: bool = False,
    ) -> Tensor:
        """Decode frames (B, 3, H, W) float32 in [0, 1].

        Packed, for networks with a `packing` s: (B, 3 * s * s, H' / s, W' / s) before the
        squashing function and the crop, in the order of `torch.nn.functional.pixel_unshuffle`.
        Coarse, for networks with a `coarse_stride` c over 1: packed, of frames that are c times
        smaller a side, what whole pixels of them leave being left out.

        Raises: ModelError where embeddings are needed and missing, or coarse frames not known.
        """
        if self.embedding_shape is not None and embeddings is None:
            raise ModelError(f"{type(self).__name__} decodes from embeddings; none were given")
        if coarse:
            return self.decode_coarse(frame_indices, embeddings)
        if packed:
            return self._decode_packed(frame_indices, embeddings)
        x_hat = self.decode(frame_indices, embeddings)
        x_hat = x_hat[..., : self.config.height, : self.config.width]
        return self.squash(x_hat.float())

    def decode(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        """Run the decoder on what drives it; networks driven by both override this."""
        if embeddings is None:
            x_hat: Tensor = self.decoder(frame_indices)
            return x_hat
        return self.place(self.decoder(self.drawn_from(embeddings)), embeddings)

    def drawn_from(self, embeddings: Tensor) -> Tensor:
        """Return the channels of the embeddings (B, C, h, w) that the decoder draws from."""
        return embeddings

    def place(self, x_hat: Tensor, embeddings: Tensor) -> Tensor:
        """Return the padded map that the decoder's output (B, 3, H', W') stands for."""
        return x_hat

    def _decode_packed(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        decoder = self.decoder
        if (
            not self.config.has_motion
            and isinstance(decoder, StagedDecoder)
            and isinstance(decoder.head, PixelShuffleHead)
        ):
            x = decoder.features(frame_indices if embeddings is None else embeddings)
            return decoder.head.packed(x)
        return self.decode(frame_indices, embeddings)

    def decode_coarse(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        """Leave what `forward(coarse=True)` does; of networks with a `coarse_stride` over 1."""
        raise ModelError(f"{type(self).__name__} decodes no coarse frames")

    def auxiliary(self) -> list[Tensor]:
        """Other renditions (B, 3, H, W) of the batch last decoded, which a fit compares too.

        They exist only while training with gradients; most networks have none.
        """
        return []

    def _padded(self, frames: Tensor) -> Tensor:
        height, width = self.config.padded_size
        padding = (0, width - frames.shape[-1], 0, height - frames.shape[-2])
        return F.pad(frames, padding, mode="replicate")

    def squash(self, x: Tensor) -> Tensor:
        """Map the decoder's output to [0, 1]: tanh(x) / 2 + 1 / 2, as NeRV and HNeRV do.

        The logistic function of 2 x is the same, and a CPU computes it in a third of the time.
        """
        return torch.sigmoid(2 * x)


def macs_per_frame(config: NetworkConfig) -> int:
    """Multiply-accumulates of convolutions and linear layers to decode one frame."""
    counted = config.count_macs()
    return traced_macs(config) if counted is None else counted


def kmac_per_pixel(config: NetworkConfig) -> float:
    """Thousands of multiply-accumulates to decode a pixel of a frame."""
    return macs_per_frame(config) / (1000 * config.height * config.width)


def traced_macs(config: NetworkConfig) -> int:
    """`macs_per_frame` by PyTorch's counter, whose first use takes seconds to import."""
    network = build_on_meta(config)
    with torch.device("meta"):
        indices = torch.zeros(1, dtype=torch.int64)
        shape = network.embedding_shape
        embeddings = None if shape is None else torch.zeros(1, *shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(indices, embeddings)
    return int(counter.get_total_flops()) // 2
