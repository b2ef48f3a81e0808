"""VMAF and XPSNR, which FFmpeg computes: two 4:2:0 clips in, one value a frame out.

Both look at neighbouring frames, so that FFmpeg reads the two files from end to end; it holds a few
frames at a time.
"""

from __future__ import annotations

import json
import re
import tempfile
from fractions import Fraction
from pathlib import Path

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._ffmpeg import raw_input, run_ffmpeg
from inrcodec.evaluation._raw import RawFrames
from inrcodec.metrics import MAX_PSNR_DB

VMAF_MODEL = "vmaf_v0.6.1"  # for 1080p on a television; built into libvmaf
YUV_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
"""Weights of Y, U and V in a mean of their dB: 6:1:1, as in JCT-VC's and JVET's test conditions."""

_LOG = "frames.log"
_XPSNR_LINE = re.compile(r"^n:\s*\d+\s+XPSNR y: (\S+)\s+XPSNR u: (\S+)\s+XPSNR v: (\S+)", re.M)


def vmaf(decoded: RawFrames, source: RawFrames, *, fps: Fraction) -> list[float]:
    """Return the VMAF of each frame, 0 to 100, by libvmaf with the model `VMAF_MODEL`.

    Raises:
        EvaluationError: FFmpeg fails, as it does where a side is under 16 pixels or so.
    """
    import torch

    threads = torch.get_num_threads()  # this process's share of the cores
    options = f"model=version={VMAF_MODEL}:log_fmt=json:log_path={_LOG}:n_threads={threads}"
    log = json.loads(_log_of(f"libvmaf={options}", decoded, source, fps=fps, task="VMAF"))
    values = [float(frame["metrics"]["vmaf"]) for frame in log["frames"]]
    return _all_frames(values, source, task="VMAF")


def xpsnr(decoded: RawFrames, source: RawFrames, *, fps: Fraction) -> list[float]:
    """Return the XPSNR of each frame in dB (Helmrich et al., ICASSP 2020).

    FFmpeg gives one value a plane. They are joined as in `psnr_yuv`, (6 Y + U + V) / 8; FFmpeg's
    own summary prints the planes and the lowest of them. Identical planes count `MAX_PSNR_DB`.

    Raises:
        EvaluationError: FFmpeg fails.
    """
    # The source comes first: the weights are made from the first input.
    log = _log_of(f"xpsnr=stats_file={_LOG}", source, decoded, fps=fps, task="XPSNR")
    values = [
        sum(w * min(float(x), MAX_PSNR_DB) for w, x in zip(YUV_WEIGHTS, planes, strict=True))
        for planes in _XPSNR_LINE.findall(log)
    ]
    return _all_frames(values, source, task="XPSNR")


def _log_of(filter_: str, first: RawFrames, second: RawFrames, *, fps: Fraction, task: str) -> str:
    inputs = [*raw_input(first, fps=fps), *raw_input(second, fps=fps)]
    graph = f"[0:v][1:v]{filter_}"
    with tempfile.TemporaryDirectory() as folder:
        run_ffmpeg([*inputs, "-lavfi", graph, "-f", "null", "-"], task=task, folder=Path(folder))
        return (Path(folder) / _LOG).read_text()


def _all_frames(values: list[float], source: RawFrames, *, task: str) -> list[float]:
    if len(values) != source.num_frames:
        raise EvaluationError(
            f"{task}: FFmpeg gave {len(values)} values for {source.num_frames} frames"
        )
    return values
