"""Losses between a batch of fitted frames and the source, `(B, 3, H, W)` float in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from inrcodec.metrics import MS_SSIM_MIN_SIDE


def l2(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error."""
    return functional.mse_loss(x_hat, x)


def l1(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean absolute error."""
    return functional.l1_loss(x_hat, x)


def l1_ms_ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """0.7 L1 + 0.3 (1 - MS-SSIM), as HiNeRV (arXiv 2306.09818, section 3.4).

    Raises:
        ValueError: a side of the frame is under `MS_SSIM_MIN_SIDE`.
    """
    import pytorch_msssim

    if min(x.shape[-2:]) < MS_SSIM_MIN_SIDE:
        raise ValueError(
            f"frames are {x.shape[-1]}x{x.shape[-2]}, MS-SSIM needs sides >= {MS_SSIM_MIN_SIDE}"
        )
    ms_ssim: Tensor = pytorch_msssim.ms_ssim(x_hat.float(), x.float(), data_range=1.0)
    return 0.7 * l1(x_hat, x) + 0.3 * (1 - ms_ssim)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": l2,
    "l1": l1,
    "l1_ms_ssim": l1_ms_ssim,
}
"""The losses by the name that `FitConfig.loss` takes."""


def psnr_of_mse(mse: Tensor) -> Tensor:
    """PSNR in dB of mean squared errors of values in [0, 1]."""
    return -10 * torch.log10(torch.clamp(mse, min=1e-10))
