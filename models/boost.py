"""Boost: a conditional decoder around other networks (Zhang et al. 2024, arXiv 2402.18152).

Every stage of the network inside gets a sine as activation, and behind it a residual block whose
features are scaled and shifted by the frame index (temporal-aware affine transform, TAT):

    frame index  (B,)
    time         (B, 32)           positional encoding, layers of 64 and 32, sine
    stem         the network's own; TAT residual where the network decodes embeddings
    stage i      the network's own, then the TAT residual; the last three stages are followed by
                 conv 3x3, sine and another TAT residual at the same size
    head         the network's own

    TAT residual x + conv 3x3(TAT(GELU(conv 3x3(TAT(x)))))
    TAT          x * (1 + scale(time)) + shift(time), each two layers with a ReLU between

The blocks of `nerv-boost`, `enerv-boost` and `hnerv-boost` are the paper's, and with the authors'
strides and widths so are their sizes (tests/models/test_parity.py). `for_budget` sizes them by the
rule of the network inside instead, which differs from the scripts of the authors: their
`hnerv-boost`, for one, has strides 5, 2, 2, 2, 2 behind 9x16 cells of 16 channels where ours has
5x9 of 3. `hnervpp-boost` is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ._blocks import PositionalEncoding, StagedDecoder, conv, mlp
from ._conditional import Conditional, Sine
from ._config import ConfigT, NetworkConfig, Sizing, check_range
from ._network import Network
from ._registry import register
from .enerv import ENeRV, ENeRVConfig
from .hnerv import HNeRV, HNeRVConfig
from .hnervpp import HNeRVPP, HNeRVPPConfig
from .nerv import NeRV, NeRVConfig, check_encoding

__all__ = ["BoostConfig", "Boosted"]

_TIME_CHANNELS = 32
_AUTHORS_SMALLEST = 750_000  # parameters


@dataclass(frozen=True)
class BoostConfig(NetworkConfig):
    """Hyper-parameters that Boost adds to those of the network inside."""

    time_channels: int = _TIME_CHANNELS
    doubled_stages: int = 3  # last stages that have a second block
    pe_base: float = 1.25
    pe_levels: int = 80

    def check(self) -> None:
        """Check the fields of both."""
        super().check()
        check_range("time_channels", self.time_channels, 1, 1024)
        check_range("doubled_stages", self.doubled_stages, 0, 8)
        check_encoding(self.pe_base, self.pe_levels)

    def count_macs(self) -> int | None:
        """None: what Boost adds to the network inside is traced."""
        return None

    @classmethod
    def for_base_width(
        cls: type[ConfigT], base_width: int, sizing: Sizing, **overrides: Any
    ) -> ConfigT:
        """Size as the network inside, with the authors' time encoding down to 0.75 M parameters.

        Below, its channels shrink with the stages' widths, and last the levels of its encoding.
        """
        share = min(1.0, sizing.num_params / _AUTHORS_SMALLEST)
        fields = {
            "pe_levels": min(80, max(10, sizing.num_params // 1000)),
            "time_channels": max(4, round(_TIME_CHANNELS * share**0.5)),
        }
        return super().for_base_width(base_width, sizing, **{**fields, **overrides})


class Boosted(Network):
    """A network inside a conditional decoder; subclasses name the network."""

    inside: ClassVar[type[Network]]
    options: ClassVar[dict[str, object]] = {}  # for the network inside
    config: BoostConfig
    paper = "Boosting Neural Representations for Videos with a Conditional Decoder"
    arxiv = "2402.18152"

    def __init__(self, config: BoostConfig, *, with_encoder: bool = True) -> None:
        super().__init__(config)
        build: Any = self.inside
        network = build(config, with_encoder=with_encoder, activation=Sine, **self.options)
        self.encoder = network.encoder
        self.decoder = _BoostedDecoder(network.decoder, config)

    def decode(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        """Decode from the index, and from embeddings where the network inside does."""
        x_hat: Tensor = self.decoder(frame_indices, embeddings)
        return x_hat

    def squash(self, x: Tensor) -> Tensor:
        """Map the decoder's output to [0, 1] as the network inside does."""
        return self.inside.squash(self, x)


class _BoostedDecoder(nn.Module):
    """Frame indices (B,) and perhaps embeddings (B, C, h, w) -> (B, 3, H', W')."""

    def __init__(self, inside: StagedDecoder, config: BoostConfig) -> None:
        super().__init__()
        channels = config.time_channels
        self.time = nn.Sequential(
            PositionalEncoding(
                base=config.pe_base, levels=config.pe_levels, num_frames=config.num_frames
            ),
            mlp(2 * config.pe_levels, 2 * channels, channels, activation=Sine),
        )
        stem_width, *widths = config.channels
        self.stem = inside.stem
        if config.embedding_shape is not None:
            self.stem = Conditional(inside.stem, stem_width, channels)
        self.stages = nn.ModuleList()
        for i, (stage, width) in enumerate(zip(inside.stages, widths, strict=True)):
            self.stages.append(Conditional(stage, width, channels))
            if i >= len(widths) - config.doubled_stages:
                again = nn.Sequential(conv(width, width, 3), Sine())
                self.stages.append(Conditional(again, width, channels))
        self.head = inside.head

    def forward(self, frame_indices: Tensor, embeddings: Tensor | None) -> Tensor:
        time = self.time(frame_indices)  # (B, time_channels)
        x = self.stem(frame_indices) if embeddings is None else self.stem(embeddings, time)
        for stage in self.stages:
            x = stage(x, time)
        x_hat: Tensor = self.head(x)
        return x_hat


@dataclass(frozen=True)
class NeRVBoostConfig(BoostConfig, NeRVConfig):
    """Hyper-parameters of NeRV inside Boost."""

    stem_width: int = 256
    head_kernel_size: int = 1

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> NeRVBoostConfig:
        """Size as NeRV; without the stem's hidden layer where it would take a small budget."""
        if sizing.num_params < _AUTHORS_SMALLEST:
            overrides.setdefault("stem_width", 0)
        return super().for_base_width(base_width, sizing, **overrides)


@register("nerv-boost")
class NeRVBoost(Boosted):
    """NeRV inside Boost."""

    config_class, inside = NeRVBoostConfig, NeRV


@dataclass(frozen=True)
class ENeRVBoostConfig(BoostConfig, ENeRVConfig):
    """Hyper-parameters of E-NeRV inside Boost."""


@register("enerv-boost")
class ENeRVBoost(Boosted):
    """E-NeRV inside Boost, whose transform replaces E-NeRV's own modulation."""

    config_class, inside = ENeRVBoostConfig, ENeRV
    options: ClassVar[dict[str, object]] = {"modulated": False}


@dataclass(frozen=True)
class HNeRVBoostConfig(BoostConfig, HNeRVConfig):
    """Hyper-parameters of HNeRV inside Boost."""

    max_kernel_size: int = 3


@register("hnerv-boost")
class HNeRVBoost(Boosted):
    """HNeRV inside Boost."""

    config_class, inside = HNeRVBoostConfig, HNeRV


@dataclass(frozen=True)
class HNeRVPPBoostConfig(BoostConfig, HNeRVPPConfig):
    """Hyper-parameters of HNeRV++ inside Boost."""

    follows_motion: ClassVar[bool] = False

    def check(self) -> None:
        """Check that there is no motion, which the transform does not know."""
        super().check()
        check_range("motion", self.motion, 0, 0)


@register("hnervpp-boost")
class HNeRVPPBoost(Boosted):
    """HNeRV++ inside Boost."""

    config_class, inside = HNeRVPPBoostConfig, HNeRVPP
