"""The README's RD plot: `inrcodec eval` of Bunny, its records, and what is drawn from them.

    python benchmarks/rd_bunny.py run [--time 120s]   measures what is missing; Ctrl-C, and again
    python benchmarks/rd_bunny.py report              plot and table from the committed records

`run` keeps the whole evaluation, with `report.html`, in `build/rd_bunny/`, and its records without
the per-frame values in benchmarks/results/rd_bunny.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inrcodec.cli import main as inrcodec
from inrcodec.evaluation._bd_tables import bd_markdown
from inrcodec.evaluation._consistency import check_points
from inrcodec.evaluation._outputs import default_anchor
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, load_points

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "rd_bunny"
RESULT = ROOT / "benchmarks" / "results" / "rd_bunny.json"
PLOT = ROOT / "docs" / "images" / "rd_bunny"
README = ROOT / "README.md"
BEGIN, END = "<!-- rd: begin -->", "<!-- rd: end -->"
CLIP = ["bunny", "--resize", "640x360", "--frames", "0:32"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure the points that are missing")
    runner.add_argument("--time", default="120s", help="of each encode of ours")
    commands.add_parser("report", help="draw the plot, and put the table into README.md")
    arguments = parser.parse_args()
    status = 0
    if arguments.command == "run":
        status = inrcodec(["eval", *CLIP, "--time", arguments.time, "--out", str(OUT)])
        if status not in (0, 1):
            return status
        keep_records()
    report()
    return status


def keep_records() -> None:
    """Write the records, the per-frame values left out, as one result."""
    records = [json.loads(point.to_json()) for point in load_points(OUT)]
    for record in records:
        record["per_frame"] = {}
        record["snapshots"] = {}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"points": records}, indent=1) + "\n")


def report() -> None:
    """Draw the plot and put it with its table into the README."""
    points = [EvalPoint.from_dict(record) for record in json.loads(RESULT.read_text())["points"]]
    check_points(points)
    anchor = default_anchor(points)
    PLOT.parent.mkdir(exist_ok=True)
    draw_rd(points, PLOT, anchor=anchor)
    table = bd_markdown(points, anchor=anchor).split("\n\n", 1)[1].strip()
    text = README.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{caption(points)}\n\n{table}\n{END}{after}")


def caption(points: list[EvalPoint]) -> str:
    """Return the plot and what must be said of it."""
    budgets = sorted({p.budget for p in points if p.budget})
    budget = f", {' or '.join(budgets)} of fitting a point" if budgets else ""
    commits = ", ".join(sorted({p.commit or "unknown" for p in points}))
    return (
        "![Rate-distortion curves on Bunny](docs/images/rd_bunny.png)\n\n"
        f"*{points[0].label}; {points[0].device}{budget}, seed 0, commit {commits}; "
        "`benchmarks/rd_bunny.py` repeats it.*"
    )


if __name__ == "__main__":
    sys.exit(main())
