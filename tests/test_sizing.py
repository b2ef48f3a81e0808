"""Which network an encode takes for its budget."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inrcodec._motion import PLACE_KMAC_PER_PIXEL
from inrcodec._sizing import EncodeJob, configure, warn_if_costly
from inrcodec.errors import RateError
from inrcodec.fitting import ClipMotion, FitConfig
from inrcodec.models import HNeRVPPConfig, NetworkConfig, count_parameters, macs_per_frame

NUM_FRAMES = 12


@pytest.fixture(autouse=True)
def wide_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests run on."""
    monkeypatch.setattr("inrcodec._sizing.has_avx2_alone", lambda: False)


def configured(
    *,
    num_rounds: int = 1,
    model: str = "hnervpp",
    max_kmac_per_pixel: float | None = None,
    model_settings: dict[str, object] | None = None,
    motion: ClipMotion | None = None,
    num_bytes: int = 20_000,
    bits_per_parameter: float | None = None,
    device: str = "cpu",
    **budget: Any,
) -> NetworkConfig:
    frames = torch.zeros(NUM_FRAMES, 3, 144, 176, dtype=torch.uint8)
    job = EncodeJob(
        source=SimpleNamespace(frames=frames),  # type: ignore[arg-type]  # all that is looked at
        audio=[],
        model=model,
        fit=FitConfig(**budget),
        device=torch.device(device),
        segment_frames=600,
        fresh=False,
        model_settings=model_settings or {},
        bits_per_parameter=bits_per_parameter,
        max_kmac_per_pixel=max_kmac_per_pixel,
    )
    return configure(job, num_bytes, frames=frames, motion=motion, num_rounds=num_rounds)


@pytest.mark.parametrize("motion", [0, 1])
def test_decoding_beyond_the_bound_is_told(motion: int) -> None:
    config = HNeRVPPConfig(144, 176, NUM_FRAMES, (2, 2), (8, 8, 8), motion=motion)
    found = macs_per_frame(config) / (1000 * 144 * 176) + motion * PLACE_KMAC_PER_PIXEL
    told = f"take {found:.1f} kMAC/pixel, more .* {found / 2:.1f}: no cheaper network"
    for settings, words in (({}, "holds"), ({"plain_stages": 0}, "with these settings holds")):
        job = SimpleNamespace(max_kmac_per_pixel=found / 2, model_settings=settings)
        with pytest.warns(UserWarning, match=f"{told} {words}"):
            warn_if_costly(job, [config])  # type: ignore[arg-type]  # all that is looked at
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for enough in (found, None):
            warn_if_costly(SimpleNamespace(max_kmac_per_pixel=enough), [config])  # type: ignore[arg-type]


def head(config: NetworkConfig) -> int:
    """Upsampling by the head: 2 is fine, 4 is quick."""
    assert isinstance(config, HNeRVPPConfig)
    return config.head_stride


def test_a_fit_of_few_visits_has_a_quick_network() -> None:
    assert head(configured(epochs=10)) == 4
    assert head(configured(epochs=100)) == 2


def test_visits_of_a_budget_of_seconds_are_foretold() -> None:
    assert head(configured(seconds=0.5)) == 4
    assert head(configured(seconds=600.0)) == 2
    assert head(configured(seconds=2.0)) == 2
    assert head(configured(seconds=2.0, num_rounds=4)) == 4


def test_a_processor_of_short_vectors_is_a_quarter_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    assert head(configured(seconds=1.5)) == 2
    monkeypatch.setattr("inrcodec._sizing.has_avx2_alone", lambda: True)
    assert head(configured(seconds=1.5)) == 4
    assert head(configured(seconds=6.0)) == 2
    assert head(configured(epochs=100)) == 2


@pytest.mark.parametrize("epochs", [4, 100])
def test_the_flagship_has_more_weights_of_fewer_bits(epochs: int) -> None:
    found, of_5_bits = configured(epochs=epochs), configured(epochs=epochs, bits_per_parameter=5.0)
    assert found == configured(epochs=epochs, bits_per_parameter=3.7)
    counts = [count_parameters(config).total for config in (of_5_bits, found)]
    assert 1.15 * counts[0] < counts[1] < 1.4 * counts[0]
    hnerv = [configured(epochs=epochs, model="hnerv", bits_per_parameter=b) for b in (None, 5.0)]
    assert hnerv[0] == hnerv[1]


