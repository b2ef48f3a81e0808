"""The fit: what its settings admit, what it reaches, and that its quantised phase pays."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from inrcodec.errors import InrcodecError
from inrcodec.fitting import (
    LOSSES,
    FitConfig,
    FitProgress,
    InterruptFlag,
    _loop,
    fit,
    learning_rate_factor,
    recipe_config,
)
from inrcodec.fitting._loop import _Fit
from inrcodec.fitting._optimizers import longest_side
from inrcodec.fitting._order import FrameOrder
from inrcodec.fitting._qat import stored_tensors
from inrcodec.fitting._rate_control import RateControl
from inrcodec.models import Network, build, for_budget
from inrcodec.quantization import (
    QuantizedTensors,
    admissible_step_codes,
    estimate_bytes,
    quantize,
    step_size,
)

CPU = torch.device("cpu")


def clip(num_frames: int = 4) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.stack(
            [torch.sin((x + 4 * i) / 9), torch.cos((y - 3 * i) / 7), torch.sin((x + y) / 8)]
        )
        for i in range(num_frames)
    ]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def network(model: str = "hnerv", seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(model, for_budget(model, 12_000, height=48, width=64, num_frames=4))


def decoded_mse(model: Network, tensors: list[np.ndarray], frames: torch.Tensor) -> float:
    """Mean squared error of what flat stored `tensors` decode to."""
    parameters = list(model.decoder.parameters())
    with torch.no_grad():
        for parameter, tensor in zip(parameters, tensors, strict=False):
            parameter.copy_(torch.from_numpy(tensor).view(parameter.shape))
        embeddings = None
        if model.embedding_shape is not None:
            _, rows, columns = model.embedding_shape
            channels = [
                torch.from_numpy(t).view(-1, rows, columns) for t in tensors[len(parameters) :]
            ]
            embeddings = torch.stack(channels, 1)
        x_hat = model(torch.arange(len(frames)), embeddings)
        return float(torch.mean((x_hat - frames / 255) ** 2))


@pytest.mark.parametrize("loss", ["l2", "l1"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fit_reduces_the_error(loss: str, precision: str) -> None:
    seen: list[FitProgress] = []
    config = FitConfig(epochs=30, loss=loss, precision=precision, qat_fraction=0.0)
    before = network()
    flat = float(torch.var(clip() / 255))
    result = fit(clip(), before, config, num_bytes=9000, device=CPU, on_progress=seen.append)
    assert result is not None
    assert result.steps == 120
    assert decoded_mse(before, result.tensors, clip()) < 0.3 * flat
    assert all(0 <= p.progress <= 1 and not p.quantized for p in seen)


def test_l1_and_ms_ssim_fit_runs_on_larger_frames() -> None:
    frames = torch.nn.functional.interpolate(clip(2), size=(168, 176))
    model = build("hnerv", for_budget("hnerv", 15_000, height=168, width=176, num_frames=2))
    config = FitConfig(epochs=2, loss="l1_ms_ssim")
    result = fit(frames, model, config, num_bytes=9000, device=CPU)
    assert result is not None
    assert result.steps == 4


@pytest.mark.parametrize("model", ["hnerv", "nerv"])
def test_paper_recipes_fit(model: str) -> None:
    fresh = network(model)
    config = recipe_config("paper", model, epochs=20, learning_rate=4e-3, precision="fp32")
    flat = float(torch.var(clip() / 255))
    result = fit(clip(), fresh, config, num_bytes=20_000, device=CPU)
    assert result is not None
    assert result.steps == 20 * 4 / config.batch_size
    assert decoded_mse(fresh, result.tensors, clip()) < 0.8 * flat


def test_adan_fits_and_goes_on_where_it_was_interrupted() -> None:
    config = FitConfig(
        epochs=6, optimizer="adan", betas=(0.98, 0.92, 0.99), loss="l1_ms_ssim_fft", seed=2
    )
    whole = fit(clip(), network(), config, num_bytes=9000, device=CPU)
    saved: list[dict[str, object]] = []
    for stop in (True, False):
        result = fit(
            clip(),
            network(),
            config,
            num_bytes=9000,
            device=CPU,
            state=saved[-1] if saved else None,
            save=saved.append,
            interrupt=InterruptFlag(requested=stop),
        )
    assert whole is not None
    assert result is not None
    assert saved[0]["steps"] == 1
    assert np.array_equal(np.concatenate(whole.tensors), np.concatenate(result.tensors))


def test_auxiliary_outputs_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    config = FitConfig(epochs=1, loss="l1", auxiliary_weight=0.25)
    run = _Fit(clip(), network(), config, num_bytes=9000, device=CPU)
    x_hat, x = torch.rand(2, 1, 3, 48, 64)
    indices = torch.tensor([0])
    alone, errors = run._loss(x_hat, indices, x)
    assert torch.equal(alone, LOSSES["l1"](x_hat, x))
    torch.testing.assert_close(errors, LOSSES["l2"](x_hat, x)[None])
    monkeypatch.setattr(run.network, "auxiliary", lambda: [x_hat / 2, x_hat / 4])
    others = LOSSES["l1"](x_hat / 2, x) + LOSSES["l1"](x_hat / 4, x)
    assert float(run._loss(x_hat, indices, x)[0]) == pytest.approx(float(alone + 0.25 * others))


def test_fitting_through_the_quantiser_pays_and_feedback_does() -> None:
    errors = []
    kinds = ((0.0, "nearest"), (0.4, "nearest"), (0.0, "feedback"), (0.0, "soft"), (0.4, "soft"))
    for fraction, rounding in kinds:
        model = network()
        config = FitConfig(epochs=50, qat_fraction=fraction, rounding=rounding, precision="fp32")
        result = fit(clip(), model, config, num_bytes=4000, device=CPU)  # under 3 bits a value
        assert result is not None
        codes = admissible_step_codes(result.tensors, result.step_codes, result.global_step)
        symbols = [
            quantize(t, step_size(result.global_step, c))
            for t, c in zip(result.tensors, codes, strict=True)
        ]
        weights = QuantizedTensors(result.global_step, codes, symbols).weights()
        errors.append(decoded_mse(model, weights, clip()))
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.95 * errors[0]
    assert errors[3] == errors[2]  # there is no phase in which to be soft
    assert errors[4] < 0.8 * errors[0]


def test_same_seed_same_weights() -> None:
    results = [
        fit(clip(), network(), FitConfig(epochs=3, seed=s), num_bytes=9000, device=CPU)
        for s in (0, 0, 1)
    ]
    first, again, other = (np.concatenate(r.tensors) for r in results if r is not None)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_seconds_bound_the_fit() -> None:
    result = fit(clip(), network(), FitConfig(seconds=1.0), num_bytes=9000, device=CPU)
    assert result is not None
    assert 1.0 <= result.seconds < 3.0
    assert result.steps > 10


def test_what_meeting_the_bytes_takes_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    met, now = [], [0.0]
    meet = RateControl.meet

    def seconds() -> float:
        now[0] += 0.01  # it is read a few times a step
        return now[0]

    def recorded(control: RateControl, progress: float) -> bool:
        is_met = meet(control, progress)
        if is_met:
            met.append(progress)
        return is_met

    def coded_bytes(tensors: list[np.ndarray], codes: list[int], step: float) -> int:
        now[0] += 0.6
        return int(estimate_bytes(tensors, codes, step))

    monkeypatch.setattr(RateControl, "meet", recorded)
    monkeypatch.setattr(_loop, "time", SimpleNamespace(perf_counter=seconds))
    config = FitConfig(seconds=6.0, qat_fraction=0.5)
    result = fit(
        clip(),
        network("hnervpp"),
        config,
        num_bytes=9000,
        coded_bytes=coded_bytes,  # type: ignore[arg-type]
        device=CPU,
    )
    assert result is not None
    assert 6.0 <= result.seconds < 7.0
    assert len(met) == 8
    for i, progress in enumerate(met):
        due = 0.5 + 0.5 * i / 8
        assert due <= progress < due + 0.025


def test_learning_rate_schedule() -> None:
    def factor(progress: float) -> float:
        return learning_rate_factor(progress, warmup=0.1, final_factor=0.01)

    assert factor(0.05) == pytest.approx(0.5)
    assert factor(0.1) == pytest.approx(1.0)
    assert factor(0.55) == pytest.approx(0.505)
    assert factor(1.0) == pytest.approx(0.01)
    assert factor(0.0) > 0
    values = [factor(p / 100) for p in range(10, 101)]
    assert values == sorted(values, reverse=True)


def test_learning_rate_may_begin_above_zero() -> None:
    def factor(progress: float) -> float:
        return learning_rate_factor(progress, warmup=0.2, final_factor=0.0, warmup_start=0.1)

    assert [factor(p) for p in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0.1, 0.55, 1.0, 0.5])


def test_wsd_rises_stays_and_falls_linearly() -> None:
    config = FitConfig(epochs=1, schedule="wsd", warmup=0.1, warmup_start=0.2, final_factor=0.1)
    run = _Fit(clip(), network(), config, num_bytes=9000, device=CPU)
    rates = []
    for progress in (0.0, 0.05, 0.1, 0.4, 0.7, 0.8, 0.9, 1.0):
        run.set_learning_rate(progress)
        rates.append(run.optimizers[0].param_groups[0]["lr"] / config.learning_rate)
    assert rates == pytest.approx([0.2, 0.6, 1.0, 1.0, 1.0, 0.7, 0.4, 0.1])


def peak_rate(run: _Fit, progress: float) -> float:
    """Peak of the learning rate that a fit follows at this progress."""
    run.set_learning_rate(progress)
    return float(run.optimizers[0].param_groups[0]["lr"] / run.rate_factor)


def test_longer_fits_have_a_higher_rate() -> None:
    peaks = []
    for epochs in (50, 500, 8000):  # of 4 steps
        config = FitConfig(epochs=epochs, learning_rate=1e-3, rate_growth=0.5)
        peaks.append(peak_rate(_Fit(clip(), network(), config, num_bytes=9000, device=CPU), 0.3))
    assert peaks == pytest.approx([1e-3, 1e-3, 4e-3])


def test_wider_networks_have_a_lower_rate() -> None:
    config = FitConfig(epochs=50, learning_rate=1e-3, optimizer="muon", rate_side=80)
    peaks, sides = [], []
    for num_params in (3_000, 12_000, 48_000):
        torch.manual_seed(0)
        shape = {"height": 48, "width": 64, "num_frames": 4}
        fresh = build("hnervpp", for_budget("hnervpp", num_params, **shape))
        sides.append(longest_side(fresh))
        peaks.append(peak_rate(_Fit(clip(), fresh, config, num_bytes=9000, device=CPU), 0.3))
    assert sides[0] < 80 < sides[1] < sides[2]
    assert peaks == pytest.approx([1e-3, *(1e-3 * (80 / side) ** 0.75 for side in sides[1:])])


def test_in_a_budget_of_seconds_the_rate_follows_the_steps_of_its_beginning() -> None:
    config = FitConfig(seconds=100.0, learning_rate=1e-3, rate_growth=0.5)
    run = _Fit(clip(), network(), config, num_bytes=9000, device=CPU)
    assert peak_rate(run, 0.0) == pytest.approx(1e-3)
    run.steps = 320
    assert peak_rate(run, 0.04) == pytest.approx(2e-3)  # 8,000 steps in all
    run.steps = 400
    assert peak_rate(run, 0.5) == pytest.approx(2e-3)  # the fit is slower now; the rate stays
    resumed = _Fit(clip(), network(), config, num_bytes=9000, device=CPU)
    resumed.load_state(run.state())
    assert peak_rate(resumed, 0.5) == pytest.approx(2e-3)


def test_wsd_may_fall_from_the_warm_up_on() -> None:
    def factor(progress: float) -> float:
        return learning_rate_factor(
            progress, warmup=0.2, final_factor=0.0, schedule="wsd", decay=0.8
        )

    assert [factor(p) for p in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.5, 1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("optimizer", "same", "left"),
    [("adamw", "adam", 0.95), ("muon", "muon", 0.98)],  # muon's are the matrices alone
)
def test_weight_decay_takes_weights_away(optimizer: str, same: str, left: float) -> None:
    def fitted(**settings: object) -> np.ndarray:
        config = FitConfig(epochs=3, qat_fraction=0.0, precision="fp32", **settings)  # type: ignore[arg-type]
        result = fit(clip(), network(), config, num_bytes=9000, device=CPU)
        assert result is not None
        return np.concatenate(result.tensors)

    free, alike = fitted(optimizer=same), fitted(optimizer=optimizer)
    assert np.allclose(free, alike, atol=1e-6)
    decayed = fitted(optimizer=optimizer, weight_decay=10.0)
    assert np.linalg.norm(decayed) < left * np.linalg.norm(free)


def test_frame_order_visits_every_frame_once_an_epoch() -> None:
    order = FrameOrder(7, 3, seed=1)
    assert order.steps_per_epoch == 3
    epochs = [torch.cat([order.batch(3 * e + i) for i in range(3)]).tolist() for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 3
    assert epochs[0] != epochs[1]
    assert [order.frames_seen(s) for s in range(5)] == [0, 3, 6, 7, 10]
    assert order.batch(4).tolist() == FrameOrder(7, 3, seed=1).batch(4).tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "set one of the two"),
        ({"epochs": 1, "seconds": 1.0}, "set one of the two"),
        ({"epochs": 0}, "epochs is 0, must be >= 1"),
        ({"seconds": 0.0}, "seconds is 0.0, must be > 0"),
        ({"epochs": 1, "batch_size": 0}, "batch_size is 0"),
        ({"epochs": 1, "learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"epochs": 1, "rate_growth": -0.5}, "rate_growth is -0.5"),
        ({"epochs": 1, "final_factor": 2.0}, "final_factor is 2.0, must be 0 to 1"),
        ({"epochs": 1, "warmup": 1.0}, "warmup is 1.0"),
        ({"epochs": 1, "qat_fraction": 1.0}, "qat_fraction is 1.0, must be >= 0 and < 1"),
        ({"epochs": 1, "loss": "l3"}, "loss is 'l3', must be one of l2"),
        ({"epochs": 1, "precision": "fp8"}, "precision is 'fp8'"),
        ({"epochs": 1, "optimizer": "sgd"}, "optimizer is 'sgd', must be one of adam, adamw, adan"),
        ({"epochs": 1, "optimizer": "soap", "betas": (0.9,)}, "must be 2 numbers .* for soap"),
        ({"epochs": 1, "optimizer": "adamw", "weight_decay": -0.1}, "weight_decay is -0.1, must"),
        (
            {"epochs": 1, "weight_decay": 0.1},
            "weight_decay is 0.1, must be 0 for adam, only adamw and muon",
        ),
        ({"epochs": 1, "schedule": "step"}, "schedule is 'step', must be one of cosine, wsd"),
        ({"epochs": 1, "schedule": "wsd", "decay": 0.0}, "decay is 0.0, must be over 0 to 0.95"),
        ({"epochs": 1, "schedule": "wsd", "decay": 0.96}, "decay is 0.96, must be over 0 to 0.95"),
        ({"epochs": 1, "decay": 0.2}, "decay is 0.2, must be left at 0.3 for cosine, only wsd"),
        ({"epochs": 1, "ema": 1.1}, "ema is 1.1, must be 0 to 1"),
        ({"epochs": 1, "optimizer": "adan"}, r"betas is \(0.9, 0.99\), must be 3 numbers"),
        ({"epochs": 1, "betas": (0.9, 1.0)}, r"betas is \(0.9, 1.0\), must be 2 numbers from 0"),
        ({"epochs": 1, "warmup_start": 1.1}, "warmup_start is 1.1, must be 0 to 1"),
        ({"epochs": 1, "auxiliary_weight": -1.0}, "auxiliary_weight is -1.0, must be >= 0"),
        ({"epochs": 1, "gradient_clip": -1.0}, "gradient_clip is -1.0, must be >= 0"),
        ({"epochs": 1, "rate_weight": -0.1}, "rate_weight is -0.1, must be >= 0"),
        (
            {"epochs": 1, "quantizer": "ptq"},
            "quantizer is 'ptq', must be one of sensitivity, range",
        ),
        (
            {"epochs": 1, "quantizer": "entropy", "qat_fraction": 0.0},
            "qat_fraction is 0.0, must be > 0 for the quantizer entropy",
        ),
        (
            {"epochs": 1, "embedding_coding": "huffman"},
            "embedding_coding is 'huffman', must be one",
        ),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FitConfig(**settings)  # type: ignore[arg-type]


def test_a_fit_that_diverges_at_its_end_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()

    def poison(run: _Fit) -> bool:
        run.steps += 1
        with torch.no_grad():
            next(model.decoder.parameters()).view(-1)[0] = math.nan
        return False

    monkeypatch.setattr(_Fit, "step", poison)
    with pytest.raises(InrcodecError, match="diverged"):
        fit(clip(), model, FitConfig(epochs=1, qat_fraction=0.0), num_bytes=9000, device=CPU)


def test_stored_tensors_do_not_change_with_the_network() -> None:
    model = network()
    stored = stored_tensors(model, None)
    before = [tensor.copy() for tensor in stored]
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.add_(1)
    assert all(np.array_equal(a, b) for a, b in zip(stored, before, strict=True))


def test_a_state_is_gone_on_from_without_looking_at_the_clip_again(
    interrupt_after: Callable[[int], InterruptFlag], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[dict[str, Any]] = []
    config = FitConfig(epochs=2)
    fit(
        clip(),
        network(),
        config,
        num_bytes=9000,
        device=CPU,
        save=saved.append,
        interrupt=interrupt_after(1),
    )
    model = network()
    monkeypatch.setattr(type(model), "calibrate", lambda *told: pytest.fail("calibrated"))
    assert fit(clip(), model, config, num_bytes=9000, device=CPU, state=saved[0]) is not None


def test_seeds_are_bounded() -> None:
    with pytest.raises(ValueError, match="seed is"):
        FitConfig(epochs=1, seed=2**44)
