"""The README's RD plot: an evaluation of Bunny, its records, and what is drawn from them.

    python benchmarks/rd_bunny.py run [--time 120s]   measures what is missing; Ctrl-C, and again
    python benchmarks/rd_bunny.py report              plot and table from the committed records

`run` keeps the whole evaluation, with `report.html`, in `build/rd_bunny/`. Of its records, those of
complete curves go without the per-frame values to benchmarks/results/rd_bunny.json, if all of them
are of one commit. Reference codecs are tuned for PSNR, which the BD-rates measure.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inrcodec._provenance import commit
from inrcodec.cli._parser import seconds
from inrcodec.errors import EvaluationError, InrcodecError, Interrupted
from inrcodec.evaluation._bd_tables import bd_markdown
from inrcodec.evaluation._consistency import check_points
from inrcodec.evaluation._outputs import default_anchor, write_outputs
from inrcodec.evaluation._plan import AUTO_BPP, EvalOptions, kind_of
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, group_by_series, load_points
from inrcodec.evaluation._run import evaluate
from inrcodec.evaluation.codecs import CODECS

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "rd_bunny"
RESULT = ROOT / "benchmarks" / "results" / "rd_bunny.json"
PLOT = ROOT / "docs" / "images" / "rd_bunny"
README = ROOT / "README.md"
BEGIN, END = "<!-- rd: begin -->", "<!-- rd: end -->"
CODEC_NAMES = ("hnerv", "nervpp", "hnervpp", "x264", "x265", "svtav1", "vvenc")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure the points that are missing")
    runner.add_argument("--time", type=seconds, default=120.0, help="of each encode of ours")
    commands.add_parser("report", help="draw the plot, and put the table into README.md")
    arguments = parser.parse_args()
    try:
        failures = run(arguments.time) if arguments.command == "run" else ()
        report()
    except (Interrupted, KeyboardInterrupt) as exc:
        print(exc, file=sys.stderr)
        return 130
    except InrcodecError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 1 if failures else 0


def run(time_seconds: float) -> tuple[str, ...]:
    """Measure what is missing and keep the records; returns one line for each failed point.

    Raises:
        EvaluationError: there is nothing to publish, the points are of several commits, or the tree
            is of none.
    """
    if (commit() or "-dirty").endswith("-dirty"):
        raise EvaluationError(
            "the tree differs from its commit, which the records are to name: commit it first"
        )
    options = EvalOptions(
        codecs=CODEC_NAMES,
        tune_psnr=True,
        time_seconds=time_seconds,
        frames=(0, 32),
        resize=(640, 360),
    )
    summary = evaluate(["bunny"], OUT, options=options, progress=True)
    for failure in summary.failures:
        print(failure, file=sys.stderr)
    points = load_points(OUT)
    if points:
        write_outputs(points, OUT, anchor=default_anchor(points))
    keep_records(complete(points))
    return summary.failures


def complete(points: list[EvalPoint]) -> list[EvalPoint]:
    """Return the points of curves of which none is missing.

    Raises:
        EvaluationError: there are none, or they are of several commits.
    """
    found = []
    for series, curve in group_by_series(points).items():
        codec = curve[0].codec
        expected = len(AUTO_BPP) if kind_of(codec) == "inr" else len(CODECS[codec].qualities)
        if len(curve) == expected:
            found += curve
        else:
            print(f"{series}: {len(curve)} of {expected} points, left out", file=sys.stderr)
    commits = sorted({point.commit or "unknown" for point in found})
    if len(commits) != 1:
        raise EvaluationError(
            f"{OUT}: complete curves are of commits {', '.join(commits) or '(none)'}, must be of "
            "one; nothing is published: delete the older records and run again"
        )
    return found


def keep_records(points: list[EvalPoint]) -> None:
    """Write the records, the per-frame values left out, as one result."""
    records = [json.loads(point.to_json()) for point in points]
    for record in records:
        record["per_frame"] = {}
        record["snapshots"] = {}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"points": records}, indent=1) + "\n")


def report() -> None:
    """Draw the plot and put it with its table into the README."""
    points = kept_points()
    PLOT.parent.mkdir(exist_ok=True)
    draw_rd(points, PLOT, anchor=default_anchor(points))
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{plot_and_table(points)}\n{END}{after}")


def kept_points() -> list[EvalPoint]:
    """Return the committed records."""
    points = [EvalPoint.from_dict(record) for record in json.loads(RESULT.read_text())["points"]]
    check_points(points)
    return points


def plot_and_table(points: list[EvalPoint]) -> str:
    """Return what the README shows of the records."""
    table = bd_markdown(points, anchor=default_anchor(points)).split("\n\n", 1)[1].strip()
    return f"{caption(points)}\n\n{table}"


def caption(points: list[EvalPoint]) -> str:
    """Return the plot and what must be said of it."""
    budgets = sorted({p.budget for p in points if p.budget})
    seeds = sorted({str(p.seed) for p in points if p.seed is not None})
    commits = sorted({p.commit or "unknown" for p in points})
    said = [
        points[0].label,
        *sorted({p.device for p in points}),
        *([f"{' or '.join(budgets)} of fitting a point"] if budgets else []),
        *([f"seed {', '.join(seeds)}"] if seeds else []),
        *(["reference codecs tuned for PSNR"] if any(map(is_tuned, points)) else []),
        f"commit {', '.join(commits)}",
    ]
    return (
        "![Rate-distortion curves on Bunny](docs/images/rd_bunny.png)\n\n"
        f"*{'; '.join(said)}; `benchmarks/rd_bunny.py` repeats it.*"
    )


def is_tuned(point: EvalPoint) -> bool:
    """Whether a reference codec was told to aim at PSNR."""
    return bool(point.settings.get("tune_psnr"))


if __name__ == "__main__":
    sys.exit(main())
