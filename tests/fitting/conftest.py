"""Short fits that tests of the rate share."""

from __future__ import annotations

from typing import Any, Protocol

import pytest
import torch
from torch import Tensor

from inrcodec.fitting import FitConfig, FitResult, InterruptFlag, fit
from inrcodec.models import NetworkConfig, build, for_budget

NUM_FRAMES = 6
NUM_BYTES = 6000


class FitWaves(Protocol):
    """Fits a network to `waves`; a fit that stops goes on from its state."""

    def __call__(
        self, model: str = ..., *, stop: InterruptFlag | None = ..., **settings: Any
    ) -> FitResult: ...


def waves() -> Tensor:
    """A smooth clip that changes slowly: (6, 3, 48, 64) uint8."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.stack(
            (torch.sin((x + 0.3 * i) / 9), torch.cos((y - 3 * i) / 7), torch.sin((x + y) / 8))
        )
        for i in range(NUM_FRAMES)
    ]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def config_for_waves(model: str = "hnervpp") -> NetworkConfig:
    return for_budget(model, 12_000, height=48, width=64, num_frames=NUM_FRAMES)


@pytest.fixture(scope="session")
def waves_config() -> Any:
    """Of networks for `waves`, by name."""
    return config_for_waves


@pytest.fixture(scope="session")
def num_bytes() -> int:
    """What fits of `waves` may take."""
    return NUM_BYTES


@pytest.fixture(scope="session")
def fit_waves() -> FitWaves:
    def fitted(
        model: str = "hnervpp", *, stop: InterruptFlag | None = None, **settings: Any
    ) -> FitResult:
        told = {"epochs": 60, "batch_size": 2, "loss": "log_l2", "precision": "fp32", **settings}
        kept: list[dict[str, Any]] = []

        def run(**more: Any) -> FitResult | None:
            torch.manual_seed(0)
            return fit(
                waves(),
                build(model, config_for_waves(model)),
                FitConfig(**told),
                num_bytes=NUM_BYTES,
                device=torch.device("cpu"),
                **more,
            )

        if stop is None:
            result = run()
        else:
            assert run(save=kept.append, interrupt=stop) is None
            result = run(state=kept[-1])
        assert result is not None
        return result

    return fitted
