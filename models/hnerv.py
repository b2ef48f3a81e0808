"""HNeRV: A Hybrid Neural Representation for Videos (Chen et al. 2023, arXiv 2304.02633).

A ConvNeXt encoder gives each frame a small embedding, which is stored; the decoder's weights
are shared by all frames. At 640x1280, fc_dim 68:

    embedding    (B, 16, 2, 4)     128 values a frame
    stem         (B, 68, 2, 4)     conv 1x1, GELU
    stage 1..5   conv 1 3 5 5 5, PixelShuffle by 5 4 4 2 2, GELU; widths fall by 1.2 down to 12
    head         (B, 3, 640, 1280) conv 3x3, tanh to [0, 1]

1,488,276 decoder parameters and 28.84 GMAC a frame, as the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from ._blocks import PixelShuffleUpsampler, StagedDecoder, conv, stage_widths
from ._config import NetworkConfig, check_range
from ._convnext import ConvNeXtEncoder
from ._network import Network
from ._registry import register
from ._strides import choose_strides, grid_of, product_of

__all__ = ["HNeRV", "HNeRVConfig"]

_REDUCTION = 1.2
_LOWER_WIDTH = 12
_EMBEDDING_VALUES = 128  # a frame
_EMBEDDING_SHARE = 0.15  # of the whole budget, at most


@dataclass(frozen=True)
class HybridConfig(NetworkConfig):
    """Hyper-parameters of networks that decode from stored embeddings."""

    embedding_channels: int = 16
    min_kernel_size: int = 1  # stage i convolves with min(min + 2i, max)
    max_kernel_size: int = 5

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(C, h, w) stored for each frame."""
        return (self.embedding_channels, *self.grid)

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        """Kernel of each stage's convolution."""
        return tuple(
            min(self.min_kernel_size + 2 * i, self.max_kernel_size)
            for i in range(len(self.strides))
        )

    def check(self) -> None:
        """Check the embedding and the kernels."""
        check_range("embedding_channels", self.embedding_channels, 1, 256)
        check_range("min_kernel_size", self.min_kernel_size, 1, 7)
        check_range("max_kernel_size", self.max_kernel_size, self.min_kernel_size, 7)
        for kernel_size in (self.min_kernel_size, self.max_kernel_size):
            check_range("kernel size modulo 2", kernel_size % 2, 1, 1)


@dataclass(frozen=True)
class HNeRVConfig(HybridConfig):
    """Hyper-parameters of HNeRV."""

    def build(self, *, with_encoder: bool = True) -> Network:
        """Build the network."""
        return HNeRV(self, with_encoder=with_encoder)

    @classmethod
    def for_base_width(
        cls,
        base_width: int,
        *,
        height: int,
        width: int,
        num_frames: int,
        num_params: int,
        **overrides: Any,
    ) -> HNeRVConfig:
        """Size by fc_dim = base_width, reduction 1.2, floor 12."""
        strides = overrides.pop("strides", None) or choose_strides(height, width)
        overrides.setdefault(
            "embedding_channels",
            embedding_channels(
                grid_of(height, width, product_of(strides)),
                num_frames=num_frames,
                num_params=num_params,
            ),
        )
        widths = stage_widths(
            base_width, len(strides), reduction=_REDUCTION, lower_width=_LOWER_WIDTH
        )
        return cls(height, width, num_frames, strides, (base_width, *widths), **overrides)


@register("hnerv")
class HNeRV(Network):
    """HNeRV, driven by content-adaptive embeddings."""

    config_class = HNeRVConfig
    paper = "HNeRV: A Hybrid Neural Representation for Videos"
    arxiv = "2304.02633"

    def __init__(
        self,
        config: HNeRVConfig,
        *,
        with_encoder: bool = True,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(config)
        stages = [
            PixelShuffleUpsampler(
                *config.channels[i : i + 2],
                stride=stride,
                kernel_size=config.kernel_sizes[i],
                activation=activation,
            )
            for i, stride in enumerate(config.strides)
        ]
        stem = nn.Sequential(conv(config.embedding_channels, config.channels[0], 1), activation())
        self.decoder = StagedDecoder(stem, stages, conv(config.channels[-1], 3, 3))
        if with_encoder:
            self.encoder = ConvNeXtEncoder(config.strides, out_channels=config.embedding_channels)


def embedding_channels(grid: tuple[int, int], *, num_frames: int, num_params: int) -> int:
    """Channels that give about 128 values a frame and at most 15 % of the budget in all."""
    cells = grid[0] * grid[1]
    wished = round(_EMBEDDING_VALUES / cells)
    affordable = int(_EMBEDDING_SHARE * num_params / (cells * num_frames))
    return max(1, min(wished, affordable))
