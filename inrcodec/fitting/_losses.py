"""Losses between a batch of fitted frames and the source, `(B, 3, H, W)` float in [0, 1].

All compute in fp32, whatever the fit computes in: bfloat16's 8 bits are too few for the variances
of SSIM and the large coefficients of a Fourier transform. Their gradients may be in TF32 on a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from inrcodec.fitting._precision import fp32_arithmetic

Loss = Callable[[Tensor, Tensor], Tensor]

_WINDOW = 11
_LEAST_MSE = 1e-7  # 70 dB: the rounding of a decoded frame alone is at 59
_SCALES = 16  # the coarsest of MS-SSIM's five scales is 1/16
_MS_SSIM_MIN_SIDE = 33


def _in_fp32(loss: Loss) -> Loss:
    @functools.wraps(loss)
    def wrapped(x_hat: Tensor, x: Tensor) -> Tensor:
        with fp32_arithmetic(), torch.autocast(x.device.type, enabled=False):
            return loss(x_hat.float(), x.float())

    return wrapped


@_in_fp32
def l2(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error."""
    return functional.mse_loss(x_hat, x)


@_in_fp32
def log_l2(x_hat: Tensor, x: Tensor) -> Tensor:
    """Logarithm of each frame's mean squared error, averaged: the PSNR that is reported, negated.

    A frame that is fitted well counts as much as one that is not.
    """
    return log_l2_of_mse(torch.mean((x_hat - x) ** 2, dim=(1, 2, 3)))


def l2_of_mse(mse: Tensor) -> Tensor:
    """`l2`, from each frame's mean squared error `(B,)`."""
    return mse.mean()


def log_l2_of_mse(mse: Tensor) -> Tensor:
    """`log_l2`, from each frame's mean squared error `(B,)`."""
    return torch.log(mse + _LEAST_MSE).mean()


@_in_fp32
def l1(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean absolute error."""
    return functional.l1_loss(x_hat, x)


@_in_fp32
def l1_ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """0.7 L1 + 0.3 (1 - SSIM), as NeRV (arXiv 2110.13903).

    The window has 11 taps, or as many as fit where a side of the frame is smaller.
    """
    import pytorch_msssim

    window = _largest_odd(min(_WINDOW, *x.shape[-2:]))
    ssim: Tensor = pytorch_msssim.ssim(x_hat, x, data_range=1.0, win_size=window)
    return 0.7 * l1(x_hat, x) + 0.3 * (1 - ssim)


@_in_fp32
def l1_ms_ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """0.7 L1 + 0.3 (1 - MS-SSIM), with the usual window of 11 taps where it fits.

    Raises:
        ValueError: a side of the frame is under 33.
    """
    return _l1_ms_ssim(x_hat, x, _WINDOW)


@_in_fp32
def l1_ms_ssim_5(x_hat: Tensor, x: Tensor) -> Tensor:
    """0.7 L1 + 0.3 (1 - MS-SSIM) with a window of 5 taps, as HiNeRV (arXiv 2306.09818).

    Raises:
        ValueError: a side of the frame is under 33.
    """
    return _l1_ms_ssim(x_hat, x, 5)


@_in_fp32
def l1_ms_ssim_fft(x_hat: Tensor, x: Tensor) -> Tensor:
    """60 (0.7 L1 + 0.3 (1 - MS-SSIM)) + L1 of the spectra, as Boosting-NeRV (arXiv 2402.18152).

    The spectra are the real and imaginary parts of the unnormalised DFT over rows and columns.

    Raises:
        ValueError: a side of the frame is under 33.
    """
    difference = torch.view_as_real(torch.fft.fft2(x_hat - x))  # the transform is linear
    return 60 * _l1_ms_ssim(x_hat, x, _WINDOW) + difference.abs().mean()


LOSSES: dict[str, Loss] = {
    "l2": l2,
    "log_l2": log_l2,
    "l1": l1,
    "l1_ssim": l1_ssim,
    "l1_ms_ssim": l1_ms_ssim,
    "l1_ms_ssim_5": l1_ms_ssim_5,
    "l1_ms_ssim_fft": l1_ms_ssim_fft,
}
"""The losses by the name that `FitConfig.loss` takes."""


def ms_ssim_window(height: int, width: int, *, most: int) -> int:
    """Return the largest odd number of taps, up to `most`, with which a frame has an MS-SSIM.

    The window must fit the frame at 1/16 of its size: a side s admits up to (s - 1) / 16 + 1 taps.

    Raises:
        ValueError: not even 3 taps fit.

    >>> [ms_ssim_window(side, 400, most=11) for side in (33, 160, 161, 300)]
    [3, 9, 11, 11]
    """
    side = min(height, width)
    if side < _MS_SSIM_MIN_SIDE:
        raise ValueError(
            f"frames are {width}x{height}, a loss with MS-SSIM needs sides >= {_MS_SSIM_MIN_SIDE}"
        )
    return _largest_odd(min(most, (side - 1) // _SCALES + 1))


def psnr_of_mse(mse: Tensor) -> Tensor:
    """PSNR in dB of mean squared errors of values in [0, 1]."""
    return -10 * torch.log10(torch.clamp(mse, min=1e-10))


def _l1_ms_ssim(x_hat: Tensor, x: Tensor, most: int) -> Tensor:
    import pytorch_msssim

    height, width = x.shape[-2:]
    window = ms_ssim_window(height, width, most=most)
    ms_ssim: Tensor = pytorch_msssim.ms_ssim(x_hat, x, data_range=1.0, win_size=window)
    return 0.7 * l1(x_hat, x) + 0.3 * (1 - ms_ssim)


def _largest_odd(number: int) -> int:
    return number - 1 + number % 2
