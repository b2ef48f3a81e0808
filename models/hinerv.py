"""HiNeRV: Hierarchical Encoding-based Neural Representation (Kwan et al. 2023, arXiv 2306.09818).

Grids over time feed the stem and every stage. HiNeRV-S for UVG, 600 frames of 1080x1920:

    frame index  (B,)
    base grids   (B, 6, 18, 32)      150 x 2 and 75 x 4: time steps x channels
    stem         (B, 280, 18, 32)    conv 3x3
    stage 1..4   LayerNorm, bilinear upsampling by 5 3 2 2; plus local grids (B, C, s, s) of
                 600 x c, 300 x 2c and 150 x 4c, c = 4 2 1 1, projected to the width and repeated
                 over the picture; 3 3 3 1 ConvNeXt blocks; widths halve from stage 2 on
    head         (B, 3, 1080, 1920)  conv 1x1, sigmoid

3,188,933 parameters and 180.6 GMAC a frame; the paper prints 3.19 M and 181 G.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._blocks import conv, stage_widths, upsample_bilinear
from ._config import MAX_DECODER_PARAMS, NetworkConfig, Sizing, check_range
from ._convnext import PlainConvNeXtBlock, normalize_channels
from ._grids import Levels, Pyramids, TemporalGrids
from ._network import Network
from ._registry import register

__all__ = ["HiNeRV", "HiNeRVConfig"]

_NUM_CELLS = 576  # 18x32
_FEW_CELLS = 32  # small budgets go down to these
_CELL_PIXELS = 256  # at least, for small frames
_BASE_SHARE = 0.1  # of the whole budget for the base grids, above _FEW_CELLS
_GRID_SHARE = 0.25  # of the whole budget for all grids, at most; the authors' are near 0.18
_MIN_BASE_STEPS = 40  # of a clip that has so many frames
_MAX_GRID_CHANNELS = 32  # HiNeRV-XXL
_LOWER_WIDTH = 8


@dataclass(frozen=True)
class HiNeRVConfig(NetworkConfig):
    """Hyper-parameters of HiNeRV."""

    base_steps: int  # time steps of the base grids' first level; the next has half
    local_steps: int  # time steps of the local grids' first level; the next have half, a quarter
    grid_channels: int = 2  # of the base grids' first level; local grids of stage 1: the double
    depth: int = 3  # ConvNeXt blocks of a stage; the last stage has one
    expansion: int = 4  # of their hidden layers; the last stage's do not expand

    @property
    def pyramids(self) -> Pyramids:
        """Levels of all grids."""
        return Pyramids(
            self.base_steps, self.local_steps, self.grid_channels, self.grid, self.strides
        )

    @property
    def hidden_widths(self) -> list[int]:
        """Width of the blocks' hidden layers, by stage."""
        return [self.expansion * channels for channels in self.channels[1:-1]] + [self.channels[-1]]

    @property
    def largest_map(self) -> int:
        """Values of the largest feature map of one frame, hidden and upsampled ones included.

        Or time steps of a grid, which all have a weight in it.
        """
        rows, columns = self.grid
        most, upsampling = sum(channels for _, channels in self.pyramids.base), 1
        for i, stride in enumerate(self.strides):
            upsampling *= stride
            widest = max(*self.channels[i : i + 2], self.hidden_widths[i])
            most = max(most, widest * upsampling**2)
        return max(most * rows * columns, self.base_steps, self.local_steps)

    def check(self) -> None:
        """Check the grids and the blocks; all blocks of stage 1 have a residual."""
        check_range("width of stage 1", self.channels[1], *2 * (self.channels[0],))
        check_range("base_steps", self.base_steps, 1, 2**24)
        check_range("local_steps", self.local_steps, 1, 2**24)
        check_range("grid_channels", self.grid_channels, 1, 128)
        check_range("depth", self.depth, 1, 16)
        check_range("expansion", self.expansion, 1, 8)
        check_range("values of the grids", self.pyramids.num_values, 1, MAX_DECODER_PARAMS)

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> HiNeRVConfig:
        """Size by channels = base_width, halved from stage 2 on.

        Below the authors' budgets the first feature map has fewer cells, the grids fewer steps.
        """
        base_steps = max(sizing.num_frames // 4, min(sizing.num_frames, _MIN_BASE_STEPS))
        cells = max(_FEW_CELLS, int(_BASE_SHARE * sizing.num_params / (4 * base_steps)))
        cells = min(cells, _NUM_CELLS, max(1, sizing.height * sizing.width // _CELL_PIXELS))
        strides = overrides.pop("strides", None) or sizing.strides(num_cells=cells, max_stages=4)
        grid = sizing.grid(strides)
        pyramids = Pyramids(base_steps, sizing.num_frames, cls.grid_channels, grid, strides).fitted(
            _GRID_SHARE * sizing.num_params, max_channels=_MAX_GRID_CHANNELS
        )
        overrides.setdefault("base_steps", pyramids.base_steps)
        overrides.setdefault("local_steps", pyramids.local_steps)
        overrides.setdefault("grid_channels", pyramids.channels)
        widths = stage_widths(base_width, len(strides) - 1, reduction=2.0, lower_width=_LOWER_WIDTH)
        channels = (base_width, base_width, *widths)
        return cls(*sizing.clip, strides, channels, **overrides)


@register("hinerv")
class HiNeRV(Network):
    """HiNeRV, driven by the frame index alone."""

    config_class = HiNeRVConfig
    paper = "HiNeRV: Video Compression with Hierarchical Encoding-based Neural Representation"
    arxiv = "2306.09818"

    def __init__(self, config: HiNeRVConfig, *, with_encoder: bool = True) -> None:
        super().__init__(config)
        self.decoder = _Decoder(config)

    def squash(self, x: Tensor) -> Tensor:
        """Map the decoder's output to [0, 1]."""
        return torch.sigmoid(x)


class _Decoder(nn.Module):
    """(B,) int64 -> (B, 3, H', W'); every stage sees the frame index."""

    def __init__(self, config: HiNeRVConfig) -> None:
        super().__init__()
        pyramids = config.pyramids
        depths = [config.depth] * (len(config.strides) - 1) + [1]
        self.stem = _ProjectedGrids(
            pyramids.base, config.grid, config.num_frames, config.channels[0], kernel_size=3
        )
        self.stages = nn.ModuleList()
        for i, stride in enumerate(config.strides):
            in_channels, out_channels = config.channels[i : i + 2]
            local = _ProjectedGrids(
                pyramids.local[i], (stride, stride), config.num_frames, in_channels, kernel_size=1
            )
            widths = [in_channels] + [out_channels] * depths[i]
            self.stages.append(_Stage(local, widths, config.hidden_widths[i]))
        self.head = _unbiased(conv(config.channels[-1], 3, 1))

    def forward(self, frame_indices: Tensor) -> Tensor:
        x = self.stem(frame_indices)
        for stage in self.stages:
            x = stage(x, frame_indices)
        x_hat: Tensor = self.head(x)
        return x_hat


class _ProjectedGrids(nn.Sequential):
    """(B,) int64 -> (B, C, h, w): grids, then a convolution."""

    def __init__(
        self,
        levels: Levels,
        shape: tuple[int, int],
        num_frames: int,
        out_channels: int,
        *,
        kernel_size: int,
    ) -> None:
        grids = TemporalGrids(levels, shape, num_frames=num_frames, shift=0.5, init_bound=1e-3)
        in_channels = sum(channels for _, channels in levels)
        super().__init__(grids, _unbiased(conv(in_channels, out_channels, kernel_size)))


class _Stage(nn.Module):
    """(B, C, h, w) -> (B, C_next, h*s, w*s), with s the side of the local grids."""

    def __init__(self, local: _ProjectedGrids, widths: list[int], hidden_width: int) -> None:
        super().__init__()
        self.local = local
        self.blocks = nn.Sequential(
            *(PlainConvNeXtBlock(*pair, hidden_width) for pair in itertools.pairwise(widths))
        )

    def forward(self, x: Tensor, frame_indices: Tensor) -> Tensor:
        local = self.local(frame_indices)  # (B, C, s, s)
        batch, channels, stride, _ = local.shape
        x = upsample_bilinear(normalize_channels(x), stride)
        rows, columns = x.shape[2] // stride, x.shape[3] // stride
        cells = x.view(batch, channels, rows, stride, columns, stride)
        x = (cells + local[:, :, None, :, None]).reshape(x.shape)
        y: Tensor = self.blocks(x)
        return y


def _unbiased(layer: nn.Conv2d) -> nn.Conv2d:
    """Start from a bias of zero."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
