"""How the bytes of a fit are met, and what the weights then are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inrcodec.fitting import FitConfig, FitResult, InterruptFlag
from inrcodec.fitting._input_moments import dense_layers
from inrcodec.fitting._qat import Quantizer
from inrcodec.fitting._rate_control import RateControl
from inrcodec.models import NetworkConfig, build
from inrcodec.quantization import estimate_bytes, step_size

FitWaves = Callable[..., FitResult]


def off_the_steps(result: FitResult, config: NetworkConfig) -> float:
    """How far dense weights are from multiples of their steps, at most."""
    network = build("hnervpp", config)
    names = [name for name, _ in network.decoder.named_parameters()]
    dense = dense_layers(network)
    found = 0.0
    for name, tensor, code in zip(names, result.tensors, result.step_codes, strict=False):
        if name in dense:
            units = tensor / step_size(result.global_step, code)
            found = max(found, float(np.abs(units - np.rint(units)).max()))
    return found


def test_weights_are_rounded_with_feedback_when_the_quantiser_enters(
    fit_waves: FitWaves, waves_config: Callable[[], NetworkConfig]
) -> None:
    config = waves_config()
    # A phase of one step, at a rate that moves nothing.
    settings = {"qat_fraction": 1 / 180, "final_factor": 0.0}
    assert off_the_steps(fit_waves(**settings), config) < 1e-2
    assert off_the_steps(fit_waves(rounding="nearest", **settings), config) > 0.4


def test_without_a_phase_they_are_rounded_at_the_end(
    fit_waves: FitWaves, waves_config: Callable[[], NetworkConfig], num_bytes: int
) -> None:
    result = fit_waves(qat_fraction=0.0)
    assert off_the_steps(result, waves_config()) < 1e-3
    found = estimate_bytes(result.tensors, result.step_codes, result.global_step)
    assert found > 0.9 * num_bytes


@pytest.mark.parametrize("rounding", ["feedback", "nearest"])
def test_an_interrupted_phase_goes_on_as_it_was(
    rounding: str, fit_waves: FitWaves, interrupt_after: Callable[[int], InterruptFlag]
) -> None:
    whole = fit_waves(rounding=rounding)
    resumed = fit_waves(rounding=rounding, stop=interrupt_after(150))  # of 180, 45 quantised
    assert whole.global_step == resumed.global_step
    for a, b in zip(whole.tensors, resumed.tensors, strict=True):
        assert a.tolist() == b.tolist()


def rate_control(config: NetworkConfig, coded: Callable[..., int] | None) -> RateControl:
    torch.manual_seed(0)
    frames = torch.zeros(config.num_frames, 3, config.height, config.width, dtype=torch.uint8)
    return RateControl(
        build("hnervpp", config),
        frames,
        FitConfig(epochs=1, qat_fraction=0.5),
        num_bytes=6000,
        coded_bytes=coded,
        device=torch.device("cpu"),
    )


def test_rounded_weights_take_the_bytes_as_measured(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    measured = []

    def coded(tensors: list[NDArray[np.float32]], codes: list[int], global_step: float) -> int:
        measured.append(500 + int(1.1 * estimate_bytes(tensors, codes, global_step)))
        return measured[-1]

    control = rate_control(waves_config(), coded)
    assert not control.meet(0.4)
    assert control.meet(0.5)
    assert measured[-1] == pytest.approx(0.995 * 6000, abs=0.004 * 6000)
    assert control.quantizes


def test_a_step_that_meets_the_bytes_is_kept() -> None:
    tensors = [torch.randn(5000, generator=torch.Generator().manual_seed(0)).numpy()]
    quantizer = Quantizer(step_codes=[0])
    quantizer.meet(tensors, 2500, grids=[None])
    before = quantizer.global_step
    quantizer.meet([0.99 * tensors[0]], 2500, grids=[None])  # a little smaller, 0.3 % fewer bytes
    assert quantizer.global_step == before
    quantizer.meet([1.1 * tensors[0]], 2500, grids=[None])  # too many bytes
    assert quantizer.global_step > before
    quantizer.meet([0.9 * tensors[0]], 2500, grids=[None])  # far too few
    assert quantizer.global_step < before
