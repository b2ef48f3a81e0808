"""Every network through a real file at a real size: Bunny, 320x180, 16 frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import inrcodec
from inrcodec import models
from inrcodec._source import SourceOptions, read_source
from inrcodec.metrics import psnr_db

DECODE = """
import sys
import inrcodec
inrcodec.decode(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_loses_little_at_35_db(precision: str, well_fitted: Path) -> None:
    options = SourceOptions(frames=(0, 4), resize=(320, 180))
    source = read_source("bunny", options, progress=lambda frames, _: frames).frames
    reference = psnr_db(inrcodec.VideoDecoder(well_fitted, device="cpu")[:], source).mean()
    decoder = inrcodec.VideoDecoder(well_fitted, device="cpu", precision=precision)
    assert reference > 34.5
    assert float(reference - psnr_db(decoder[:], source).mean()) < 0.05


@pytest.fixture(scope="module")
def well_fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of Bunny at about 35 dB."""
    path = tmp_path_factory.mktemp("inr") / "bunny.inr"
    options = {"resize": (320, 180), "frames": (0, 4), "audio": False, "device": "cpu"}
    inrcodec.encode("bunny", path, model="hnervpp", epochs=450, bpp=3.0, **options)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("model", models.names())
def test_bunny_through_a_file(model: str, tmp_path: Path) -> None:
    path = tmp_path / "bunny.inr"
    report = inrcodec.encode(
        "bunny",
        path,
        model=model,
        resize=(320, 180),
        frames=(0, 16),
        epochs=12,
        size_bytes=40_000,
        audio=False,
    )
    assert 0.98 * 40_000 <= path.stat().st_size <= 40_000
    assert report.psnr_db > 11.5  # a mean colour has 12.2 dB; what diverged has under 10
    images = str(tmp_path / "%02d.png")
    subprocess.run([sys.executable, "-c", DECODE, str(path), images], check=True)
    found = sorted(tmp_path.glob("*.png"))
    assert len(found) == 16
    for image in found:
        with Image.open(image) as picture:
            assert picture.size == (320, 180)
