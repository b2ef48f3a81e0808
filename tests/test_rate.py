"""Coding a fitted segment: sizes met, payloads near the entropy of what they code."""

from __future__ import annotations

import numpy as np
import pytest

from inrcodec._segment_codec import tensor_layout
from inrcodec._segment_encode import code_segment
from inrcodec.bitstream import segment_sizes
from inrcodec.errors import RateError
from inrcodec.fitting import FitResult
from inrcodec.models import NetworkConfig, for_budget


@pytest.fixture(scope="module")
def fitted() -> tuple[NetworkConfig, FitResult]:
    """Weights with the spreads of a fit: 150,000 of the default network, heavier-tailed than
    Gaussian, at another spread in every tensor.
    """
    config = for_budget("hnervpp", 150_000, height=360, width=640, num_frames=32)
    _, sizes, _ = tensor_layout(config)
    rng = np.random.default_rng(0)
    tensors = [
        (rng.uniform(0.02, 0.5) * rng.standard_t(8, size)).astype(np.float32) for size in sizes
    ]
    codes = rng.integers(-12, 12, len(sizes)).tolist()
    return config, FitResult(tensors, codes, global_step=0.02, steps=1, seconds=1.0)


@pytest.mark.parametrize("num_bytes", [60_000, 93_000, 120_000])
def test_a_segment_takes_the_bytes_it_may(
    num_bytes: int, fitted: tuple[NetworkConfig, FitResult]
) -> None:
    data = code_segment(*fitted, num_bytes)
    assert 0.985 * num_bytes <= len(data) <= num_bytes


def test_payloads_are_within_1_percent_of_the_empirical_entropy(
    fitted: tuple[NetworkConfig, FitResult],
) -> None:
    config, fit = fitted
    data = code_segment(config, fit, 93_000)
    _, sizes, groups = tensor_layout(config)
    found = segment_sizes(data, sizes, groups, num_frames=config.num_frames)
    payload_bits = 8 * sum(found.payload_bytes)
    assert found.side_bytes + sum(found.payload_bytes) == len(data)
    assert found.entropy_bits < payload_bits < 1.01 * found.entropy_bits
    # The coder itself loses nothing against its own tables.
    assert payload_bits == pytest.approx(sum(found.tensor_bits), abs=2 * 64 + 64)


def test_too_few_bytes_for_any_step_say_so(fitted: tuple[NetworkConfig, FitResult]) -> None:
    with pytest.raises(RateError, match="does not fit in 300 bytes"):
        code_segment(*fitted, 300)
