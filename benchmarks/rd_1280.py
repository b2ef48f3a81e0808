"""Bunny as HNeRV has it, 1280x640 and all 132 frames: `hnervpp`'s curve beside other codecs'.

    python benchmarks/rd_1280.py run      what is missing, on a GPU; Ctrl-C, and again
    python benchmarks/rd_1280.py verify   compares the committed files with their records
    python benchmarks/rd_1280.py report   table and plot of docs/flagship.md

A point is a file of at most so many bytes, encoded with `--preset best` as `equal_time.py` does, in
whose records' form these are. The other codecs' points are those of `rd_1280_codecs.py`; they count
the video's packets, ours the whole file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from equal_time import CLIPS, DEFAULTS, is_current, main, numbers, run_or_list, verify_command
from equal_time_measure import Point
from equal_time_records import Record, complaint, load
from equal_time_report import NOTHING, PAGE, between_marks, duration, row
from rate_report import bd_rate_of, draw

from inrcodec._provenance import num_cores
from inrcodec.evaluation._style import our_styles, published_styles

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "rd_1280.json"
FILES = RESULTS / "files_1280"
CODECS = RESULTS / "rd_1280_codecs.json"
FROM_RGB = RESULTS / "rd_1280_from_rgb.json"
PLOT = "rd_1280.png"

CLIP = "bunny-1280"
PIXELS = 132 * 1280 * 640
SIZES = (150_000, 220_000, 360_000, 590_000, 940_000)  # bytes; 34 to 39 dB
SECONDS = 120.0  # of a whole encode
SETTINGS = {**DEFAULTS, "model": "hnervpp", "preset": "best"}
OURS = "hnervpp"

Curve = list[tuple[float, float]]
"""(bpp, dB), by its rates."""


def make_point(size_bytes: int, seconds: float, seed: int) -> Point:
    """A measurement to make, as plain JSON."""
    told = {
        "clip": CLIP,
        "variant": f"best/{size_bytes // 1000}k",
        "budget_seconds": seconds,
        "seed": seed,
    }
    point: Point = json.loads(
        json.dumps({**told, **CLIPS[CLIP], **SETTINGS, "size_bytes": size_bytes})
    )
    return point


def current_records(records: Sequence[Record]) -> list[Record]:
    """Records with the settings that the script has today."""
    found = []
    for record in records:
        told = (record["size_bytes"], record["budget_seconds"], record["seed"])
        if is_current(record, make_point(*told)):
            found.append(record)
        else:
            print(f"{record['variant']}: not as the script has it now, left out", file=sys.stderr)
    return found


def our_curve(records: Sequence[Record]) -> Curve:
    """Return a point a size, the mean over seeds."""
    sizes = {r["size_bytes"] for r in records}
    seeds = [[r for r in records if r["size_bytes"] == size] for size in sizes]
    return sorted((fmean(r["bpp"] for r in s), fmean(r["psnr_db"] for r in s)) for s in seeds)


def other_curves(path: Path = CODECS) -> dict[str, Curve]:
    """Return the other codecs' curves; names say how they were told to encode."""
    found: dict[str, Curve] = {}
    for point in json.loads(path.read_text())["points"]:
        name = f"{point['codec'].removesuffix('-psnr')}, {point['setting']}"
        db = point["psnr_rgb"] if "psnr_rgb" in point else point["metrics"]["psnr_rgb"]
        found.setdefault(name, []).append((8 * point["bytes"] / PIXELS, db))
    return {name: sorted(curve) for name, curve in found.items()}


def rows(records: Sequence[Record], seconds: float) -> list[str]:
    """Return our points, then what their bytes are to each codec's at equal PSNR."""
    records = sorted(
        (r for r in records if r["budget_seconds"] == seconds), key=lambda r: r["size_bytes"]
    )
    if not records:
        return NOTHING
    found = [row(["bytes", "bpp", "PSNR", "kMAC/pixel", "steps"]), row(["---"] * 5)]
    for r in records:
        cells = [f"{r['bytes']}", f"{r['bpp']:.4f}", f"{r['psnr_db']:.2f} dB"]
        found.append(row([*cells, f"{r['kmac_per_pixel']:.1f}", f"{r['steps']}"]))
    heading = ["codec", "BD-rate of ours to it", "quality in common", "to it, encoded from RGB"]
    found += ["", row(heading), row(["---"] * len(heading))]
    ours, from_rgb = our_curve(records), other_curves(FROM_RGB)
    for name, theirs in other_curves().items():
        low, high = max(ours[0][1], theirs[0][1]), min(ours[-1][1], theirs[-1][1])
        told = "" if high <= low else f"{low:.1f} to {high:.1f} dB"
        cells = [bd_rate_of(theirs, ours), told, bd_rate_of(from_rgb.get(name, []), ours)]
        found.append(row([name, *cells]))
    return [
        *found,
        "",
        caption(records, seconds),
        "",
        f"![PSNR over bits per pixel](images/{PLOT})",
    ]


def caption(records: Sequence[Record], seconds: float) -> str:
    disturbed = sum(bool(complaint(r)) for r in records)
    commits = sorted({str(r["commit"]) for r in records})
    devices = sorted({str(r["device"]) for r in records})
    seeds = sorted({r["seed"] for r in records})
    return (
        f"*{duration(seconds)} for each whole encode on {', '.join(devices)}, `--preset best`; "
        f"seed {', '.join(map(str, seeds))}; commit {', '.join(commits)}; "
        f"{disturbed} of {len(records)} points disturbed.*"
    )


def run_command(arguments: argparse.Namespace) -> int:
    points = [
        make_point(size_bytes, arguments.seconds, seed)
        for seed in arguments.seeds
        for size_bytes in arguments.sizes
    ]
    return run_or_list(points, arguments, keep_files=arguments.keep_files)


def report_command(arguments: argparse.Namespace) -> int:
    records = current_records(load(arguments.result)["points"])
    write_report(records, arguments.page)
    return 0


def write_report(records: Sequence[Record], page: Path) -> None:
    """Put the tables between the marks of the page, and draw the plot beside it."""
    page.write_text(between_marks(page.read_text(), "codecs", rows(records, SECONDS)))
    drawn = {OURS: our_curve([r for r in records if r["budget_seconds"] == SECONDS])}
    if drawn[OURS]:
        others = other_curves()
        styles = {**our_styles(drawn), **published_styles(others)}
        draw({**drawn, **others}, page.parent / "images" / PLOT, styles=styles)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="run the points that are missing")
    runner.add_argument("--sizes", type=numbers(int), default=SIZES, help="220000,360000")
    runner.add_argument("--seconds", type=float, default=SECONDS)
    runner.add_argument("--seeds", type=numbers(int), default=(0,), help="0,1,2")
    runner.add_argument("--again", action="store_true", help="those too that were disturbed")
    runner.add_argument("--list", action="store_true", help="only say what there is to run")
    runner.add_argument("--threads", type=int, default=num_cores(), metavar="N")
    runner.add_argument("--keep-files", type=Path, metavar="DIR", help="for the .inr files")
    runner.set_defaults(action=run_command)
    verifier = commands.add_parser("verify", help="compare the kept files with their records")
    verifier.add_argument("--files", type=Path, default=FILES, metavar="DIR")
    verifier.set_defaults(action=verify_command)
    reporter = commands.add_parser("report", help="write the table and the plot")
    reporter.add_argument("--page", type=Path, default=PAGE)
    reporter.set_defaults(action=report_command)
    for command in (runner, verifier, reporter):
        command.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
