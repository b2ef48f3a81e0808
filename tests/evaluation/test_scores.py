"""Scores on RGB and on planes, each against a second implementation; and that they stream."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import pytorch_msssim
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio

from inrcodec.errors import EvaluationError
from inrcodec.evaluation import METRICS, RawFrames, Reference, rgb_to_yuv420, score
from inrcodec.evaluation import _raw as raw_module
from inrcodec.evaluation._scores import check_admitted
from inrcodec.metrics import MAX_PSNR_DB

Frames = npt.NDArray[np.uint8]  # (N, H, W, 3)
Clip = tuple[Reference, RawFrames]


def textured(num_frames: int, height: int, width: int) -> Frames:
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(num_frames, 3, height // 8, width // 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (image.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def with_noise(frames: Frames, amount: int) -> Frames:
    noise = np.random.default_rng(3).integers(-amount, amount + 1, frames.shape)
    return (frames + noise).clip(0, 255).astype(np.uint8)


def write(path: Path, frames: Frames) -> RawFrames:
    path.write_bytes(frames.tobytes())
    return RawFrames(path, "rgb24", frames.shape[2], frames.shape[1], frames.shape[0])


def make_clip(folder: Path, frames: Frames, decoded: Frames) -> Clip:
    rgb = write(folder / "source.rgb", frames)
    yuv = rgb_to_yuv420(rgb, folder / "source.yuv", matrix="bt709")
    reference = Reference("clip", rgb, yuv, Fraction(25), "bt709", "clip")
    return reference, write(folder / "decoded.rgb", decoded)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Three frames of 192x176 with noise."""
    frames = textured(3, 176, 192)
    return make_clip(tmp_path_factory.mktemp("scores"), frames, with_noise(frames, 12))


def images(clip: Clip) -> list[tuple[Frames, Frames]]:
    """Pairs (source, decoded) of `(H, W, 3)`."""
    pair = [x.rgb(0, 3).permute(0, 2, 3, 1).numpy() for x in (clip[0].rgb, clip[1])]
    return list(zip(*pair, strict=True))


def test_psnr_of_rgb_agrees_with_scikit_image(clip: Clip) -> None:
    found = score(*clip, None, metrics=["psnr_rgb"])["psnr_rgb"]
    assert found == pytest.approx([peak_signal_noise_ratio(x, y) for x, y in images(clip)])


def test_psnr_of_planes_agrees_with_scikit_image(clip: Clip, tmp_path: Path) -> None:
    reference, rgb = clip
    yuv = rgb_to_yuv420(rgb, tmp_path / "decoded.yuv", matrix="bt709")
    found = score(reference, rgb, yuv, metrics=["psnr_y", "psnr_yuv"])
    pairs = list(zip(reference.yuv.planes(0, 3), yuv.planes(0, 3), strict=True))
    for i in range(3):
        y, u, v = (peak_signal_noise_ratio(x[i], z[i]) for x, z in pairs)
        assert found["psnr_y"][i] == pytest.approx(y)
        assert found["psnr_yuv"][i] == pytest.approx((6 * y + u + v) / 8)


def test_planes_are_made_from_rgb_where_there_are_none(clip: Clip, tmp_path: Path) -> None:
    yuv = rgb_to_yuv420(clip[1], tmp_path / "decoded.yuv", matrix="bt709")
    metrics = ["psnr_y", "psnr_yuv"]
    assert score(*clip, None, metrics=metrics) == score(*clip, yuv, metrics=metrics)
    names = {path.name for path in clip[1].path.parent.iterdir()}
    assert names == {"source.rgb", "source.yuv", "decoded.rgb"}


def test_rgb_is_made_from_planes_where_there_is_none(clip: Clip, tmp_path: Path) -> None:
    yuv = rgb_to_yuv420(clip[1], tmp_path / "decoded.yuv", matrix="bt709")
    rgb = clip[0].to_rgb(yuv, tmp_path / "decoded.rgb")
    metrics = ["psnr_rgb", "psnr_y"]
    assert score(clip[0], None, yuv, metrics=metrics) == score(clip[0], rgb, yuv, metrics=metrics)


def test_ssim_agrees_with_pytorch_msssim(clip: Clip) -> None:
    pair = [x.rgb(0, 3).double() for x in (clip[1], clip[0].rgb)]
    expected = pytorch_msssim.ssim(*pair, data_range=255, size_average=False)
    assert score(*clip, None, metrics=["ssim"])["ssim"] == pytest.approx(
        expected.tolist(), abs=1e-5
    )


def test_ms_ssim_agrees_with_its_equations(clip: Clip) -> None:
    found = score(*clip, None, metrics=["ms_ssim"])["ms_ssim"]
    expected = [
        np.mean([ms_ssim_of_plane(x[..., c], y[..., c]) for c in range(3)]) for x, y in images(clip)
    ]
    assert found == pytest.approx(expected, abs=1e-5)


