"""When a fit ends before its budget: at its goal, on a plateau, and not otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from inrcodec._segment_codec import SegmentDecoder
from inrcodec.fitting import FitConfig, FitProgress, FitResult, InterruptFlag, _loop, fit
from inrcodec.fitting._curve import Curve, CurvePoint
from inrcodec.fitting._ending import Ending
from inrcodec.fitting._stopping import is_perfect, least_plateau_db, on_plateau, surely_passed
from inrcodec.metrics import psnr_db
from inrcodec.models import Network, build, for_budget
from inrcodec.quantization import QuantizedTensors, admissible_step_codes, quantize, step_size

CPU = torch.device("cpu")
STEPS = 32


def clip(num_frames: int = 4) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.stack(
            [torch.sin((x + 4 * i) / 9), torch.cos((y - 3 * i) / 7), torch.sin((x + y) / 8)]
        )
        for i in range(num_frames)
    ]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def grey(num_frames: int = 4) -> torch.Tensor:
    return torch.full((num_frames, 3, 48, 64), 120, dtype=torch.uint8)


def network(model: str = "hnerv") -> Network:
    torch.manual_seed(0)
    return build(model, for_budget(model, 12_000, height=48, width=64, num_frames=4))


def fitted(frames: torch.Tensor, *, epochs: int, goal_db: float | None = None) -> FitResult:
    config = FitConfig(epochs=epochs, precision="fp32")
    result = fit(frames, network(), config, num_bytes=9000, device=CPU, goal_db=goal_db)
    assert result is not None
    return result


def points(values: list[float]) -> list[CurvePoint]:
    return [CurvePoint(STEPS * (i + 1), value) for i, value in enumerate(values)]


def seen_at(values: list[float]) -> list[int]:
    """At how many points a plateau would have been seen."""
    return [n for n in range(1, len(values) + 1) if on_plateau(points(values[:n]))]


@pytest.mark.parametrize("db_a_doubling", [0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(20))
def test_an_ordinary_curve_is_no_plateau(db_a_doubling: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.15, 300)  # +-0.3 dB is two deviations
    curve = [20 + db_a_doubling * math.log2(i + 1) + noise[i] for i in range(300)]
    assert seen_at(curve) == []


def test_after_small_frames_the_doubling_is_of_whole_ones() -> None:
    level = points([20 + i for i in range(10)] + [30.0] * 50)
    later = [CurvePoint(p.steps + 100 * STEPS, p.psnr_db) for p in level]
    assert next(n for n in range(61) if on_plateau(later[:n])) == 22


def test_a_curve_that_stays_level_is_one_after_a_doubling() -> None:
    rise = [20 + i for i in range(10)]
    assert seen_at(rise + [30.0] * 50)[0] == 22  # twice the first 11
    noise = np.random.default_rng(0).normal(0, 0.02, 50)
    assert seen_at(rise + [30 + n for n in noise])


def test_what_is_nearly_perfect_is_seen_at_once() -> None:
    curve = [30.0, 45.0, 49.0, 51.0, 53.0, 54.0, 56.0, 58.0]
    assert [n for n in range(9) if is_perfect(points(curve[:n]))] == [7, 8]


@pytest.mark.parametrize(
    ("rate_factor", "db", "stopped"),
    [
        (1.0, 30.0, "budget"),  # level because its steps are long: the falling rate gains more
        (0.8, 30.0, "budget"),
        (0.6, 30.0, "plateau"),
        (0.4, 30.0, "budget"),  # level because its steps are short
        (1.0, 55.0, "plateau"),
    ],
)
def test_a_level_curve_ends_a_fit_while_the_rate_falls(
    rate_factor: float, db: float, stopped: str
) -> None:
    config = FitConfig(epochs=1000)
    ending = Ending(config, goal_db=None, steps_per_epoch=STEPS, device=CPU)
    ending.curve.points = points([db] * 40)
    ending.consider(clip(), rate_factor=rate_factor, used=100 * STEPS)
    assert ending.stopped == stopped


def test_a_level_curve_ends_no_fit_while_the_rate_rises() -> None:
    ending = Ending(FitConfig(epochs=1000), goal_db=None, steps_per_epoch=STEPS, device=CPU)
    ending.curve.points = points([30.0] * 40)
    ending.consider(clip(), rate_factor=0.6, used=40 * STEPS)  # of a warm-up of 50 epochs
    assert ending.stopped == "budget"


def test_a_fit_that_fell_back_is_unstable_not_done() -> None:
    assert seen_at([20.0 + math.log2(i + 1) for i in range(40)] + [15.0] * 30) == []


def test_a_plateau_must_be_above_the_mean_frame() -> None:
    moving = clip()
    mean = moving.float().mean(0)
    errors = ((moving.float() - mean) / 255).square().mean((1, 2, 3))
    assert least_plateau_db(moving) == pytest.approx(
        float((-10 * torch.log10(errors)).mean()) + 1, abs=0.01
    )
    assert least_plateau_db(grey()) == 40.0


def test_the_goal_is_passed_with_a_margin() -> None:
    assert not surely_passed([], 20.0)
    assert not surely_passed(points([30.1]), 30.0)
    assert surely_passed(points([20.0, 31.0]), 30.0)
    assert not surely_passed(points([99.9]), 99.8)
    assert surely_passed(points([100.0]), 99.8)  # which is a perfect copy: nothing is better


def test_a_point_of_the_curve_is_an_epoch_of_at_least_16_steps() -> None:
    curve = Curve(6, CPU)
    ends = [curve.add(torch.tensor([0.01, 0.001]), steps=s + 1) for s in range(40)]
    assert [s + 1 for s, end in enumerate(ends) if end] == [18, 36]
    assert [p.steps for p in curve.points] == [18, 36]
    assert [p.psnr_db for p in curve.points] == pytest.approx([25.0, 25.0])


@pytest.fixture(scope="module")
def full() -> FitResult:
    return fitted(clip(), epochs=60)


def test_an_ordinary_clip_uses_its_whole_budget(full: FitResult) -> None:
    assert (full.stopped, full.used_share, full.steps) == ("budget", 1.0, 240)


def test_a_grey_clip_ends_on_a_plateau() -> None:
    result = fitted(grey(), epochs=200)
    assert result.stopped == "plateau"
    assert result.steps == round(800 * result.used_share) < 500


def test_a_goal_ends_the_fit_and_is_reached(full: FitResult) -> None:
    goal_db = coded_db(full) - 3
    result = fitted(clip(), epochs=60, goal_db=goal_db)
    assert result.stopped == "goal"
    assert result.steps == round(240 * result.used_share) < 220
    assert coded_db(result) >= goal_db


def test_a_goal_out_of_reach_uses_the_whole_budget() -> None:
    result = fitted(clip(), epochs=10, goal_db=60.0)
    assert (result.stopped, result.steps) == ("budget", 40)


def test_the_forecast_knows_what_the_coded_file_will_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "_LOG_SECONDS", 0.0)
    seen: list[FitProgress] = []
    config = FitConfig(epochs=200, precision="fp32", qat_fraction=0.05)
    # So few bytes that rounding takes decibels.
    result = fit(clip(), network(), config, num_bytes=4500, device=CPU, on_progress=seen.append)
    assert result is not None
    found_db = coded_db(result)
    float_db = next(p.curve[-1].psnr_db for p in reversed(seen) if not p.quantized)
    assert float_db - found_db > 1  # what a forecast that knew the curve alone would be wrong by
    assert len({p.rounding for p in seen}) == 4  # none, and three measured
    before, last = (
        [p.forecast for p in seen if p.quantized is quantized][-1] for quantized in (False, True)
    )
    assert before is not None
    assert last is not None
    assert abs(before.psnr_db - found_db) < (float_db - found_db) / 2
    assert last.psnr_db == pytest.approx(before.psnr_db, abs=0.1)  # what rounds softly tells late


def ended_early(
    goal_db: float | None,
    *,
    state: dict[str, Any] | None = None,
    save: Callable[[dict[str, Any]], None] = lambda state: None,
    interrupt: InterruptFlag | None = None,
) -> FitResult | None:
    """A fit that ends at a goal, or without one on a plateau."""
    return fit(
        grey() if goal_db is None else clip(),
        network(),
        FitConfig(epochs=100, precision="fp32"),
        num_bytes=9000,
        device=CPU,
        goal_db=goal_db,
        state=state,
        save=save,
        interrupt=InterruptFlag() if interrupt is None else interrupt,
    )


@pytest.fixture(scope="module", params=[None, 24.0])
def whole(request: pytest.FixtureRequest) -> tuple[float | None, FitResult]:
    """A goal, and the fit to it."""
    result = ended_early(request.param)
    assert result is not None
    assert result.stopped != "budget"
    return request.param, result


@pytest.mark.parametrize("at", [3, 130, 170])  # in an epoch; after the end was moved
def test_an_earlier_end_is_resumed_bit_for_bit(
    at: int,
    whole: tuple[float | None, FitResult],
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    goal_db, expected = whole
    assert expected.steps > at
    saved: list[dict[str, Any]] = []
    assert ended_early(goal_db, save=saved.append, interrupt=interrupt_after(at)) is None
    resumed = ended_early(goal_db, state=saved[-1])
    assert resumed is not None
    assert (resumed.steps, resumed.stopped) == (expected.steps, expected.stopped)
    assert np.array_equal(np.concatenate(expected.tensors), np.concatenate(resumed.tensors))
    assert resumed.global_step == expected.global_step


def coded_db(result: FitResult) -> float:
    """PSNR of what the result's tensors, rounded to its steps, decode to."""
    codes = admissible_step_codes(result.tensors, result.step_codes, result.global_step)
    symbols = [
        quantize(t, step_size(result.global_step, c))
        for t, c in zip(result.tensors, codes, strict=True)
    ]
    weights = QuantizedTensors(result.global_step, codes, symbols)
    config = for_budget("hnerv", 12_000, height=48, width=64, num_frames=4)
    decoder = SegmentDecoder.load(config, weights, device=CPU)
    return float(psnr_db(decoder.decode(range(4)), clip()).mean())


