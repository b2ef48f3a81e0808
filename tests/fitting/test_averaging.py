"""The average of the weights: its values, and that it is what a fit leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inrcodec.fitting import FitConfig, fit, load_checkpoint, save_checkpoint
from inrcodec.fitting import _loop as loop_module
from inrcodec.fitting._averaging import WeightAverage
from inrcodec.fitting._rate_control import RateControl
from inrcodec.models import Network, build, for_budget

CPU = torch.device("cpu")


def clip() -> Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [torch.stack([torch.sin((x + 4 * i) / 9), torch.cos(y / 7), y / 48]) for i in range(4)]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def network(model: str) -> Network:
    torch.manual_seed(0)
    return build(model, for_budget(model, 12_000, height=48, width=64, num_frames=4))


def weighted_mean(values: list[Tensor], fraction: float) -> Tensor:
    """Mean of values 1 to T with weights (t^a - (t - 1)^a) / T^a, a = 1 / fraction."""
    times = torch.arange(len(values) + 1, dtype=torch.float64) / len(values)
    weights = (times ** (1 / fraction)).diff()
    assert float(weights.sum()) == pytest.approx(1)
    return torch.einsum("t,t...->...", weights, torch.stack(values).double()).float()


@pytest.mark.parametrize("fraction", [0.05, 0.5, 1.0])
def test_average_is_that_of_the_equation(fraction: float) -> None:
    layer = torch.nn.Linear(3, 2)
    average = WeightAverage(layer, fraction=fraction)
    seen = []
    for i in range(40):
        torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(i))
        average.update_parameters(layer)
        seen.append(layer.weight.detach().clone())
    assert torch.allclose(average.module.weight, weighted_mean(seen, fraction), atol=1e-5)


@pytest.mark.parametrize("model", ["nerv", "hnerv", "hnervpp"])
@pytest.mark.parametrize("qat_fraction", [0.0, 0.25])
def test_result_holds_the_averages(
    monkeypatch: pytest.MonkeyPatch, model: str, qat_fraction: float
) -> None:
    monkeypatch.setattr(loop_module, "_SAVE_SECONDS", -1.0)  # after every step
    seen: list[dict[str, Tensor]] = []
    global_steps: list[float] = []

    def save(state: dict[str, Any]) -> None:
        seen.append({name: value.clone() for name, value in state["network"].items()})
        global_steps.append(state["rate"]["quantizer"]["global_step"])

    fitted = network(model)
    config = FitConfig(
        epochs=4, ema=0.2, qat_fraction=qat_fraction, rounding="nearest", precision="fp32"
    )
    result = fit(clip(), fitted, config, num_bytes=9000, device=CPU, save=save)
    assert result is not None
    assert len(seen) == result.steps == 16
    if qat_fraction:  # the steps stay those that the last weights were fitted through
        assert result.global_step == global_steps[-1] > 0

    means = {name: weighted_mean([s[name] for s in seen], 0.2) for name in seen[0]}
    names = [f"decoder.{name}" for name, _ in fitted.decoder.named_parameters()]
    for name, tensor in zip(names, result.tensors, strict=False):
        assert np.allclose(tensor, means[name].flatten(), atol=1e-5)
        assert not np.allclose(tensor, seen[-1][name].flatten(), atol=1e-5)
    if fitted.encoder is not None:  # the embeddings are those of the averaged encoder
        averaged = network(model)
        averaged.load_state_dict(means)
        with torch.no_grad():
            embeddings = averaged.embed(clip() / 255, torch.arange(4))
        stored = np.concatenate(result.tensors[len(names) :])
        assert np.allclose(stored, embeddings.transpose(0, 1).flatten(), atol=1e-3)


def test_averages_are_rounded_with_feedback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of soft rounding lie near multiples of their steps, their averages do not."""
    averages: list[np.ndarray] = []
    rounded = RateControl._round_weights

    def round_weights(rate: RateControl) -> None:
        averages.extend(rate.stored_tensors(exact=False))
        rounded(rate)

    monkeypatch.setattr(RateControl, "_round_weights", round_weights)
    config = FitConfig(epochs=40, ema=0.2, precision="fp32")
    assert config.rounds_softly
    result = fit(clip(), network("hnerv"), config, num_bytes=9000, device=CPU)
    assert result is not None
    found = []
    for before, tensor, code in zip(averages, result.tensors, result.step_codes, strict=True):
        units, old = (
            values / (result.global_step * 2 ** (code / 8)) for values in (tensor, before)
        )
        found.append([float(np.abs(x - np.rint(x)).max()) for x in (units, old)])
    of_dense = np.array(found[2:-12:2])  # weights of the stages
    assert of_dense[:, 0].max() < 1e-3
    assert of_dense[:, 1].min() > 0.1


def test_a_fit_goes_on_where_it_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loop_module, "_SAVE_SECONDS", -1.0)  # after every step

    def fitted(state: dict[str, Any] | None) -> np.ndarray:
        result = fit(
            clip(),
            network("hnerv"),
            FitConfig(epochs=4, ema=0.2),
            num_bytes=9000,
            device=CPU,
            state=state,
            save=lambda state: save_checkpoint(tmp_path / str(state["steps"]), state),
        )
        assert result is not None
        return np.concatenate(result.tensors)

    whole = fitted(None)
    for steps in (5, 14):  # before and in the quantised phase
        assert np.array_equal(whole, fitted(load_checkpoint(tmp_path / str(steps))))


@pytest.mark.parametrize(
    ("settings", "rounds"),
    [
        ({}, False),
        ({"ema": 0.1}, True),
        ({"rounding": "feedback"}, True),
        ({"qat_fraction": 0.0}, True),  # by feedback
        ({"rounding": "nearest"}, False),
        ({"rounding": "nearest", "qat_fraction": 0.0}, False),
        ({"quantizer": "entropy", "ema": 0.1}, False),
    ],
)
def test_who_needs_time_to_round_weights_after_the_fit(
    settings: dict[str, Any], rounds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FitConfig(epochs=8, precision="fp32", **settings)
    assert config.rounds_at_the_end == rounds
    rounded: list[bool] = []
    monkeypatch.setattr(RateControl, "_keeps", lambda *_, **__: False)
    monkeypatch.setattr(RateControl, "_round_weights", lambda rate: rounded.append(True))
    run = loop_module._Fit(clip(), network("hnerv"), config, num_bytes=9000, device=CPU)
    while (progress := run.progress()) < 1:
        run.meet_rate(progress)
        run.set_learning_rate(progress)
        run.step()
    rounded.clear()
    run.result()
    assert bool(rounded) == rounds
