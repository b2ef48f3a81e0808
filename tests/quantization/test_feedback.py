"""Rounding with the error passed on to what is still to be rounded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inrcodec.quantization import MAX_SYMBOL, round_with_feedback

STEP = 0.25


def inputs(n: int, *, num: int = 4000) -> Tensor:
    """Inputs that go together, `(num, n)`: each is a running mean of noise."""
    noise = torch.randn(num, n + 4, generator=torch.Generator().manual_seed(0))
    return noise.unfold(1, 5, 1).mean(2)


def weights_of(n: int) -> Tensor:
    return torch.randn(24, n, generator=torch.Generator().manual_seed(1))


def output_error(rounded: Tensor, weights: Tensor, x: Tensor) -> float:
    return float(((rounded - weights) @ x.T).square().mean())


@pytest.mark.parametrize("n", [7, 64, 150])
def test_outputs_keep_more_than_by_the_nearest(n: int) -> None:
    x, weights = inputs(n), weights_of(n)
    rounded = round_with_feedback(weights, x.T @ x / len(x), STEP)
    torch.testing.assert_close(rounded / STEP, torch.round(rounded / STEP))
    nearest = torch.round(weights / STEP) * STEP
    assert output_error(rounded, weights, x) < 0.7 * output_error(nearest, weights, x)
    assert float((rounded - weights).abs().max()) > STEP / 2  # not all are the nearest


def test_inputs_that_do_not_go_together_take_the_nearest() -> None:
    weights = weights_of(20)
    rounded = round_with_feedback(weights, torch.linspace(1, 3, 20).diag(), STEP)
    assert torch.equal(rounded, torch.round(weights / STEP) * STEP)


def test_what_lies_on_the_steps_stays() -> None:
    x, weights = inputs(30), torch.round(weights_of(30) / STEP) * STEP
    assert torch.equal(round_with_feedback(weights, x.T @ x, STEP), weights)


@pytest.mark.parametrize("moments", [torch.zeros(9, 9), torch.full((9, 9), torch.nan)])
def test_without_moments_it_is_the_nearest(moments: Tensor) -> None:
    weights = weights_of(9)
    rounded = round_with_feedback(weights, moments, STEP)
    assert torch.equal(rounded, torch.round(weights / STEP) * STEP)


def test_an_input_that_is_never_there_matters_to_none() -> None:
    x = inputs(12)
    x[:, 3] = 0
    weights = weights_of(12)
    rounded = round_with_feedback(weights, x.T @ x, STEP)
    assert torch.equal(rounded[:, 3], torch.round(weights[:, 3] / STEP) * STEP)


def test_symbols_stay_in_their_range() -> None:
    x = inputs(8)
    rounded = round_with_feedback(1e4 * weights_of(8), x.T @ x, STEP)
    assert float(rounded.abs().max()) == MAX_SYMBOL * STEP
