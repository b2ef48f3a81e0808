"""E-NeRV: disentangled spatial-temporal context (Li et al. 2022, arXiv 2207.08132).

Space and time are encoded apart and meet in a small grid, so that no stem of h * w * C columns is
needed. As the public code, but that time is i / N here, not i / (N - 1); at 720x1280, fc_dim 196,
block width 256:

    cells, index (h w, 2), (B,)     positions in the grid; frame index
    space        (h w, 256)         positional encoding of both axes, one layer, transformer block
    time         (B, 256)           positional encoding, layers of 512 and 256
    stem         (B, 196, 9, 16)    space * time, transformer block of 8 heads, one layer
    stage 1      (B, 588, 45, 80)   conv 3x3 to 49, PixelShuffle(5), conv 3x3, GELU
    stage 2..5   conv 3x3, PixelShuffle(2), GELU; widths halve down to 96
    head         (B, 3, 720, 1280)  conv 1x1, sigmoid

Before each stage, features are normalised by frame and channel, then scaled and shifted by layers
of another encoding of the index. 12,490,314 parameters, the 12.49 M of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._attention import TransformerBlock
from ._blocks import PixelShuffleUpsampler, PositionalEncoding, StagedDecoder, conv, mlp
from ._config import NetworkConfig, Sizing, check_range
from ._network import Network
from ._registry import register
from .nerv import check_encoding

__all__ = ["ENeRV", "ENeRVConfig"]

_CELLS = 144  # 9x16
_EXPANSION = 3  # of the first stage
_REDUCTION = 2
_LOWER_WIDTH, _SMALLEST_WIDTH = 96, 4
_BLOCK_RATIO = 256 / 196  # block width of the authors' fc_dim
_NUM_HEADS = 8


@dataclass(frozen=True)
class ENeRVConfig(NetworkConfig):
    """Hyper-parameters of E-NeRV."""

    block_width: int = 256  # of the transformer blocks; twice and half of it elsewhere
    head_width: int = 64  # of one attention head
    pe_base: float = 1.25
    pe_levels: int = 80

    @property
    def largest_map(self) -> int:
        """Values of the largest feature map, or of the attention between all cells."""
        return max(super().largest_map, _NUM_HEADS * (self.grid[0] * self.grid[1]) ** 2)

    def check(self) -> None:
        """Check the widths and the encoding."""
        check_range("block_width", self.block_width, 2, 2048)
        check_range("head_width", self.head_width, 1, 256)
        check_encoding(self.pe_base, self.pe_levels)

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> ENeRVConfig:
        """Size by fc_dim = base_width: the first stage triples it, later ones halve it.

        Widths beside the stages keep the authors' ratios to fc_dim = 196, up to the authors' own.
        """
        strides = overrides.pop("strides", None) or sizing.strides(num_cells=_CELLS)
        block_width = min(256, max(4, round(base_width * _BLOCK_RATIO)))
        overrides.setdefault("block_width", block_width)
        overrides.setdefault("head_width", max(2, block_width // 4))
        floor = max(_SMALLEST_WIDTH, min(_LOWER_WIDTH, base_width // 2))
        widths = [base_width, _EXPANSION * base_width]
        for _ in strides[1:]:
            widths.append(max(widths[-1] // _REDUCTION, floor))
        return cls(*sizing.clip, strides, tuple(widths), **overrides)


@register("enerv")
class ENeRV(Network):
    """E-NeRV, driven by the frame index and the positions of the grid's cells."""

    config_class = ENeRVConfig
    paper = (
        "E-NeRV: Expedite Neural Video Representation with Disentangled Spatial-Temporal Context"
    )
    arxiv = "2207.08132"

    def __init__(
        self,
        config: ENeRVConfig,
        *,
        with_encoder: bool = True,
        activation: type[nn.Module] = nn.GELU,
        modulated: bool = True,
    ) -> None:
        super().__init__(config)
        stages: list[nn.Module] = [
            _FirstStage(*config.channels[:2], stride=config.strides[0], activation=activation)
        ]
        for i, stride in enumerate(config.strides[1:], start=1):
            stages.append(
                PixelShuffleUpsampler(
                    *config.channels[i : i + 2], stride=stride, kernel_size=3, activation=activation
                )
            )
        parts = (_SpaceTimeStem(config, activation), stages, conv(config.channels[-1], 3, 1))
        self.decoder = (
            _ModulatedDecoder(*parts, config, activation) if modulated else StagedDecoder(*parts)
        )

    def squash(self, x: Tensor) -> Tensor:
        """Map the decoder's output to [0, 1]."""
        return torch.sigmoid(x)


