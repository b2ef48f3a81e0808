"""What networks share that decode from stored embeddings of the frames, as HNeRV does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._blocks import stage_widths
from ._config import ConfigT, NetworkConfig, Sizing, check_range

__all__ = ["EMBEDDING_SHARE", "HybridConfig"]

_REDUCTION = 1.2
_LOWER_WIDTH = 12
_EMBEDDING_VALUES = 128  # a frame
EMBEDDING_SHARE = 0.15  # of the whole budget, at most
# Of padding: on many cells embeddings have few channels, and wide maps are dear (640x272: 22 kMAC a
# pixel on 4x9 cells, 38 on 7x16).
_CELLS_WEIGHT = 0.03


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

    @classmethod
    def for_base_width(
        cls: type[ConfigT], base_width: int, sizing: Sizing, **overrides: Any
    ) -> ConfigT:
        """Size by fc_dim = base_width, reduction 1.2, floor 12 (HNeRV)."""
        strides = overrides.pop("strides", None) or sizing.strides(cells_weight=_CELLS_WEIGHT)
        channels = embedding_channels(sizing.grid(strides), sizing)
        widths = stage_widths(
            base_width, len(strides), reduction=_REDUCTION, lower_width=_LOWER_WIDTH
        )
        fields = {"embedding_channels": channels, **overrides}
        return cls(*sizing.clip, strides, (base_width, *widths), **fields)


def embedding_channels(grid: tuple[int, int], sizing: Sizing) -> int:
    """Channels that give about 128 values a frame and at most 15 % of the budget in all."""
    cells = grid[0] * grid[1]
    wished = round(_EMBEDDING_VALUES / cells)
    affordable = int(EMBEDDING_SHARE * sizing.num_params / (cells * sizing.num_frames))
    return max(1, min(wished, affordable))
