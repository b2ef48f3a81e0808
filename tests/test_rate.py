"""Coding a fitted segment: sizes met, payloads near the entropy of what they code."""

from __future__ import annotations

import lzma
import struct

import numpy as np
import pytest
import torch

from inrcodec._segment_codec import embedding_grid, tensor_layout
from inrcodec._segment_encode import (
    SegmentJob,
    _pack,
    code_segment,
    fit_segment,
    size_network,
)
from inrcodec.bitstream import pack_segment, segment_sizes, unpack_segment
from inrcodec.errors import RateError
from inrcodec.fitting import FitResult, InterruptFlag, recipe_config
from inrcodec.models import NetworkConfig, for_budget
from inrcodec.quantization import QuantizedTensors


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
    found = segment_sizes(data, sizes, groups, grid=embedding_grid(config))
    payload_bits = 8 * sum(found.payload_bytes)
    assert found.side_bytes + sum(found.payload_bytes) == len(data)
    assert found.entropy_bits < payload_bits < 1.01 * found.entropy_bits
    # The coder itself loses nothing against its own tables.
    assert payload_bits == pytest.approx(sum(found.tensor_bits), abs=2 * 64 + 64)


def test_nothing_is_left_for_a_general_compressor(
    fitted: tuple[NetworkConfig, FitResult],
) -> None:
    data = code_segment(*fitted, 93_000)
    assert len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) > 0.995 * len(data)


def test_too_few_bytes_for_any_step_say_so(fitted: tuple[NetworkConfig, FitResult]) -> None:
    with pytest.raises(RateError, match="does not fit in 300 bytes"):
        code_segment(*fitted, 300)


def test_more_bytes_than_the_finest_step_takes_are_left(
    fitted: tuple[NetworkConfig, FitResult],
) -> None:
    config, fit = fitted
    data = code_segment(config, fit, 10_000_000)
    assert 12 * sum(tensor.size for tensor in fit.tensors) / 8 * 0.8 < len(data) < 10_000_000


@pytest.mark.parametrize("model", ["hnervpp", "hnerv"])
@pytest.mark.parametrize("num_bytes", [6_000, 20_000])
def test_a_file_keeps_the_step_that_its_weights_were_fitted_to(model: str, num_bytes: int) -> None:
    """Another one would undo the quantised phase: in a file after 10 min, 0.6 dB."""
    frames = torch.randint(0, 255, (6, 3, 12, 16), generator=torch.Generator().manual_seed(1))
    frames = torch.nn.functional.interpolate(frames.float(), scale_factor=8, mode="bilinear")
    frames = frames.to(torch.uint8)  # (6, 3, 96, 128)
    config = size_network(model, num_bytes, frames=frames, bits_per_parameter=5.0)
    recipe = recipe_config("default", model, epochs=10)
    fit = fit_segment(
        frames,
        config,
        SegmentJob(model, num_bytes, recipe, torch.device("cpu")),
        state=None,
        on_progress=lambda progress: None,
        save=lambda state: None,
        interrupt=InterruptFlag(),
    )
    assert fit is not None
    data = code_segment(config, fit, num_bytes)
    assert struct.unpack("<f", data[:4])[0] == np.float32(fit.global_step)
    assert 0.985 * num_bytes <= len(data) <= num_bytes


def test_what_takes_hardly_a_byte_gets_finer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the embeddings of a long clip at rest, of which the format wants a byte for 16."""
    monkeypatch.setattr("inrcodec.bitstream._payload._FREE_SYMBOLS", 0)
    config = for_budget(
        "hnervpp", 20_000, height=360, width=640, num_frames=64, embedding_channels=8
    )
    _, sizes, groups = tensor_layout(config)
    rng = np.random.default_rng(0)
    tensors = [
        (rng.standard_normal(size) * (1e-3 if i >= groups[0] else 0.2)).astype(np.float32)
        for i, size in enumerate(sizes)
    ]
    data = _pack(config, tensors, [0] * len(sizes), 0.02, in_context=True)
    read = unpack_segment(data, sizes, groups, grid=embedding_grid(config))
    weights, embeddings = read.step_codes[: groups[0]], read.step_codes[groups[0] :]
    assert weights == [0] * groups[0]
    assert max(embeddings) <= -8
    assert len(set(embeddings)) == 1


def test_settled_values_of_a_clip_at_rest_are_coded_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Multiples of their steps that never change do not change at finer steps either."""
    monkeypatch.setattr("inrcodec.bitstream._payload._FREE_SYMBOLS", 0)
    config = for_budget(
        "hnervpp", 40_000, height=360, width=640, num_frames=64, embedding_channels=4
    )
    _, sizes, groups = tensor_layout(config)
    assert sum(sizes[groups[0] :]) < sum(sizes[: groups[0]])  # the larger group is not the dense
    rng = np.random.default_rng(0)
    step = 0.02
    tensors = [(rng.standard_normal(size) * 0.2).astype(np.float32) for size in sizes]
    for i in range(groups[0], len(sizes)):
        frame = step * rng.integers(-9, 9, sizes[i] // config.num_frames)
        tensors[i] = np.tile(frame, config.num_frames).astype(np.float32)
    data = _pack(config, tensors, [0] * len(sizes), step, in_context=True)
    read = unpack_segment(data, sizes, groups, grid=embedding_grid(config))
    assert list(read.step_codes) == [0] * len(sizes)
    # One channel so is dense enough; the others are coded as changes, which are none.
    plain = QuantizedTensors(read.global_step, read.step_codes, read.symbols)
    all_plain = pack_segment(plain, groups, grid=embedding_grid(config), num_plain=groups[1])
    assert len(data) < len(all_plain) - sum(sizes[groups[0] :]) // 4
    for values, tensor in list(zip(read.weights(), tensors, strict=True))[groups[0] :]:
        assert np.abs(values - tensor).max() < 1e-4