class _SpaceTimeStem(nn.Module):
    """Frame indices (B,) -> (B, fc_dim, h, w), the product of space and time between two blocks."""

    def __init__(self, config: ENeRVConfig, activation: type[nn.Module]) -> None:
        super().__init__()
        self.grid = config.grid
        width, features = config.block_width, 2 * config.pe_levels
        self.time = mlp(features, 2 * width, width, activation=activation)
        self.space = mlp(2 * features, width, activation=activation)
        sizes = {"head_width": config.head_width, "mlp_width": width // 2}
        self.before = TransformerBlock(width, num_heads=1, **sizes)
        self.after = TransformerBlock(width, num_heads=_NUM_HEADS, **sizes)
        self.project = mlp(width, config.channels[0], activation=activation)
        encoding = partial(PositionalEncoding, base=config.pe_base, levels=config.pe_levels)
        self.encode_time = encoding(num_frames=config.num_frames)
        self.encode_rows = encoding(num_frames=self.grid[0])
        self.encode_columns = encoding(num_frames=self.grid[1])

    def forward(self, frame_indices: Tensor) -> Tensor:
        rows, columns = self.grid
        cells = torch.arange(rows * columns, device=frame_indices.device)
        y, x = self.encode_rows(cells // columns), self.encode_columns(cells % columns)
        space = self.before(self.space(torch.cat((y, x), dim=1))[None])  # (1, h w, C)
        time = self.time(self.encode_time(frame_indices))[:, None]  # (B, 1, C)
        z: Tensor = self.project(self.after(space * time))  # (B, h w, fc_dim)
        return z.transpose(1, 2).reshape(z.shape[0], -1, rows, columns)


class _FirstStage(nn.Sequential):
    """Widening stage: a quarter of the width is upsampled, a second convolution widens it."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, activation: type[nn.Module]
    ) -> None:
        narrow = max(1, in_channels // 4)
        super().__init__(
            conv(in_channels, narrow * stride**2, 3),
            nn.PixelShuffle(stride),
            conv(narrow, out_channels, 3),
            activation(),
        )


class _ModulatedDecoder(StagedDecoder):
    """Before each stage: instance norm, then scale and shift by the frame index."""

    def __init__(
        self,
        stem: nn.Module,
        stages: list[nn.Module],
        head: nn.Module,
        config: ENeRVConfig,
        activation: type[nn.Module],
    ) -> None:
        super().__init__(stem, stages, head)
        width = config.block_width // 2
        self.encode_time = PositionalEncoding(
            base=config.pe_base, levels=config.pe_levels, num_frames=config.num_frames
        )
        self.time = mlp(2 * config.pe_levels, width, width, activation=activation)
        self.affine = nn.ModuleList(
            mlp(width, 2 * channels, activation=activation) for channels in config.channels[:-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        time = self.time(self.encode_time(x))  # (B, block_width / 2)
        x = self.stem(x)
        for affine, stage in zip(self.affine, self.stages, strict=True):
            gamma, beta = affine(time)[..., None, None].chunk(2, dim=1)  # (B, C, 1, 1)
            x = F.layer_norm(x, x.shape[2:])  # over pixels: instance norm of (B, C, h, w)
            x = stage(x * gamma + beta)
        x_hat: Tensor = self.head(x)
        return x_hat
