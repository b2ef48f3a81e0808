"""How near the forecast of a fit comes to its file: recorded fits, and the numbers fitted to them.

    python benchmarks/forecast.py run       fits what is missing, two at a time, each on one core
    python benchmarks/forecast.py report    the forecast's error on the committed fits, in Markdown
    python benchmarks/forecast.py solve     numbers for `fitting/_forecast.py` that suit them best

A record has the curve of a fit of so many epochs, what rounding would have taken as measured in it,
and the PSNR of its decoded file. `report` asks the forecast what it would have said, with the
numbers that it has today and with such that were fitted to all fits of other clips; that tells how
good it is on clips that it has not seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from inrcodec._provenance import commit, processor_name, software_versions
from inrcodec.bitstream import write_atomically
from inrcodec.fitting import _forecast
from inrcodec.fitting._curve import CurvePoint

RESULT = Path(__file__).resolve().parent / "results" / "forecast.json"
SHARES = (0.2, 0.3, 0.6, 0.8, 0.99)  # of a budget, when the forecast is asked
NUMBERS = ("_PEAK_DB", "_DOUBT", "_NOISE_LEFT", "_QUANTIZED_DB")
STARTS = (5.0, 0.01, 0.5, 0.5)  # of the size that they should have
Record = dict[str, Any]

_BUNNY: dict[str, Any] = {"source": "bunny", "crop": [1280, 640], "resize": [320, 160]}
_BIKES: dict[str, Any] = {"source": "bikes", "resize": [320, 136]}
_SMALL: dict[str, Any] = {**_BUNNY, "resize": [128, 64], "frames": [0, 24], "bpp": 0.5}
FITS: tuple[Record, ...] = (
    {**_BUNNY, "frames": [0, 32], "bpp": 0.2, "model": "hnervpp", "epochs": 60},
    {**_BUNNY, "frames": [0, 32], "bpp": 0.2, "model": "hnervpp", "epochs": 180},
    {**_BUNNY, "frames": [0, 132], "bpp": 0.1, "model": "hnervpp", "epochs": 40},
    {**_BUNNY, "frames": [0, 66], "bpp": 0.05, "resize": [640, 320], "model": "hnervpp"}
    | {"epochs": 25},
    {**_BIKES, "frames": [0, 32], "bpp": 0.2, "model": "hnervpp", "epochs": 40},
    {**_BIKES, "frames": [0, 96], "bpp": 0.1, "model": "hnervpp", "epochs": 60},
    {"source": "carphone", "frames": [0, 32], "bpp": 0.4, "model": "hnervpp", "epochs": 40},
    {"source": "carphone", "frames": [0, 120], "bpp": 0.2, "model": "hnervpp", "epochs": 100},
    {**_SMALL, "model": "hnervpp", "epochs": 60},
    {**_SMALL, "model": "hnervpp", "epochs": 400},
    {**_BUNNY, "frames": [0, 32], "bpp": 0.2, "model": "hnerv", "epochs": 40},
    {**_SMALL, "model": "hnerv", "epochs": 60},
    {**_BUNNY, "frames": [0, 32], "bpp": 0.2, "model": "nerv", "epochs": 80},
)


def run(wanted: Sequence[Record], result: Path, *, workers: int) -> None:
    """Make the records that are missing, each saved as soon as it is there."""
    code = commit()
    there = load(result)
    missing = [fit for fit in wanted if not any(is_of(record, fit) for record in there)]
    with ProcessPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(measure, fit) for fit in missing]):
            record = {**future.result(), "commit": code}
            there.append(record)
            lines = ",\n".join(json.dumps(r) for r in sorted(there, key=label))
            write_atomically(result, f"[\n{lines}\n]\n".encode())
            print(label(record), f"{record['psnr_db']:.2f} dB", file=sys.stderr, flush=True)


def measure(fit: Record) -> Record:
    """Encode as `fit` says, on one core, and note how it went."""
    import torch

    import inrcodec
    from inrcodec.fitting import FitProgress, recipe_config

    torch.set_num_threads(1)
    last: list[FitProgress] = []
    noises: list[tuple[int, float]] = []  # from which step on

    def note(progress: FitProgress) -> None:
        last[:] = [progress]
        if progress.rounding != (noises[-1][1] if noises else 0.0):
            noises.append((progress.steps, progress.rounding))

    options = {k: tuple(v) if isinstance(v, list) else v for k, v in fit.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.inr"
        report = inrcodec.encode(
            options.pop("source"), path, **options, audio=False, device="cpu", on_progress=note
        ).to_dict()
    config = recipe_config(report["recipe"], fit["model"], epochs=fit["epochs"])
    return {
        **fit,
        "seed": 0,
        "recipe": report["recipe"],
        "bytes": report["bytes"],
        "psnr_db": report["psnr_db"],
        "steps": report["steps"],
        "qat_fraction": config.qat_fraction,
        "noises": noises,
        "curve": [[p.steps, round(p.psnr_db, 3)] for p in last[0].curve],
        "processor": processor_name(),
        "versions": software_versions(),
    }


def is_of(record: Record, fit: Record) -> bool:
    """Whether a record is of this fit."""
    return all(record.get(name) == value for name, value in fit.items())


def label(record: Record) -> str:
    """Name a fit."""
    size = "x".join(map(str, record.get("resize", [])))
    frames = record["frames"][1] - record["frames"][0]
    clip = f"{record['source']} {size}".strip()
    return f"{clip}, {frames} frames, {record['bpp']} bpp, {record['model']}, {record['epochs']}"


def foretold(record: Record, share: float) -> _forecast.Forecast | None:
    """What the forecast would have said of a fit, as it is now, at a share of its steps."""
    steps = share * record["steps"]
    points = [CurvePoint(*point) for point in record["curve"] if point[0] <= steps]
    noise = next((value for at, value in reversed(record["noises"]) if at <= steps), 0.0)
    quantized_from = (1 - record["qat_fraction"]) * record["steps"]
    return _forecast.forecast(
        points,
        used_share=points[-1].steps / record["steps"] if points else 0.0,  # all of whole frames
        noise=noise,
        quantized_from=round(quantized_from) if steps > quantized_from else None,
    )


def errors(records: Sequence[Record], shares: Sequence[float] = SHARES) -> list[list[float]]:
    """Error in dB of the forecast, a row a record, a column a share; NaN where it was silent."""
    return [
        [f.psnr_db - record["psnr_db"] if (f := foretold(record, s)) else np.nan for s in shares]
        for record in records
    ]


def solve(records: Sequence[Record]) -> list[float]:
    """Return the numbers, each >= 0, with the smallest squares of errors; later ones count more."""
    from scipy.optimize import least_squares

    shares = np.linspace(0.13, 0.97, 22)

    def residuals(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        use(numbers)
        found = np.array(errors(records, list(shares)))
        return np.nan_to_num(found * np.sqrt(shares)).ravel()

    kept = numbers_now()
    try:
        found = least_squares(residuals, STARTS, bounds=(0, 20), x_scale=STARTS, loss="soft_l1")
        return list(map(float, found.x))
    finally:
        use(kept)


def numbers_now() -> list[float]:
    """The numbers that the forecast has."""
    return [getattr(_forecast, name) for name in NUMBERS]


def use(numbers: Sequence[float] | np.ndarray[Any, Any]) -> None:
    """Give the forecast other numbers."""
    for name, number in zip(NUMBERS, numbers, strict=True):
        setattr(_forecast, name, float(number))


def report(records: Sequence[Record]) -> None:
    """Print the table of errors, as it is and leaving clips out, and their root mean squares."""
    asked = [f"{share:.0%}" for share in SHARES]
    print(f"| fit | {' | '.join(asked)} | {' | '.join(f'{a}, others' for a in asked)} | file |")
    print("|---" * (2 + 2 * len(SHARES)) + "|")
    now = errors(records)
    kept, others = numbers_now(), []
    sources = {record["source"] for record in records}
    of_others = {left: solve([r for r in records if r["source"] != left]) for left in sources}
    for i, record in enumerate(records):
        use(of_others[record["source"]])
        others.append(errors([record])[0])
        use(kept)
        cells = [f"{e:+.2f}" if np.isfinite(e) else "" for e in now[i] + others[i]]
        print(f"| {label(record)} | {' | '.join(cells)} | {record['psnr_db']:.2f} |")
    squares = np.nanmean(np.square(np.hstack([now, others])), axis=0)
    print(f"| root mean square | {' | '.join(f'{e:.2f}' for e in np.sqrt(squares))} | |")
    told = [[f.error_db for s in SHARES if (f := foretold(r, s))] for r in records]
    print("\nerror_db:", *(f"{e:.2f}" for e in np.mean([t for t in told if len(t) == 5], axis=0)))


def load(result: Path) -> list[Record]:
    """The records so far."""
    found: list[Record] = json.loads(result.read_text()) if result.exists() else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "report", "solve"))
    parser.add_argument("--result", type=Path, default=RESULT, help="another file than committed")
    parser.add_argument("--workers", type=int, default=2, help="fits at once")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(FITS, arguments.result, workers=arguments.workers)
    elif arguments.command == "report":
        report(load(arguments.result))
    else:
        for name, number in zip(NUMBERS, solve(load(arguments.result)), strict=True):
            print(f"{name} = {number:.3f}")


if __name__ == "__main__":
    main()
