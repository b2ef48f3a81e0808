"""Quality of decoded frames: PSNR and MS-SSIM of 8-bit RGB, frame by frame.

In: two batches `(N, 3, H, W)` uint8. Out: `(N,)` float64 values; a clip's figure is their mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_PSNR_DB = 100.0
"""PSNR of identical frames, in place of infinity."""

MS_SSIM_MIN_SIDE = 161
"""MS-SSIM halves the frame four times under an 11-tap window: smaller sides do not admit it."""


def psnr_db(decoded: Tensor, source: Tensor) -> Tensor:
    """Return the PSNR in dB of each frame over all its RGB samples, `(N,)` float64.

    Raises:
        ValueError: the batches differ in shape, or are not uint8.

    >>> zeros = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    >>> round(float(psnr_db(zeros + 1, zeros)), 4)
    48.1308
    """
    _check(decoded, source)
    error = (decoded.double() - source.double()).square().flatten(1).mean(1)
    return (10 * torch.log10(255.0**2 / error)).clamp(max=MAX_PSNR_DB)


def ms_ssim(decoded: Tensor, source: Tensor) -> Tensor | None:
    """Return the MS-SSIM of each frame in RGB, `(N,)` float64 (Wang et al. 2003).

    None when a side is under 161 pixels, where its five scales are not defined.

    Raises:
        ValueError: the batches differ in shape, or are not uint8.
    """
    import pytorch_msssim

    from inrcodec.fitting import fp32_arithmetic  # it imports this module

    _check(decoded, source)
    if min(source.shape[-2:]) < MS_SSIM_MIN_SIDE:
        return None
    # The blurs take a fifth of the time on a CPU with the channels last.
    frames = [x.float().contiguous(memory_format=torch.channels_last) for x in (decoded, source)]
    with fp32_arithmetic():
        values: Tensor = pytorch_msssim.ms_ssim(*frames, data_range=255.0, size_average=False)
    return values.double()


def mean_ms_ssim(decoded: Tensor, source: Tensor) -> float | None:
    """Return the mean of `ms_ssim` over the frames, in less time than that.

    It is a mean over channels too: the frames are as many more of them, which fill the registers.

    Raises:
        ValueError: the batches differ in shape, or are not uint8.
    """
    _check(decoded, source)
    as_channels = [x.flatten(0, 1)[None] for x in (decoded, source)]
    similarity = ms_ssim(*as_channels)
    return None if similarity is None else float(similarity)


def _check(decoded: Tensor, source: Tensor) -> None:
    if decoded.shape != source.shape or decoded.ndim != 4:
        raise ValueError(
            f"shapes are {tuple(decoded.shape)} and {tuple(source.shape)}, must be equal, 4-D"
        )
    if decoded.dtype != torch.uint8 or source.dtype != torch.uint8:
        raise ValueError(f"dtypes are {decoded.dtype} and {source.dtype}, must be uint8")
