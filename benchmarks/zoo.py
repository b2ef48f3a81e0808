"""The zoo at equal bytes and equal time: every network, by its paper's recipe and by the default.

    python benchmarks/zoo.py run                     runs what benchmarks/results/zoo_cpu.json lacks
    python benchmarks/zoo.py run --core 1 --reverse  another half beside it, on another core
    python benchmarks/zoo.py report                  table and plot of the committed result

Each point is one `inrcodec.encode` of Bunny (320x160, all 132 frames, no audio) into a file of at
most 60 kB within 180 s, in a process of its own on one core. Quality is of what decodes from the
file; the decoding speed is that of all frames in order, fp32, on the same core.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inrcodec._provenance import commit, processor_name
from inrcodec.bitstream import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "zoo_cpu.json"
PAGE = ROOT / "docs" / "zoo.md"
PLOT = ROOT / "docs" / "images" / "zoo.png"
SIZE, NUM_FRAMES = (320, 160), 132
NUM_BYTES, SECONDS = 60_000, 180.0
SEEDED = ("hnerv", "nerv")  # run with three seeds, to show the spread
FRESH = ("nerv", "enerv", "nervpp")  # run with FreSh too
Point = dict[str, Any]


def points() -> list[Point]:
    """All points: what to encode with, in the order of running."""
    from inrcodec import models

    wanted = [
        {"model": model, "recipe": recipe, "seed": 0, "fresh": False}
        for recipe in ("default", "paper")
        for model in models.names()
        if has_recipe(model, recipe)
    ]
    wanted += [
        {"model": model, "recipe": recipe, "seed": seed, "fresh": False}
        for seed in (1, 2)
        for model in SEEDED
        for recipe in ("default", "paper")
    ]
    wanted += [{"model": m, "recipe": "default", "seed": 0, "fresh": True} for m in FRESH]
    return wanted


def has_recipe(model: str, recipe: str) -> bool:
    """Whether the recipe is there for this network; `paper` is for those of a paper."""
    from inrcodec.fitting import recipe_config

    try:
        recipe_config(recipe, model, epochs=1)
    except ValueError:
        return False
    return True


def run(core: int, *, reverse: bool, only: list[str] | None) -> None:
    """Run the points that are missing; each is saved as soon as it is there."""
    there = load()["machine"]
    if there != machine():
        sys.exit(f"{RESULT}: its points are of {there}, not of {machine()}: move it away first")
    code = commit()
    for point in reversed(points()) if reverse else points():
        if (only and point["model"] not in only) or key(point) in map(key, load()["points"]):
            continue
        print(" ".join(map(str, point.values())), file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "point", json.dumps(point), "--core", str(core)]
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr, flush=True)
            continue
        save({**json.loads(done.stdout), "commit": code})


def measure(point: Point) -> Point:
    """Encode, and time the decoder; in the process of the point."""
    import torch

    import inrcodec

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bunny.inr"
        report = inrcodec.encode(
            "bunny",
            path,
            resize=SIZE,
            size_bytes=NUM_BYTES,
            time_seconds=SECONDS,
            audio=False,
            **point,
        )
        with inrcodec.VideoDecoder(path) as decoder:
            config = decoder.segment_config(0)
            decoder[0]
            start = time.perf_counter()
            decoder[:]
            decode_fps = len(decoder) / (time.perf_counter() - start)
    record = report.to_dict()
    del record["path"]
    return {
        "clip": "bunny",
        "budget_seconds": SECONDS,
        **record,
        "decode_fps": decode_fps,
        "hyper_parameters": config.to_dict(),
    }


def key(point: Point) -> tuple[Any, ...]:
    """What tells points apart."""
    return tuple(point[name] for name in ("model", "recipe", "seed", "fresh"))


def load() -> dict[str, Any]:
    """The result so far."""
    if not RESULT.exists():
        return {"machine": machine(), "points": []}
    result: dict[str, Any] = json.loads(RESULT.read_text())
    return result


def save(point: Point) -> None:
    """Add a point to the result, which another process may be adding to."""
    with (RESULT.parent / ".zoo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = load()
        others = [p for p in result["points"] if key(p) != key(point)]
        result["points"] = sorted([*others, point], key=key)
        write_atomically(RESULT, (json.dumps(result, indent=1) + "\n").encode())


def machine() -> dict[str, Any]:
    """What the points were measured on."""
    cpu = processor_name()
    return {"device": "cpu", "cpu": cpu, "cores": os.cpu_count(), "cores_a_point": 1}


def report() -> None:
    """Put the tables into docs/zoo.md, and draw the plot."""
    result = load()
    text = PAGE.read_text()
    for name, rows in (
        ("zoo", network_rows(result)),
        ("seeds", seed_rows(result)),
        ("fresh", fresh_rows(result)),
    ):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = before + begin + "\n" + "\n".join(rows) + "\n" + end + rest.split(end)[1]
    PAGE.write_text(text)
    draw(result)


def ranked(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Point]]]:
    """Networks with the points of both recipes, the best one first."""
    table: dict[str, dict[str, Point]] = {}
    for p in result["points"]:
        if p["seed"] == 0 and not p["fresh"]:
            table.setdefault(p["model"], {})[p["recipe"]] = p
    best = {name: max(p["psnr_db"] for p in row.values()) for name, row in table.items()}
    for name in sorted(table, key=best.__getitem__, reverse=True):
        yield name, table[name]


def network_rows(result: dict[str, Any]) -> list[str]:
    rows = [
        "| network | default: PSNR | steps | paper: PSNR | steps | parameters | kMAC/pixel "
        "| decode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, by_recipe in ranked(result):
        cells = []
        for recipe in ("default", "paper"):
            p = by_recipe.get(recipe)
            cells += [f"{p['psnr_db']:.2f} dB", str(p["steps"])] if p else ["", ""]
        p = next(iter(by_recipe.values()))
        rows.append(
            f"| `{name}` | {' | '.join(cells)} | {p['parameters']} | {p['kmac_per_pixel']:.1f} "
            f"| {p['decode_fps']:.0f} frames/s |"
        )
    return rows


def seed_rows(result: dict[str, Any]) -> list[str]:
    rows = ["| network | recipe | PSNR by seed | spread |", "|---|---|---|---|"]
    for model in SEEDED:
        for recipe in ("default", "paper"):
            found = [
                p["psnr_db"]
                for p in result["points"]
                if (p["model"], p["recipe"], p["fresh"]) == (model, recipe, False)
            ]
            if len(found) > 1:
                each = ", ".join(f"{value:.2f}" for value in found)
                spread = f"{max(found) - min(found):.2f} dB"
                rows.append(f"| `{model}` | {recipe} | {each} dB | {spread} |")
    return rows


def fresh_rows(result: dict[str, Any]) -> list[str]:
    rows = [
        "| network | authors' base | FreSh's base | PSNR without | with FreSh | difference |",
        "|---|---|---|---|---|---|",
    ]
    by_key = {key(p): p for p in result["points"]}
    for model in FRESH:
        without = by_key.get((model, "default", 0, False))
        with_it = by_key.get((model, "default", 0, True))
        if without and with_it:
            base = with_it["hyper_parameters"].get("pe_base", 1.25)
            difference = with_it["psnr_db"] - without["psnr_db"]
            rows.append(
                f"| `{model}` | 1.25 | {base} | {without['psnr_db']:.2f} dB "
                f"| {with_it['psnr_db']:.2f} dB | {difference:+.2f} dB |"
            )
    return rows


def draw(result: dict[str, Any]) -> None:
    """PSNR of each network by both recipes, and what a decoded pixel costs."""
    try:
        import matplotlib
    except ImportError as exc:
        raise SystemExit("the plot needs matplotlib: pip install -e '.[bench]'") from exc
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(ranked(result))[::-1]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(9, 4.2), sharey=True, width_ratios=(3, 1.3), layout="constrained"
    )
    styles = {"default": ("o", "#1f5fa8"), "paper": ("D", "#d9822b")}
    for recipe, (marker, color) in styles.items():
        for y, (name, _) in enumerate(rows):
            found = [
                p["psnr_db"]
                for p in result["points"]
                if (p["model"], p["recipe"], p["fresh"]) == (name, recipe, False)
            ]
            label = f"{recipe} recipe" if y == 0 else None
            left.scatter(
                found, [y] * len(found), marker=marker, color=color, label=label, s=34, alpha=0.8
            )
    left.set_yticks(range(len(rows)), [name for name, _ in rows])
    left.set_xlabel("PSNR of the decoded file (dB)")
    left.legend(loc="lower right")
    costs = [next(iter(by_recipe.values()))["kmac_per_pixel"] for _, by_recipe in rows]
    right.barh(range(len(rows)), costs, color="#8a8f98")
    right.set_xlabel("kMAC/pixel to decode")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"Bunny {SIZE[0]}x{SIZE[1]}, {NUM_FRAMES} frames: {NUM_BYTES // 1000} kB, "
        f"{SECONDS / 60:.0f} minutes on one CPU core"
    )
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run the points that are missing")
    runner.add_argument("--reverse", action="store_true", help="begin with the last point")
    runner.add_argument("--only", nargs="+", metavar="NETWORK")
    single = commands.add_parser("point", help="run one point, and print its record")
    single.add_argument("point", metavar="JSON", type=json.loads)
    for command in (runner, single):
        command.add_argument("--core", type=int, default=0, help="where to run")
    commands.add_parser("report", help="write the tables and the plot")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.core, reverse=arguments.reverse, only=arguments.only)
    elif arguments.command == "point":
        os.sched_setaffinity(0, {arguments.core})
        json.dump(measure(arguments.point), sys.stdout)
    else:
        report()


if __name__ == "__main__":
    main()