def ms_ssim_of_plane(x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8]) -> float:
    """Wang, Simoncelli and Bovik 2003, equation 7, on even sizes: the text, in numpy."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        for axis in (0, 1):
            image = correlate1d(image, taps / taps.sum(), axis=axis)
        return image[5:-5, 5:-5]

    value = 1.0
    planes = [x.astype(np.float64), y.astype(np.float64)]
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        a, b = planes
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        structure = (2 * (blur(a * b) - mean_a * mean_b) + c2) / (var_a + var_b + c2)
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        value *= float((structure * luminance if scale == 4 else structure).mean()) ** weight
        if scale < 4:
            halves = [(p[::2] + p[1::2]) / 2 for p in planes]
            planes = [(p[:, ::2] + p[:, 1::2]) / 2 for p in halves]
    return value


def test_identical_clips_score_the_most(clip: Clip) -> None:
    metrics = ["psnr_rgb", "psnr_y", "psnr_yuv", "ssim", "ms_ssim"]
    found = score(clip[0], clip[0].rgb, clip[0].yuv, metrics=metrics)
    assert list(found) == metrics
    for name in metrics:
        most = MAX_PSNR_DB if name.startswith("psnr") else 1
        assert found[name] == pytest.approx([most] * 3)


def test_small_frames_leave_out_what_they_do_not_admit(tmp_path: Path) -> None:
    frames = textured(1, 16, 8)
    found = score(*make_clip(tmp_path, frames, frames), None, metrics=["ms_ssim", "psnr_y", "ssim"])
    assert list(found) == ["psnr_y"]


def test_frames_that_admit_no_metric_are_refused(tmp_path: Path) -> None:
    frames = textured(1, 16, 8)
    with pytest.raises(EvaluationError, match="ssim needs 11, ms_ssim needs 161 pixels a side"):
        score(*make_clip(tmp_path, frames, frames), None, metrics=["ssim", "ms_ssim"])


def test_wrong_names_and_geometries_are_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown metric 'psnr', known: psnr_rgb, "):
        score(*clip, None, metrics=["psnr"])
    with pytest.raises(ValueError, match="no metric, known: psnr_rgb, "):
        score(*clip, None, metrics=[])
    with pytest.raises(ValueError, match="neither RGB nor 4:2:0"):
        score(clip[0], None, None, metrics=["psnr_y"])
    short = write(tmp_path / "short.rgb", textured(2, 176, 192))
    with pytest.raises(
        EvaluationError, match=r"2 rgb24 frames of 192x176, but the reference has 3"
    ):
        score(clip[0], short, None, metrics=["psnr_rgb"])
    with pytest.raises(
        EvaluationError, match="rgb24 frames of 192x176, but the reference has 3 yuv"
    ):
        score(clip[0], clip[1], clip[1], metrics=["psnr_y"])


def test_lpips_names_its_extra(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(EvaluationError, match=r"pip install 'inrcodec\[lpips\]'"):
        score(*clip, None, metrics=["lpips"])


def test_lpips_is_given_frames_from_minus_one_to_one(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package, whose weights are a download: it returns mean differences."""

    class Network(torch.nn.Module):
        def __init__(self, **options: object) -> None:
            super().__init__()
            assert options == {"net": "alex", "verbose": False}

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return (x - y).abs().mean((1, 2, 3), keepdim=True)

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Network))
    found = score(*clip, None, metrics=["lpips"])["lpips"]
    expected = [np.abs(x / 127.5 - y / 127.5).mean() for x, y in images(clip)]
    assert found == pytest.approx(expected, rel=1e-4)


def test_frames_are_read_in_chunks(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that hold two frames of three give what one chunk gives."""
    metrics = [name for name in METRICS if name not in ("lpips", "vmaf", "xpsnr")]
    whole = score(*clip, clip[0].yuv, metrics=metrics)
    monkeypatch.setattr(raw_module, "CHUNK_BYTES", 2 * 176 * 192 * 3)
    sizes = []

    def recording(read: Callable[..., object]) -> Callable[..., object]:
        def wrapper(frames: RawFrames, start: int, stop: int) -> object:
            sizes.append((stop - start) * frames.frame_bytes)
            return read(frames, start, stop)

        return wrapper

    for name in ("rgb", "planes"):
        monkeypatch.setattr(RawFrames, name, recording(getattr(RawFrames, name)))
    assert score(*clip, clip[0].yuv, metrics=metrics) == whole
    assert max(sizes) <= 2 * 176 * 192 * 3
    assert len(sizes) > 4


STREAMING = """
import resource, sys
from fractions import Fraction
from pathlib import Path
from inrcodec.evaluation import RawFrames, Reference, _scores

# A metric that takes no time and, as the frames are float64 for a moment, some memory.
_scores.psnr_db = lambda decoded, source: (decoded.double() - source)[:, 0, 0, 0]

def clip(name, num_frames):
    frames = RawFrames(Path(name), "rgb24", 640, 360, num_frames)
    with open(name, "wb") as file:
        file.truncate(num_frames * frames.frame_bytes)  # sparse
    return frames

def peak_mib(num_frames):
    a, b = clip("a.rgb", num_frames), clip("b.rgb", num_frames)
    reference = Reference("a", a, a, Fraction(25), "bt709", "a")
    assert len(_scores.score(reference, b, None, metrics=["psnr_rgb"])["psnr_rgb"]) == num_frames
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

short = peak_mib(24)
print(peak_mib(300) - short)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="getrusage is of Unix")
def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """Two files of 191 MB more: whoever loads even one of them grows by 182 MiB or more."""
    run = subprocess.run(
        [sys.executable, "-c", STREAMING], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 90


def test_small_frames_admit_no_lpips() -> None:
    with pytest.raises(EvaluationError, match="lpips needs 31 pixels a side"):
        check_admitted(["lpips"], width=64, height=24)
    check_admitted(["lpips"], width=64, height=31)
