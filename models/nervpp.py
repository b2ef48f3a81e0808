"""NeRV++: An Enhanced Implicit Neural Video Representation (Ghorbel et al. 2024, arXiv 2402.18305).

Paper and public code differ. The default, `nervpp`, follows the paper (`block="separable"`):

    frame index  (B,)
    encoding     (B, 80)           sin and cos of t * 1.25**i * pi, i < 40
    stem         (B, C, h, w)      gated MLP
    stage 1..5   separable residual block; conv 3x3, PixelShuffle(s), SiLU; separable residual
                 block; plus the input, projected by a 1x1 and upsampled bilinearly
    head         (B, 3, H, W)      conv 1x1, sigmoid

The public code is `nervpp-repo` (`block="gated"`): before the upsampler a 1x1 projection, a
gated CNN block (GELU gate, depthwise 5x5 on a part of the channels) and a skip from the
projection; after it a residual of depthwise 3x3, 1x1, GELU, 1x1. fc_dim 8 at 720x1280, grid
9x16, strides 5 2 2 2 2: 1,902,725 parameters and 105.5 GMAC a frame, as the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inrcodec.errors import ModelError

from ._blocks import PositionalEncoding, StagedDecoder, ToGrid, stage_widths
from ._config import NetworkConfig, Sizing, check_range, show
from ._gated import GatedMLP, GatedStage
from ._network import Network
from ._registry import register
from ._separable import SeparableStage
from .nerv import check_encoding, stem_cells

__all__ = ["NeRVPP", "NeRVPPConfig"]

_REPO_CELLS = 144  # 9x16
_REPO_LOWER_WIDTH = 80
_REPO_STEM_WIDTH = 512
_REPO_SMALLEST = 1_900_000  # parameters at fc_dim 8, the authors' XS
_PAPER_CELLS = 45  # 5x9: at 50k to 3M parameters the stem must not take them all
_STEM_RATIO = 2  # width of the stem's hidden layer per channel
_MIN_WIDTH = 12


@dataclass(frozen=True)
class NeRVPPConfig(NetworkConfig):
    """Hyper-parameters of NeRV++."""

    block: str = "separable"  # the paper's block; "gated" is the public code's
    stem_width: int = 512  # of the gated MLP's hidden layer
    pe_base: float = 1.25
    pe_levels: int = 40

    def check(self) -> None:
        """Check the block, the stem and the encoding."""
        if self.block not in ("separable", "gated"):
            raise ModelError(f"block is {show(self.block)}; it must be 'separable' or 'gated'")
        check_range("stem_width", self.stem_width, 1, 2048)
        check_encoding(self.pe_base, self.pe_levels)

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> NeRVPPConfig:
        """Size by fc_dim = base_width: stage 1 keeps it, later stages halve it down to a floor.

        The floor is the authors' 80 in the public code's variant from its smallest model up;
        else half of the base width, at least 12, with a stem as small as the stages.
        """
        authors = overrides.get("block") == "gated" and sizing.num_params >= _REPO_SMALLEST
        cells = _REPO_CELLS if authors else stem_cells(sizing.num_params, 400, most=_PAPER_CELLS)
        strides = overrides.pop("strides", None) or sizing.strides(num_cells=cells)
        if authors:
            widths = [base_width]
            for _ in strides[1:]:
                widths.append(max(widths[-1] // 2, _REPO_LOWER_WIDTH))
        else:
            overrides.setdefault("stem_width", min(_REPO_STEM_WIDTH, _STEM_RATIO * base_width))
            lower_width = max(_MIN_WIDTH, base_width // 2)
            later = stage_widths(
                base_width, len(strides) - 1, reduction=2.0, lower_width=lower_width
            )
            widths = [base_width, *later]
        return cls(*sizing.clip, strides, (base_width, *widths), **overrides)


@register("nervpp")
@register("nervpp-repo", block="gated")
class NeRVPP(Network):
    """NeRV++, driven by the frame index alone."""

    config_class = NeRVPPConfig
    paper = "NeRV++: An Enhanced Implicit Neural Video Representation"
    arxiv = "2402.18305"

    def __init__(self, config: NeRVPPConfig, *, with_encoder: bool = True) -> None:
        super().__init__(config)
        rows, columns = config.grid
        block = SeparableStage if config.block == "separable" else GatedStage
        stages = [
            block(*config.channels[i : i + 2], stride=stride, activation=nn.SiLU)
            for i, stride in enumerate(config.strides)
        ]
        stem = nn.Sequential(
            PositionalEncoding(
                base=config.pe_base, levels=config.pe_levels, num_frames=config.num_frames
            ),
            GatedMLP(2 * config.pe_levels, config.stem_width, config.channels[0] * rows * columns),
            ToGrid(config.grid),
        )
        self.decoder = StagedDecoder(stem, stages, nn.Conv2d(config.channels[-1], 3, 1))
        self.apply(_init_weights)

    def squash(self, x: Tensor) -> Tensor:
        """Map the decoder's output to [0, 1]."""
        return torch.sigmoid(x)


def _init_weights(module: nn.Module) -> None:
    """As the public code starts. The separable blocks lose their start as the identity by it, which
    is worth nothing here: 26.94 dB with it for 27.00 (20 epochs of Bunny at 320x160, 60 kB, Muon).
    """
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
