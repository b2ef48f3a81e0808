"""`inrcodec compare`: any videos or `.inr` files against one reference, scored as in `eval`.

In: paths. Out: one `EvalPoint` a video, so that the report shows them as it shows codecs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec._source import source_path
from inrcodec.bitstream import InrFile
from inrcodec.errors import EvaluationError
from inrcodec.evaluation._colour import rgb_to_yuv420
from inrcodec.evaluation._measure import decode_inr
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._reference import RawFrames, Reference, prepare_reference
from inrcodec.evaluation._scores import score
from inrcodec.evaluation._snapshots import save_snapshots
from inrcodec.evaluation._tables import METRIC_LABELS, metrics_of

if TYPE_CHECKING:
    from inrcodec.video import RawVideoFormat

DEFAULT_METRICS = ("psnr_rgb", "psnr_yuv", "ssim", "ms_ssim", "vmaf")
Cut = dict[str, Any]  # frames, resize and crop of `prepare_reference`

_MATRIX_OF_INR = "bt709"  # of the 4:2:0 made from an `.inr` file that others are scored against


def compare(
    reference: str | Path,
    videos: Sequence[str | Path],
    folder: Path,
    *,
    frames: tuple[int, int | None] | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    raw: RawVideoFormat | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    device: str = "auto",
    snapshots: bool = True,
) -> list[EvalPoint]:
    """Score videos against a reference, frame by frame.

    Args:
        reference: what the others are scored against: any source, or an `.inr` file.
        videos: any sources or `.inr` files.
        folder: for decoded frames, and for the snapshots of the report.
        frames: half-open range of the reference's frames; of another video's too, where it does
            not have the reference's frames without. So are `resize` and `crop`.
        resize: (width, height), see `frames`.
        crop: (width, height), see `frames`.
        raw: format of raw `.yuv` files.
        metrics: names of scores.
        device: where `.inr` files are decoded.
        snapshots: whether to keep frames for the report, which needs the extra `eval`.

    Raises:
        EvaluationError: a video has not the reference's size or number of frames.
        VideoError: a video cannot be read.
    """
    cut: Cut = {"frames": frames, "resize": resize, "crop": crop}
    against = _open_reference(reference, folder / "reference", cut, raw, device)
    if snapshots:
        save_snapshots(against.rgb, folder, against.name, "source")
    points = []
    for index, video in enumerate(videos):
        name = f"video{index}"
        found = _open_matching(video, against, folder / name, cut, raw, device)
        per_frame = score(against, found.rgb, found.yuv, metrics=metrics)
        point = _point(video, against, per_frame, decode_seconds=found.decode_seconds)
        if snapshots:
            kept = save_snapshots(found.rgb, folder, against.name, name)
            point = replace(point, snapshots=kept)
        points.append(point)
    return _with_unique_names(points, videos)


def table(points: Sequence[EvalPoint]) -> str:
    """Return a text table, one line a video; SSIM and MS-SSIM on their own scale."""
    metrics = metrics_of(points)
    labels = [
        METRIC_LABELS[m].removesuffix(" (dB)") if m in ("ssim", "ms_ssim") else METRIC_LABELS[m]
        for m in metrics
    ]
    rows = [["video", "bytes", "bpp", *labels]]
    for point in points:
        means = [_mean_text(point, metric) for metric in metrics]
        rows.append([point.codec, str(point.bytes), f"{point.bpp:.4f}", *means])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    )


def _mean_text(point: EvalPoint, metric: str) -> str:
    if metric not in point.metrics:
        return "-"
    return f"{point.metrics[metric]:.{4 if metric in ('ssim', 'ms_ssim', 'lpips') else 2}f}"


@dataclass(frozen=True)
class _Opened:
    """A video's frames on disk."""

    rgb: RawFrames
    yuv: RawFrames | None  # in the reference's matrix, else None
    decode_seconds: float = 0.0  # of an `.inr` file


