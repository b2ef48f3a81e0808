"""Sizes and multiply-accumulates equal those of the authors' public code and of the papers.

Where a table below has GMAC, they were measured on the authors' code: one forward pass of the
decoder for one frame, torch FlopCounter / 2. The other figures are printed in the papers or in the
comments of the authors' scripts, as said beside each.
"""

from __future__ import annotations

import math
from itertools import accumulate

import pytest

from inrcodec import models
from inrcodec.models.boost import ENeRVBoostConfig, HNeRVBoostConfig, NeRVBoostConfig
from inrcodec.models.nerv import ORIGINAL

FRAMES_720P = (720, 1280, 132)
STRIDES_720P = (5, 2, 2, 2, 2)

STRIDES_HNERV = (5, 4, 4, 2, 2)

# name: fc_dim, decoder parameters, GMAC a frame
HNERV_640X1280 = {
    "hnerv-0.35M": (32, 312_830, 5.858384896),
    "hnerv-0.75M": (48, 719_256, 13.888415744),
    "hnerv-1.5M": (68, 1_488_276, 28.838415904),
    "hnerv-3M": (97, 3_012_686, 59.336150216),
}
NERV_640X1280 = {
    "nerv-1.5M": (54, 1_507_868, 1.85404032),
    "nerv-3.0M": (91, 2_986_591, 2.44577408),
}
NERVPP_REPO_720X1280 = {
    "nervpp-repo-XS": (8, 1_902_725, 105.468023936),
    "nervpp-repo-S": (26, 3_379_541, 105.5002088),
    "nervpp-repo-M": (58, 6_382_533, 105.622851584),
    "nervpp-repo-L": (112, 12_546_111, 106.019738624),
}


@pytest.mark.parametrize(("fc_dim", "num_params", "gmac"), HNERV_640X1280.values())
def test_hnerv(fc_dim: int, num_params: int, gmac: float) -> None:
    config = models.HNeRVConfig.for_base_width(fc_dim, models.Sizing(640, 1280, 132, 1_000_000))
    assert config.strides == STRIDES_HNERV
    assert config.embedding_shape == (16, 2, 4)
    assert models.count_parameters(config) == models.StoredSize(num_params, 16_896)
    assert models.macs_per_frame(config) == pytest.approx(gmac * 1e9, rel=0.02)


def test_hnerv_encoder() -> None:
    config = models.HNeRVConfig(640, 1280, 132, STRIDES_HNERV, (4,) * 6)
    encoder = models.build("hnerv", config).encoder
    assert encoder is not None
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 306_160


@pytest.mark.parametrize(("fc_dim", "num_params", "gmac"), NERV_640X1280.values())
def test_nerv(fc_dim: int, num_params: int, gmac: float) -> None:
    config = models.NeRVConfig.for_base_width(fc_dim, models.Sizing(640, 1280, 132, 1_500_000))
    assert config.strides == (5, 4, 2, 2)
    assert config.grid == (8, 16)
    assert models.count_parameters(config) == models.StoredSize(num_params, 0)
    assert models.macs_per_frame(config) == pytest.approx(gmac * 1e9, rel=0.02)


@pytest.mark.parametrize(("fc_dim", "num_params", "gmac"), NERVPP_REPO_720X1280.values())
def test_nervpp_repo(fc_dim: int, num_params: int, gmac: float) -> None:
    config = models.NeRVPPConfig.for_base_width(
        fc_dim, models.Sizing(720, 1280, 132, num_params), block="gated"
    )
    assert config.strides == (5, 2, 2, 2, 2)
    assert config.grid == (9, 16)
    assert models.count_parameters(config) == models.StoredSize(num_params, 0)
    assert models.macs_per_frame(config) == pytest.approx(gmac * 1e9, rel=0.02)


