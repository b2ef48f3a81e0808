"""The reference on disk: its frames, its 4:2:0, its matrix, and when it is made anew."""

from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from inrcodec.errors import EvaluationError, VideoError
from inrcodec.evaluation import (
    RawFrames,
    Reference,
    prepare_reference,
    rgb_to_yuv420,
    yuv420_to_rgb,
)
from inrcodec.metrics import psnr_db
from inrcodec.video import RawVideoFormat, VideoReader


def make_clip(path: Path, *options: str) -> Path:
    """Six frames of FFmpeg's test card, without loss."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30000/1001"]
    subprocess.run([*command, "-frames:v", "6", *options, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "card.mkv"
    return make_clip(path, "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-colorspace", "bt709")


@pytest.fixture(scope="module")
def planes(clip: Path) -> bytes:
    """The clip's own planes, by FFmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip)]
    return subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout


def test_frames_are_those_that_an_encode_reads(clip: Path, tmp_path: Path) -> None:
    options = {"frames": (1, 5), "crop": (40, 30), "resize": (50, 38)}
    reference = prepare_reference(clip, tmp_path / "made", **options)  # type: ignore[arg-type]
    read = torch.stack([frame.rgb for frame in VideoReader(clip, **options)])  # type: ignore[arg-type]
    assert torch.equal(reference.rgb.rgb(0, 4), read)
    assert reference.label == "card 50x38, frames 1:5, crop 40x30"
    assert (reference.name, reference.fps) == ("card", Fraction(30000, 1001))


def test_the_sources_own_planes_are_kept(clip: Path, planes: bytes, tmp_path: Path) -> None:
    reference = prepare_reference(clip, tmp_path)
    assert reference.yuv.path.read_bytes() == planes
    y, u, v = reference.yuv.planes(2, 4)
    assert (y.shape, u.shape, v.shape) == ((2, 48, 64), (2, 24, 32), (2, 24, 32))


def test_an_even_crop_cuts_the_sources_own_planes(
    clip: Path, planes: bytes, tmp_path: Path
) -> None:
    reference = prepare_reference(clip, tmp_path, crop=(60, 44), frames=(1, None))
    whole = RawFrames(tmp_path / "whole.yuv", "yuv420p", 64, 48, 6)
    whole.path.write_bytes(planes)
    for found, full, step in zip(
        reference.yuv.planes(0, 5), whole.planes(1, 6), (1, 2, 2), strict=True
    ):
        left, width, height = 2 // step, 60 // step, 44 // step
        assert np.array_equal(found, full[:, left : left + height, left : left + width])
    made = reference.to_rgb(reference.yuv, tmp_path / "made.rgb")
    assert made.path.read_bytes() == reference.rgb.path.read_bytes()


def test_frames_of_an_odd_size_keep_their_planes(tmp_path: Path) -> None:
    odd = make_clip(tmp_path / "odd.mkv", "-vf", "scale=51:37", "-c:v", "ffv1")
    reference = prepare_reference(odd, tmp_path)
    assert reference.yuv_is_own
    made = reference.to_rgb(reference.yuv, tmp_path / "made.rgb")
    assert made.path.read_bytes() == reference.rgb.path.read_bytes()


@pytest.mark.parametrize("options", [{"crop": (62, 46)}, {"crop": (61, 43)}, {"resize": (32, 24)}])
def test_other_frames_have_their_planes_made_from_rgb(
    options: dict[str, tuple[int, int]], clip: Path, tmp_path: Path
) -> None:
    reference = prepare_reference(clip, tmp_path, **options)  # type: ignore[arg-type]
    made = rgb_to_yuv420(reference.rgb, tmp_path / "made.yuv", matrix=reference.matrix)
    assert reference.yuv.path.read_bytes() == made.path.read_bytes()


def test_full_range_becomes_limited(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "full.mkv", "-c:v", "ffv1", "-pix_fmt", "yuvj420p")
    reference = prepare_reference(clip, tmp_path / "made")
    y, _, _ = reference.yuv.planes(0, 6)
    assert y.min() >= 16
    assert y.max() <= 235


