"""RGB and 4:2:0: against H.273's equations in floating point, forth, back and around."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inrcodec.errors import EvaluationError
from inrcodec.evaluation import RawFrames, rgb_to_yuv420, yuv420_to_rgb
from inrcodec.metrics import psnr_db

Array = npt.NDArray[np.float64]

# H.273: weights of red and blue in luma.
KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
MATRICES = sorted(KR_KB)
SIDE = 32
PATCHES = np.array(
    [[235, 20, 30], [20, 200, 60], [30, 40, 240], [128, 128, 128], [250, 250, 10], [0, 0, 0]]
)  # (6, 3)


def to_yuv(rgb: Array, matrix: str) -> Array:
    """`(..., 3)` RGB in 0 to 255 to Y, U, V in limited range, not rounded."""
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(np.asarray(rgb) / 255.0, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], -1)


def to_rgb(yuv: Array, matrix: str) -> Array:
    """The inverse of `to_yuv`, not rounded."""
    kr, kb = KR_KB[matrix]
    y, u, v = np.moveaxis(np.asarray(yuv, dtype=np.float64), -1, 0)
    y, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], -1) * 255


def write_rgb(path: Path, frames: npt.NDArray[np.uint8]) -> RawFrames:
    """`(N, H, W, 3)` to a file."""
    path.write_bytes(frames.tobytes())
    return RawFrames(path, "rgb24", frames.shape[2], frames.shape[1], frames.shape[0])


def write_yuv(path: Path, planes: list[npt.NDArray[np.uint8]]) -> RawFrames:
    """Y `(H, W)`, U and V to a file of one frame."""
    path.write_bytes(b"".join(plane.tobytes() for plane in planes))
    pixel_format = "yuv420p" if planes[0].dtype == np.uint8 else "yuv420p10le"
    return RawFrames(path, pixel_format, planes[0].shape[1], planes[0].shape[0], 1)


def patch_centres(plane: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.int64]:
    """The middle sample of each of the patches that stand side by side."""
    return plane[side // 2, side // 2 :: side].astype(np.int64)


def smooth_frames(height: int, width: int) -> npt.NDArray[np.uint8]:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, height // 16, width // 16, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (image.clamp(0, 1) * 200 + 27).byte().permute(0, 2, 3, 1).contiguous().numpy()


@pytest.mark.parametrize("matrix", MATRICES)
def test_flat_colours_become_yuv_by_the_equations(matrix: str, tmp_path: Path) -> None:
    image = np.repeat(np.repeat(PATCHES[None], SIDE, 0), SIDE, 1).astype(np.uint8)
    rgb = write_rgb(tmp_path / "in.rgb", image[None])
    y, u, v = rgb_to_yuv420(rgb, tmp_path / "out.yuv", matrix=matrix).planes(0, 1)
    planes = [patch_centres(y[0], SIDE), *(patch_centres(c[0], SIDE // 2) for c in (u, v))]
    assert np.abs(np.stack(planes, -1) - to_yuv(PATCHES, matrix)).max() <= 1


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("matrix", MATRICES)
def test_flat_yuv_becomes_rgb_by_the_equations(matrix: str, depth: int, tmp_path: Path) -> None:
    dtype, scale = (np.uint8, 1) if depth == 8 else (np.dtype("<u2"), 4)
    values = np.rint(to_yuv(PATCHES, matrix) * scale).astype(dtype)  # (6, 3)
    planes = []
    for channel, side in enumerate((SIDE, SIDE // 2, SIDE // 2)):
        planes.append(np.repeat(np.repeat(values[None, :, channel], side, 0), side, 1))
    yuv = write_yuv(tmp_path / "in.yuv", planes)
    image = yuv420_to_rgb(yuv, tmp_path / "out.rgb", matrix=matrix).rgb(0, 1)[0].numpy()
    found = np.stack([patch_centres(channel, SIDE) for channel in image], -1)
    expected = to_rgb(values / scale, matrix).clip(0, 255)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
@pytest.mark.parametrize("matrix", MATRICES)
def test_smooth_frames_survive_the_way_around(
    matrix: str, size: tuple[int, int], tmp_path: Path
) -> None:
    rgb = write_rgb(tmp_path / "in.rgb", smooth_frames(*size))
    yuv = rgb_to_yuv420(rgb, tmp_path / "out.yuv", matrix=matrix)
    back = yuv420_to_rgb(yuv, tmp_path / "back.rgb", matrix=matrix)
    assert psnr_db(back.rgb(0, 2), rgb.rgb(0, 2)).min() > 45
    other = "bt709" if matrix != "bt709" else "bt601"
    wrong = yuv420_to_rgb(yuv, tmp_path / "wrong.rgb", matrix=other)
    assert psnr_db(wrong.rgb(0, 2), rgb.rgb(0, 2)).max() < 40


def test_chroma_lies_where_it_is_said_to(tmp_path: Path) -> None:
    """Blue grows by 2 levels a pixel: half a pixel of shift moves U by half of its slope."""
    blue = np.arange(0, 256, 2)
    image = np.zeros((16, len(blue), 3), np.uint8)
    image[..., 2] = blue
    rgb = write_rgb(tmp_path / "in.rgb", image[None])
    _, u, _ = rgb_to_yuv420(rgb, tmp_path / "out.yuv", matrix="bt709").planes(0, 1)
    expected = to_yuv(image, "bt709")[8, :, 1].reshape(-1, 2).mean(1)  # between the two pixels
    shift = (u[0, 4] - expected)[4:-4].mean()
    slope = np.diff(expected).mean() / 2  # a pixel
    assert abs(shift) < 0.1 * slope


def test_chroma_stays_where_it_is_forth_and_back(tmp_path: Path) -> None:
    y = np.full((64, 64), 120, np.uint8)
    wave = np.rint(128 + 40 * np.sin(np.arange(32) / 3)).astype(np.uint8)
    planes = [y, np.tile(wave, (32, 1)), np.tile(wave[:, None], (1, 32))]
    yuv = write_yuv(tmp_path / "in.yuv", planes)
    rgb = yuv420_to_rgb(yuv, tmp_path / "out.rgb", matrix="bt709")
    back = rgb_to_yuv420(rgb, tmp_path / "back.yuv", matrix="bt709").planes(0, 1)
    for plane, original in zip(back, planes, strict=True):
        error = plane[0].astype(int)[4:-4, 4:-4] - original.astype(int)[4:-4, 4:-4]
        assert np.abs(error).max() <= 2
        assert abs(error.mean()) < 0.3


def test_wrong_inputs_are_refused(tmp_path: Path) -> None:
    rgb = write_rgb(tmp_path / "in.rgb", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="colour matrix 'bt470' must be one of"):
        rgb_to_yuv420(rgb, tmp_path / "out.yuv", matrix="bt470")
    with pytest.raises(ValueError, match=r"in\.rgb: is rgb24, must be 4:2:0"):
        yuv420_to_rgb(rgb, tmp_path / "out.rgb", matrix="bt709")
    with pytest.raises(ValueError, match="is yuv420p, must be rgb24"):
        rgb_to_yuv420(RawFrames(rgb.path, "yuv420p", 8, 8, 4), tmp_path / "o", matrix="bt709")


def test_a_cut_off_file_is_no_input_and_leaves_nothing(tmp_path: Path) -> None:
    rgb = write_rgb(tmp_path / "in.rgb", np.zeros((2, 8, 8, 3), np.uint8))
    rgb.path.write_bytes(bytes(300))
    with pytest.raises(EvaluationError, match=r"300 bytes, but 2 frames of 8x8 rgb24 are 384"):
        rgb_to_yuv420(rgb, tmp_path / "out.yuv", matrix="bt709")
    assert [path.name for path in tmp_path.iterdir()] == ["in.rgb"]
