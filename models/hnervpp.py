"""HNeRV++: HNeRV's content-adaptive embeddings, decoded by NeRV++ blocks; the default network.

HNeRV: arXiv 2304.02633. NeRV++: arXiv 2402.18305. At 360x640, grid 5x9, strides 3 3 2 2 2:

    embedding    (B, 3, 5, 9)      about 128 values a frame
    stem         (B, C, 5, 9)      conv 1x1, GELU
    stage 1..3   separable residual block; conv 1 3 3, PixelShuffle(s), GELU; separable
                 residual block; plus the input, projected by a 1x1 and upsampled bilinearly
    stage 4..5   the same, conv 3 3, without the separable blocks
    head         (B, 3, 360, 640)  conv 3x3, tanh to [0, 1]

The last two stages are plain: depthwise convolutions at and near full resolution cost a CPU as
much as all that lies below them, hold almost no parameters and slow a fit down.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ._blocks import StagedDecoder, conv
from ._config import check_range
from ._convnext import ConvNeXtEncoder
from ._hybrid import HybridConfig
from ._network import Network
from ._registry import register
from ._separable import SeparableStage

__all__ = ["HNeRVPP", "HNeRVPPConfig"]


@dataclass(frozen=True)
class HNeRVPPConfig(HybridConfig):
    """Hyper-parameters of HNeRV++."""

    max_kernel_size: int = 3
    plain_stages: int = 2  # last stages that leave the separable blocks out

    def check(self) -> None:
        """Check the fields that HNeRV has not."""
        super().check()
        check_range("plain_stages", self.plain_stages, 0, 8)


@register("hnervpp")
class HNeRVPP(Network):
    """HNeRV++, driven by content-adaptive embeddings."""

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
            )
            for i, stride in enumerate(config.strides)
        ]
        stem = nn.Sequential(conv(config.embedding_channels, config.channels[0], 1), activation())
        self.decoder = StagedDecoder(stem, stages, conv(config.channels[-1], 3, 3))
        if with_encoder:
            self.encoder = ConvNeXtEncoder(config.strides, out_channels=config.embedding_channels)
