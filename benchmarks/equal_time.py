"""Networks and recipes at equal time and equal stored size, through real files.

    python benchmarks/equal_time.py run --list    what there is to run, and what is missing
    python benchmarks/equal_time.py run           runs that, short budgets first; Ctrl-C, and again
    python benchmarks/equal_time.py run --set zoo --only nerv/default --seconds 120 --seeds 0,1,2
    python benchmarks/equal_time.py verify        compares the committed files with their records
    python benchmarks/equal_time.py report        tables and plot of docs/flagship.md

Each point is one `inrcodec.encode` in a process of its own, into a file of at most so many bytes,
within so many seconds for everything: reading, fitting, coding, checking. To measure something
else, change the plain data below; a record whose settings are no longer those of its variant counts
as missing. `equal_time_measure.py` makes a record, `equal_time_records.py` keeps and checks them,
`equal_time_report.py` shows them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from equal_time_measure import Point, budget, measure, measure_apart
from equal_time_records import Record, code_commit, complaint, load, machine, save, verify
from equal_time_report import PAGE, write_ablation, write_report

from inrcodec._provenance import num_cores
from inrcodec.errors import EvaluationError, InrcodecError

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "equal_time_cpu.json"
XEON_RESULT = RESULTS / "equal_time_cpu_xeon.json"  # of another machine
AVX2_RESULT = RESULTS / "equal_time_cpu_avx2.json"  # of a third, of shorter vectors
ABLATION_RESULT = RESULTS / "equal_time_ablation.json"  # of one commit, the flagship with it
FILES = RESULTS / "files"

BUDGETS = (120.0, 600.0, 1800.0)  # seconds of a whole encode

CLIPS: dict[str, dict[str, Any]] = {  # all frames of each
    "bunny": {
        "crop": [1280, 640],
        "resize": [640, 320],
        "frame_range": None,
        "size_bytes": 170_000,  # 0.05 bpp
    },
    "bikes": {  # 640x272, 250 frames; nothing was tuned on it
        "crop": None,
        "resize": None,
        "frame_range": None,
        "size_bytes": 272_000,  # 0.05 bpp
    },
    "bunny-1280": {  # for a GPU: HNeRV's picture, and about its 1.5 million values
        "source": "bunny",
        "crop": [1280, 640],
        "resize": None,
        "frame_range": None,
        "size_bytes": 940_000,  # 0.07 bpp
    },
}

# Fields that a variant does not name.
DEFAULTS: dict[str, Any] = {
    "recipe": "default",
    "precision": "auto",
    "fit_settings": {},  # fields of FitConfig that override the recipe's
    "model_settings": {},  # fields of the network's config that override its sizing rule's
}

FLAGSHIP: dict[str, Any] = {"model": "hnervpp"}
MAIN = ("flagship", "hnerv-paper", "hnerv-tuned")

NAMED: dict[str, dict[str, Any]] = {  # each is a set of its own
    "flagship": FLAGSHIP,
    "hnerv-paper": {"model": "hnerv", "recipe": "paper", "precision": "fp32"},
    # As PyTorch convolves fp32 on a GPU unless told otherwise; other products are in it here too.
    "hnerv-paper-tf32": {"model": "hnerv", "recipe": "paper", "precision": "tf32"},
    "hnerv-tuned": {
        "model": "hnerv",
        "recipe": "muon",
        "fit_settings": {
            "loss": "log_l2",
            "gradient_clip": 0.0,
            "qat_fraction": 0.05,
            "batch_size": 2,
            "rate_growth": 0.25,
        },
    },
}

# The flagship with one thing changed: name -> what differs from it.
ABLATION: dict[str, dict[str, Any]] = {
    "loss l2": {"fit_settings": {"loss": "l2"}},
    "no rate in the loss": {"fit_settings": {"rate_weight": 0.0}},
    "gradient clipped at 1": {"fit_settings": {"gradient_clip": 1.0}},
    "adam": {"fit_settings": {"optimizer": "adam", "learning_rate": 4e-3, "weight_decay": 0.0}},
    "soap": {"recipe": "soap"},
    "no weight decay": {"fit_settings": {"weight_decay": 0.0}},
    "batch of 1": {"fit_settings": {"batch_size": 1, "learning_rate": 7e-3}},
    "learning rate 6e-3": {"fit_settings": {"learning_rate": 6e-3}},
    "learning rate 14e-3": {"fit_settings": {"learning_rate": 14e-3}},
    "learning rate of 2,000 steps": {"fit_settings": {"rate_growth": 0.0}},
    "straight-through rounding": {"fit_settings": {"rounding": "feedback"}},
    "straight through, nearest": {"fit_settings": {"rounding": "nearest"}},
    "quantised phase of 25 %": {"fit_settings": {"qat_fraction": 0.25}},
    "no quantised phase": {"fit_settings": {"qat_fraction": 0.0}},
    "whole frames from the start": {"fit_settings": {"coarse_fraction": 0.0}},
    "fp32": {"precision": "fp32"},
    "no separable blocks": {"model_settings": {"plain_stages": 8}},
    "cells of 64 pixels": {"model_settings": {"strides": [4, 2, 2, 2], "head_stride": 2}},
    "head of 2": {"model_settings": {"head_stride": 2}},
    "head of 4": {"model_settings": {"head_stride": 4}},
    "first kernel 1x1": {"model_settings": {"min_kernel_size": 1}},
    "no gates": {"model_settings": {"gated_stages": 0}},
    "no motion": {"model_settings": {"motion": 0}},
    "no margin": {"model_settings": {"motion": 1, "margin": 0}},
}

NOISY_LOAD = 0.5  # load average at which a measurement is disturbed

Measure = Callable[[Point], Record]


def sets() -> dict[str, list[str]]:
    """Names of the variants in each set."""
    from inrcodec import models

    measured = {variant["model"] for variant in NAMED.values()}
    return {
        **{name: [name] for name in NAMED},
        "zoo": [
            f"{name}/{recipe}"
            for name in models.names()
            if name not in measured
            for recipe in ("default", "muon")
        ],
        "ablation": list(ABLATION),
    }


def variant(name: str) -> dict[str, Any]:
    """What a variant encodes with; any MODEL/RECIPE is one.

    Raises:
        EvaluationError: there is none of this name.
        UnknownModelError: there is no such network.
    """
    from inrcodec import fitting, models

    if name in NAMED:
        return {**DEFAULTS, **NAMED[name]}
    if name in ABLATION:
        return {**DEFAULTS, **FLAGSHIP, **ABLATION[name]}
    model, _, recipe = name.partition("/")
    if recipe not in fitting.RECIPES:
        raise EvaluationError(f"{name!r} is no variant; nor is it MODEL/RECIPE, as hnerv/muon is")
    models.entry(model)
    return {**DEFAULTS, "model": model, "recipe": recipe}


def make_point(clip: str, name: str, seconds: float, seed: int) -> Point:
    """A measurement to make, as plain JSON."""
    told = {"clip": clip, "variant": name, "budget_seconds": seconds, "seed": seed}
    point: Point = json.loads(json.dumps({**told, **CLIPS[clip], **variant(name)}))
    return point


def wanted_points(
    names: Sequence[str],
    *,
    clips: Sequence[str],
    budgets: Sequence[float],
    seeds: Sequence[int],
    only: Sequence[str] = (),
) -> list[Point]:
    """Points in the order of running: short budgets first, all variants before the next seed.

    Args:
        names: of variants.
        clips: names in `CLIPS`.
        budgets: seconds.
        seeds: each variant is run with all of them.
        only: MODEL/RECIPE: of the variants only these; where none is of this pair, it is one.
    """
    if only:
        of_pair = {name: f"{v['model']}/{v['recipe']}" for name in names if (v := variant(name))}
        names = [
            name for pair in only for name in ([n for n in names if of_pair[n] == pair] or [pair])
        ]
    return [
        make_point(clip, name, seconds, seed)
        for seconds in sorted(budgets)
        for seed in seeds
        for clip in clips
        for name in dict.fromkeys(names)
    ]


def is_current(record: Record, point: Point) -> bool:
    """Whether the record is of this point, with the settings that it has today."""
    return all(record.get(name) == value for name, value in point.items())


def current_records(records: Sequence[Record]) -> list[Record]:
    """Records with the settings that their variants have today; the others are named on stderr."""
    found = []
    for record in records:
        try:
            clip, name, seconds, seed = (
                record[field] for field in ("clip", "variant", "budget_seconds", "seed")
            )
            is_good = is_current(record, make_point(clip, name, seconds, seed))
        except (InrcodecError, KeyError):
            is_good = False
        if is_good:
            found.append(record)
        else:
            print(f"{label(record)}: not as the script has it now, left out", file=sys.stderr)
    return found


def label(point: Point) -> str:
    return "{clip}, {variant}, {budget}, seed {seed}".format(**point, budget=budget(point))


def state(point: Point, records: Sequence[Record]) -> str:
    """Whether a point is `there`, `disturbed` or `missing`."""
    found = [record for record in records if is_current(record, point)]
    if not found:
        return "missing"
    return "disturbed" if complaint(found[0]) else "there"


def run(
    points: Sequence[Point],
    result: Path,
    here: dict[str, Any],
    measure: Measure,
    states: Sequence[str] = ("missing",),
) -> list[str]:
    """Run the points of these states, each saved as soon as it is there; returns the failures.

    Raises:
        EvaluationError: the records are of another machine or number of threads.
    """
    failures = []
    for number, point in enumerate(points, start=1):
        if state(point, load(result, here)["points"]) not in states:
            continue
        print(f"{number} of {len(points)}: {label(point)}", file=sys.stderr, flush=True)
        code = code_commit()
        try:
            record = {**measure(point), "commit": code}
        except subprocess.CalledProcessError as exc:
            failures.append(f"{label(point)}: exit status {exc.returncode}, see above")
            continue
        save(result, record, here)
        print(
            f"  {record['psnr_db']:.2f} dB, {record['bytes']} bytes, "
            f"{record['seconds']['total']:.0f} s, {record['steps']} steps",
            *([f"  warning: {said}"] if (said := complaint(record)) else []),
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
    return failures


def list_points(points: Sequence[Point], records: Sequence[Record], states: Sequence[str]) -> None:
    wanted = [point for point in points if state(point, records) in states]
    for point in points:
        print(f"{state(point, records):9}  {label(point)}")
    told = f"{len(wanted)} of {len(points)} to run"
    if all(point["budget_seconds"] for point in wanted):  # not epochs
        hours = sum(point["budget_seconds"] for point in wanted) / 3600
        told += f": {hours:.1f} h at most"
    print(told)


def main(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; returns the exit status."""
    try:
        return int(arguments.action(arguments))
    except InrcodecError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run_command(arguments: argparse.Namespace) -> int:
    known = sets()
    points = wanted_points(
        [name for chosen in arguments.set for name in known[chosen]],
        clips=arguments.clips,
        budgets=arguments.seconds,
        seeds=arguments.seeds,
        only=arguments.only,
    )
    return run_or_list(points, arguments, keep_files=arguments.keep_files)


