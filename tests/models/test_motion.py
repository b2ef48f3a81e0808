"""Motion: frames are read where they lie on the canvas, and start there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec import models
from inrcodec.errors import ModelError
from inrcodec.models import HNeRVPPConfig, config_from_dict
from inrcodec.models._motion import UNIT_PIXELS, _interpolation, read_canvas

SIZE = 48, 64
GRID = 4, 5


def config(**fields: Any) -> HNeRVPPConfig:
    return HNeRVPPConfig(
        **{
            "height": 48,
            "width": 64,
            "num_frames": 6,
            "strides": (2, 2),
            "channels": (6, 6, 6),
            "head_stride": 4,
            "plain_stages": 0,
            "embedding_channels": 3,
            "motion": 1,
            "margin": 8,
            **fields,
        }
    )


def field(right: float, down: float, *, batch: int = 1) -> Tensor:
    pixels = torch.tensor((right, down)).view(1, 2, 1, 1)
    return (pixels / UNIT_PIXELS).expand(batch, 2, *GRID)


def panning_clip(num_frames: int, *, right: int, down: int) -> Tensor:
    """Frames (N, 3, 48, 64) cut out of one texture, a step further each."""
    torch.manual_seed(0)
    texture = F.interpolate(torch.rand(1, 3, 30, 40), scale_factor=4, mode="bicubic")[0]
    texture = (255 * texture.clamp(0, 1)).to(torch.uint8)
    return torch.stack(
        [texture[:, 8 + down * i :, 8 + right * i :][:, :48, :64] for i in range(num_frames)]
    )


def test_without_motion_a_frame_is_the_middle_of_the_canvas() -> None:
    canvas = torch.rand(2, 3, 64, 80)
    read = read_canvas(canvas, field(0, 0, batch=2), SIZE)
    torch.testing.assert_close(read, canvas[:, :, 8:56, 8:72], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -5), (8, 8), (-8, 2)])
def test_whole_pixels_are_read_as_they_are(right: int, down: int) -> None:
    canvas = torch.rand(1, 3, 64, 80)
    read = read_canvas(canvas, field(right, down), SIZE)
    expected = canvas[:, :, 8 + down : 56 + down, 8 + right : 72 + right]
    torch.testing.assert_close(read, expected, atol=1e-4, rtol=0)


def test_motion_between_cells_is_bilinear() -> None:
    """On a canvas whose value is its column, a frame shows where it was read."""
    canvas = torch.arange(80.0).expand(1, 3, 64, 80)
    motion = torch.randn(1, 2, *GRID) / UNIT_PIXELS
    read = read_canvas(canvas, motion, SIZE)
    pixels = F.interpolate(motion * UNIT_PIXELS, (64, 80), mode="bilinear", align_corners=False)
    expected = canvas[:, :1] + pixels[:, :1]
    torch.testing.assert_close(
        read, expected[:, :, 8:56, 8:72].expand(1, 3, -1, -1), atol=1e-3, rtol=0
    )


def test_beyond_the_border_the_canvas_goes_on() -> None:
    canvas = torch.rand(1, 3, 64, 80)
    read = read_canvas(canvas, field(1e4, 0), SIZE)
    torch.testing.assert_close(read, canvas[:, :, 8:56, -1:].expand(-1, -1, -1, 64))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_motion_that_is_no_number_is_none(value: float) -> None:
    canvas = torch.rand(1, 3, 64, 80)
    read = read_canvas(canvas, torch.full((1, 2, *GRID), value), SIZE)
    torch.testing.assert_close(read, canvas[:, :, 8:56, 8:72], atol=1e-5, rtol=0)


def test_the_canvas_is_larger_than_the_frame_by_the_margin() -> None:
    with_margin, without = config(), config(margin=0)
    assert without.grid == (3, 4)
    assert with_margin.grid == (4, 5)  # of 16 pixels
    assert with_margin.embedding_shape == (3 + 2, 4, 5)
    network = with_margin.build()
    frames = network(torch.tensor([0, 1]), torch.randn(2, 5, 4, 5))
    assert frames.shape == (2, 3, 48, 64)
    assert 0 <= float(frames.detach().min()) <= float(frames.detach().max()) <= 1


def test_only_the_motion_moves_what_is_drawn() -> None:
    network = config().build()
    embeddings = torch.randn(1, 5, 4, 5)
    embeddings[:, 3:] = 0
    moved = embeddings.clone()
    moved[:, 3] = 4 / UNIT_PIXELS
    index = torch.tensor([0])
    with torch.no_grad():
        still, right = network.decode(index, embeddings), network.decode(index, moved)
    torch.testing.assert_close(right[..., :-4], still[..., 4:], atol=1e-4, rtol=0)


def test_motion_is_fitted() -> None:
    network = config().build()
    embeddings = torch.randn(1, 5, 4, 5, requires_grad=True)
    network(torch.tensor([0]), embeddings).square().mean().backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    assert (embeddings.grad[:, 3:].abs().amax((0, 2, 3)) > 0).all()


def test_embeddings_start_from_what_the_canvas_shows() -> None:
    """Frames of a pan are one picture on the canvas, wherever it has been seen."""
    clip = panning_clip(5, right=3, down=1)
    network = config(num_frames=5).build()
    indices = torch.arange(5)
    motion = torch.tensor([[3.0, 1.0]]) * (indices[:, None] - 2)
    network.calibrate(clip, motion.view(5, 2, 1, 1).expand(5, 2, 2, 3))
    table = network.embed(None, indices).detach()
    torch.testing.assert_close(
        table[:, 3:] * UNIT_PIXELS, motion.view(5, 2, 1, 1).expand(5, 2, 4, 5), atol=1e-4, rtol=0
    )
    inside = table[:, :3, 1:3, 1:4]
    as_they_are = config(num_frames=5, motion=0, margin=0).build()
    as_they_are.calibrate(clip)
    unmoved = as_they_are.embed(None, indices).detach()[:, :, 1:2, 1:3]
    assert inside.std(0).mean() < 0.4 * unmoved.std(0).mean()


def test_without_a_start_there_is_no_motion() -> None:
    network = config(num_frames=5).build()
    network.calibrate(panning_clip(5, right=1, down=0))
    assert not network.embed(None, torch.arange(5))[:, 3:].any()


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        ("hnervpp", {"motion": 2}, "motion is 2"),
        ("hnervpp", {"motion": 0, "margin": 8}, "margin is 8"),
        ("hnervpp", {"motion": 1, "margin": 257}, "margin is 257"),
        ("hnervpp-boost", {"motion": 1}, "motion is 1"),
    ],
)
def test_fields_out_of_range_are_refused(
    model: str, fields: dict[str, object], message: str
) -> None:
    known = {"strides": [2, 2], "channels": [6, 6, 6], **fields}
    with pytest.raises(ModelError, match=message):
        config_from_dict(model, known, height=48, width=64, num_frames=6)


def test_room_for_the_margin_is_counted() -> None:
    sized = models.for_budget(
        "hnervpp", 268_000, height=320, width=640, num_frames=132, motion=1, margin=16
    )
    assert isinstance(sized, HNeRVPPConfig)
    assert sized.grid == (11, 21)  # of 32 pixels, as without
    assert sized.padded_size == (352, 672)
    stored = models.count_parameters(sized)
    assert stored.total == pytest.approx(268_000, rel=0.02)
    assert stored.embeddings == 132 * (sized.embedding_channels + 2) * 11 * 21


@pytest.mark.parametrize(("cells", "pixels"), [(1, 7), (3, 48), (5, 13), (8, 8), (9, 4)])
def test_upsampling_is_that_of_torch(cells: int, pixels: int) -> None:
    values = torch.randn(1, 1, cells)
    expected = F.interpolate(values, pixels, mode="linear", align_corners=False)
    found = _interpolation(cells, pixels, device=torch.device("cpu")) @ values[0, 0]
    torch.testing.assert_close(found, expected[0, 0])
