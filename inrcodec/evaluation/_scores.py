"""`score`: a decoded clip against its reference, one value a frame for each metric.

On RGB: `psnr_rgb`, `ssim`, `ms_ssim`, `lpips`. On 4:2:0: `psnr_y`, `psnr_yuv`, `vmaf`, `xpsnr`. A
clip's figure is the mean of its frames' values; PSNR is never taken of a mean error. Frames are
read in chunks, so that memory does not grow with the length of the clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._filters import YUV_WEIGHTS, vmaf, xpsnr
from inrcodec.evaluation._raw import RawFrames
from inrcodec.evaluation._reference import Reference
from inrcodec.metrics import MS_SSIM_MIN_SIDE, ms_ssim, psnr_db

METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv", "ssim", "ms_ssim", "vmaf", "xpsnr", "lpips")

SSIM_MIN_SIDE = 11  # pixels of SSIM's window

_LPIPS_MIN_SIDE = 31  # of AlexNet's layers
_MIN_SIDES = {  # pixels
    "ssim": SSIM_MIN_SIDE,
    "ms_ssim": MS_SSIM_MIN_SIDE,
    "lpips": _LPIPS_MIN_SIDE,
}
_RGB_METRICS = ("psnr_rgb", "ssim", "ms_ssim", "lpips")
_FrameMetric = Callable[[Tensor, Tensor], Tensor | None]  # decoded, source -> (n,) float64


def check_metrics(metrics: Sequence[str]) -> None:
    """Check names of metrics, before any work is done for them.

    Raises:
        ValueError: none, or an unknown one.
        EvaluationError: one needs an extra that is not installed.
    """
    _check_names(metrics)
    if "lpips" in metrics:
        require_extra("lpips", "the metric lpips")


def check_admitted(metrics: Sequence[str], *, width: int, height: int) -> None:
    """Check that frames of this size admit one of the metrics at least.

    Raises:
        EvaluationError: they admit none.
    """
    if any(min(width, height) >= _MIN_SIDES.get(name, 1) for name in metrics):
        return
    needs = ", ".join(f"{name} needs {_MIN_SIDES[name]}" for name in metrics)
    raise EvaluationError(
        f"frames of {width}x{height} admit no metric asked for: {needs} pixels a side"
    )


def needs_planes(metrics: Sequence[str]) -> bool:
    """Whether one of the metrics is taken on 4:2:0."""
    return any(name not in _RGB_METRICS for name in metrics)


def needs_rgb(metrics: Sequence[str]) -> bool:
    """Whether one of the metrics is taken on RGB."""
    return any(name in _RGB_METRICS for name in metrics)


def score(
    reference: Reference,
    rgb: RawFrames | None,
    yuv: RawFrames | None,
    *,
    metrics: Sequence[str],
) -> dict[str, list[float]]:
    """Score a decoded clip frame by frame.

    Args:
        reference: what it is scored against.
        rgb: the decoded frames, rgb24; None makes them of `yuv` by `Reference.to_rgb`.
        yuv: the decoded frames, yuv420p; None makes them of `rgb` by `Reference.to_yuv420`. A codec
            that works in 4:2:0 gives `yuv`, one that works in RGB gives `rgb`.
        metrics: names out of `METRICS`.

    Returns:
        By metric, one value a frame, in the order of `metrics`. Left out is what frames of this
        size do not admit: `ms_ssim` under 161 pixels a side, `lpips` under 31, `ssim` under 11.

    Raises:
        EvaluationError: the geometries differ, a file is cut off, FFmpeg fails, frames of this size
            admit no metric at all, or `lpips` is asked for and its extra is not installed.
        ValueError: no metric, an unknown one, or neither `rgb` nor `yuv`.
    """
    _check_names(metrics)
    given = rgb or yuv
    if given is None:
        raise ValueError("neither RGB nor 4:2:0 frames to score")
    check_admitted(metrics, width=given.width, height=given.height)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix=".scores-", dir=given.path.parent) as folder:
        on_rgb = [name for name in metrics if name in _RGB_METRICS]
        if on_rgb:
            rgb = rgb or reference.to_rgb(given, Path(folder) / "made.rgb")
            found |= _rgb_scores(reference.rgb, rgb, on_rgb)
        on_planes = [name for name in metrics if name not in _RGB_METRICS]
        if on_planes:
            yuv = yuv or reference.to_yuv420(given, Path(folder) / "made.yuv")
            found |= _plane_scores(reference, yuv, on_planes)
    return {name: found[name] for name in metrics if name in found}


def ssim(decoded: Tensor, source: Tensor) -> Tensor | None:
    """Return the SSIM of each frame `(n, 3, H, W)` uint8: the mean over R, G and B, `(n,)` float64.

    By scikit-image with the settings of Wang et al. 2004: a Gaussian window of 11 pixels and sigma
    1.5, covariances of the population. None where a side is under 11 pixels.
    """
    from skimage.metrics import structural_similarity

    if min(source.shape[-2:]) < SSIM_MIN_SIDE:
        return None
    of_frame: Any = partial(
        structural_similarity,
        channel_axis=0,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    values = [of_frame(x.numpy(), y.numpy()) for x, y in zip(source, decoded, strict=True)]
    return torch.tensor(values, dtype=torch.float64)


def _check_names(metrics: Sequence[str]) -> None:
    if not metrics:
        raise ValueError(f"no metric, known: {', '.join(METRICS)}")
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metric {unknown[0]!r}, known: {', '.join(METRICS)}")


def _rgb_scores(
    source: RawFrames, decoded: RawFrames, names: Sequence[str]
) -> dict[str, list[float]]:
    _check_geometry(decoded, source)
    known: dict[str, _FrameMetric] = {"psnr_rgb": psnr_db, "ssim": ssim, "ms_ssim": ms_ssim}
    if "lpips" in names:
        known["lpips"] = _lpips_metric()
    found: dict[str, list[float]] = {}
    for start, stop in source.chunks():
        x, y = source.rgb(start, stop), decoded.rgb(start, stop)
        for name in names:
            values = known[name](y, x)
            if values is not None:
                found.setdefault(name, []).extend(values.tolist())
    return found


def _plane_scores(
    reference: Reference, decoded: RawFrames, names: Sequence[str]
) -> dict[str, list[float]]:
    source, fps = reference.yuv, reference.fps
    _check_geometry(decoded, source)
    found: dict[str, list[float]] = {}
    if "psnr_y" in names or "psnr_yuv" in names:
        found["psnr_y"], found["psnr_yuv"] = _psnr_of_planes(source, decoded)
    if "vmaf" in names:
        found["vmaf"] = vmaf(decoded, source, fps=fps)
    if "xpsnr" in names:
        found["xpsnr"] = xpsnr(decoded, source, fps=fps)
    return found


def _psnr_of_planes(source: RawFrames, decoded: RawFrames) -> tuple[list[float], list[float]]:
    """PSNR of Y, and (6 Y + U + V) / 8 of the planes' PSNRs: a mean of dB, not of errors."""
    luma: list[float] = []
    joined: list[float] = []
    for start, stop in source.chunks():
        pairs = zip(decoded.planes(start, stop), source.planes(start, stop), strict=True)
        of_planes = torch.stack(
            [psnr_db(torch.from_numpy(y)[:, None], torch.from_numpy(x)[:, None]) for y, x in pairs]
        )  # (3, n)
        luma += of_planes[0].tolist()
        joined += (torch.tensor(YUV_WEIGHTS, dtype=torch.float64) @ of_planes).tolist()
    return luma, joined


def _lpips_metric() -> _FrameMetric:
    """LPIPS with AlexNet (Zhang et al. 2018), lower is better; its weights are a download."""
    try:
        import lpips
    except ImportError as exc:
        raise EvaluationError("LPIPS needs the extra: pip install 'inrcodec[lpips]'") from exc
    try:
        network = lpips.LPIPS(net="alex", verbose=False).eval()
    except (OSError, RuntimeError) as exc:
        raise EvaluationError(f"LPIPS: its weights cannot be had: {exc}") from exc

    @torch.no_grad()
    def metric(decoded: Tensor, source: Tensor) -> Tensor | None:
        if min(source.shape[-2:]) < _LPIPS_MIN_SIDE:
            return None
        values: Tensor = network(decoded / 127.5 - 1, source / 127.5 - 1)  # (n, 1, 1, 1)
        return values.flatten().double()

    return metric


def _check_geometry(decoded: RawFrames, source: RawFrames) -> None:
    shapes = [
        f"{x.num_frames} {x.pixel_format} frames of {x.width}x{x.height}" for x in (decoded, source)
    ]
    if shapes[0] != shapes[1]:
        raise EvaluationError(f"{decoded.path}: {shapes[0]}, but the reference has {shapes[1]}")