def run_or_list(
    points: Sequence[Point], arguments: argparse.Namespace, *, keep_files: Path | None
) -> int:
    """Run the points that the arguments ask for, or only list them; returns the exit status."""
    here = machine(arguments.threads)
    states = ("missing", "disturbed") if arguments.again else ("missing",)
    if arguments.list:
        list_points(points, load(arguments.result, here)["points"], states)
        return 0
    if keep_files is not None:
        keep_files.mkdir(parents=True, exist_ok=True)
    load_average = os.getloadavg()[0]
    if load_average > NOISY_LOAD:
        print(
            f"warning: the load average is {load_average:.1f}, others are at work here",
            file=sys.stderr,
        )
    failures = run(
        points,
        arguments.result,
        here,
        partial(measure_apart, threads=arguments.threads, keep_files=keep_files),
        states,
    )
    print(*failures, sep="\n", end="\n" if failures else "", file=sys.stderr)
    return 1 if failures else 0


def point_command(arguments: argparse.Namespace) -> int:
    record = measure(arguments.point, threads=arguments.threads, keep_files=arguments.keep_files)
    json.dump(record, sys.stdout)
    return 0


def records_of(results: Path | Sequence[Path]) -> list[Record]:
    """Return the records of one result or of several."""
    paths = [results] if isinstance(results, Path) else results
    return [record for path in paths for record in load(path)["points"]]


