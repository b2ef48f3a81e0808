"""FreSh: frequencies that follow the clip's, from the seed alone, where there are any to choose."""

from __future__ import annotations

import pytest
import torch

from inrcodec import models
from inrcodec.fitting import check_fresh, choose_encoding
from inrcodec.fitting._fresh import temporal_spectrum
from inrcodec.models import NetworkConfig, for_budget

CPU = torch.device("cpu")
NUM_FRAMES = 32


def config(num_frames: int = NUM_FRAMES) -> NetworkConfig:
    return for_budget("nerv", 12_000, height=48, width=64, num_frames=num_frames)


def waves(cycles: float) -> torch.Tensor:
    """Frames whose brightness swings so many times in the clip, `(32, 3, 48, 64)`."""
    t = torch.arange(NUM_FRAMES) / NUM_FRAMES
    swing = (127.5 + 100 * torch.sin(2 * torch.pi * cycles * t)).to(torch.uint8)
    return swing.view(-1, 1, 1, 1).expand(-1, 3, 48, 64).contiguous()


def chosen_base(frames: torch.Tensor, seed: int = 0) -> float:
    chosen = choose_encoding(config(len(frames)), frames, seed=seed, device=CPU)
    return float(chosen.to_dict().get("pe_base", 1.25))  # type: ignore[arg-type]


def test_flicker_wants_higher_frequencies_than_drift() -> None:
    generator = torch.Generator().manual_seed(0)
    flicker = torch.randint(256, (NUM_FRAMES, 3, 1, 1), generator=generator, dtype=torch.uint8)
    drift, noise = chosen_base(waves(0.5)), chosen_base(flicker.expand(-1, -1, 48, 64))
    assert drift < 1.05
    assert noise > 1.07


def test_choice_is_of_the_seed_alone_and_leaves_the_generator() -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = chosen_base(waves(3), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert chosen_base(waves(3), seed=5) == first


def test_nothing_but_the_base_changes() -> None:
    before = config()
    after = choose_encoding(before, waves(0.5), seed=0, device=CPU).to_dict()
    assert after.pop("pe_base") != 1.25
    assert after == before.to_dict()


def test_a_clip_without_a_spectrum_keeps_the_base() -> None:
    short = config(3)
    with pytest.warns(UserWarning, match="the frequencies of 3 frames as they are"):
        assert choose_encoding(short, waves(1)[:3], seed=0, device=CPU) is short


def test_a_still_clip_wants_low_frequencies() -> None:
    assert chosen_base(torch.full((8, 3, 48, 64), 90, dtype=torch.uint8)) < 1.1


def test_spectrum_is_of_time_without_the_mean() -> None:
    t = torch.arange(8) / 8
    frames = 5 + torch.cos(2 * torch.pi * 3 * t).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    assert temporal_spectrum(frames).tolist() == pytest.approx([0, 0, 1, 0], abs=1e-6)


@pytest.mark.parametrize("model", ["hnerv", "hnervpp", "ffnerv", "hnerv-boost", "hnervpp-boost"])
def test_networks_that_no_encoding_drives_are_refused(model: str) -> None:
    if model not in models.names():
        pytest.skip(f"{model} is not in the zoo")
    with pytest.raises(ValueError, match=f"positional encoding's frequencies; {model} has none"):
        check_fresh(model, {})


@pytest.mark.parametrize(
    "model", ["nerv", "nervpp", "nervpp-repo", "enerv", "nerv-boost", "enerv-boost"]
)
def test_networks_that_the_index_drives_are_admitted(model: str) -> None:
    if model not in models.names():
        pytest.skip(f"{model} is not in the zoo")
    check_fresh(model, {"embed_length": 80})
    with pytest.raises(ValueError, match="pe_base is given, which FreSh would choose"):
        check_fresh(model, {"pe_base": 1.3})
    small = for_budget(model, 60_000, height=96, width=160, num_frames=4)
    frames = torch.randint(256, (4, 3, 96, 160), dtype=torch.uint8)
    assert choose_encoding(small, frames, seed=0, device=CPU).num_frames == 4
