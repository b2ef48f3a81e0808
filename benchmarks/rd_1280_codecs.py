"""Other codecs on Bunny at 1280x640, all 132 frames: the curves beside ours in docs/flagship.md.

    python benchmarks/rd_1280_codecs.py            measures what is missing; Ctrl-C, and again
    python benchmarks/rd_1280_codecs.py --half     the same at 640x320, for docs/rate.md

Each point is encoded from the source's own 4:2:0 planes, as `inrcodec eval` does, decoded, and
scored in RGB against the frames that ours is fitted to. Bytes are those of the video's packets.
FFmpeg's default GOP and threads unless the setting says otherwise; seconds are for orientation
only. `rd_1280_from_rgb.json` has the same settings encoded from RGB, which another measured: that
way to 4:2:0 and back limits them to 46.1 dB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reference_codecs import encode_and_score, machine

from inrcodec._provenance import commit
from inrcodec.bitstream import write_atomically
from inrcodec.evaluation._reference import prepare_reference
from inrcodec.evaluation.codecs import ffmpeg_version

RESULTS = Path(__file__).resolve().parent / "results"
RESULT, HALF_RESULT = RESULTS / "rd_1280_codecs.json", RESULTS / "rate_codecs.json"
SIZE, HALF_SIZE = (1280, 640), (640, 320)
_X26X, _AV1, _VVC = (22, 26, 30, 34, 38), (26, 36, 46, 56, 63), (24, 28, 32, 36, 40)
# Codec, preset, tune_psnr, frames between key frames, what the setting is called, qualities. By
# default VVenC has a key frame a second, the others have one in these frames, and some at cuts.
SETTINGS: tuple[tuple[str, str, bool, int | None, str, tuple[int, ...]], ...] = (
    ("x264", "veryslow", False, None, "veryslow", _X26X),
    ("x264", "veryslow", True, None, "veryslow, tune psnr", _X26X),
    ("x265", "veryslow", False, None, "veryslow", _X26X),
    ("x265", "veryslow", True, None, "veryslow, tune psnr", _X26X),
    ("svtav1", "4", False, None, "preset 4", _AV1),
    ("vvenc", "medium", True, None, "medium, qpa 0", _VVC),
    ("vvenc", "medium", True, 160, "medium, qpa 0, one key frame", _VVC),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", action="store_true", help="frames resized to 640x320")
    parser.add_argument("--result", type=Path, metavar="JSON")
    told = parser.parse_args()
    path = told.result or (HALF_RESULT if told.half else RESULT)
    width, height = HALF_SIZE if told.half else SIZE
    result: dict[str, Any] = {"clip": "bunny", "width": width, "height": height, "points": []}
    if path.exists():
        result = json.loads(path.read_text())
    points = result["points"]
    there = {(p["codec"], p["setting"], p["q"]) for p in points}
    wanted = [
        (codec, preset, tune_psnr, gop_frames, setting, quality)
        for codec, preset, tune_psnr, gop_frames, setting, qualities in SETTINGS
        for quality in qualities
        if (codec, setting, quality) not in there
    ]
    # The commit before the result makes the tree differ.
    about = {"versions": {"ffmpeg": ffmpeg_version()}, **machine(), "commit": commit()}
    with tempfile.TemporaryDirectory() as folder:
        resize = HALF_SIZE if told.half else None
        reference = prepare_reference("bunny", Path(folder), crop=SIZE, resize=resize)
        about["frames"] = reference.rgb.num_frames
        for codec, preset, tune_psnr, gop_frames, setting, quality in wanted:
            found = encode_and_score(
                (codec, preset, tune_psnr),
                quality,
                reference,
                feed="yuv",
                conversion="auto",
                gop_frames=gop_frames,
            )
            date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            place = {"codec": codec, "setting": setting, "q": quality}
            load = {"date": date, "load_average": os.getloadavg()[0]}
            points.append({**place, **found, **about, **load})
            db = found["metrics"]["psnr_rgb"]
            print(
                f"{codec} {setting} {quality}: {found['bytes']} bytes, {db:.2f} dB", file=sys.stderr
            )
            write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
