"""What 4:2:0 can hold of a clip's RGB: the PSNR that no reference codec passes, however many bytes.

In: a reference's RGB and the 4:2:0 that was made of it. Out: `psnr_rgb` of that 4:2:0, uncoded and
converted back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from inrcodec.evaluation._colour import yuv420_to_rgb
from inrcodec.evaluation._raw import RawFrames
from inrcodec.metrics import psnr_db


def rgb_ceiling_db(rgb: RawFrames, yuv: RawFrames, *, matrix: str) -> float:
    """Return the mean over the frames, in dB; what is converted lies on disk meanwhile.

    Raises:
        EvaluationError: the conversion fails.
    """
    with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=yuv.path.parent) as folder:
        back = yuv420_to_rgb(yuv, Path(folder) / "back.rgb", matrix=matrix)
        psnrs = [psnr_db(back.rgb(*span), rgb.rgb(*span)) for span in rgb.chunks()]
    return float(torch.cat(psnrs).mean())
