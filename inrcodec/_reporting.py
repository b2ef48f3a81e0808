"""The figures of a file that was written: its quality as decoded, and what it cost.

In: an `EncodeJob`, what was encoded of it, and the seconds of the stages. Out: an `EncodeReport`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from inrcodec._decoder import VideoDecoder
from inrcodec._options import EncodeOptions
from inrcodec._report import EncodeReport
from inrcodec._rounds import SCORED_AT_ONCE, EncodedVideo
from inrcodec._sizing import EncodeJob
from inrcodec._source import Source
from inrcodec.fitting import resolve_precision
from inrcodec.metrics import mean_ms_ssim, psnr_db
from inrcodec.models import count_parameters, macs_per_frame


def score(
    decoder: VideoDecoder, clip: Source, *, with_ms_ssim: bool = True
) -> tuple[float, float | None]:
    """Return PSNR and MS-SSIM of what decodes, averaged over frames."""
    psnrs: list[torch.Tensor] = []
    similarities: list[float] = []  # times the frames that they are of
    for start in range(0, len(decoder), SCORED_AT_ONCE):
        decoded = decoder[start : start + SCORED_AT_ONCE]
        frames = clip.frames[start : start + SCORED_AT_ONCE].to(decoded.device)
        psnrs.append(psnr_db(decoded, frames).cpu())
        similarity = mean_ms_ssim(decoded, frames) if with_ms_ssim else None
        if similarity is not None:
            similarities.append(similarity * len(decoded))
    overall = sum(similarities) / len(decoder) if similarities else None
    return float(torch.cat(psnrs).mean()), overall


def make_report(
    job: EncodeJob,
    encoded: EncodedVideo,
    quality: tuple[float, float | None],
    seconds: dict[str, float],
    *,
    path: Path,
    options: EncodeOptions,
    workers: int = 1,
) -> EncodeReport:
    """Put the figures of a written file together.

    Args:
        job: what was to be encoded.
        encoded: what is in the file.
        quality: PSNR and MS-SSIM as decoded from it.
        seconds: by stage, and their total.
        path: of the file.
        options: of the encode, resolved.
        workers: that fitted segments at once.
    """
    num_frames, _, height, width = job.source.frames.shape
    pixels = num_frames * height * width
    num_parameters = sum(count_parameters(config).total for config in encoded.configs)
    macs = sum(macs_per_frame(config) * config.num_frames for config in encoded.configs)
    video_bits = 8 * encoded.video_bytes
    return EncodeReport(
        path=str(path),
        num_bytes=encoded.video_bytes + encoded.audio_bytes,
        audio_bytes=encoded.audio_bytes,
        bpp=video_bits / pixels,
        psnr_db=quality[0],
        ms_ssim=quality[1],
        num_frames=num_frames,
        width=width,
        height=height,
        num_segments=len(encoded.segments),
        model=job.model,
        num_parameters=num_parameters,
        bits_per_parameter=video_bits / num_parameters,
        kmac_per_pixel=macs / pixels / 1000,
        steps=sum(fit.steps for fit in encoded.fits),
        stopped=encoded.stopped,
        seconds=seconds,
        preset=options.preset,
        recipe=str(options.recipe),
        fit_settings=dict(options.fit_settings or {}),
        model_settings=job.model_settings,
        fresh=job.fresh,
        seed=job.fit.seed,
        device=_device_name(job.device),
        precision=_precision_name(job.fit.precision, job.device),
        workers=workers,
    )


def _precision_name(precision: str, device: torch.device) -> str:
    """What a fit computes in; a CPU has no TF32."""
    if precision == "tf32" and device.type == "cuda":
        return precision
    return str(resolve_precision(precision, device)).removeprefix("torch.")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