def _open_reference(
    video: str | Path, place: Path, cut: Cut, raw: RawVideoFormat | None, device: str
) -> Reference:
    if not _is_inr(video):
        return prepare_reference(video, place, **cut, raw=_raw_of(video, raw))
    place.mkdir(parents=True, exist_ok=True)
    rgb, _ = decode_inr(Path(video), place / "reference.rgb", device=device)
    with InrFile(video) as file:
        fps = Fraction(file.header.average_fps)
    yuv = rgb_to_yuv420(rgb, place / "reference.yuv", matrix=_MATRIX_OF_INR)
    name = Path(video).stem
    return Reference(name, rgb, yuv, fps, _MATRIX_OF_INR, f"{name}, {_words(rgb)}")


def _open_matching(
    video: str | Path,
    against: Reference,
    place: Path,
    cut: Cut,
    raw: RawVideoFormat | None,
    device: str,
) -> _Opened:
    """Open a video as it is, or cut like the reference where only that makes them match."""
    wanted = _geometry(against.rgb)
    found = _open_video(video, against, place, dict.fromkeys(cut), raw, device)
    if _geometry(found.rgb) != wanted and any(cut.values()) and not _is_inr(video):
        found = _open_video(video, against, place, cut, raw, device)
    if _geometry(found.rgb) != wanted:
        raise EvaluationError(
            f"{video} has {_words(found.rgb)}, the reference {_words(against.rgb)}; "
            "--frames, --crop and --resize cut the reference"
        )
    return found


def _open_video(
    video: str | Path,
    against: Reference,
    place: Path,
    cut: Cut,
    raw: RawVideoFormat | None,
    device: str,
) -> _Opened:
    if not _is_inr(video):
        found = prepare_reference(video, place, **cut, raw=_raw_of(video, raw))
        return _Opened(found.rgb, found.yuv if found.matrix == against.matrix else None)
    place.mkdir(parents=True, exist_ok=True)
    rgb, seconds = decode_inr(Path(video), place / "decoded.rgb", device=device)
    return _Opened(rgb, None, seconds)


def _raw_of(video: str | Path, raw: RawVideoFormat | None) -> RawVideoFormat | None:
    return raw if str(video).lower().endswith(".yuv") else None


def _point(
    video: str | Path,
    against: Reference,
    per_frame: dict[str, list[float]],
    *,
    decode_seconds: float,
) -> EvalPoint:
    size = against.rgb
    num_bytes = video_bytes(video)
    return EvalPoint(
        clip=against.name,
        label=against.label,
        width=size.width,
        height=size.height,
        frames=size.num_frames,
        fps=float(against.fps),
        codec=Path(video).name,
        kind="inr" if _is_inr(video) else "reference",
        preset=None,
        model=None,
        recipe=None,
        quality=0.0,
        bytes=num_bytes,
        bpp=8 * num_bytes / (size.num_frames * size.width * size.height),
        encode_seconds=0.0,
        decode_seconds=decode_seconds,
        metrics={name: sum(values) / len(values) for name, values in per_frame.items()},
        per_frame=per_frame,
        stream=str(video),
    )


def video_bytes(video: str | Path) -> int:
    """Return the bytes of a video without its audio: of the video packets, where there are any."""
    path = Path(source_path(video))
    if _is_inr(path):
        with InrFile(path) as file:
            return file.num_bytes - file.audio_bytes
    if not path.is_file() or path.suffix.lower() in (".yuv", ".y4m"):
        files = [path] if path.is_file() else path.iterdir() if path.is_dir() else []
        return sum(f.stat().st_size for f in files) or 1
    import av

    try:
        with av.open(str(path)) as container:
            packets = container.demux(container.streams.video[0])
            return sum(packet.size for packet in packets) or 1
    except (av.FFmpegError, IndexError):
        return path.stat().st_size


def _with_unique_names(points: list[EvalPoint], videos: Sequence[str | Path]) -> list[EvalPoint]:
    """Call videos by their file's name, or by their path where two have one name."""
    names = [p.codec for p in points]
    return [
        replace(p, codec=str(video)) if names.count(p.codec) > 1 else p
        for p, video in zip(points, videos, strict=True)
    ]


def _is_inr(video: str | Path) -> bool:
    return str(video).lower().endswith(".inr")


def _geometry(frames: RawFrames) -> tuple[int, int, int]:
    return frames.width, frames.height, frames.num_frames


def _words(frames: RawFrames) -> str:
    return f"{frames.num_frames} frames of {frames.width}x{frames.height}"