@pytest.fixture(scope="module", params=["bt709", "smpte170m", "bt2020nc"])
def tagged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Soft colours under one of the matrices."""
    folder = tmp_path_factory.mktemp(request.param)
    blurred = ["-vf", "scale=162:92,gblur=sigma=3,eq=saturation=0.6:contrast=0.8"]
    options = [*blurred, "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-colorspace", request.param]
    path = make_clip(folder / "tagged.mkv", *options)
    return prepare_reference(path, folder / "made")


NAMES = {"bt709": "bt709", "smpte170m": "bt601", "bt2020nc": "bt2020"}


def test_own_planes_become_the_very_same_rgb(tagged: Reference) -> None:
    """A lossless codec in the source's 4:2:0 is without loss in RGB as well."""
    assert tagged.yuv_is_own
    folder = tagged.yuv.path.parent.parent.name
    assert tagged.matrix == next(name for tag, name in NAMES.items() if folder.startswith(tag))
    made = tagged.to_rgb(tagged.yuv, tagged.yuv.path.with_name("made.rgb"))
    assert made.path.read_bytes() == tagged.rgb.path.read_bytes()


def test_rgb_without_loss_comes_back_as_the_sources_planes(tagged: Reference) -> None:
    made = tagged.to_yuv420(tagged.rgb, tagged.yuv.path.with_name("made.yuv"))
    pairs = list(zip(made.planes(0, 6), tagged.yuv.planes(0, 6), strict=True))
    y, u, v = (psnr_db(*(torch.from_numpy(plane)[:, None] for plane in pair)) for pair in pairs)
    assert y.min() > 60
    assert min(u.min(), v.min()) > 48
    straight = rgb_to_yuv420(
        tagged.rgb, tagged.yuv.path.with_name("straight.yuv"), matrix=tagged.matrix
    )
    luma = [torch.from_numpy(x.planes(0, 6)[0])[:, None] for x in (straight, tagged.yuv)]
    assert psnr_db(*luma).max() < 50


def test_the_accurate_conversion_agrees_on_the_matrix(tagged: Reference) -> None:
    psnrs = {}
    for matrix in NAMES.values():
        made = yuv420_to_rgb(tagged.yuv, tagged.yuv.path.with_name("made.rgb"), matrix=matrix)
        psnrs[matrix] = float(psnr_db(made.rgb(0, 6), tagged.rgb.rgb(0, 6)).mean())
    assert max(psnrs, key=psnrs.__getitem__) == tagged.matrix
    assert psnrs[tagged.matrix] > 37


def test_resized_frames_go_by_the_accurate_conversions(clip: Path, tmp_path: Path) -> None:
    reference = prepare_reference(clip, tmp_path / "made", resize=(48, 36))
    assert not reference.yuv_is_own
    made = reference.to_rgb(reference.yuv, tmp_path / "made.rgb")
    again = yuv420_to_rgb(reference.yuv, tmp_path / "again.rgb", matrix="bt709")
    assert made.path.read_bytes() == again.path.read_bytes()
    yuv = reference.to_yuv420(reference.rgb, tmp_path / "made.yuv")
    assert yuv.path.read_bytes() == reference.yuv.path.read_bytes()


def test_untagged_yuv_is_bt601_as_for_the_reader(tiny_clip: Path, tmp_path: Path) -> None:
    assert prepare_reference(tiny_clip, tmp_path).matrix == "bt601"


