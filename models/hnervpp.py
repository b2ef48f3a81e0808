"""HNeRV++: stored embeddings of the frames, decoded by NeRV++ blocks; the default network.

HNeRV: arXiv 2304.02633. NeRV++: arXiv 2402.18305. At 640x320, grid 10x20, strides 2 2 2 2, head 2:

    embedding    (B, C_e, 10, 20)  at most a third of all values, fitted themselves (_layout.py)
    stem         (B, C, 10, 20)    conv 1x1, GELU
    stage 1..4   gated separable residual block; conv 3x3, PixelShuffle(s), GELU; another gated
                 block; plus the input, projected by a 1x1 and upsampled bilinearly
    head         (B, 3, 320, 640)  conv 3x3 to 3 * 2 * 2 channels, PixelShuffle(2)

Where the clip moves, that is a canvas larger than the frame, which is read at displaced places
(_motion.py): two channels of the embedding say by how much.

The stem is half as wide as the stages, since few embeddings make few directions; these are equally
wide. Nothing is computed at full resolution: there a CPU spends most of a step on layers that hold
almost no parameters. Where the fit will be short or decoding must be fast, a head that shuffles by
4 takes the place of the last stage, and widths grow slowly from the stem towards it
(benchmarks/notes/flagship.md). All but long fits on a CPU leave the separable blocks of the last
two stages out, where they take longest (benchmarks/notes/step.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from inrcodec.errors import ModelError

from ._blocks import PixelShuffleHead, StagedDecoder, conv
from ._config import ConfigT, Sizing, check_range
from ._embeddings import EmbeddingTable, principal_components
from ._hybrid import HybridConfig
from ._layout import choose_layout
from ._motion import lay_on_canvas, motion_of_cells, read_canvas
from ._network import Network
from ._registry import register
from ._separable import SeparableStage
from ._strides import grid_of

__all__ = ["HNeRVPP", "HNeRVPPConfig"]

# A stage's width over the one before it: more of it learns more a step, and takes as much longer a
# step. It pays where the last stage has few pixels.
_GROWTH, _QUICK_GROWTH = 1.0, 1.2
_STEM = 0.5  # the stem's width over that of the first stage, of networks that are not quick
_ALL_STAGES = 8  # as many as a network may have
_MOST_MARGIN = 256
_LEAST_COARSE = 16  # pixels a side of coarse frames


@dataclass(frozen=True)
class HNeRVPPConfig(HybridConfig):
    """Hyper-parameters of HNeRV++; the defaults are what the first files of format 1 have."""

    max_kernel_size: int = 3
    plain_stages: int = 2  # last stages that leave the separable blocks out
    head_stride: int = 1  # upsampling by the head
    gated_stages: int = 0  # first stages whose separable blocks have gates
    motion: int = 0  # 1: frames are read from the decoder's canvas at displaced places
    margin: int = 0  # pixels by which the canvas is larger, on each side; padding comes on top

    follows_motion: ClassVar[bool] = True
    cpu_multiple: ClassVar[int] = 16
    cpu_settings: ClassVar[Mapping[str, object]] = {"plain_stages": 2}

    @property
    def upsampling(self) -> int:
        """How many pixels a side of one grid cell has."""
        return math.prod(self.strides) * self.head_stride

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the smallest feature map."""
        margins = 2 * self.margin
        return grid_of(self.height + margins, self.width + margins, self.upsampling)

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(C, h, w) stored for each frame: what is drawn from, then the motion, right and down."""
        return (self.embedding_channels + 2 * self.motion, *self.grid)

    @property
    def has_motion(self) -> bool:
        """Whether frames are read from what the decoder draws at displaced places."""
        return self.motion == 1

    def check(self) -> None:
        """Check the fields that HNeRV has not."""
        super().check()
        check_range("plain_stages", self.plain_stages, 0, 8)
        check_range("head_stride", self.head_stride, 1, 5)
        check_range("gated_stages", self.gated_stages, 0, 8)
        check_range("motion", self.motion, 0, 1)
        check_range("margin", self.margin, 0, _MOST_MARGIN)
        if self.margin and not self.motion:
            raise ModelError(f"margin is {self.margin}; it must be 0 where no motion is followed")

    def count_macs(self) -> int | None:
        """Multiply-accumulates to decode a frame: convolutions, by what they give."""
        cells = math.prod(self.grid)
        macs = cells * self.embedding_channels * self.channels[0]
        num_refined = len(self.strides) - self.plain_stages
        for i, (stride, kernel_size) in enumerate(
            zip(self.strides, self.kernel_sizes, strict=True)
        ):
            width, next_width = self.channels[i : i + 2]
            upsampled = cells * stride**2
            macs += cells * width * next_width  # the skip
            macs += upsampled * width * next_width * kernel_size**2
            if i < num_refined:
                filters = 2 if i < self.gated_stages else 1
                macs += cells * _separable_macs(width, filters)
                macs += upsampled * _separable_macs(next_width, filters)
            cells = upsampled
        macs += cells * self.channels[-1] * 3 * self.head_stride**2 * 9
        rows, columns = self.grid
        motion = 2 * self.height * columns * (rows + self.width)  # upsampled as two products
        return macs + self.motion * motion

    @classmethod
    def for_base_width(
        cls: type[ConfigT], base_width: int, sizing: Sizing, **overrides: Any
    ) -> ConfigT:
        """Size by the stages' width, of which the stem has half; or it grows from the stem on.

        Grid and embedding follow from clip and budget alone.
        """
        margin = overrides.get("margin", 0)
        check_range("margin", margin, 0, _MOST_MARGIN)
        layout = choose_layout(
            sizing._replace(height=sizing.height + 2 * margin, width=sizing.width + 2 * margin),
            strides=overrides.pop("strides", None),
            head_stride=overrides.pop("head_stride", None),
        )
        num_widths = len(layout.strides) + 1
        ratio = (_QUICK_GROWTH if sizing.quick else _GROWTH) * sizing.taper
        stem = 1.0 if sizing.quick else _STEM
        widths = [base_width * stem, *(base_width * ratio**i for i in range(1, num_widths))]
        # A gate is one more filter at every pixel of a map: none where decoding is bounded.
        is_bounded = sizing.cell_pixels > 1 or sizing.taper < 1
        fields: dict[str, Any] = {
            **layout._asdict(),
            "plain_stages": 0,
            "min_kernel_size": 3,
            "gated_stages": 0 if is_bounded else _ALL_STAGES,
        }
        channels = tuple(max(1, round(width)) for width in widths)
        return cls(*sizing.clip, channels=channels, **{**fields, **overrides})


def _separable_macs(width: int, filters: int) -> int:
    """Of a separable residual block, a pixel: depthwise filters of 3x3, and pointwise."""
    return filters * width * 9 + width**2


@register("hnervpp")
class HNeRVPP(Network):
    """HNeRV++, driven by embeddings that are fitted themselves."""

    config: HNeRVPPConfig
    config_class = HNeRVPPConfig
    paper = "HNeRV embeddings with NeRV++ blocks (arXiv 2304.02633, 2402.18305)"
    arxiv = "2402.18305"

    def __init__(
        self,
        config: HNeRVPPConfig,
        *,
        with_encoder: bool = True,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(config)
        num_refined = len(config.strides) - config.plain_stages
        stages = [
            SeparableStage(
                *config.channels[i : i + 2],
                stride=stride,
                kernel_size=config.kernel_sizes[i],
                activation=activation,
                refine=i < num_refined,
                gated=i < config.gated_stages,
            )
            for i, stride in enumerate(config.strides)
        ]
        stem = nn.Sequential(conv(config.embedding_channels, config.channels[0], 1), activation())
        head: nn.Module = conv(config.channels[-1], 3, 3)
        if config.head_stride > 1:
            head = PixelShuffleHead(config.channels[-1], stride=config.head_stride)
        self.decoder = StagedDecoder(stem, stages, head)
        if with_encoder:
            self.encoder = EmbeddingTable(config.num_frames, config.embedding_shape)

    def drawn_from(self, embeddings: Tensor) -> Tensor:
        """Return the channels of the embeddings (B, C, h, w) that the decoder draws from."""
        return embeddings[:, : self.config.embedding_channels]

    def place(self, x_hat: Tensor, embeddings: Tensor) -> Tensor:
        """Read frames (B, 3, H, W) from the canvas that the decoder drew, where there is motion."""
        if not self.config.has_motion:
            return x_hat
        return self._read(x_hat, embeddings)

    def _read(self, canvas: Tensor, embeddings: Tensor, *, scale: int = 1) -> Tensor:
        motion = embeddings[:, self.config.embedding_channels :]
        size = self.config.height, self.config.width
        return read_canvas(canvas, motion, size, scale=scale)

    @property
    def coarse_stride(self) -> int:
        """The stride of the last stage, which can be left out but for its skip."""
        stride = self.config.strides[-1]
        is_large = min(self.config.height, self.config.width) >= _LEAST_COARSE * stride
        return stride if len(self.config.strides) > 1 and is_large else 1

    def decode_coarse(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        """Decode as if the last stage had no more than its skip, which does not upsample then."""
        if self.coarse_stride == 1 or embeddings is None:
            return super().decode_coarse(frame_indices, embeddings)
        decoder = self.decoder
        assert isinstance(decoder, StagedDecoder)  # as it was built
        *stages, last = decoder.stages
        x = decoder.stem(self.drawn_from(embeddings))
        for stage in stages:
            x = stage(x)
        assert isinstance(last, SeparableStage)  # as all of them
        x = last.skip(x)
        if not self.config.has_motion:
            head = decoder.head
            packed: Tensor = head.packed(x) if isinstance(head, PixelShuffleHead) else head(x)
            return packed
        return self._read(decoder.head(x), embeddings, scale=self.coarse_stride)

    @torch.no_grad()
    def calibrate(self, frames: Tensor, motion: Tensor | None = None) -> None:
        """Start the embeddings from the clip as it lies on the canvas, and the motion as given."""
        if not (self.config.has_motion and isinstance(self.encoder, EmbeddingTable)):
            super().calibrate(frames)
            return
        table = self.encoder.table
        channels = self.config.embedding_channels
        size, canvas_size = (self.config.height, self.config.width), self.config.padded_size
        if motion is None:
            motion = torch.zeros(len(frames), 2, 1, 1)
        cells = motion_of_cells(motion.to(frames.device), self.config.grid, canvas_size, size)
        laid = (lay_on_canvas(*pair, canvas_size) for pair in zip(frames, cells, strict=True))
        drawn = principal_components(laid, canvas_size, self.config.grid, most=channels)
        table[:, : drawn.shape[1]] = drawn.to(table.device)
        table[:, channels:] = cells.to(table.device)
