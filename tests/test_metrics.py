"""PSNR and MS-SSIM, against other libraries and known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from inrcodec.metrics import MAX_PSNR_DB, mean_ms_ssim, ms_ssim, psnr_db


def noisy(amount: int, size: tuple[int, int] = (180, 200)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 3, 9, 10, generator=generator), size=size, mode="bicubic"
    )
    source = (smooth.clamp(0, 1) * 255).to(torch.uint8)
    noise = torch.randint(-amount, amount + 1, source.shape, generator=generator)
    return (source + noise).clamp(0, 255).to(torch.uint8), source


def test_psnr_agrees_with_scikit_image() -> None:
    decoded, source = noisy(12)
    expected = [
        peak_signal_noise_ratio(s.numpy(), d.numpy()) for s, d in zip(source, decoded, strict=True)
    ]
    assert psnr_db(decoded, source).tolist() == pytest.approx(expected)


def test_identical_frames_have_a_finite_psnr() -> None:
    _, source = noisy(0)
    assert psnr_db(source, source).tolist() == [MAX_PSNR_DB] * 2


def test_ms_ssim_falls_with_noise_as_ssim_does() -> None:
    values, references = [], []
    for amount in (0, 4, 12, 40):
        decoded, source = noisy(amount)
        similarity = ms_ssim(decoded, source)
        assert similarity is not None
        values.append(float(similarity.mean()))
        references.append(
            np.mean(
                [
                    structural_similarity(s.numpy(), d.numpy(), channel_axis=0)
                    for s, d in zip(source, decoded, strict=True)
                ]
            )
        )
    assert values[0] == pytest.approx(1.0)
    assert values == sorted(values, reverse=True)
    assert references == sorted(references, reverse=True)


def test_ms_ssim_is_none_for_small_frames() -> None:
    assert ms_ssim(*noisy(3, (160, 200))) is None
    assert ms_ssim(*noisy(3, (161, 200))) is not None


def test_mean_ms_ssim_is_the_mean() -> None:
    decoded, source = noisy(20)
    decoded[1] //= 2
    values = ms_ssim(decoded, source)
    assert values is not None
    assert abs(values[0] - values[1]) > 0.01
    assert mean_ms_ssim(decoded, source) == pytest.approx(float(values.mean()), abs=1e-6)
    assert mean_ms_ssim(*noisy(3, (160, 200))) is None


@pytest.mark.parametrize("metric", [psnr_db, ms_ssim, mean_ms_ssim])
def test_wrong_shapes_and_types_are_refused(metric: object) -> None:
    decoded, source = noisy(1)
    with pytest.raises(ValueError, match="shapes are"):
        metric(decoded[:1], source)  # type: ignore[operator]
    with pytest.raises(ValueError, match="dtypes are"):
        metric(decoded.float(), source)  # type: ignore[operator]
