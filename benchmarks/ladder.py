"""What a ladder gives for its time: several sizes by one fit, beside an encode of each.

    python benchmarks/ladder.py run       measures into benchmarks/results/ladder_cpu.json
    python benchmarks/ladder.py report    prints the committed result as a table

The ladder has a budget of its own; each encode gets the time that one fit of the ladder has, its
share of what all sizes have in common included. All in one run, one after the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

import inrcodec
from inrcodec._provenance import commit, processor_name, software_versions

RESULT = Path(__file__).resolve().parent / "results" / "ladder_cpu.json"
CLIP: dict[str, Any] = {"source": "bunny", "resize": (320, 180), "frames": (0, 32)}
SIZES = (23_000, 32_000, 45_000, 64_000)
SECONDS = 75.0  # of the ladder
PHASE = 0.25  # of a fit of the ladder, once a size


def run() -> dict[str, Any]:
    """Make the ladder, then the encodes."""
    with tempfile.TemporaryDirectory() as folder:
        options = {**CLIP, "audio": False, "device": "cpu", "seed": 0}
        source = options.pop("source")
        reports = inrcodec.encode_ladder(
            source, Path(folder) / "%d.inr", sizes_bytes=SIZES, time_seconds=SECONDS, **options
        )
        alone = SECONDS / (1 + (len(SIZES) - 1) * PHASE)
        encodes = [
            inrcodec.encode(
                source, Path(folder) / "a.inr", size_bytes=size, time_seconds=alone, **options
            )
            for size in SIZES
        ]
    return {
        **CLIP,
        "ladder_seconds": SECONDS,
        "encode_seconds": alone,
        "ladder": [record(report) for report in reports],
        "encode": [record(report) for report in encodes],
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "versions": software_versions(),
        "commit": commit(),
    }


def record(report: inrcodec.EncodeReport) -> dict[str, Any]:
    """Return a report but for where its file lay."""
    return {name: value for name, value in report.to_dict().items() if name != "path"}


def report(result: dict[str, Any]) -> None:
    """Print the table."""
    total = len(result["encode"]) * result["encode_seconds"]
    print(f"| bytes | ladder, {result['ladder_seconds']:.0f} s | encodes, {total:.0f} s | less |")
    print("|---|---|---|---|")
    for rung, alone in zip(result["ladder"], result["encode"], strict=True):
        found, best = rung["psnr_db"], alone["psnr_db"]
        print(f"| {rung['bytes']} | {found:.2f} dB | {best:.2f} dB | {best - found:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    arguments = parser.parse_args()
    if arguments.command == "run":
        arguments.result.write_text(json.dumps(run(), indent=1) + "\n")
    report(json.loads(arguments.result.read_text()))


if __name__ == "__main__":
    main()
