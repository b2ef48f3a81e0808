"""HiNeRV: the authors' sizes, the grids' interpolation, and what a header may not say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from inrcodec import models
from inrcodec.errors import ModelError
from inrcodec.models._grids import Pyramids, TemporalGrids

FRAME = {"height": 45, "width": 82, "num_frames": 7}
GOOD: dict[str, Any] = {
    "strides": [3, 2],
    "channels": [6, 6, 4],
    "base_steps": 3,
    "local_steps": 7,
}

# channels, frames, height, grid channels of the authors' configurations; decoder parameters
AUTHORS = {
    "uvg-S": (280, 600, 1080, 2, 3_188_933),
    "uvg-M": (400, 600, 1080, 4, 6_489_553),
    "uvg-L": (560, 600, 1080, 8, 12_818_953),
    "bunny-XXS": (136, 132, 720, 2, 766_691),
    "bunny-XS": (196, 132, 720, 4, 1_585_666),
    "bunny-S": (280, 132, 720, 8, 3_249_819),
}


def small(**overrides: Any) -> models.Network:
    config = models.config_from_dict("hinerv", {**GOOD, **overrides}, **FRAME)
    torch.manual_seed(0)
    return models.build("hinerv", config)


def authors_config(
    channels: int, num_frames: int, height: int, num_params: int
) -> models.HiNeRVConfig:
    return models.HiNeRVConfig.for_base_width(
        channels, models.Sizing(height, height * 16 // 9, num_frames, num_params)
    )


@pytest.mark.parametrize(
    ("channels", "num_frames", "height", "grid_channels", "num_params"),
    AUTHORS.values(),
    ids=AUTHORS,
)
def test_the_authors_sizes(
    channels: int, num_frames: int, height: int, grid_channels: int, num_params: int
) -> None:
    config = authors_config(channels, num_frames, height, num_params)
    assert config.strides == ((5, 3, 2, 2) if height == 1080 else (5, 2, 2, 2))
    assert config.grid == (18, 32)
    assert config.base_steps == (150 if num_frames == 600 else 40)
    assert config.local_steps == num_frames
    assert config.grid_channels == grid_channels
    assert models.count_parameters(config) == models.StoredSize(num_params, 0)


def test_the_papers_size_of_uvg_s() -> None:
    """3.19 M parameters and 181 GMAC a frame are printed."""
    config = authors_config(280, 600, 1080, 3_190_000)
    assert models.count_parameters(config).total == pytest.approx(3.19e6, rel=0.002)
    assert models.macs_per_frame(config) == pytest.approx(181e9, rel=0.02)


def test_the_sum_of_uvg_s() -> None:
    """The authors' layers, added up by hand."""
    base_grids = 18 * 32 * (150 * 2 + 75 * 4)
    stem = 9 * 6 * 280 + 280
    total = base_grids + stem
    width = 280
    for scale, depth, expansion, out in (
        (5, 3, 4, 280),
        (3, 3, 4, 140),
        (2, 3, 4, 70),
        (2, 1, 1, 35),
    ):
        channels = {280: 4, 140: 2, 70: 1, 35: 1}[out]
        total += scale**2 * channels * (600 + 300 * 2 + 150 * 4) + (7 * channels + 1) * width
        for _ in range(depth):
            hidden = expansion * out
            total += 9 * width + width * hidden + hidden * out
            width = out
    total += 3 * 35 + 3
    assert models.count_parameters(authors_config(280, 600, 1080, 3_190_000)).decoder == total


@pytest.mark.parametrize("num_frames", [1, 132, 600])
@pytest.mark.parametrize("num_params", [20_000, 96_000, 1_000_000])
def test_grids_take_a_part_of_the_budget(num_params: int, num_frames: int) -> None:
    config = models.for_budget("hinerv", num_params, height=160, width=320, num_frames=num_frames)
    assert isinstance(config, models.HiNeRVConfig)
    grids = sum(
        parameter.numel()
        for name, parameter in models.build("hinerv", config).decoder.named_parameters()
        if "levels" in name
    )
    assert 0 < grids <= 0.26 * num_params
    assert config.local_steps <= num_frames
    if num_frames > 1:
        assert grids >= 0.12 * num_params


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_grids_interpolate_linearly(shift: float) -> None:
    grids = TemporalGrids([(5, 2)], (2, 3), num_frames=10, shift=shift)
    with torch.no_grad():
        (grid,) = grids.levels
        grid.copy_(torch.arange(5.0)[:, None].expand_as(grid))
        found = grids(torch.arange(10))
    assert found.shape == (10, 2, 2, 3)
    expected = ((torch.arange(10) + shift) / 10 * 5 - shift).clamp(0, 4)
    assert torch.allclose(found, expected[:, None, None, None].expand_as(found), atol=1e-6)


def test_base_grids_interpolate_as_the_authors() -> None:
    grids = TemporalGrids([(4, 3)], (1, 1), num_frames=9, shift=0.5)
    reference = F.interpolate(grids.levels[0].T[None], size=9, mode="linear", align_corners=False)
    assert torch.allclose(grids(torch.arange(9))[:, :, 0, 0], reference[0].T, atol=1e-6)


