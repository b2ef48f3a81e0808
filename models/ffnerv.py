"""FFNeRV: Flow-Guided Frame-Wise Neural Representations (Lee et al. 2022, arXiv 2212.12294).

A frame is a mixture of what the decoder draws for its index and of the neighbouring frames that
it draws, each warped by a flow. The authors' compact network, 600 frames of 720x1280:

    frame index  (B,)
    stem         (B, 48, 9, 16)      temporal grids of 300 and 600 steps, 24 channels each
    stage 1      (B, 384, 45, 80)    conv 3x3, PixelShuffle(5), GELU
    stage 2..5   conv 3x3 in 8 groups, conv 1x1, PixelShuffle(2), GELU; widths 192 96 48 24
    head         after stage 3, conv 1x1 to a flow and a weight for each of 4 neighbours;
                 after stage 5, conv 1x1 to the independent frame (B, 3, 720, 1280), tanh to
                 [0, 1], and 2 weights: of it and of the neighbours' weighted sum

8,495,369 parameters and 70.2 GMAC for one frame alone, which takes five evaluations. The authors
keep all independent frames of a clip in memory; here a frame's neighbours are drawn anew, without
a gradient: a batch of B successive frames takes B + 4 evaluations, B scattered ones up to 5B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ._blocks import conv, stage_widths
from ._config import MAX_DECODER_PARAMS, NetworkConfig, Sizing, check_range
from ._flow import CompactConv, aggregate
from ._grids import Levels, TemporalGrids, num_values
from ._network import Network
from ._registry import register
from ._strides import product_of

__all__ = ["FFNeRV", "FFNeRVConfig"]

_LOWER_WIDTH = 24
_CELLS_SCALE = 12  # cells are this times sqrt(parameters) / frames, for grids near a fifth
_NUM_CELLS = 144  # 9x16
_CELL_PIXELS = 256  # at least, for small frames
_GRID_SHARE = 0.37  # of the whole budget, at most: the authors' own


@dataclass(frozen=True)
class FFNeRVConfig(NetworkConfig):
    """Hyper-parameters of FFNeRV."""

    grid_steps: tuple[int, ...]  # time steps of each temporal grid; they share the stem's width
    neighbours: tuple[int, ...] = (-2, -1, 1, 2)  # by their distance in frames
    groups: int = 8  # of the grouped convolutions, at most

    is_recordable: ClassVar[bool] = False  # which frames are beside is read on the host
    frames_share_work: ClassVar[bool] = True

    @property
    def levels(self) -> Levels:
        """Time steps and channels of each temporal grid."""
        width, rest = divmod(self.channels[0], len(self.grid_steps))
        return [(steps, width + (i < rest)) for i, steps in enumerate(self.grid_steps)]

    @property
    def flow_stages(self) -> int:
        """Number of stages that the flow and its weights are read after."""
        return max(1, len(self.strides) - 2)

    @property
    def largest_map(self) -> int:
        """Values of the largest feature map of one frame, or of all that is warped for it.

        Or time steps of a grid, which all have a weight in it.
        """
        warped = 9 * len(self.neighbours) * math.prod(self.padded_size)
        return max(super().largest_map, warped, *self.grid_steps)

    def check(self) -> None:
        """Check the grids and the neighbours."""
        _check_steps(self.grid_steps)
        check_range("width of the stem", self.channels[0], len(self.grid_steps), 2048)
        grid_values = num_values(self.levels, self.grid)
        check_range("values of the grids", grid_values, 1, MAX_DECODER_PARAMS)
        check_range("number of neighbours", len(self.neighbours), 1, 8)
        distinct = len(set(self.neighbours))
        check_range("number of distinct neighbours", distinct, *2 * (len(self.neighbours),))
        for offset in self.neighbours:
            check_range("distance of a neighbour", abs(offset), 1, 64)
        check_range("groups", self.groups, 1, 64)

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> FFNeRVConfig:
        """Size by base_width = width of stage 2 (the authors: 192); lower width 24.

        Below the authors' budgets there are fewer cells, a smaller lower width, and
        fewer time steps where the grids would take more than the authors' share.
        """
        cells = max(4, int(_CELLS_SCALE * math.sqrt(sizing.num_params) / sizing.num_frames))
        cells = min(cells, _NUM_CELLS, max(1, sizing.height * sizing.width // _CELL_PIXELS))
        strides = overrides.pop("strides", None) or sizing.strides(num_cells=cells)
        wished = overrides.get("grid_steps", (math.ceil(sizing.num_frames / 2), sizing.num_frames))
        _check_steps(wished)
        stem = max(len(wished), round(base_width / 4))
        widths = stage_widths(
            2 * base_width,
            len(strides) - 1,
            reduction=2.0,
            lower_width=min(_LOWER_WIDTH, max(1, base_width // 2)),
        )
        rows, columns = sizing.grid(strides)
        values = stem * rows * columns * sum(wished) / len(wished)
        scale = min(1.0, _GRID_SHARE * sizing.num_params / values)
        overrides.setdefault("grid_steps", tuple(max(1, int(scale * steps)) for steps in wished))
        channels = (stem, 2 * base_width, *widths)
        return cls(*sizing.clip, strides, channels, **overrides)


def _check_steps(grid_steps: Sequence[int]) -> None:
    check_range("number of grid_steps", len(grid_steps), 1, 4)
    for steps in grid_steps:
        check_range("grid_steps", steps, 1, 2**24)


@register("ffnerv")
class FFNeRV(Network):
    """FFNeRV with compact convolutions, driven by the frame index alone."""

    config_class = FFNeRVConfig
    paper = "FFNeRV: Flow-Guided Frame-Wise Neural Representations for Videos"
    arxiv = "2212.12294"

    decoder: _Decoder

    def __init__(self, config: FFNeRVConfig, *, with_encoder: bool = True) -> None:
        super().__init__(config)
        self.decoder = _Decoder(config)

    def auxiliary(self) -> list[Tensor]:
        """The independent and the aggregated frames (B, 3, H, W) of the batch last decoded."""
        height, width = self.config.height, self.config.width
        return [frames[..., :height, :width] for frames in self.decoder.renditions]

    def squash(self, x: Tensor) -> Tensor:
        """Return the frames, which are in [0, 1] but for rounding."""
        return x.clamp(0, 1)


class _Decoder(nn.Module):
    """(B,) int64 -> frames (B, 3, H', W') in [0, 1]."""

    def __init__(self, config: FFNeRVConfig) -> None:
        super().__init__()
        self.num_frames = config.num_frames
        self.neighbours = config.neighbours
        self.flow_stages = config.flow_stages
        self.flow_scale = product_of(config.strides[config.flow_stages :])
        self.renditions: list[Tensor] = []
        self.stem = TemporalGrids(config.levels, config.grid, num_frames=config.num_frames)
        self.stages = nn.ModuleList()
        for i, stride in enumerate(config.strides):
            in_channels, wide = config.channels[i], config.channels[i + 1] * stride**2
            wide_conv: nn.Module
            if i == 0:
                wide_conv = conv(in_channels, wide, 3)
            else:
                wide_conv = CompactConv(in_channels, wide, groups=config.groups)
            self.stages.append(nn.Sequential(wide_conv, nn.PixelShuffle(stride), nn.GELU()))
        self.head = nn.ModuleDict(
            {
                "flow": conv(config.channels[self.flow_stages], 3 * len(self.neighbours), 1),
                "frame": conv(config.channels[-1], 5, 1),
            }
        )

    def forward(self, frame_indices: Tensor) -> Tensor:
        independent, weights, flow = self.draw(frame_indices)
        neighbours = self.draw_neighbours(frame_indices, independent.detach())
        aggregated = aggregate(neighbours, flow, scale=self.flow_scale)
        fitting = self.training and torch.is_grad_enabled()
        self.renditions = [independent, aggregated] if fitting else []
        weights = weights.softmax(dim=1)  # (B, 2, H', W')
        return independent * weights[:, :1] + aggregated * weights[:, 1:]

    def draw(self, frame_indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Independent frames (B, 3, H', W'), two weights of the mixture, flow (B, 3A, h, w)."""
        x = self.stem(frame_indices)
        for i, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if i == self.flow_stages:
                flow = self.head["flow"](x).float()
        frame, weights = self.head["frame"](x).float().split((3, 2), dim=1)
        return torch.tanh(frame) * 0.5 + 0.5, weights, flow

    @torch.no_grad()
    def draw_neighbours(self, frame_indices: Tensor, independent: Tensor) -> Tensor:
        """Independent frames (B, A, 3, H', W') around each index; black outside the clip.

        Those of the batch are at hand in `independent`; the others are drawn, each once.
        """
        if frame_indices.is_meta:  # for counting: no values, so take all to lie in the clip
            return torch.stack([self.draw(frame_indices)[0] for _ in self.neighbours], dim=1)
        wanted = [[i + offset for offset in self.neighbours] for i in frame_indices.tolist()]
        frames = dict(zip(frame_indices.tolist(), independent, strict=True))
        inside = {i for row in wanted for i in row if 0 <= i < self.num_frames}
        missing = sorted(inside - frames.keys())
        for start in range(0, len(missing), len(wanted)):
            chunk = missing[start : start + len(wanted)]
            drawn = self.draw(torch.tensor(chunk, device=frame_indices.device))[0]
            frames.update(zip(chunk, drawn, strict=True))
        black = torch.zeros_like(independent[0])
        return torch.stack([torch.stack([frames.get(i, black) for i in row]) for row in wanted])
