"""`_rounds`: which network an encode takes for its budget."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from inrcodec._rounds import EncodeJob, _configure
from inrcodec.fitting import FitConfig
from inrcodec.models import HNeRVPPConfig, NetworkConfig

NUM_FRAMES = 12


def configured(
    *,
    num_rounds: int = 1,
    model: str = "hnervpp",
    max_kmac_per_pixel: float | None = None,
    model_settings: dict[str, object] | None = None,
    **budget: Any,
) -> NetworkConfig:
    frames = torch.zeros(NUM_FRAMES, 3, 144, 176, dtype=torch.uint8)
    job = EncodeJob(
        source=SimpleNamespace(frames=frames),  # type: ignore[arg-type]  # all that is looked at
        audio=[],
        model=model,
        fit=FitConfig(**budget),
        device=torch.device("cpu"),
        segment_frames=600,
        fresh=False,
        model_settings=model_settings or {},
        max_kmac_per_pixel=max_kmac_per_pixel,
    )
    return _configure(job, 20_000, frames=frames, num_rounds=num_rounds)


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


def test_a_bound_and_settings_are_kept_in_long_fits() -> None:
    assert head(configured(epochs=1000, model_settings={"head_stride": 4})) == 4
    assert head(configured(epochs=1000, max_kmac_per_pixel=0.3)) == 4
    assert configured(epochs=1, model="hnerv") == configured(epochs=1000, model="hnerv")
    assert configured(seconds=1.0, model="hnerv") == configured(epochs=1000, model="hnerv")