def test_positions_survive_half() -> None:
    grids = TemporalGrids([(3000, 1)], (1, 1), num_frames=3000)
    with torch.no_grad():
        grids.levels[0].copy_(torch.arange(3000.0)[:, None] % 7)
        found = grids.half()(torch.tensor([2047, 2049, 2999])).flatten()
    assert found.tolist() == [2047 % 7, 2049 % 7, 2999 % 7]


def test_levels_never_vanish() -> None:
    pyramids = Pyramids(5, 1, 2, (3, 4), (2, 2, 2, 2))
    assert list(pyramids.base) == [(5, 2), (2, 4)]
    assert list(pyramids.local[0]) == [(1, 4), (1, 8), (1, 16)]
    assert list(pyramids.local[3]) == [(1, 1), (1, 2), (1, 4)]
    assert pyramids.num_values == 18 * 12 + (28 + 14 + 7 + 7) * 4


def test_grids_fill_what_they_may() -> None:
    pyramids = Pyramids(40, 132, 2, (18, 32), (5, 2, 2, 2))
    assert pyramids.fitted(4 * pyramids.num_values, max_channels=32).channels == 8
    assert pyramids.fitted(4 * pyramids.num_values, max_channels=4).channels == 4
    half = pyramids.fitted(0.5 * pyramids.num_values, max_channels=32)
    assert (half.base_steps, half.local_steps, half.channels) == (20, 66, 2)


@pytest.mark.parametrize("size", [(64, 64), (65, 127), (90, 161)])
def test_odd_sizes_and_single_frames(size: tuple[int, int]) -> None:
    height, width = size
    config = models.for_budget("hinerv", 15_000, height=height, width=width, num_frames=1)
    with torch.inference_mode():
        x_hat = models.build("hinerv", config)(torch.zeros(1, dtype=torch.int64))
    assert x_hat.shape == (1, 3, height, width)
    assert 0 < float(x_hat.min()) < float(x_hat.max()) < 1


def test_local_grids_repeat_over_the_picture() -> None:
    network = small()
    stage = network.decoder.stages[0]  # type: ignore[union-attr,index]
    stage.blocks = torch.nn.Identity()
    with torch.no_grad():
        x = torch.zeros(1, 6, 4, 5)
        added = stage(x, torch.tensor([3]))
        local = stage.local(torch.tensor([3]))
    assert local.shape == (1, 6, 3, 3)
    assert torch.allclose(added, local.repeat(1, 1, 4, 5))


def test_a_fit_learns_the_motion() -> None:
    """A short fit gets below the best picture that stands still."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    clip = torch.stack([torch.sin(x / 9 + i / 2) * torch.cos(y / 7 - i / 3) for i in range(8)])
    frames = (clip[:, None].expand(-1, 3, -1, -1) + 1) / 2
    still = F.mse_loss(frames.mean(0, keepdim=True).expand_as(frames), frames).item()
    torch.manual_seed(0)
    network = models.build(
        "hinerv", models.for_budget("hinerv", 15_000, height=48, width=64, num_frames=8)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    losses = []
    for step in range(120):
        indices = torch.tensor([step % 8, (step + 3) % 8])
        loss = F.mse_loss(network(indices), frames[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-16:]) / 16 < 0.5 * still


def test_hidden_layers_count_as_maps() -> None:
    config = small().config
    rows, columns = config.grid
    assert config.largest_map == max(6 * 4 * 9, 4 * 36, 6 * 36) * rows * columns


HOSTILE: list[tuple[str, Any]] = [
    ("base_steps", 0),
    ("base_steps", 2**25),
    ("base_steps", 1.5),
    ("local_steps", -3),
    ("local_steps", 10**400),
    ("grid_channels", 0),
    ("grid_channels", 129),
    ("depth", 0),
    ("depth", 17),
    ("expansion", 0),
    ("expansion", 9),
    ("expansion", True),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE)
def test_hostile_fields(field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"{field} is .*; it must be"):
        small(**{field: value})


def test_grids_are_bounded() -> None:
    with pytest.raises(ModelError, match=r"values of the grids is .* from 1 to 268435456"):
        small(base_steps=2**24, grid_channels=128)


def test_hidden_layers_are_bounded() -> None:
    fields = {**GOOD, "channels": [6, 6, 4], "expansion": 8}
    models.config_from_dict(
        "hinerv", {**fields, "expansion": 1}, **{**FRAME, "height": 8192, "width": 8192}
    )
    with pytest.raises(ModelError, match="feature map"):
        models.config_from_dict("hinerv", fields, **{**FRAME, "height": 8192, "width": 8192})


def test_stage_1_keeps_the_width_of_the_stem() -> None:
    with pytest.raises(ModelError, match="width of stage 1 is 5; it must be 6"):
        small(channels=[6, 5, 4])


@pytest.mark.parametrize("field", ["base_steps", "local_steps"])
def test_steps_are_needed(field: str) -> None:
    fields = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(ModelError, match=f"'{field}' is missing"):
        models.config_from_dict("hinerv", fields, **FRAME)