def test_a_bound_and_settings_are_kept_in_long_fits() -> None:
    assert head(configured(epochs=1000, model_settings={"head_stride": 4})) == 4
    assert head(configured(epochs=1000, max_kmac_per_pixel=0.3)) == 4
    assert configured(epochs=1, model="hnerv") == configured(epochs=1000, model="hnerv")
    assert configured(seconds=1.0, model="hnerv") == configured(epochs=1000, model="hnerv")


def test_networks_have_room_for_motion() -> None:
    pixels = torch.zeros(NUM_FRAMES, 2, 4, 5)
    pixels[-1] = 20.0  # nearly all frames are within the margin
    pixels[1:3, 1] = -9.5
    motion = ClipMotion(pixels, gain_db=3.0)
    config = configured(epochs=100, motion=motion)
    assert isinstance(config, HNeRVPPConfig)
    assert (config.motion, config.margin) == (1, 15)
    assert config.padded_size[0] >= 144 + 2 * 15
    set_otherwise = configured(epochs=100, motion=motion, model_settings={"margin": 4})
    assert isinstance(set_otherwise, HNeRVPPConfig)
    assert (set_otherwise.motion, set_otherwise.margin) == (1, 4)


def test_a_bound_leaves_time_for_motion() -> None:
    budget: dict[str, Any] = {"epochs": 1000, "num_bytes": 48_000}
    free = configured(**budget)
    bound = 1.5 * macs_per_frame(free) / (1000 * 144 * 176)
    assert configured(**budget, max_kmac_per_pixel=bound) == free
    motion = ClipMotion(torch.zeros(NUM_FRAMES, 2, 4, 5), gain_db=3.0)
    moving = configured(**budget, motion=motion, max_kmac_per_pixel=bound)
    assert moving.has_motion
    assert macs_per_frame(moving) < macs_per_frame(free)


def test_motion_is_given_up_where_there_is_no_such_network() -> None:
    """Here for a canvas of more than the largest margin; for too few bytes it is the same."""
    motion = ClipMotion(torch.full((NUM_FRAMES, 2, 4, 5), 300.0), gain_db=3.0)
    assert configured(epochs=10, motion=motion) == configured(epochs=10)
    with pytest.raises(RateError):
        configured(epochs=10, motion=motion, num_bytes=100)


def test_a_gpu_has_widths_that_it_need_not_pad() -> None:
    here, there = (configured(epochs=100, num_bytes=200_000, device=d) for d in ("cpu", "cuda"))
    assert any(width % 8 for width in here.channels)
    assert all(width % 8 == 0 for width in there.channels)


def test_a_gpu_keeps_the_bound_of_what_decoding_may_take() -> None:
    for num_bytes in range(60_000, 140_000, 10_000):
        told: dict[str, Any] = {"epochs": 100, "num_bytes": num_bytes, "max_kmac_per_pixel": 9.0}
        here, there = (configured(device=d, **told) for d in ("cpu", "cuda"))
        least = max(9.0 * 1000 * 144 * 176, macs_per_frame(here))
        assert macs_per_frame(there) <= least


def test_long_fits_on_a_cpu_have_widths_that_its_units_take_whole() -> None:
    size: dict[str, Any] = {"num_bytes": 150_000, "bits_per_parameter": 5.0}
    config = configured(epochs=100, **size)
    assert all(width % 16 == 0 for width in config.channels[2:])
    # Their authors' widths, and shapes of short fits, stay as they are.
    assert any(w % 16 for w in configured(model="nervpp", epochs=100, **size).channels[2:])
    assert any(w % 16 for w in configured(epochs=10, **size).channels[2:])


def test_fits_on_a_cpu_leave_out_the_blocks_that_take_longest() -> None:
    config = configured(epochs=100, num_bytes=48_000)
    assert isinstance(config, HNeRVPPConfig)
    assert config.plain_stages == 2
    kept = configured(epochs=100, num_bytes=48_000, model_settings={"plain_stages": 0})
    assert isinstance(kept, HNeRVPPConfig)
    assert kept.plain_stages == 0
    # In long fits they are worth their time, and a GPU has kernels for them.
    long = configured(epochs=300, num_bytes=48_000)
    assert isinstance(long, HNeRVPPConfig)
    assert long.plain_stages == 0
    elsewhere = configured(epochs=100, num_bytes=48_000, device="cuda")
    assert isinstance(elsewhere, HNeRVPPConfig)
    assert elsewhere.plain_stages == 0
