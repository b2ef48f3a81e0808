"""Fits that begin with small frames: when, of which networks, and that the rest is as ever."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec._progress import ProgressBars
from inrcodec.errors import ModelError
from inrcodec.fitting import FitConfig, FitProgress, fit
from inrcodec.fitting._coarse import coarse_share, expected_steps
from inrcodec.fitting._curve import Curve
from inrcodec.fitting._loop import _Fit
from inrcodec.fitting._losses import LOSSES
from inrcodec.fitting._squared_error import LOSSES_OF_MSE, PackedError, shrunk
from inrcodec.models import Network, build, for_budget

CPU = torch.device("cpu")
HEIGHT, WIDTH = 50, 70  # padded by the network, and odd where a stage's stride is 3


def network(model: str = "hnervpp", **settings: Any) -> Network:
    torch.manual_seed(0)
    config = for_budget(model, 12_000, height=HEIGHT, width=WIDTH, num_frames=4, **settings)
    return build(model, config)


def clip() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(4, 3, 10, 14, generator=generator)
    return (255 * F.interpolate(small, size=(HEIGHT, WIDTH), mode="bilinear")).to(torch.uint8)


def started(net: Network, **settings: Any) -> _Fit:
    config = FitConfig(**{"seconds": 60.0, "loss": "log_l2", "precision": "fp32", **settings})
    return _Fit(clip(), net, config, num_bytes=6000, device=CPU)


def test_small_frames_are_means_of_whole_blocks() -> None:
    frames = torch.arange(2 * 3 * 5 * 7).view(2, 3, 5, 7).remainder(256).to(torch.uint8)
    small = shrunk(frames, 2)
    assert small.shape == (2, 3, 2, 3)
    blocks = frames[1, 2, 2:4, 4:6].float()
    assert small[1, 2, 1, 2] == torch.round(blocks.mean())
    assert small.dtype == torch.uint8


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head_stride": 1, "strides": (4, 2, 2)},
        {"motion": 1, "margin": 5},
        {"motion": 1, "margin": 6, "strides": (2, 2, 3), "head_stride": 2},
    ],
)
@pytest.mark.parametrize("loss", list(LOSSES_OF_MSE))
def test_coarse_errors_are_those_of_small_frames(settings: dict[str, Any], loss: str) -> None:
    net, frames, indices = network(**settings), clip(), torch.tensor([2, 0])
    net.calibrate(frames)
    scale = net.coarse_stride
    assert scale == net.config.strides[-1] > 1
    packed = net(indices, net.embed(None, indices), coarse=True)
    small = shrunk(frames, scale)[indices] / 255
    x_hat = packed if net.packing == 1 else F.pixel_shuffle(packed, net.packing or 1)
    x_hat = net.squash(x_hat[..., : small.shape[2], : small.shape[3]].float())
    assert x_hat.shape == small.shape
    expected = LOSSES[loss](x_hat, small)
    found = LOSSES_OF_MSE[loss](PackedError(net, frames, scale=scale)(packed, indices))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("motion", [0, 1])
def test_the_first_stages_learn_from_small_frames_and_the_last_does_not(motion: int) -> None:
    settings = {"motion": 1, "margin": 6} if motion else {}
    net, indices = network(**settings), torch.tensor([1])
    net.calibrate(clip())
    net(indices, net.embed(None, indices), coarse=True).square().sum().backward()
    known = {name for name, p in net.named_parameters() if p.grad is not None}
    last = f"decoder.stages.{len(net.config.strides) - 1}"
    assert {f"{last}.skip.weight", "decoder.head.0.weight", "encoder.table"} <= known
    assert f"{last}.upsampler.0.weight" not in known
    assert all(n in known for n, _ in net.named_parameters() if not n.startswith(f"{last}."))


def test_coarse_frames_lie_where_the_frames_do() -> None:
    """A canvas that is smooth reads alike at both sizes, moved by as much."""
    from inrcodec.models._motion import read_canvas

    y, x = torch.meshgrid(torch.arange(66.0), torch.arange(84.0), indexing="ij")
    canvas = torch.stack((x, y, x + y))[None]  # a ramp, whose means are those of its pixels
    motion = torch.tensor((1.5, -0.75)).view(1, 2, 1, 1).expand(1, 2, 3, 4)
    for size in ((48, 64), (47, 61)):  # a corner between coarse pixels, and a rest
        whole = read_canvas(canvas, motion, size)
        found = read_canvas(F.avg_pool2d(canvas, 2), motion, size, scale=2)
        torch.testing.assert_close(found, F.avg_pool2d(whole, 2), atol=1e-3, rtol=0)


def test_networks_without_coarse_frames_say_so() -> None:
    net = network("nerv")
    assert net.coarse_stride == 1
    with pytest.raises(ModelError, match="NeRV decodes no coarse frames"):
        net(torch.tensor([0]), coarse=True)
    tiny = for_budget("hnervpp", 3_000, height=24, width=24, num_frames=4)
    assert build("hnervpp", tiny).coarse_stride == 1


@pytest.mark.parametrize(("avx2_alone", "expected"), [(False, 0.1), (True, 0.2)])
def test_who_begins_with_small_frames(
    avx2_alone: bool, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.fitting._coarse.has_avx2_alone", lambda: avx2_alone)
    net = network()

    def share(net: Network = net, *, is_packed: bool = True, **settings: Any) -> float:
        config = FitConfig(**{"seconds": 60.0, "loss": "log_l2", **settings})
        return coarse_share(config, net, device=CPU, is_packed=is_packed)

    assert share() == expected
    assert share(coarse_fraction=0.0) == 0
    assert share(coarse_fraction=0.4, seconds=None, epochs=3) == 0.4
    assert share(seconds=None, epochs=3) == 0  # a visit of small frames is less than one
    assert share(qat_fraction=0.95) == pytest.approx(0.05)  # the quantised phase has whole frames
    assert share(is_packed=False) == 0
    assert share(network("hnerv")) == 0
    config = FitConfig(seconds=60.0)
    assert coarse_share(config, net, device=torch.device("cuda"), is_packed=True) == 0
    with pytest.raises(ValueError, match="must be 0 for this network"):
        share(network("hnerv"), coarse_fraction=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coarse_fraction": 1.0}, "coarse_fraction is 1.0, must be 0 to under 1"),
        ({"coarse_fraction": -0.1}, "must be 0 to under 1"),
        ({"coarse_fraction": 0.6, "qat_fraction": 0.5}, "must be <= 0.5, what qat_fraction leaves"),
        ({"coarse_fraction": 0.1, "loss": "l1"}, "must be 0 for the loss l1"),
        ({"coarse_fraction": "0.1"}, "of type float"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FitConfig(seconds=1.0, **settings)


def test_steps_are_foretold_by_those_of_both_kinds() -> None:
    """A coarse step takes 0.43 of the time of another."""
    a_second = 10.0
    coarse_steps, other_steps = 0.2 * a_second / 0.43, 0.8 * a_second
    whole = coarse_steps + other_steps
    assert expected_steps(1, 0.0, coarse=0.2) == 0
    for progress in (0.05, 0.2):
        steps = progress * a_second / 0.43
        foretold = expected_steps(steps, progress, coarse=0.2)  # type: ignore[arg-type]
        assert foretold == pytest.approx(whole)
    steps = coarse_steps + 0.3 * a_second
    assert expected_steps(steps, 0.5, coarse=0.2) == pytest.approx(whole)  # type: ignore[arg-type]


def test_the_rest_of_a_fit_is_of_whole_frames() -> None:
    torch.manual_seed(0)
    net = network()
    seen: list[bool] = []
    forward = net.forward

    def watched(*args: Any, **kwargs: Any) -> Tensor:
        seen.append(kwargs.get("coarse", False))
        return forward(*args, **kwargs)

    net.forward = watched  # type: ignore[method-assign]
    config = FitConfig(
        epochs=40, loss="log_l2", precision="fp32", coarse_fraction=0.25, qat_fraction=0.0
    )
    result = fit(clip(), net, config, num_bytes=6000, device=CPU)
    assert result is not None
    steps = seen[:160]
    assert steps == [True] * 40 + [False] * 120


def test_curves_and_forecasts_are_of_whole_frames() -> None:
    run = started(network(), coarse_fraction=0.5)
    run.set_resolution(0.0)
    for _ in range(32):
        assert not run.step()
    assert run.report(0.1).coarse
    assert run.ending.curve.points == []
    run.set_resolution(0.5)
    assert any(run.step() for _ in range(32))
    assert not run.report(0.6).coarse
    assert len(run.ending.curve.points) >= 1


def test_an_epoch_whose_first_steps_were_of_small_frames_makes_no_point() -> None:
    curve, errors = Curve(16, CPU), torch.tensor([0.01])
    assert not any(curve.add(errors, steps=step) for step in range(5, 17))
    assert [step for step in range(17, 49) if curve.add(errors, steps=step)] == [32, 48]
    assert [point.steps for point in curve.points] == [32, 48]


@pytest.mark.parametrize("stop_at", [7, 30])
def test_a_fit_goes_on_as_if_it_had_not_been_interrupted(fit_waves: Any, stop_at: int) -> None:
    """Before and after frames become whole, at step 18 of 90."""

    class Stop:
        def __init__(self) -> None:
            self.count = 0

        @property
        def requested(self) -> bool:
            self.count += 1
            return self.count == stop_at

    settings = {"epochs": 30, "coarse_fraction": 0.2}
    whole = fit_waves(**settings)
    parts = fit_waves(stop=Stop(), **settings)
    assert whole.steps == parts.steps
    for a, b in zip(whole.tensors, parts.tensors, strict=True):
        assert (a == b).all()


def test_the_bar_says_that_its_decibels_are_of_small_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report, bar = ProgressBars(enabled=True).fit("fit", 0.05)
    for at in (
        FitProgress(0.05, 100, 264, 27.5, quantized=False, seconds=3.2, coarse=True),
        FitProgress(0.2, 200, 528, 26.25, quantized=False, seconds=9.0),
    ):
        report(at)
    bar.close()
    shown = capsys.readouterr().err
    assert "264 frames, 27.50 dB of small ones, 0.0500 bpp" in shown
    assert "528 frames, 26.25 dB, 0.0500 bpp" in shown
