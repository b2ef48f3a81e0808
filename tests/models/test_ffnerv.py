"""FFNeRV: the authors' size, the aggregation of neighbours, and what a header may not say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from inrcodec import models
from inrcodec.errors import ModelError
from inrcodec.models._flow import CompactConv, aggregate

FRAME = {"height": 45, "width": 82, "num_frames": 7}
GOOD: dict[str, Any] = {
    "strides": [3, 2, 2],
    "channels": [4, 16, 8, 6],
    "grid_steps": [4, 7],
    "groups": 4,
}


def small(*, frame: dict[str, int] | None = None, **overrides: Any) -> models.FFNeRV:
    config = models.config_from_dict("ffnerv", {**GOOD, **overrides}, **(frame or FRAME))
    torch.manual_seed(0)
    network = models.build("ffnerv", config)
    assert isinstance(network, models.FFNeRV)
    return network


def test_the_authors_size() -> None:
    """The README's configuration, its layers added up by hand."""
    config = models.FFNeRVConfig.for_base_width(192, models.Sizing(720, 1280, 600, 8_500_000))
    assert config.strides == (5, 2, 2, 2, 2)
    assert config.grid == (9, 16)
    assert config.channels == (48, 384, 192, 96, 48, 24)
    assert config.grid_steps == (300, 600)
    assert config.groups == 8
    total = (300 + 600) * 24 * 9 * 16
    total += (9 * 48 + 1) * 384 * 25
    for before, after in ((384, 192), (192, 96), (96, 48), (48, 24)):
        wide = 4 * after
        total += (9 * before // 8 + 1) * wide + (wide + 1) * wide
    total += (96 + 1) * 3 * 4 + (24 + 1) * 5
    assert total == 8_495_369
    assert models.count_parameters(config) == models.StoredSize(total, 0)


@pytest.mark.parametrize(
    ("width", "groups", "rest"),
    [(24, 8, 0), (26, 8, 2), (21, 7, 0), (13, 6, 1), (7, 7, 0), (1, 1, 0)],
)
def test_any_width_is_compact(width: int, groups: int, rest: int) -> None:
    conv = CompactConv(width, 12, groups=8)
    assert conv.grouped.groups == groups
    assert conv.grouped.in_channels == width - rest
    x = torch.rand(1, width, 3, 4, requires_grad=True)
    y = conv(x)
    assert y.shape == (1, 12, 3, 4)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.all()


def test_the_stem_is_shared_by_its_grids() -> None:
    config = small(channels=[5, 16, 8, 6]).config
    assert isinstance(config, models.FFNeRVConfig)
    assert list(config.levels) == [(4, 3), (7, 2)]


def test_macs_are_those_of_five_evaluations() -> None:
    config = small().config
    rows, columns = config.grid
    one = (4 + 7) * 2 + 9 * 4 * 16 * 9  # of a cell: grids, stage 1
    one += 9 * (9 * 16 // 4 * 32 + 32 * 32 + 16 * 12)  # stage 2, flow
    one += 36 * (9 * 8 // 4 * 24 + 24 * 24) + 144 * 6 * 5  # stage 3, frame
    assert models.macs_per_frame(config) == 5 * one * rows * columns


@pytest.mark.parametrize("num_params", [52_000, 96_000, 250_000])
def test_grids_take_a_part_of_the_budget(num_params: int) -> None:
    config = models.for_budget("ffnerv", num_params, height=160, width=320, num_frames=132)
    network = models.build("ffnerv", config)
    grids = sum(p.numel() for name, p in network.decoder.named_parameters() if "levels" in name)
    assert 0.12 * num_params < grids < 0.38 * num_params


def test_long_clips_have_fewer_time_steps() -> None:
    config = models.for_budget("ffnerv", 15_000, height=160, width=320, num_frames=600)
    assert isinstance(config, models.FFNeRVConfig)
    assert 2 * config.grid_steps[0] == pytest.approx(config.grid_steps[1], abs=2)
    assert config.grid_steps[1] < 600


@pytest.mark.parametrize("size", [(64, 64), (65, 127), (90, 161)])
@pytest.mark.parametrize("num_frames", [1, 2])
def test_odd_sizes_and_short_clips(size: tuple[int, int], num_frames: int) -> None:
    height, width = size
    config = models.for_budget("ffnerv", 30_000, height=height, width=width, num_frames=num_frames)
    with torch.inference_mode():
        x_hat = models.build("ffnerv", config)(torch.tensor([num_frames - 1]))
    assert x_hat.shape == (1, 3, height, width)
    assert 0 <= float(x_hat.min()) < float(x_hat.max()) <= 1


@pytest.mark.parametrize("strides", [[2], [3, 2], [2, 2, 2, 2]])
def test_flow_is_read_two_stages_before_the_last(strides: list[int]) -> None:
    network = small(strides=strides, channels=[4, *[8] * len(strides)])
    assert network.decoder.flow_scale == {1: 1, 2: 2, 4: 4}[len(strides)]
    assert network(torch.tensor([3])).shape == (1, 3, 45, 82)


def test_still_flow_averages_the_neighbours() -> None:
    neighbours = torch.rand(2, 4, 3, 8, 12)
    assert torch.allclose(
        aggregate(neighbours, torch.zeros(2, 12, 4, 6), scale=2), neighbours.mean(1), atol=1e-6
    )


def test_flow_is_in_pixels_of_its_own_resolution() -> None:
    neighbours = torch.rand(1, 2, 3, 8, 12)
    flow = torch.zeros(1, 6, 4, 6)
    flow[:, 0] = 1.0  # x of the first: two pixels at scale 2
    flow[:, 3] = -0.5  # y of the second: one up
    flow[:, 4] = 30.0  # its weight is all
    warped = aggregate(neighbours, flow, scale=2)
    assert torch.allclose(warped[..., :-2], neighbours[:, 0, :, :, 2:], atol=1e-5)
    assert torch.allclose(warped[..., -2:], neighbours[:, 0, :, :, -1:].expand(-1, -1, -1, 2))
    flow[:, 4:] = torch.tensor([-30.0, 0.0])[:, None, None]
    warped = aggregate(neighbours, flow, scale=2)
    assert torch.allclose(warped[..., 1:, :], neighbours[:, 1, :, :-1], atol=1e-5)


def test_neighbours_are_the_independent_frames() -> None:
    decoder = small().decoder
    with torch.no_grad():
        everything = decoder.draw(torch.arange(7))[0]
        indices = torch.tensor([4, 0, 4, 5])
        neighbours = decoder.draw_neighbours(indices, everything[indices])
    assert neighbours.shape == (4, 4, *everything.shape[1:])
    for found, index in zip(neighbours, indices.tolist(), strict=True):
        for frame, offset in zip(found, (-2, -1, 1, 2), strict=True):
            inside = 0 <= index + offset < 7
            expected = everything[index + offset] if inside else torch.zeros_like(frame)
            assert torch.allclose(frame, expected, atol=1e-6)


def test_each_frame_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = small().decoder
    drawn: list[int] = []
    batches: list[int] = []

    def draw(frame_indices: torch.Tensor) -> Any:
        drawn.extend(frame_indices.tolist())
        batches.append(len(frame_indices))
        return type(decoder).draw(decoder, frame_indices)

    monkeypatch.setattr(decoder, "draw", draw)
    with torch.no_grad():
        decoder(torch.tensor([2, 3]))
    assert sorted(drawn) == [0, 1, 2, 3, 4, 5]
    assert max(batches) == 2


def test_auxiliary_frames_exist_while_fitting() -> None:
    network = small()
    indices = torch.tensor([0, 3])
    x_hat = network(indices)
    independent, aggregated = network.auxiliary()
    assert independent.shape == aggregated.shape == x_hat.shape == (2, 3, 45, 82)
    assert torch.allclose(independent, network.decoder.draw(indices)[0][..., :45, :82], atol=1e-6)
    between = torch.stack((independent, aggregated)).detach()
    assert (x_hat <= between.amax(0) + 1e-6).all()
    assert (x_hat >= between.amin(0) - 1e-6).all()
    with torch.no_grad():
        network(indices)
    assert network.auxiliary() == []
    network.eval()(indices)
    assert network.auxiliary() == []


def test_no_gradient_flows_into_the_neighbours() -> None:
    """The aggregated frame teaches the flow; the independent frames' head learns nothing by it."""
    network = small()
    network(torch.tensor([3]))
    network.auxiliary()[1].sum().backward()
    head = network.decoder.head
    assert head["frame"].weight.grad is None or not head["frame"].weight.grad.any()
    assert head["flow"].weight.grad.any()


def test_a_fit_learns_the_motion() -> None:
    """A short fit gets below the best picture that stands still."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    clip = torch.stack([torch.sin(x / 9 + i / 2) * torch.cos(y / 7 - i / 3) for i in range(8)])
    frames = (clip[:, None].expand(-1, 3, -1, -1) + 1) / 2
    still = F.mse_loss(frames.mean(0, keepdim=True).expand_as(frames), frames).item()
    torch.manual_seed(0)
    network = models.build(
        "ffnerv", models.for_budget("ffnerv", 15_000, height=48, width=64, num_frames=8)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    losses = []
    for step in range(120):
        indices = torch.tensor([step % 8, (step + 3) % 8])
        loss = F.mse_loss(network(indices), frames[indices])
        losses.append(loss.item())
        for rendition in network.auxiliary():
            loss = loss + 0.1 * F.mse_loss(rendition, frames[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(losses[-16:]) / 16 < 0.5 * still


HOSTILE: list[tuple[str, Any, str]] = [
    ("grid_steps", [], "number of grid_steps is 0; it must be from 1 to 4"),
    ("grid_steps", [1] * 5, "number of grid_steps is 5"),
    ("grid_steps", [4, 0], "grid_steps is 0"),
    ("grid_steps", [4, 2**40], "grid_steps is 1099511627776"),
    ("channels", [1, 16, 8, 6], "width of the stem is 1; it must be from 2"),
    ("grid_steps", [2**24, 2**24], "values of the grids is"),
    ("grid_steps", 7, "it must be of type"),
    ("neighbours", [], "number of neighbours is 0"),
    ("neighbours", list(range(1, 10)), "number of neighbours is 9"),
    ("neighbours", [1, 0], "distance of a neighbour is 0"),
    ("neighbours", [1, -65], "distance of a neighbour is 65"),
    ("neighbours", [1, 1], "number of distinct neighbours is 1; it must be 2"),
    ("groups", 0, "groups is 0"),
    ("groups", 65, "groups is 65"),
]


@pytest.mark.parametrize(("field", "value", "message"), HOSTILE)
def test_hostile_fields(field: str, value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        small(**{field: value})


def test_grid_steps_are_needed() -> None:
    fields = {name: value for name, value in GOOD.items() if name != "grid_steps"}
    with pytest.raises(ModelError, match="'grid_steps' is missing"):
        models.config_from_dict("ffnerv", fields, **FRAME)


def test_warped_frames_count_as_maps() -> None:
    network = small()
    height, width = network.config.padded_size
    assert network.config.largest_map == 9 * 4 * height * width
    with pytest.raises(ModelError, match="feature map"):
        small(frame={**FRAME, "height": 8192, "width": 8192})