def test_a_goal_may_be_reached_in_the_first_epoch() -> None:
    config = FitConfig(epochs=2)
    ending = Ending(config, goal_db=15.0, steps_per_epoch=66, device=CPU)
    assert ending.reached(20.0, used=60)
    assert (ending.stopped, ending.clock.progress(60)) == ("goal", 1.0)


def test_a_perfect_copy_reaches_any_goal() -> None:
    ending = Ending(FitConfig(epochs=2), goal_db=100.0, steps_per_epoch=66, device=CPU)
    assert not ending.reached(99.9, used=60)
    assert ending.reached(100.0, used=60)


def test_what_is_foretold_holds_while_weights_are_rounded_little_by_little() -> None:
    ending = Ending(FitConfig(epochs=40), goal_db=None, steps_per_epoch=STEPS, device=CPU)
    ending.curve.points.extend(points([20 + 3 * math.log2(1 + i) for i in range(30)]))
    before = ending.forecast(used=30 * STEPS)
    ending.quantized_from = 30 * STEPS
    ending.curve.points.extend(points([0.0] * 32)[30:])  # which rounding has brought down
    during = ending.forecast(used=32 * STEPS)
    assert before is not None
    assert during is not None
    assert during.psnr_db == pytest.approx(before.psnr_db, abs=0.1)


