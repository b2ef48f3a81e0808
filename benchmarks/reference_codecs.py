"""Our reference codecs beside an independent measurement of the same clip, settings and FFmpeg.

    python benchmarks/reference_codecs.py    writes results/reference_codecs.json

results/rd_1280_from_rgb.json has the independent points: Bunny's 132 frames, 1280x640 centre crop,
RGB PSNR per frame, averaged. They were made from RGB and converted back with full chroma handling:
here too, so that the settings are the same. Each point is compared at equal bytes: the given curve
is interpolated in dB over the logarithm of the bytes. Some settings are also run as `inrcodec eval`
does, from the source's own 4:2:0.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from inrcodec._provenance import commit, num_cores, processor_name
from inrcodec.evaluation._reference import Reference, prepare_reference
from inrcodec.evaluation._scores import score
from inrcodec.evaluation.codecs import Feed, RgbConversion, ffmpeg_version, find_codec

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "reference_codecs.json"
SIZE = (1280, 640)
GIVEN = ROOT / "benchmarks" / "results" / "rd_1280_from_rgb.json"
METRICS = ("psnr_rgb", "psnr_y", "psnr_yuv")
# Name in the given points: our codec, preset, tune_psnr, qualities (the cheaper ones of the given).
SETTINGS: dict[str, tuple[str, str, bool, tuple[int, ...]]] = {
    "x264": ("x264", "veryslow", False, (30, 34, 38)),
    "x264-psnr": ("x264", "veryslow", True, (30, 34, 38)),
    "x265": ("x265", "veryslow", False, (34, 38)),
    "x265-psnr": ("x265", "veryslow", True, (34, 38)),
    "svtav1": ("svtav1", "4", False, (36, 46, 56)),
    "vvenc": ("vvenc", "medium", True, (36, 40)),
}
# Those whose last quality is also run from the source's own 4:2:0.
OWN_420 = ("x264-psnr", "x265-psnr", "svtav1", "vvenc")
Point = dict[str, Any]


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    given = json.loads(GIVEN.read_text())["points"]
    code = commit()  # before the result makes the tree differ
    points = []
    with tempfile.TemporaryDirectory() as folder:
        reference = prepare_reference("bunny", Path(folder), crop=SIZE)
        for name in SETTINGS:
            curve = [p for p in given if p["codec"] == name]
            points += measure(name, curve, reference)
    result = {
        "clip": "bunny",
        "width": SIZE[0],
        "height": SIZE[1],
        "frames": reference.rgb.num_frames,
        "matrix": reference.matrix,
        "machine": machine(),
        "versions": {"ffmpeg": ffmpeg_version(), "python": platform.python_version()},
        "commit": code,
        "given": "an independent measurement with the same FFmpeg",
        "points": points,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def measure(name: str, curve: list[Point], reference: Reference) -> list[Point]:
    """Every quality of one setting, each beside the given one and beside the given curve."""
    points = []
    told, qualities = SETTINGS[name][:3], SETTINGS[name][3]
    for quality in qualities:
        same = next(p for p in curve if p["q"] == quality)
        as_given = encode_and_score(told, quality, reference, feed="rgb", conversion="full")
        db = as_given["metrics"]["psnr_rgb"] - interpolate(curve, as_given["bytes"])
        points.append(
            {
                "setting": name,
                "quality": quality,
                **as_given,
                "given": {key: same[key] for key in ("setting", "bytes", "bpp", "psnr_rgb")},
                "difference_db_at_equal_bytes": db,
            }
        )
        print(f"{name} {quality}: {as_given['bytes']} bytes, {db:+.3f} dB", file=sys.stderr)
    if name in OWN_420:
        own = encode_and_score(told, qualities[-1], reference, feed="yuv", conversion="auto")
        points[-1]["from_own_420"] = own
    return points


def encode_and_score(
    setting: tuple[str, str, bool],
    quality: int,
    reference: Reference,
    *,
    feed: Feed,
    conversion: RgbConversion,
    gop_frames: int | None = None,
) -> Point:
    """Encode with (codec, preset, tune_psnr), decode and score; files are on disk meanwhile."""
    codec_name, preset, tune_psnr = setting
    codec = find_codec(codec_name)
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        point = codec.encode(
            reference,
            quality,
            preset=preset,
            tune_psnr=tune_psnr,
            gop_frames=gop_frames,
            feed=feed,
            folder=folder,
        )
        rgb, yuv = codec.decode(point, reference, folder, conversion=conversion)
        per_frame = score(reference, rgb, yuv, metrics=METRICS)
    num_pixels = rgb.num_frames * rgb.width * rgb.height
    return {
        "bytes": point.num_bytes,
        "bpp": 8 * point.num_bytes / num_pixels,
        "metrics": {metric: sum(x) / len(x) for metric, x in per_frame.items()},
        "encode_seconds": point.encode_seconds,
        "decode_seconds": point.decode_seconds,
    }


def interpolate(curve: list[Point], num_bytes: int) -> float:
    """The curve's PSNR at a size: straight in the logarithm between the two points around it.

    Past an end it goes on as between the last two.
    """
    ordered = sorted((math.log(p["bytes"]), p["psnr_rgb"]) for p in curve)
    x = math.log(num_bytes)
    upper = next((i for i, p in enumerate(ordered) if p[0] >= x), len(ordered) - 1)
    (x0, y0), (x1, y1) = ordered[max(upper, 1) - 1], ordered[max(upper, 1)]
    return float(y0 + (y1 - y0) * (x - x0) / (x1 - x0))


def machine() -> dict[str, Any]:
    """What the points were measured on."""
    return {"device": "cpu", "processor": processor_name(), "cores": num_cores()}


if __name__ == "__main__":
    main()
