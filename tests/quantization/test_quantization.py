"""The quantiser: exact steps, bounded errors, bits where they matter, rates that are met."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inrcodec.bitstream import pack_segment
from inrcodec.entropy import empirical_entropy_bits
from inrcodec.quantization import (
    MAX_SYMBOL,
    QuantizedTensors,
    admissible_step_codes,
    allocate_step_codes,
    dequantize,
    estimate_bytes,
    fake_quantize,
    output_sensitivity,
    quantize,
    solve_global_step,
    step_size,
)
from inrcodec.quantization._rate import finest_global_step


@pytest.mark.parametrize(
    ("global_step", "code", "bits"),
    [(1.0, 0, 0x3F800000), (1.0, 1, 0x3F8B95C2), (0.01, -13, 0x3B547965), (3.0, 127, 0x48301095)],
)
def test_steps_are_the_same_float32_everywhere(global_step: float, code: int, bits: int) -> None:
    assert step_size(global_step, code).view(np.uint32) == bits


@given(arrays(np.float32, 50, elements=st.floats(-100, 100, width=32)), st.integers(-16, 16))
def test_error_is_at_most_half_a_step(weights: np.ndarray, code: int) -> None:
    step = step_size(0.2, code)
    symbols = quantize(weights, step)
    assert symbols.dtype == np.int32
    inside = np.abs(weights) < MAX_SYMBOL * step
    error = np.abs(dequantize(symbols, step) - weights)[inside]
    assert (error <= 0.5001 * step).all()
    assert np.abs(symbols).max() <= MAX_SYMBOL


def test_weights_of_quantized_tensors() -> None:
    quantized = QuantizedTensors(
        0.5, [0, 8], [np.array([1, -2], np.int32), np.array([3], np.int32)]
    )
    assert [w.tolist() for w in quantized.weights()] == [[0.5, -1.0], [3.0]]


def test_fake_quantize_rounds_forward_and_passes_gradients() -> None:
    weights = torch.tensor([0.26, -0.6, 0.1], requires_grad=True)
    rounded = fake_quantize(weights, 0.25)
    assert rounded.tolist() == pytest.approx([0.25, -0.5, 0.0])
    (rounded * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [1.0, 2.0, 3.0]


def test_sensitivity_of_a_linear_map_is_exact_on_average() -> None:
    a, b = torch.full((6,), 1.0, requires_grad=True), torch.full((6,), 1.0, requires_grad=True)
    sensitivities = output_sensitivity(
        lambda: torch.cat([3 * a, 0.5 * b]).view(1, 3, 2, 2),
        [a, b],
        generator=torch.Generator().manual_seed(0),
        num_projections=400,
    )
    assert sensitivities == pytest.approx([9.0, 0.25], rel=0.15)


def test_sensitive_tensors_get_finer_steps() -> None:
    codes = allocate_step_codes([1.0, 16.0, 1 / 16], [100, 100, 100])
    assert codes == [0, -16, 16]  # the step goes with 1 / sqrt(sensitivity)
    assert allocate_step_codes([0.0, 1.0], [5, 5]) == [127, 0]
    assert allocate_step_codes([0.0, 0.0], [5, 5]) == [0, 0]


@pytest.mark.parametrize("num_bytes", [2000, 8000, 15000])
def test_global_step_meets_the_bytes(num_bytes: int) -> None:
    rng = np.random.default_rng(0)
    tensors = [rng.laplace(0, s, n).astype(np.float32) for s, n in ((1, 9000), (0.1, 4000), (2, 9))]
    codes = [3, -20, 0]
    step = solve_global_step(tensors, codes, num_bytes)
    assert 0.97 * num_bytes < estimate_bytes(tensors, codes, step) <= num_bytes


def test_estimate_is_the_entropy_of_large_tensors() -> None:
    tensor = np.random.default_rng(0).normal(0, 1, 5000).astype(np.float32)
    expected = empirical_entropy_bits(quantize(tensor, step_size(0.1, 0))) / 8
    assert estimate_bytes([tensor], [0], 0.1) == pytest.approx(expected)


def test_codes_are_raised_where_symbols_would_overflow() -> None:
    tensors = [np.array([100.0], np.float32), np.array([0.001], np.float32)]
    codes = admissible_step_codes(tensors, [0, 0], 0.001)
    assert codes[1] == 0
    assert codes[0] > 0
    assert np.abs(quantize(tensors[0], step_size(0.001, codes[0])))[0] <= MAX_SYMBOL
    assert 100 / step_size(0.001, codes[0] - 1) > MAX_SYMBOL


def test_no_step_is_finer_than_a_file_holds() -> None:
    tiny = [np.full(8, 1e-12, np.float32)]
    assert finest_global_step(tiny) == 2.0**-60
    with pytest.raises(ValueError, match=r"step is .*, must be 2\*\*-60 to 2\*\*60"):
        pack_segment(QuantizedTensors(2.0**-61, [0], [np.array([1, 0, 2], np.int32)]), [1])
