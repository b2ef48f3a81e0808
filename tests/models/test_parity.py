"""Sizes and multiply-accumulates equal those measured on the authors' public code.

One forward pass of the decoder for one frame, torch FlopCounter / 2.
"""

from __future__ import annotations

import pytest

from inrcodec import models

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
    config = models.HNeRVConfig.for_base_width(
        fc_dim, height=640, width=1280, num_frames=132, num_params=1_000_000
    )
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
    config = models.NeRVConfig.for_base_width(
        fc_dim, height=640, width=1280, num_frames=132, num_params=1_500_000
    )
    assert config.strides == (5, 4, 2, 2)
    assert config.grid == (8, 16)
    assert models.count_parameters(config) == models.StoredSize(num_params, 0)
    assert models.macs_per_frame(config) == pytest.approx(gmac * 1e9, rel=0.02)


@pytest.mark.parametrize(("fc_dim", "num_params", "gmac"), NERVPP_REPO_720X1280.values())
def test_nervpp_repo(fc_dim: int, num_params: int, gmac: float) -> None:
    config = models.NeRVPPConfig.for_base_width(
        fc_dim, height=720, width=1280, num_frames=132, num_params=num_params, block="gated"
    )
    assert config.strides == (5, 2, 2, 2, 2)
    assert config.grid == (9, 16)
    assert models.count_parameters(config) == models.StoredSize(num_params, 0)
    assert models.macs_per_frame(config) == pytest.approx(gmac * 1e9, rel=0.02)
