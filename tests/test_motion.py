"""Motion in an encode: where it is followed, and what it is worth in the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import inrcodec
from inrcodec import _job, _rounds
from inrcodec._info import describe
from inrcodec._motion import find_motion, motion_settings
from inrcodec.errors import Interrupted, ModelError
from inrcodec.fitting import ClipMotion, InterruptFlag
from inrcodec.video import VideoReader


@pytest.fixture(scope="module")
def frames(panning_clip: Path) -> Tensor:
    """All of them, (10, 3, 64, 96) uint8."""
    with VideoReader(panning_clip) as reader:
        return torch.stack([frame.rgb for frame in reader])


def found(
    frames: Tensor,
    *,
    model: str = "hnervpp",
    settings: dict[str, object] | None = None,
    bound: float | None = None,
) -> ClipMotion | None:
    return find_motion(
        frames,
        model=model,
        settings=settings or {},
        max_kmac_per_pixel=bound,
        progress=iter,
    )


def test_what_moves_is_followed(frames: Tensor) -> None:
    motion = found(frames)
    assert motion is not None
    # A run goes as far as 6 pixels, a tenth of 64: half of that to each side.
    assert motion_settings(motion) == {"motion": 1, "margin": 3}
    assert motion_settings(None) == {}


def test_what_stands_still_is_not_unless_that_is_wished(frames: Tensor) -> None:
    still = frames[:1].expand(4, -1, -1, -1)
    assert found(still) is None
    assert found(still, settings={"motion": 1}) is not None
    assert found(still[:1], settings={"motion": 1}) is None  # a single frame


def test_settings_networks_and_bounds_are_kept(frames: Tensor) -> None:
    assert found(frames, settings={"motion": 0}) is None
    assert found(frames, model="hnerv") is None
    assert found(frames, model="hnervpp-boost") is None
    assert found(frames, bound=1.2) is None
    assert found(frames, bound=1.2, settings={"motion": 1}) is not None
    assert found(frames, bound=5.0) is not None


def encoded(clip: Path, output: Path, **options: Any) -> inrcodec.EncodeReport:
    wishes = {"size_bytes": 2500, "epochs": 60, "seed": 1, **options}
    return inrcodec.encode(clip, output, **wishes)


def test_motion_makes_files_better(panning_clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "moving.inr"
    moving = encoded(panning_clip, path)
    still = encoded(panning_clip, tmp_path / "still.inr", model_settings={"motion": 0})
    assert moving.psnr_db > still.psnr_db + 1
    assert moving.num_bytes <= 2500
    with inrcodec.VideoDecoder(path) as decoder:
        assert tuple(decoder[3:7].shape) == (4, 3, 64, 96)
        in_order = decoder[:]
        names = describe(path)["tensors"]
        assert list(names)[-2:] == ["motion.right", "motion.down"]
        alone = decoder[7].int() - in_order[7].int()  # by itself it may be rounded differently
        assert alone.abs().max() <= 1


def test_margin_can_be_set(panning_clip: Path, tmp_path: Path) -> None:
    settings = {"motion": 1, "margin": 16}
    report = encoded(panning_clip, tmp_path / "m.inr", epochs=2, model_settings=settings)
    assert report.model_settings == settings
    with pytest.raises(ModelError, match="margin is 8"):
        encoded(panning_clip, tmp_path / "n.inr", model_settings={"motion": 0, "margin": 8})
    with pytest.raises(ModelError, match="cannot override 'motion'"):
        encoded(panning_clip, tmp_path / "n.inr", model="nerv", model_settings={"motion": 1})


def test_segments_have_motion_of_their_own(panning_clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.inr"
    report = encoded(panning_clip, path, epochs=20, size_bytes=5000, segment_frames=5)
    assert report.num_segments == 2
    with inrcodec.VideoDecoder(path) as decoder:
        assert len(decoder[:]) == 10


def test_a_resumed_encode_goes_on_with_the_motion_that_was_found(
    panning_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interrupt_now() -> Iterator[InterruptFlag]:
        yield InterruptFlag(requested=True)

    def find_again(*_: Any, **__: Any) -> None:
        raise AssertionError("motion is found again")

    options = {"epochs": 4, "segment_frames": 5, "size_bytes": 5000}
    encoded(panning_clip, tmp_path / "whole.inr", **options)
    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt_now)
        with pytest.raises(Interrupted):
            encoded(panning_clip, tmp_path / "cut.inr", **options)
    monkeypatch.setattr(_job, "find_motion", find_again)
    encoded(panning_clip, tmp_path / "cut.inr", resume=True, **options)
    assert (tmp_path / "cut.inr").read_bytes() == (tmp_path / "whole.inr").read_bytes()
    assert not (tmp_path / "cut.inr.ckpt").exists()