def verify_command(arguments: argparse.Namespace) -> int:
    checked = verify(records_of(arguments.result), arguments.files)
    for name, problem in checked.items():
        print(f"{name}: {problem or 'as recorded'}")
    if not checked:
        print(f"{arguments.files}: no .inr files", file=sys.stderr)
    return 0 if checked and not any(checked.values()) else 1


def report_command(arguments: argparse.Namespace) -> int:
    write_report(
        current_records(records_of(arguments.result)),
        arguments.page,
        named=list(NAMED),
        ablation=list(ABLATION),
        budgets=BUDGETS,
    )
    write_ablation(current_records(records_of(arguments.ablation)), arguments.page)
    return 0


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="run the points that are missing")
    runner.add_argument("--set", nargs="+", choices=list(sets()), default=list(MAIN))
    runner.add_argument(
        "--clips", type=names_of(CLIPS), default=["bunny"], help="bunny,bikes,bunny-1280"
    )
    runner.add_argument("--only", nargs="+", default=[], metavar="MODEL/RECIPE")
    runner.add_argument("--seconds", type=numbers(float), default=BUDGETS, help="120,600")
    runner.add_argument("--seeds", type=numbers(int), default=(0,), help="0,1,2")
    runner.add_argument("--again", action="store_true", help="those too that were disturbed")
    runner.add_argument("--list", action="store_true", help="only say what there is to run")
    runner.set_defaults(action=run_command)
    single = commands.add_parser("point", help="run one point, and print its record")
    single.add_argument("point", metavar="JSON", type=json.loads)
    single.set_defaults(action=point_command)
    for command in (runner, single):
        command.add_argument("--threads", type=int, default=num_cores(), metavar="N")
        command.add_argument("--keep-files", type=Path, metavar="DIR", help="for the .inr files")
    verifier = commands.add_parser("verify", help="compare the kept files with their records")
    verifier.add_argument("--files", type=Path, default=FILES, metavar="DIR")
    verifier.set_defaults(action=verify_command)
    reporter = commands.add_parser("report", help="write the tables and the plot")
    reporter.add_argument("--page", type=Path, default=PAGE)
    reporter.add_argument("--ablation", type=Path, default=ABLATION_RESULT, metavar="JSON")
    reporter.set_defaults(action=report_command)
    runner.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    for command in (verifier, reporter):
        default = [RESULT, XEON_RESULT, AVX2_RESULT]
        command.add_argument("--result", nargs="+", type=Path, default=default, metavar="JSON")
    return parser.parse_args(argv)


def numbers(kind: type) -> Callable[[str], list[Any]]:
    """A parser of numbers with commas between them."""

    def positive_list(text: str) -> list[Any]:
        found = [kind(part) for part in text.split(",")]
        if min(found) < 0 or (kind is float and not min(found) > 0):
            raise ValueError(text)
        return found

    return positive_list


def names_of(known: dict[str, Any]) -> Callable[[str], list[str]]:
    """A parser of known names with commas between them."""

    def known_names(text: str) -> list[str]:
        found = text.split(",")
        if not set(found) <= set(known):
            raise ValueError(text)
        return found

    return known_names


if __name__ == "__main__":
    sys.exit(main(parse()))
