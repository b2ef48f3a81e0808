"""Every network through a real file at a real size: Bunny, 320x180, 16 frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import inrcodec
from inrcodec import models

DECODE = """
import sys
import inrcodec
inrcodec.decode(sys.argv[1], sys.argv[2])
"""


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
