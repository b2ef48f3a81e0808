"""A network is drawn by its seed, and whoever called finds his random numbers as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import inrcodec
from inrcodec._seeded import seeded


def test_draws_by_the_seed_and_leaves_the_rest() -> None:
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    with seeded(3):
        first = torch.rand(4)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), first)


@pytest.mark.parametrize("budget", [{"epochs": 1}, {"time_seconds": 6.0}])
def test_an_encode_touches_no_generator(
    budget: dict[str, float], tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("a GPU is seeded"))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("all are seeded"))
    before = torch.get_rng_state()
    inrcodec.encode(tiny_clip, tmp_path / "a.inr", bpp=8.0, **budget)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), before)
