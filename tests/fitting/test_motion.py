"""`estimate_motion`: what moves is found, and what does not share a canvas is kept apart."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fitting import estimate_motion


def texture(*, seed: int = 0, height: int = 160, width: int = 240) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    picture = F.interpolate(coarse, (height, width), mode="bicubic")[0]
    return (255 * picture.clamp(0, 1)).to(torch.uint8)


def pan(num_frames: int, *, right: float, down: float, seed: int = 0) -> Tensor:
    """Frames (N, 3, 96, 128) whose content moves left and up by so many pixels a frame."""
    picture = texture(seed=seed)
    return torch.stack(
        [
            picture[:, 8 + round(down * i) :, 8 + round(right * i) :][:, :96, :128]
            for i in range(num_frames)
        ]
    )


def test_a_pan_is_followed_and_centred() -> None:
    found = estimate_motion(pan(7, right=1, down=0))
    assert found.pixels.shape[:2] == (7, 2)
    shifts = found.pixels.mean((2, 3))
    expected = torch.stack((torch.arange(7.0) - 3, torch.zeros(7)), 1)
    torch.testing.assert_close(shifts, expected, atol=0.3, rtol=0)
    assert found.gain_db > 10
    assert found.reach == pytest.approx(3, abs=0.4)


def test_large_frames_are_measured_in_their_own_pixels() -> None:
    large = F.interpolate(pan(5, right=1, down=1).float(), scale_factor=4, mode="bilinear")
    found = estimate_motion(large.to(torch.uint8))
    shifts = found.pixels.mean((2, 3))
    expected = 4 * (torch.arange(5.0) - 2)[:, None].expand(5, 2)
    torch.testing.assert_close(shifts, expected, atol=1.2, rtol=0)


def test_parts_may_move_apart() -> None:
    still = texture()[:, :96, :64].expand(5, -1, -1, -1)
    clip = torch.cat((still, pan(5, right=1, down=0, seed=1)[..., :64]), dim=3)
    fields = estimate_motion(clip).pixels
    differences = fields[-1, 0] - fields[0, 0]
    assert differences[:, 0].abs().max() < 0.7
    torch.testing.assert_close(
        differences[:, -1], torch.full((len(differences),), 4.0), atol=0.7, rtol=0
    )


def test_a_clip_that_stands_still_has_nothing_to_gain() -> None:
    found = estimate_motion(texture()[:, :96, :128].expand(4, -1, -1, -1))
    assert found.reach < 0.05
    assert -1 < found.gain_db < 0.1


def test_scenes_have_canvases_of_their_own() -> None:
    """What is the same after a cut is where it was; what is not does not drag the motion along."""
    scenes = torch.cat((pan(5, right=1, down=0), pan(5, right=0, down=1, seed=1)))
    shifts = estimate_motion(scenes).pixels.mean((2, 3))
    ramp = torch.arange(5.0) - 2
    torch.testing.assert_close(shifts[:5, 0], ramp, atol=0.3, rtol=0)
    torch.testing.assert_close(shifts[5:, 1], ramp, atol=0.3, rtol=0)


def test_a_long_way_takes_several_canvases() -> None:
    """0.1 of the shorter side is as far as a run goes: 96 pixels have 9 on a canvas."""
    found = estimate_motion(pan(31, right=2, down=0))
    assert found.reach < 8
    assert found.gain_db > 5


@pytest.mark.parametrize("num_frames", [1, 2])
def test_short_clips_have_motion_too(num_frames: int) -> None:
    found = estimate_motion(pan(num_frames, right=2, down=0))
    assert found.pixels.shape[0] == num_frames
    assert found.pixels.isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 50), (33, 7)])
def test_frames_may_be_tiny(height: int, width: int) -> None:
    clip = torch.randint(0, 256, (3, 3, height, width), dtype=torch.uint8)
    assert estimate_motion(clip).pixels.isfinite().all()


def test_the_work_is_announced() -> None:
    announced: list[int] = []

    def progress(work: list[object]) -> list[object]:
        announced.append(len(work))
        return work

    estimate_motion(pan(7, right=1, down=0), progress=progress)
    assert announced == [3]  # distances from the middle