def test_what_goes_on_ends_within_the_seconds_left(
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    def go(flag: InterruptFlag, **told: Any) -> FitResult | None:
        config = FitConfig(seconds=60.0, precision="fp32")
        return fit(clip(), network(), config, num_bytes=9000, device=CPU, interrupt=flag, **told)

    saved: list[dict[str, Any]] = []
    assert go(interrupt_after(5), save=saved.append) is None
    result = go(InterruptFlag(), state=saved[-1], seconds_left=1.5)
    assert result is not None
    assert 1 < result.seconds < 20
    assert result.used_share < 0.4


def test_errors_of_weights_that_are_averaged_say_nothing_of_the_goal() -> None:
    for ema, ends in ((0.0, "goal"), (0.1, "budget")):
        config = FitConfig(epochs=40, ema=ema)
        ending = Ending(config, goal_db=20.0, steps_per_epoch=STEPS, device=CPU)
        ending.curve.points.extend(points([30.0] * 8))
        ending.consider(clip(), rate_factor=0.5, used=8 * STEPS)
        assert ending.stopped == ends


def test_the_goal_is_looked_for_in_the_average_of_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Network] = []

    def coded_psnr_db(stored: Network, *others: object) -> float:
        seen.append(stored)
        return 0.0

    monkeypatch.setattr(_loop, "coded_psnr_db", coded_psnr_db)
    config = FitConfig(epochs=8, ema=0.2, precision="fp32")
    fitted_one = network()
    assert fit(clip(), fitted_one, config, num_bytes=9000, device=CPU, goal_db=20.0) is not None
    assert seen
    assert all(stored is not fitted_one for stored in seen)
