"""The losses against computations of other hands, and the windows of small frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from inrcodec.fitting import LOSSES
from inrcodec.fitting._losses import ms_ssim_window

C1, C2 = 0.01**2, 0.03**2


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two alike frames `(1, 3, height, width)`."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(1, 3, height, width, generator=generator)
    noise = torch.rand(1, 3, height, width, generator=generator)
    return 0.8 * x + 0.15 * noise, x


def arrays(*tensors: torch.Tensor) -> list[NDArray[np.float64]]:
    return [tensor[0].double().numpy() for tensor in tensors]


def ms_ssim_of_channel(a: NDArray[np.float64], b: NDArray[np.float64], taps: int) -> float:
    """Wang et al. 2003, of two planes, with a Gaussian window of sigma 1.5."""
    radius = taps // 2

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = slice(radius, -radius)
        return gaussian_filter(plane, 1.5, radius=radius)[inside, inside]

    value = 1.0
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, exponent in enumerate(exponents):
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        similarity = (2 * (blur(a * b) - mean_a * mean_b) + C2) / (var_a + var_b + C2)
        if scale == len(exponents) - 1:
            similarity *= (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
        value *= max(float(similarity.mean()), 0.0) ** exponent
        if scale < len(exponents) - 1:
            rows, columns = a.shape[0] // 2, a.shape[1] // 2
            a, b = (p.reshape(rows, 2, columns, 2).mean((1, 3)) for p in (a, b))
    return value


def l1_ms_ssim(x_hat: torch.Tensor, x: torch.Tensor, taps: int) -> float:
    a, b = arrays(x_hat, x)
    ms_ssim = np.mean([ms_ssim_of_channel(*planes, taps) for planes in zip(a, b, strict=True)])
    return float(0.7 * np.abs(a - b).mean() + 0.3 * (1 - ms_ssim))


def test_l2_and_l1() -> None:
    x_hat = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    x = torch.tensor([0.5, 0.5, 0.25]).view(1, 3, 1, 1)
    assert float(LOSSES["l2"](x_hat, x)) == pytest.approx((0.25 + 0.5625) / 3)
    assert float(LOSSES["l1"](x_hat, x)) == pytest.approx((0.5 + 0.75) / 3)


def test_l1_ssim_is_that_of_scikit_image() -> None:
    x_hat, x = pair(40, 56)
    a, b = arrays(x_hat, x)
    ssim = structural_similarity(
        a, b, channel_axis=0, data_range=1.0, gaussian_weights=True, use_sample_covariance=False
    )
    expected = 0.7 * np.abs(a - b).mean() + 0.3 * (1 - ssim)
    assert float(LOSSES["l1_ssim"](x_hat, x)) == pytest.approx(expected, rel=1e-4)


def test_ssim_takes_a_smaller_window_in_tiny_frames() -> None:
    x_hat, x = pair(8, 20)  # 7 taps
    assert float(LOSSES["l1_ssim"](x, x)) == pytest.approx(0.0, abs=1e-6)
    assert float(LOSSES["l1_ssim"](x_hat, x)) > 0.02


@pytest.mark.parametrize(
    ("name", "size", "taps"),
    [
        ("l1_ms_ssim", (176, 192), 11),
        ("l1_ms_ssim", (160, 192), 9),
        ("l1_ms_ssim", (48, 64), 3),
        ("l1_ms_ssim_5", (176, 192), 5),
        ("l1_ms_ssim_5", (64, 48), 3),
    ],
)
def test_l1_ms_ssim_with_the_window_that_fits(name: str, size: tuple[int, int], taps: int) -> None:
    x_hat, x = pair(*size)
    assert float(LOSSES[name](x_hat, x)) == pytest.approx(l1_ms_ssim(x_hat, x, taps), rel=1e-4)


def test_l1_ms_ssim_fft_adds_the_difference_of_the_spectra() -> None:
    x_hat, x = pair(48, 64)
    a, b = (np.fft.fft2(plane) for plane in arrays(x_hat, x))
    parts = np.concatenate([(a - b).real, (a - b).imag])
    expected = 60 * l1_ms_ssim(x_hat, x, 3) + np.abs(parts).mean()
    assert float(LOSSES["l1_ms_ssim_fft"](x_hat, x)) == pytest.approx(expected, rel=1e-4)


def test_log_l2_is_the_psnr_of_each_frame() -> None:
    x_hat, x = pair(48, 64)
    batch = torch.cat([x_hat, (x_hat + x) / 2]), torch.cat([x, x])
    psnr_db = [-10 * np.log10(np.mean((a - b).numpy() ** 2)) for a, b in zip(*batch, strict=True)]
    assert psnr_db[1] > psnr_db[0] + 6
    expected = -np.mean(psnr_db) * np.log(10) / 10
    assert float(LOSSES["log_l2"](*batch)) == pytest.approx(expected, rel=1e-5)
    assert float(LOSSES["log_l2"](x, x)) == pytest.approx(np.log(1e-7), abs=1e-3)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"log_l2"}))
def test_losses_are_zero_for_equal_frames_and_positive_else(name: str) -> None:
    _, x = pair(176, 176)
    assert float(LOSSES[name](x, x)) == pytest.approx(0.0, abs=1e-5)
    assert float(LOSSES[name](x, 1 - x)) > 0.05


@pytest.mark.parametrize("name", LOSSES)
def test_losses_compute_in_fp32_under_autocast(name: str) -> None:
    x_hat, x = pair(48, 64)
    x_hat.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](x_hat, x)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, LOSSES[name](x_hat, x))
    torch.autograd.backward(loss)
    assert x_hat.grad is not None
    assert bool(torch.isfinite(x_hat.grad).all())


def test_window_of_ms_ssim() -> None:
    windows = {33: 3, 64: 3, 65: 5, 128: 7, 129: 9, 160: 9, 161: 11, 720: 11}
    for side, taps in windows.items():
        assert ms_ssim_window(side, 1000, most=11) == ms_ssim_window(1000, side, most=11) == taps
    assert ms_ssim_window(720, 1280, most=5) == 5


@pytest.mark.parametrize("name", ["l1_ms_ssim", "l1_ms_ssim_5", "l1_ms_ssim_fft"])
def test_ms_ssim_of_too_small_frames_names_the_smallest_side(name: str) -> None:
    _, x = pair(32, 64)
    with pytest.raises(ValueError, match="frames are 64x32, a loss with MS-SSIM needs sides >= 33"):
        LOSSES[name](x, x)
