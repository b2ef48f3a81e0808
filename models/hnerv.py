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

from torch import nn

from ._blocks import PixelShuffleUpsampler, StagedDecoder, conv
from ._convnext import ConvNeXtEncoder
from ._hybrid import HybridConfig
from ._network import Network
from ._registry import register

__all__ = ["HNeRV", "HNeRVConfig"]


@dataclass(frozen=True)
class HNeRVConfig(HybridConfig):
    """Hyper-parameters of HNeRV: embeddings, and kernels that grow from stage to stage."""


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
