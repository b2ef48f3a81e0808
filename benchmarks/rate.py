"""What quantisers and coders are worth: bytes at equal PSNR, equal time, the same network.

    python benchmarks/rate.py run --list          what there is to run, and what is missing
    python benchmarks/rate.py run --seeds 0,1     runs that; Ctrl-C, and again
    python benchmarks/rate.py run --set long      the same, ten minutes a fit
    python benchmarks/rate.py run --set same      8 bits a value of this codec's very networks
    python benchmarks/rate.py run --set ablation --threads 1    this codec with one thing changed
    python benchmarks/rate.py report              table and plot of docs/rate.md

A scheme is what becomes of the weights of `hnervpp`, fitted by its own recipe but for that; each
has a curve of files of at most so many bytes, encoded as `equal_time.py` does, in whose
records' form these are. Schemes are compared at equal time, the ablation at as many epochs of small
pictures: its differences are smaller than what a shared machine does to a fit of minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equal_time import CLIPS, DEFAULTS, is_current, main, numbers, records_of, run_or_list
from equal_time_measure import Point
from equal_time_records import Record
from rate_report import PAGE, write_report

from inrcodec._provenance import num_cores
from inrcodec.errors import EvaluationError

RESULTS = Path(__file__).resolve().parent / "results"
# By set; each result is of one machine. New points go to the first.
RESULT = {
    "schemes": (RESULTS / "rate_bunny.json",),
    "long": (RESULTS / "rate_long.json",),
    "visits": (RESULTS / "rate_visits.json",),
    "same": (RESULTS / "rate_same.json",),
    # As many epochs are as many anywhere: rows may be of several machines.
    "ablation": (RESULTS / "rate_ablation.json",),
}
CODECS = RESULTS / "rate_codecs.json"  # of rd_1280_codecs.py --half
NUM_FRAMES = 132
BPPS = (0.02, 0.04, 0.08, 0.15)
SECONDS = {"schemes": 120.0, "same": 120.0, "long": 600.0}  # of a whole encode

# The same clip at half the size, where a step takes a quarter of the time.
SMALL = {"source": "bunny", "crop": [1280, 640], "resize": [320, 160], "frame_range": None}
EPOCHS = 40
VISITS = 150  # of every frame at full size: what the default preset has

OURS = "inrcodec"

# Every tensor by itself, embeddings like weights, as all INR codecs before NVRC have it.
_PLAIN: dict[str, Any] = {
    "quantizer": "range",
    "embedding_coding": "plain",
    "rounding": "nearest",
    "rate_weight": 0.0,
}

# Embeddings cost as much as weights then, so rivals get few.
_FEW_EMBEDDINGS: dict[str, Any] = {"model_settings": {"embedding_channels": 2}}

# `bits_wished` is what a value takes where the steps come out as the name says.
SCHEMES: dict[str, dict[str, Any]] = {
    OURS: {},
    # HNeRV (arXiv 2304.02633): 8 bits a value after the fit, then entropy coding.
    "8 bits": {
        "fit_settings": {**_PLAIN, "qat_fraction": 0.0},
        "bits_wished": 7.0,
        **_FEW_EMBEDDINGS,
    },
    # HiNeRV (arXiv 2306.09818): 6 bits a value, and 30 epochs after 300 to get used to them.
    "6 bits, fitted through": {
        "fit_settings": {**_PLAIN, "qat_fraction": 0.1},
        "bits_wished": 5.0,
        **_FEW_EMBEDDINGS,
    },
    # Boosting-NeRV (arXiv 2402.18152): 100 epochs after 300, there at 4 bits a value.
    "consistent entropy minimisation": {
        "fit_settings": {**_PLAIN, "quantizer": "entropy", "qat_fraction": 0.25},
        "bits_wished": 5.0,
        **_FEW_EMBEDDINGS,
    },
}

# By the rate of this codec's networks: bytes that leave the same ones 7 bits a value, and their
# channels of embeddings. The report says how many values they came out with.
SAME = "8 bits of the same network"
_SAME: dict[float, tuple[int, int]] = {
    0.02: (183_100, 4),
    0.04: (371_500, 4),
    0.08: (682_900, 8),
    0.15: (916_700, 11),
}

# This codec's with one thing changed; `constants` are of the fit's rate control.
ABLATION: dict[str, dict[str, Any]] = {
    "embeddings value by value": {"fit_settings": {"embedding_coding": "plain"}},
    "embeddings at full steps": {"constants": {"_EMBEDDING_CODE": 0}},
    "embeddings never settle": {"constants": {"_SETTLING": 99}},
    "embeddings settle to the nearest": {"constants": {"_EMBEDDING_LMBDA": 0.0}},
    "equal ranges for equal slopes": {"fit_settings": {"quantizer": "range"}},
    "no rate in the loss": {"fit_settings": {"rate_weight": 0.0}},
    "straight-through rounding": {"fit_settings": {"rounding": "feedback"}},
    "straight through, nearest": {"fit_settings": {"rounding": "nearest"}},
    "no quantised phase": {"fit_settings": {"qat_fraction": 0.0}},
    "quantised phase of 25 %": {"fit_settings": {"qat_fraction": 0.25}},
    "steps learned": {"fit_settings": {"quantizer": "entropy", "qat_fraction": 0.25}},
    "3 bits a weight": {"bits_wished": 3.0},
    "4 bits a weight": {"bits_wished": 4.0},
    "5 bits a weight": {"bits_wished": 5.0},
}

SETS = {
    "schemes": SCHEMES,
    "long": SCHEMES,
    "visits": {OURS: {}},  # beside other codecs; as many on any day
    "same": {SAME: SCHEMES["8 bits"]},
    # The farthest scheme too, at as many epochs.
    "ablation": {OURS: {}, **ABLATION, "8 bits": SCHEMES["8 bits"]},
}


def make_point(scheme: str, bpp: float, seed: int, *, chosen: str = "schemes") -> Point:
    """A measurement of a set to make, as plain JSON; its variant names the scheme and the rate."""
    clip = SMALL if chosen == "ablation" else CLIPS["bunny"]
    width, height = clip["resize"]
    told = {"variant": f"{scheme}/{bpp:g}", "seed": seed, "scheme": scheme}
    if chosen == "ablation":
        told |= {"clip": "bunny-320", "budget_seconds": None, "epochs": EPOCHS}
    elif chosen == "visits":
        told |= {"clip": "bunny", "budget_seconds": None, "epochs": VISITS}
    else:
        told |= {"clip": "bunny", "budget_seconds": SECONDS[chosen]}
    size_bytes = int(bpp * NUM_FRAMES * width * height / 8)
    settings = {
        **DEFAULTS,
        "model": "hnervpp",
        **({"constants": {}, "bits_wished": None} if chosen == "ablation" else {}),
        **SETS[chosen].get(scheme, {}),
    }
    if scheme == SAME:
        size_bytes, embedding_channels = _SAME[bpp]
        settings["model_settings"] = {"embedding_channels": embedding_channels}
    point: Point = json.loads(json.dumps({**told, **clip, **settings, "size_bytes": size_bytes}))
    return point


def wanted_points(
    schemes: Sequence[str],
    seeds: Sequence[int],
    bpps: Sequence[float] = BPPS,
    *,
    chosen: str = "schemes",
) -> list[Point]:
    """All rates of all schemes of a set, before the next seed."""
    return [
        make_point(scheme, bpp, seed, chosen=chosen)
        for seed in seeds
        for scheme in schemes
        for bpp in bpps
    ]


def current_records(records: Sequence[Record], *, chosen: str = "schemes") -> list[Record]:
    """Records of a set with the settings that their schemes have today."""
    found = []
    for record in records:
        scheme, bpp = record["variant"].rsplit("/", 1)
        told = (scheme, float(bpp), record["seed"])
        if scheme in SETS[chosen] and is_current(record, make_point(*told, chosen=chosen)):
            found.append(record)
        else:
            print(f"{record['variant']}: not as the script has it now, left out", file=sys.stderr)
    return found


def run_command(arguments: argparse.Namespace) -> int:
    names = arguments.only or list(SETS[arguments.set])
    if others := [name for name in names if name not in SETS[arguments.set]]:
        raise EvaluationError(f"{', '.join(others)}: not of the set {arguments.set}")
    points = wanted_points(names, arguments.seeds, arguments.bpps, chosen=arguments.set)
    arguments.result = arguments.result or RESULT[arguments.set][0]
    return run_or_list(points, arguments, keep_files=arguments.keep_files)


def report_command(arguments: argparse.Namespace) -> int:
    found = {
        chosen: current_records(records_of(paths), chosen=chosen)
        for chosen, paths in RESULT.items()
    }
    codecs = json.loads(CODECS.read_text())
    write_report(found, arguments.page, ours=OURS, named=SETS, codecs=codecs)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="run the points that are missing")
    runner.add_argument("--set", choices=list(SETS), default="schemes")
    runner.add_argument("--only", nargs="+", choices=[*SCHEMES, SAME, *ABLATION], metavar="SCHEME")
    runner.add_argument("--bpps", type=numbers(float), default=BPPS, help="0.02,0.04")
    runner.add_argument("--seeds", type=numbers(int), default=(0,), help="0,1,2")
    runner.add_argument("--again", action="store_true", help="those too that were disturbed")
    runner.add_argument("--list", action="store_true", help="only say what there is to run")
    runner.add_argument("--threads", type=int, default=num_cores(), metavar="N")
    runner.add_argument("--keep-files", type=Path, metavar="DIR", help="for the .inr files")
    runner.add_argument("--result", type=Path, metavar="JSON", help="default: the set's own")
    runner.set_defaults(action=run_command)
    reporter = commands.add_parser("report", help="write the table and the plot")
    reporter.add_argument("--page", type=Path, default=PAGE)
    reporter.set_defaults(action=report_command)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parse()))