def test_a_folder_of_images_is_bt709(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    make_clip(folder / "%03d.png")
    reference = prepare_reference(folder / "%03d.png", tmp_path / "made")
    assert (reference.name, reference.matrix, reference.fps) == ("pictures", "bt709", 25)
    assert prepare_reference(folder, tmp_path / "made").rgb.num_frames == 6


def test_raw_files_are_read(planes: bytes, tmp_path: Path) -> None:
    (tmp_path / "card.yuv").write_bytes(planes)
    raw = RawVideoFormat(64, 48, "yuv420p", Fraction(30))
    reference = prepare_reference(tmp_path / "card.yuv", tmp_path / "made", raw=raw)
    assert reference.yuv.path.read_bytes() == planes


def test_what_is_there_is_kept_until_something_changes(clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.mkv"
    source.write_bytes(clip.read_bytes())
    first = prepare_reference(source, tmp_path / "made", frames=(0, 4))

    def is_made_anew(frames: tuple[int, int | None] = (0, 4)) -> bool:
        os.utime(first.rgb.path, ns=(1, 1))
        made = prepare_reference(source, tmp_path / "made", frames=frames)
        made.rgb.check()
        return made.rgb.path.stat().st_mtime_ns != 1

    assert not is_made_anew()
    assert prepare_reference(source, tmp_path / "made", frames=(0, 4)) == first
    assert is_made_anew((0, 5))
    assert is_made_anew()
    os.utime(source, ns=(5, 5))
    assert is_made_anew()
    first.yuv.path.write_bytes(b"cut off")
    assert is_made_anew()
    (tmp_path / "made" / "reference.json").write_text("{}")
    assert is_made_anew()


def test_renamed_images_are_another_source(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    make_clip(folder / "%03d.png")
    first, last = (sorted(folder.iterdir())[i] for i in (0, -1))
    before = prepare_reference(folder, tmp_path / "made").rgb.rgb(0, 6)
    for path, name in ((first, "t"), (last, first.name), (folder / "t", last.name)):
        path.rename(folder / name)
    after = prepare_reference(folder, tmp_path / "made").rgb.rgb(0, 6)
    assert (after == before[[5, 1, 2, 3, 4, 0]]).all()
    assert (after != before).any()


def test_a_source_that_fails_leaves_no_reference(clip: Path, tmp_path: Path) -> None:
    prepare_reference(clip, tmp_path)
    with pytest.raises(VideoError, match="6 frames"):
        prepare_reference(clip, tmp_path, frames=(2, 9))
    names = {path.name for path in tmp_path.iterdir()}
    assert "reference.json" not in names
    assert not [name for name in names if name.endswith(".part")]


def test_own_planes_are_refused_where_there_are_none(clip: Path) -> None:
    reader = VideoReader(clip, resize=(32, 24))
    assert not reader.has_own_420
    with pytest.raises(ValueError, match=r"card\.mkv: has no 4:2:0 of its own"):
        next(reader.own_420())


def test_raw_frames_check_their_file_and_range(tmp_path: Path) -> None:
    frames = RawFrames(tmp_path / "in.yuv", "yuv420p", 5, 3, 2)
    assert frames.frame_bytes == 15 + 2 * 6
    with pytest.raises(EvaluationError, match=r"in\.yuv: no such file"):
        frames.planes(0, 1)
    frames.path.write_bytes(bytes(range(54)))
    y, u, v = frames.planes(1, 2)
    assert (y[0, 0, 0], u[0].tolist(), v[0, 1, 2]) == (27, [[42, 43, 44], [45, 46, 47]], 53)
    with pytest.raises(ValueError, match="no frames 1:3 among 2"):
        frames.planes(1, 3)
    with pytest.raises(ValueError, match="is yuv420p, must be rgb24"):
        frames.rgb(0, 1)
    with pytest.raises(ValueError, match="pixel format 'nv12' must be one of"):
        RawFrames(frames.path, "nv12", 5, 3, 2)
    with pytest.raises(ValueError, match="0 frames of 5x3"):
        RawFrames(frames.path, "yuv420p", 5, 3, 0)


def test_what_420_can_hold_of_rgb_is_stated_where_it_was_made_of_rgb(
    clip: Path, tmp_path: Path
) -> None:
    assert prepare_reference(clip, tmp_path / "own").rgb_ceiling_db is None
    resized = prepare_reference(clip, tmp_path / "resized", resize=(60, 44))
    back = resized.to_rgb(resized.yuv, tmp_path / "back.rgb")
    expected = psnr_db(back.rgb(0, 6), resized.rgb.rgb(0, 6)).mean().item()
    assert resized.rgb_ceiling_db == pytest.approx(expected, abs=1e-3)
    assert 15 < expected < 60
    assert prepare_reference(clip, tmp_path / "resized", resize=(60, 44)) == resized
