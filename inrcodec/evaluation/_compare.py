"""`inrcodec compare`: any videos or `.inr` files against one reference, scored as in `eval`.

In: paths. Out: one `EvalPoint` a video, so that the report shows them as it shows codecs. Decoded
frames of a video lie on disk only while it is scored.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inrcodec.errors import EvaluationError, VideoError
from inrcodec.evaluation._clips import check_raw_is_for_some
from inrcodec.evaluation._compared import (
    ComparedVideo,
    DecodedVideo,
    decode_reference,
    decode_video,
    look_at,
)
from inrcodec.evaluation._cut import Cut, Geometry, cut_to_match
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._raw import RawFrames
from inrcodec.evaluation._reference import Reference
from inrcodec.evaluation._scores import (
    check_admitted,
    check_metrics,
    needs_planes,
    needs_rgb,
    score,
)
from inrcodec.evaluation._snapshots import save_snapshots
from inrcodec.evaluation._tables import METRIC_LABELS, metrics_of

if TYPE_CHECKING:
    from inrcodec.video import RawVideoFormat

DEFAULT_METRICS = ("psnr_rgb", "psnr_yuv", "ssim", "ms_ssim", "vmaf")


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
        frames: half-open range of the reference's frames; of another video's too, where it has
            another number of frames than the reference so cut.
        resize: (width, height), of another video too where its size is another one.
        crop: (width, height), likewise; before the resize.
        raw: format of raw `.yuv` files.
        metrics: names of scores.
        device: where `.inr` files are decoded.
        snapshots: whether to keep frames for the report, which needs the extra `eval`.

    Warns when the YUV of a video and of the reference is read by two matrices, and when their RGB
    is made by two conversions.

    Raises:
        BitstreamError: an `.inr` file is damaged.
        EvaluationError: a video has not the reference's size or number of frames, no metric is
            left for frames of this size, an extra is missing, or the disk is full.
        ValueError: no metric, or an unknown one; `raw` is given and no video is a raw `.yuv`.
        VideoError: a video cannot be read.
    """
    check_metrics(metrics)
    check_raw_is_for_some(raw, (reference, *videos))
    cut = Cut(frames, crop, resize)
    try:
        source, *others = [look_at(video, raw) for video in (reference, *videos)]
        width, height = cut.size_of(source.geometry.size, source.source)
        check_admitted(metrics, width=width, height=height)
        against = decode_reference(source, folder / "reference", cut=cut, device=device)
        cuts = [_matching_cut(video, source, against, cut) for video in others]
        if snapshots:
            save_snapshots(against.rgb, folder, against.name, "source")
        points = [
            _scored(
                video,
                part,
                source=source,
                against=against,
                folder=folder,
                stem=f"video{index}",
                metrics=metrics,
                device=device,
                snapshots=snapshots,
            )
            for index, (video, part) in enumerate(zip(others, cuts, strict=True))
        ]
    except OSError as exc:
        raise EvaluationError(f"{exc.filename or folder}: {exc.strerror or exc}") from exc
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


def _scored(
    video: ComparedVideo,
    cut: Cut,
    *,
    source: ComparedVideo,
    against: Reference,
    folder: Path,
    stem: str,
    metrics: Sequence[str],
    device: str,
    snapshots: bool,
) -> EvalPoint:
    with tempfile.TemporaryDirectory(prefix=".decoded-", dir=folder) as place:
        planes_in = against.matrix if needs_planes(metrics) else None
        found = decode_video(
            video, Path(place), cut=cut, source=source, planes_in=planes_in, device=device
        )
        if (decoded := _geometry(found.rgb)) != (wanted := _geometry(against.rgb)):
            raise _mismatch(video, decoded, wanted)
        if needs_rgb(metrics) and not found.is_rgb_comparable:
            warnings.warn(
                f"{video.source}: its pixel format becomes RGB by another conversion than the "
                "reference's, so that scores of RGB are too low; those of 4:2:0 are not",
                stacklevel=3,
            )
        per_frame = score(against, found.rgb, found.yuv, metrics=metrics)
        kept = save_snapshots(found.rgb, folder, against.name, stem) if snapshots else {}
    point = _point(video, cut, found=found, against=against, per_frame=per_frame)
    return replace(point, snapshots=kept)


def _matching_cut(video: ComparedVideo, source: ComparedVideo, against: Reference, cut: Cut) -> Cut:
    """Return what is cut of a video, before its first frame is decoded.

    Raises:
        EvaluationError: it cannot come out as the reference is.
    """
    wanted = _geometry(against.rgb)
    part = cut_to_match(cut, video.geometry, wanted)
    try:
        expected = part.geometry_of(video.geometry, video.source)
    except VideoError as exc:
        raise _mismatch(video, video.geometry, wanted) from exc
    is_other = expected != wanted if video.is_count_exact else expected.size != wanted.size
    if is_other:
        raise _mismatch(video, video.geometry, wanted)
    if None not in (video.matrix, source.matrix) and video.matrix != source.matrix:
        warnings.warn(
            f"{video.source}: its colours are read by {video.matrix}, the reference's by "
            f"{source.matrix}; where a tag is wrong or missing, the scores are too low",
            stacklevel=3,
        )
    return part


def _mismatch(video: ComparedVideo, found: Geometry, wanted: Geometry) -> EvaluationError:
    return EvaluationError(
        f"{video.source} has {found}, the reference {wanted}; --frames cuts a video whose number "
        "of frames is another one, --crop and --resize one of another size"
    )


def _geometry(frames: RawFrames) -> Geometry:
    return Geometry(frames.width, frames.height, frames.num_frames)


def _point(
    video: ComparedVideo,
    cut: Cut,
    *,
    found: DecodedVideo,
    against: Reference,
    per_frame: dict[str, list[float]],
) -> EvalPoint:
    frames = against.rgb
    whole = video.geometry
    # Decoded to its end, a video has the frames that were decoded.
    num_frames = found.rgb.num_frames if cut.frames is None else whole.num_frames
    return EvalPoint(
        clip=against.name,
        label=against.label,
        width=frames.width,
        height=frames.height,
        frames=frames.num_frames,
        fps=float(against.fps),
        codec=Path(video.source).name,
        kind="inr" if video.is_inr else "reference",
        preset=None,
        model=None,
        recipe=None,
        quality=None,
        bytes=video.num_bytes,
        bpp=8 * video.num_bytes / (num_frames * whole.width * whole.height),
        encode_seconds=None,
        decode_seconds=found.decode_seconds,
        metrics={name: sum(values) / len(values) for name, values in per_frame.items()},
        per_frame=per_frame,
        stream=video.source,
    )


def _with_unique_names(points: list[EvalPoint], videos: Sequence[str | Path]) -> list[EvalPoint]:
    """Call videos by their file's name, or by their path where two have one name."""
    names = [p.codec for p in points]
    return [
        replace(p, codec=str(video)) if names.count(p.codec) > 1 else p
        for p, video in zip(points, videos, strict=True)
    ]
