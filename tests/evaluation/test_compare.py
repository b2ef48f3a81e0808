"""`compare`: which part of a video is scored, in which colours, and how its bytes are counted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest

import inrcodec
from inrcodec.cli import main
from inrcodec.errors import EvaluationError, VideoError
from inrcodec.evaluation import _compare
from inrcodec.evaluation._compare import compare
from inrcodec.evaluation._cut import Cut
from inrcodec.evaluation._decode_inr import decode_inr
from inrcodec.evaluation._raw import RawFrames
from inrcodec.video import VideoReader

RGB_ONLY = {"metrics": ("psnr_rgb",), "snapshots": False, "device": "cpu"}
LUMA_ONLY = {**RGB_ONLY, "metrics": ("psnr_y",)}
LOSSLESS = ("-c:v", "ffv1")


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def make_card(path: Path, *options: str, size: str = "64x48", frames: int = 6) -> Path:
    """FFmpeg's test card."""
    source = f"testsrc2=size={size}:rate=25"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", str(frames), *options, path)
    return path


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 6 frames, without loss in 8-bit 4:2:0 of BT.709."""
    path = tmp_path_factory.mktemp("compare") / "card.mkv"
    return make_card(path, *LOSSLESS, "-pix_fmt", "yuv420p", "-colorspace", "bt709")


def recode(video: Path, out: Path, *options: str) -> Path:
    ffmpeg("-i", video, *options, out)
    return out


def packet_bytes(video: Path, index: int) -> int:
    """Of Matroska or MP4, which hold the parameter sets apart."""
    with av.open(str(video)) as container:
        stream = container.streams.video[index]
        apart = len(stream.codec_context.extradata or b"")
        return apart + sum(packet.size for packet in container.demux(stream))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# Bytes and bpp ------------------------------------------------------------------------------------


def test_bpp_is_of_the_whole_video_however_it_is_cut(
    clip_with_audio: Path, segmented_inr: Path, tmp_path: Path
) -> None:
    cut: dict[str, Any] = {"frames": (1, 3), "crop": (32, 24), "resize": (16, 12)}
    videos = [clip_with_audio, segmented_inr]
    video, ours = compare(clip_with_audio, videos, tmp_path, **cut, **RGB_ONLY)
    num_bytes = packet_bytes(clip_with_audio, 0)
    assert (video.frames, video.width, video.height) == (2, 16, 12)
    assert (video.bytes, video.bpp) == (num_bytes, 8 * num_bytes / (12 * 64 * 48))
    with inrcodec.VideoDecoder(segmented_inr) as decoder:
        assert ours.bpp == pytest.approx(decoder.metadata.bpp)


def test_parameter_sets_count_wherever_they_are(card: Path, tmp_path: Path) -> None:
    apart = recode(
        card, tmp_path / "card.mp4", "-c:v", "libx265", "-x265-params", "log-level=error"
    )
    bare = recode(apart, tmp_path / "card.h265", "-c", "copy")
    boxed, whole = compare(card, [apart, bare], tmp_path, **RGB_ONLY)
    assert whole.bytes == bare.stat().st_size
    assert abs(boxed.bytes - whole.bytes) < 200
    with av.open(str(apart)) as container:
        assert sum(packet.size for packet in container.demux(video=0)) < whole.bytes - 1000


def test_bytes_of_images_are_those_of_the_images_that_are_read(card: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    (folder / "more").mkdir(parents=True)
    recode(card, folder / "%03d.png")
    shutil.copy(folder / "001.png", folder / "more")
    images = sum(path.stat().st_size for path in folder.glob("*.png"))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "other-1.png.bak").write_bytes(b"0" * 1000)
    by_folder, by_pattern = compare(card, [folder, folder / "%03d.png"], tmp_path, **RGB_ONLY)
    assert by_folder.bytes == by_pattern.bytes == images
    assert by_pattern.bpp == 8 * images / (6 * 64 * 48)


def test_bytes_are_of_the_stream_that_is_read(card: Path, tmp_path: Path) -> None:
    small = make_card(tmp_path / "small.mkv", *LOSSLESS, size="32x24")
    both = tmp_path / "both.mkv"
    default = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
    ffmpeg("-i", small, "-i", card, "-map", "0:v", "-map", "1:v", "-c", "copy", *default, both)
    (found,) = compare(card, [both], tmp_path, **RGB_ONLY)
    assert found.metrics == {"psnr_rgb": 100.0}
    assert found.bytes == packet_bytes(both, 1) != packet_bytes(both, 0)


def test_bytes_of_a_url_are_counted(card: Path, tmp_path: Path) -> None:
    (found,) = compare(card, [f"file://{card}"], tmp_path, **RGB_ONLY)
    assert found.bytes == packet_bytes(card, 0)


def test_a_video_without_countable_bytes_is_refused(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = VideoReader(card).coded_size()
    nothing = type(size)(0, size.num_frames, is_exact=False)
    monkeypatch.setattr(VideoReader, "coded_size", lambda self: nothing)
    with pytest.raises(EvaluationError, match=r"card\.mkv: the bytes of its video cannot be"):
        compare(card, [card], tmp_path, **RGB_ONLY)


# What is cut --------------------------------------------------------------------------------------


def test_frames_and_picture_are_cut_independently(card: Path, tmp_path: Path) -> None:
    four = recode(card, tmp_path / "four.mkv", "-vf", "trim=start_frame=1:end_frame=5", *LOSSLESS)
    cropped = recode(card, tmp_path / "cropped.mkv", "-vf", "crop=48:32", *LOSSLESS)
    cut: dict[str, Any] = {"frames": (1, 5), "crop": (48, 32)}
    found = compare(card, [four, cropped], tmp_path, **cut, **RGB_ONLY)
    assert [point.metrics["psnr_rgb"] for point in found] == [100.0, 100.0]
    assert [point.bpp * 6 * 64 * 48 / 8 / point.bytes for point in found] == pytest.approx(
        [6 / 4, 2.0]
    )


def test_a_video_of_the_crops_size_is_only_resized(card: Path, tmp_path: Path) -> None:
    cropped = recode(card, tmp_path / "cropped.mkv", "-vf", "crop=48:32", *LOSSLESS)
    resized = recode(cropped, tmp_path / "resized.mkv", "-vf", "scale=24:16:flags=area", *LOSSLESS)
    cut: dict[str, Any] = {"frames": (1, 5), "crop": (48, 32), "resize": (24, 16)}
    found = compare(card, [cropped, resized], tmp_path, **cut, **RGB_ONLY)
    assert found[0].metrics["psnr_rgb"] == 100.0
    assert len(found[1].per_frame["psnr_rgb"]) == 4  # of a frame that the crop does not fit in


def test_inr_files_are_cut_like_any_video(
    clip_with_audio: Path, segmented_inr: Path, tmp_path: Path
) -> None:
    cut: dict[str, Any] = {"frames": (3, 8), "crop": (41, 30), "resize": (20, 16)}
    out = tmp_path / "cut.rgb"
    rgb, seconds = decode_inr(segmented_inr, out, device="cpu", cut=Cut(**cut))
    (tmp_path / "frames").mkdir()
    inrcodec.decode(segmented_inr, tmp_path / "frames" / "%05d.png", device="cpu")
    read = [
        f.rgb.permute(1, 2, 0).numpy().tobytes() for f in VideoReader(tmp_path / "frames", **cut)
    ]
    assert rgb == RawFrames(out, "rgb24", 20, 16, 5)
    assert out.read_bytes() == b"".join(read)
    assert seconds > 0
    (ours,) = compare(clip_with_audio, [segmented_inr], tmp_path, **cut, **RGB_ONLY)
    (turned,) = compare(segmented_inr, [clip_with_audio], tmp_path, **cut, **RGB_ONLY)
    assert ours.per_frame == turned.per_frame
    assert turned.label == "segmented 20x16, frames 3:8, crop 41x30"
    assert len(ours.per_frame["psnr_rgb"]) == 5


def test_inr_files_have_the_frames_and_pixels_that_are_cut(
    segmented_inr: Path, tmp_path: Path
) -> None:
    for cut, message in [
        (Cut(frames=(8, 13)), "frames 8:13 asked for, but the clip has 12 frames"),
        (Cut(crop=(65, 48)), "no crop of 65x48 in a frame of 64x48"),
        (Cut(resize=(8, 99_999)), "no resize to 8x99999"),
    ]:
        with pytest.raises(VideoError, match=message):
            decode_inr(segmented_inr, tmp_path / "out.rgb", device="cpu", cut=cut)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_match_is_refused_before_it_is_decoded(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compare, "decode_video", None)  # would fail if it were called
    small = make_card(tmp_path / "small.mkv", *LOSSLESS, size="32x24")
    with pytest.raises(EvaluationError, match="6 frames of 32x24, the reference 6 frames of 48x40"):
        compare(card, [card, small], tmp_path, crop=(48, 40), **RGB_ONLY)


def test_other_numbers_of_frames_are_refused(card: Path, tmp_path: Path) -> None:
    longer = make_card(tmp_path / "longer.mkv", *LOSSLESS, "-colorspace", "bt709", frames=7)
    with pytest.raises(EvaluationError, match="7 frames of 64x48, the reference 6 frames of 64x48"):
        compare(card, [longer], tmp_path, **RGB_ONLY)


# Colours ------------------------------------------------------------------------------------------


def test_ten_bit_420_is_rounded(card: Path, tmp_path: Path) -> None:
    deep = recode(card, tmp_path / "deep.mkv", "-pix_fmt", "yuv420p10le", *LOSSLESS)
    with pytest.warns(UserWarning, match="10-bit video"):
        whole, cut = [
            compare(card, [deep], tmp_path, **LUMA_ONLY, **part)[0]  # type: ignore[arg-type]
            for part in ({}, {"crop": (44, 32)})
        ]
    assert whole.metrics == cut.metrics == {"psnr_y": 100.0}


@pytest.mark.parametrize("bits", [8, 10])
def test_other_bits_cost_nothing(bits: int, card: Path, tmp_path: Path) -> None:
    """Whichever of the two is the reference."""
    deep = recode(card, tmp_path / "deep.mkv", "-pix_fmt", "yuv420p10le", *LOSSLESS)
    reference, other = (card, deep) if bits == 8 else (deep, card)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*10-bit video")
        metrics = ("psnr_rgb", "psnr_y")
        both = compare(reference, [reference, other], tmp_path, **{**RGB_ONLY, "metrics": metrics})
    assert [point.metrics for point in both] == [{"psnr_rgb": 100.0, "psnr_y": 100.0}] * 2


def test_rgb_by_another_conversion_is_warned_of(card: Path, tmp_path: Path) -> None:
    """Where there is no 4:2:0 to make it of; pictures are as they are, and luma is comparable."""
    images = tmp_path / "images"
    images.mkdir()
    recode(card, images / "%03d.png", "-pix_fmt", "rgb24")
    full = recode(card, tmp_path / "full.mkv", "-pix_fmt", "yuv444p", *LOSSLESS)
    with pytest.warns(UserWarning, match=f"{full}: its pixel format becomes RGB by another"):
        compare(card, [full], tmp_path, **RGB_ONLY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(card, [full], tmp_path, **LUMA_ONLY)
        compare(card, [images], tmp_path, **RGB_ONLY)


@pytest.mark.parametrize(
    "options",
    [
        ("-vf", "scale=out_range=pc", "-pix_fmt", "yuv420p", "-color_range", "pc"),
        ("-pix_fmt", "yuv422p"),
        ("-pix_fmt", "yuv444p"),
        ("-pix_fmt", "yuv444p10le"),
        ("-pix_fmt", "gbrp"),
    ],
)
def test_other_planes_are_made_by_the_inverse_of_the_readers_way(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    """The inverse of another way stops at 47 dB."""
    soft = ["-vf", "gblur=sigma=2,eq=saturation=0.6:contrast=0.8", *LOSSLESS]
    card = make_card(
        tmp_path / "soft.mkv", *soft, "-pix_fmt", "yuv420p", "-colorspace", "bt709", size="192x128"
    )
    other = recode(card, tmp_path / "other.mkv", *options, *LOSSLESS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*10-bit video")
        (found,) = compare(card, [other], tmp_path, **LUMA_ONLY)
    assert found.metrics["psnr_y"] > 50


def test_two_matrices_are_warned_of_in_one_line(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = recode(card, tmp_path / "other.mkv", "-c", "copy", "-colorspace", "smpte170m")
    again = recode(card, tmp_path / "again.mkv", "-c", "copy")
    colour, grey = tmp_path / "colour", tmp_path / "grey"
    for images, pixel_format in ((colour, "rgb24"), (grey, "gray")):
        images.mkdir()
        recode(card, images / "%03d.png", "-pix_fmt", pixel_format)
    videos = [other, again, colour, grey]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        status, _, err = run(capsys, "compare", card, *videos, "--metrics", "psnr_y")
    assert (status, err.count("\n")) == (0, 1)
    assert f"warning: {other}: its colours are read by bt601, the reference's by bt709" in err


# Disk ---------------------------------------------------------------------------------------------


def test_only_one_video_is_on_the_disk_and_only_its_part(
    card: Path, tiny_inr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def score(*arguments: Any, **options: Any) -> dict[str, list[float]]:
        sizes.append({p.name: p.stat().st_size for p in tmp_path.rglob("decoded.*")})
        return {"psnr_rgb": [50.0, 50.0]}

    monkeypatch.setattr(_compare, "score", score)
    compare(card, [card, tiny_inr, card], tmp_path, frames=(2, 4), **LUMA_ONLY)
    rgb, yuv = 2 * 64 * 48 * 3, 2 * 64 * 48 * 3 // 2
    of_card = {"decoded.rgb": rgb, "decoded.yuv": yuv}
    assert sizes == [of_card, {"decoded.rgb": rgb}, of_card]
    assert {path.name for path in tmp_path.iterdir()} == {"reference"}


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """Let writes past it fail, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are of Unix")
@pytest.mark.parametrize("of_ours", [True, False])
def test_a_full_disk_is_one_line(
    of_ours: bool,
    tiny_clip: Path,
    tiny_inr: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tiny_inr if of_ours else tiny_clip
    command = ["compare", source, source, "--metrics", "psnr_rgb", "--device", "cpu"]
    with files_of_at_most(20_000):
        status, out, err = run(capsys, *command)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "reference.rgb: cannot be written: File too large" in err


def test_any_error_of_the_disk_is_one_of_the_evaluation(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "video0.webp")

    monkeypatch.setattr(_compare, "save_snapshots", save)
    with pytest.raises(EvaluationError, match=r"video0\.webp: No space left on device"):
        compare(card, [card], tmp_path, metrics=("psnr_rgb",))


# Wrong calls --------------------------------------------------------------------------------------


def test_metrics_are_checked_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = run(capsys, "compare", "none.mp4", "none.mp4", "--metrics", "psnr_rgb,psnr")
    assert (status, err.count("\n")) == (2, 1)
    assert "unknown metric 'psnr', known: psnr_rgb, " in err
    monkeypatch.setitem(sys.modules, "lpips", None)
    status, _, err = run(capsys, "compare", "none.mp4", "none.mp4", "--metrics", "lpips")
    assert (status, err.count("\n")) == (1, 1)
    assert "the metric lpips needs lpips: pip install 'inrcodec[lpips]'" in err


def test_frames_too_small_for_every_metric_are_refused(
    card: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compare, "decode_reference", None)  # would fail if it were called
    status, out, err = run(capsys, "compare", card, card, "--metrics", "ms_ssim")
    assert (status, out) == (1, "")
    assert err == (
        "inrcodec: frames of 64x48 admit no metric asked for: ms_ssim needs 161 pixels a side\n"
    )


@pytest.mark.parametrize(
    ("page", "reason"),
    [("missing/page.html", "No such file or directory"), (".", "is a folder")],
)
def test_a_page_that_cannot_be_written_fails_at_the_start(
    page: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "compare", "none.mp4", "none.mp4", "--html", tmp_path / page)
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"inrcodec: --html {tmp_path / page}: ")
    assert reason in err


@pytest.mark.parametrize("as_json", [False, True])
def test_scores_are_printed_even_where_the_page_fails(
    as_json: bool,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inrcodec.evaluation.report.write_report", write)
    command = ["compare", card, card, "--metrics", "psnr_rgb", "--html", tmp_path / "page.html"]
    status, out, err = run(capsys, *command, *(["--json"] if as_json else []))
    assert (status, err.count("\n")) == (1, 1)
    assert "page.html: cannot be written: No space left on device" in err
    if as_json:
        assert json.loads(out)[0]["metrics"] == {"psnr_rgb": 100.0}
    else:
        assert out.splitlines()[-1].split()[-1] == "100.00"