@pytest.mark.parametrize(("fc_dim", "millions"), [(26, 3.2), (58, 6.3), (112, 12.5)])
def test_nerv_as_printed(fc_dim: int, millions: float) -> None:
    """NeRV-S, M and L (arXiv 2110.13903, table 2)."""
    channels = widths_below(fc_dim, fc_dim, reduction=2, floor=96)
    config = models.NeRVConfig(*FRAMES_720P, STRIDES_720P, channels, **ORIGINAL)
    assert round(models.count_parameters(config).total / 1e6, 1) == millions


def test_enerv_as_printed() -> None:
    """12.49 M (arXiv 2207.08132, table 1), from cfgs/E-NeRV-bunny.yaml."""
    channels = widths_below(196, 3 * 196, reduction=2, floor=96)
    config = models.ENeRVConfig(*FRAMES_720P, STRIDES_720P, channels)
    assert config.grid == (9, 16)
    assert round(models.count_parameters(config).total / 1e6, 2) == 12.49


@pytest.mark.parametrize(("size", "millions"), [(0.64, 0.75), (1.275, 1.5), (2.65, 3.0)])
def test_hnerv_boost(size: float, millions: float) -> None:
    """scripts/regression/bunny/hnerv_boost.sh: --modelsize, and the parameters it amounts to."""
    embeddings = 16 * 9 * 16 * 132
    fc_dim = boost_fc_dim(size, (1, 3, 5, 5, 5), 1.2, inputs=16 * 9, embeddings=embeddings)
    channels = (fc_dim, *accumulate([fc_dim] * 6, lambda c, _: max(round(c / 1.2), 12)))[1:]
    config = HNeRVBoostConfig(*FRAMES_720P, STRIDES_720P, channels)
    assert models.count_parameters(config).embeddings == embeddings
    assert models.count_parameters(config).total == pytest.approx(millions * 1e6, rel=0.03)


@pytest.mark.parametrize(("size", "millions"), [(0.375, 0.75), (0.8, 1.5), (1.65, 3.0)])
def test_nerv_boost(size: float, millions: float) -> None:
    """scripts/regression/bunny/nerv_boost.sh."""
    fc_dim = boost_fc_dim(size, (3,) * 5, 2, inputs=160 * 144)
    channels = widths_below(fc_dim, fc_dim, reduction=2, floor=12)
    config = NeRVBoostConfig(*FRAMES_720P, STRIDES_720P, channels)
    assert models.count_parameters(config).total == pytest.approx(millions * 1e6, rel=0.03)


@pytest.mark.parametrize(("size", "millions"), [(0.55, 0.75), (1.25, 1.5), (2.2, 3.0)])
def test_enerv_boost(size: float, millions: float) -> None:
    """scripts/regression/bunny/enerv_boost.sh."""
    fc_dim = boost_fc_dim(size, (3,) * 5, 2, inputs=160 * 144)
    channels = widths_below(fc_dim, 3 * fc_dim, reduction=2, floor=12)
    config = ENeRVBoostConfig(*FRAMES_720P, STRIDES_720P, channels, block_width=128)
    assert models.count_parameters(config).total == pytest.approx(millions * 1e6, rel=0.03)


def widths_below(stem: int, first: int, *, reduction: int, floor: int) -> tuple[int, ...]:
    """Widths of a stem and five stages, of which the later ones are narrower."""
    return (stem, *accumulate([first] * 5, lambda c, _: max(c // reduction, floor)))


def boost_fc_dim(
    size: float,
    kernel_sizes: tuple[int, ...],
    reduction: float,
    *,
    inputs: int,
    embeddings: int = 0,
) -> int:
    """The authors' rule (train_nerv_all.py): a root of the parameters of convolutions and stem."""
    a = sum(
        reduction ** -(2 * i + 1) * stride**2 * kernel_size**2
        for i, (stride, kernel_size) in enumerate(zip(STRIDES_720P, kernel_sizes, strict=True))
    )
    c = size * 1e6 - embeddings
    return int((math.sqrt(inputs**2 + 4 * a * c) - inputs) / (2 * a))
