"""NeRV: Neural Representations for Videos (Chen et al. 2021, arXiv 2110.13903).

The form of the baseline in the HNeRV authors' repository; with the fields of `ORIGINAL` that of
the NeRV authors. At 640x1280, fc_dim 54:

    frame index  (B,)
    encoding     (B, 160)          sin and cos of t * 1.25**i * pi, i < 80
    stem         (B, 54, 8, 16)    one linear layer, GELU
    stage 1..4   conv 3x3, PixelShuffle by 5 4 2 2, GELU; widths halve down to 12
    head         (B, 3, 640, 1280) conv 3x3, tanh to [0, 1]

1,507,868 parameters and 1.854 GMAC a frame, as the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from ._blocks import (
    PixelShuffleUpsampler,
    PositionalEncoding,
    StagedDecoder,
    ToGrid,
    conv,
    mlp,
    stage_widths,
)
from ._config import NetworkConfig, Sizing, check_range
from ._network import Network
from ._registry import register

__all__ = ["NeRV", "NeRVConfig"]

ORIGINAL: dict[str, int] = {"pe_levels": 40, "stem_width": 512, "head_kernel_size": 1}
"""Fields with which the paper's NeRV-S, M and L are built, beside their channels."""

_REDUCTION = 2.0
_LOWER_WIDTH = 12
_NUM_CELLS = 128  # 8x16
_COARSE_CELLS = 32  # below this, four stages do not reach large frames


@dataclass(frozen=True)
class NeRVConfig(NetworkConfig):
    """Hyper-parameters of NeRV."""

    pe_base: float = 1.25  # frequencies of the positional encoding: pe_base**i * pi
    pe_levels: int = 80
    kernel_size: int = 3
    stem_width: int = 0  # of the stem's hidden layer (the NeRV authors: 512), 0 for none
    head_kernel_size: int = 3  # the NeRV authors: 1

    def check(self) -> None:
        """Check the encoding, the stem and the kernels."""
        check_encoding(self.pe_base, self.pe_levels)
        check_range("stem_width", self.stem_width, 0, 2048)
        for kernel_size in (self.kernel_size, self.head_kernel_size):
            check_range("kernel_size", kernel_size, 1, 7)
            check_range("kernel_size modulo 2", kernel_size % 2, 1, 1)

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> NeRVConfig:
        """Size by fc_dim = base_width, reduction 2, floor 12.

        Small budgets start from fewer cells, so that the stem stays below half of the parameters.
        """
        levels = overrides.get("pe_levels", cls.pe_levels)
        check_encoding(overrides.get("pe_base", cls.pe_base), levels)
        cells = stem_cells(sizing.num_params, 2 * levels * _LOWER_WIDTH, most=_NUM_CELLS)
        max_stages = 4 if cells > _COARSE_CELLS else 5
        strides = overrides.pop("strides", None) or sizing.strides(
            num_cells=cells, max_stages=max_stages
        )
        widths = stage_widths(
            base_width, len(strides), reduction=_REDUCTION, lower_width=_LOWER_WIDTH
        )
        return cls(*sizing.clip, strides, (base_width, *widths), **overrides)


@register("nerv")
class NeRV(Network):
    """NeRV, driven by the frame index alone."""

    config_class = NeRVConfig
    paper = "NeRV: Neural Representations for Videos"
    arxiv = "2110.13903"

    def __init__(
        self,
        config: NeRVConfig,
        *,
        with_encoder: bool = True,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(config)
        rows, columns = config.grid
        widths = [2 * config.pe_levels, config.stem_width, config.channels[0] * rows * columns]
        stem = nn.Sequential(
            PositionalEncoding(
                base=config.pe_base, levels=config.pe_levels, num_frames=config.num_frames
            ),
            mlp(*(width for width in widths if width), activation=activation),
            ToGrid(config.grid),  # (B, fc_dim, rows, columns)
        )
        stages = [
            PixelShuffleUpsampler(
                *config.channels[i : i + 2],
                stride=stride,
                kernel_size=config.kernel_size,
                activation=activation,
            )
            for i, stride in enumerate(config.strides)
        ]
        head = conv(config.channels[-1], 3, config.head_kernel_size)
        self.decoder = StagedDecoder(stem, stages, head)


def check_encoding(base: float, levels: int) -> None:
    """Check the fields of a positional encoding; raises ModelError."""
    check_range("pe_base", base, 1.0, 2.0)
    check_range("pe_levels", levels, 1, 80)


def stem_cells(num_params: int, params_per_cell: int, *, most: int) -> int:
    """Number of grid cells at which the stem takes half of a budget, from 4 to `most`."""
    return min(most, max(4, num_params // (2 * params_per_cell)))
