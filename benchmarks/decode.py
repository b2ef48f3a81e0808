"""Decoding speed at 1280x720, in fp32 and, where the CPU has it, in bf16, and what that costs.

    python benchmarks/decode.py run                       measures the presets that are missing
    python benchmarks/decode.py run --models hnerv nerv --bpp 0.02 0.05 --threads 1
    python benchmarks/decode.py report                    prints the committed result as a table

Each point is a file of Bunny (1280x720, no audio), encoded within `--time`, and decoded through
`VideoDecoder` in a process of its own: all frames in order, delivered as uint8 in memory, the
precisions in turn, the fastest of some passes each. PSNR is against the source. Run it on a quiet
machine; `taskset` chooses the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from inrcodec._presets import PRESETS
from inrcodec._processor import has_bf16
from inrcodec._provenance import commit, num_cores, processor_name, software_versions
from inrcodec.bitstream import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "decode_cpu.json"
SIZE, NUM_FRAMES = (1280, 720), 132
PRECISIONS = ("fp32", "bf16") if has_bf16() else ("fp32",)
PASSES = 3
CHUNK = 16  # frames that one call asks for
Point = dict[str, Any]


def points(arguments: argparse.Namespace) -> list[Point]:
    """The points wished for: networks at each size, or else presets."""
    common = {
        "threads": arguments.threads,
        "budget_seconds": arguments.time,
        "num_frames": arguments.frames,
    }
    if not arguments.models:
        return [
            {"preset": name, "model": PRESETS[name].model, "bpp": PRESETS[name].bpp, **common}
            for name in arguments.presets
        ]
    return [
        {"preset": None, "model": model, "bpp": bpp, **common}
        for model in arguments.models
        for bpp in arguments.bpp
    ]


def run(wanted: list[Point], *, result: Path) -> None:
    """Run the points that are missing; each is saved as soon as it is there."""
    there = load(result)["machine"]
    if there != machine():
        raise SystemExit(f"{result}: its points are of {there}; take another --result")
    code = commit()
    for point in wanted:
        if key(point) in map(key, load(result)["points"]):
            continue
        print(json.dumps(point), file=sys.stderr, flush=True)
        threads = str(point["threads"])
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, __file__, "point", json.dumps(point)],
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        save({**json.loads(done.stdout), "commit": code}, result=result)


def measure(point: Point) -> Point:
    """Encode, decode in both precisions, compare; in the process of the point."""
    import torch

    import inrcodec

    torch.set_num_threads(point["threads"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bunny.inr"
        report = inrcodec.encode(
            "bunny",
            path,
            preset=point["preset"] or "medium",
            model=point["model"],
            bpp=point["bpp"],
            resize=SIZE,
            frames=(0, point["num_frames"]),
            time_seconds=point["budget_seconds"],
            audio=False,
            device="cpu",
        ).to_dict()
        config = inrcodec.VideoDecoder(path, device="cpu").segment_config(0)
        fps, psnr = speed_and_quality(path, num_frames=point["num_frames"])
    return {
        **point,
        "clip": "bunny",
        "resolution": list(SIZE),
        "seed": 0,
        "bytes": report["bytes"],
        "file_bpp": report["bpp"],
        "recipe": report["recipe"],
        "parameters": report["parameters"],
        "kmac_per_pixel": report["kmac_per_pixel"],
        "hyper_parameters": config.to_dict(),
        "decode_fps": fps,
        "psnr_db": psnr,
        "bf16_loss_db": psnr["fp32"] - psnr["bf16"] if "bf16" in psnr else None,
    }


def speed_and_quality(path: Path, *, num_frames: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return frames a second, and PSNR against the source in dB, of each precision."""
    import torch

    import inrcodec
    from inrcodec import datasets
    from inrcodec.metrics import psnr_db
    from inrcodec.video import VideoReader

    with VideoReader(datasets.path("bunny")) as reader:
        frames = (frame.rgb for frame, _ in zip(reader, range(num_frames), strict=False))
        source = torch.stack(list(frames))
    decoders = {p: inrcodec.VideoDecoder(path, device="cpu", precision=p) for p in PRECISIONS}
    psnr = {p: float(psnr_db(decoder[:], source).mean()) for p, decoder in decoders.items()}
    seconds: dict[str, list[float]] = {p: [] for p in PRECISIONS}
    for _ in range(PASSES):
        for precision, decoder in decoders.items():
            start = time.perf_counter()
            for first in range(0, num_frames, CHUNK):
                decoder[first : first + CHUNK]
            seconds[precision].append(time.perf_counter() - start)
    return {p: num_frames / min(passes) for p, passes in seconds.items()}, psnr


def key(point: Point) -> tuple[Any, ...]:
    """What tells points apart."""
    names = ("model", "bpp", "preset", "threads", "num_frames", "budget_seconds")
    return tuple(str(point[name]) for name in names)


def load(result: Path) -> dict[str, Any]:
    """The result so far."""
    if not result.exists():
        return {"machine": machine(), "points": []}
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def save(point: Point, *, result: Path) -> None:
    """Add a point to the result."""
    found = load(result)
    found["points"] = sorted([*found["points"], point], key=key)
    write_atomically(result, (json.dumps(found, indent=1) + "\n").encode())


def machine() -> dict[str, Any]:
    """What the points are measured on."""
    return {
        "device": "cpu",
        "cpu": processor_name(),
        "cores": num_cores(),
        "bf16_in_hardware": has_bf16(),
        "versions": software_versions(),
    }


def report(result: Path) -> None:
    """Print the table, in Markdown."""
    found = load(result)
    print(f"1280x720 on {found['machine']['cpu']}, frames a second:\n")
    print("| network | bpp | kMAC/pixel | threads | fp32 | bf16 | bf16 loses |")
    print("|---|---|---|---|---|---|---|")
    for p in sorted(found["points"], key=lambda p: (p["model"], p["kmac_per_pixel"])):
        name = f"`{p['model']}`" + (f" (`{p['preset']}`)" if p["preset"] else "")
        fps = p["decode_fps"]
        in_bf16 = f"{fps['bf16']:.1f} | {p['bf16_loss_db']:.3f} dB" if "bf16" in fps else "|"
        print(
            f"| {name} | {p['bpp']} | {p['kmac_per_pixel']:.2f} | {p['threads']} "
            f"| {fps['fp32']:.1f} | {in_bf16} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--result", type=Path, default=RESULT, help="another file than committed")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run the points that are missing")
    runner.add_argument("--presets", nargs="+", default=["fast", "medium"], choices=PRESETS)
    runner.add_argument("--models", nargs="+", metavar="NETWORK", help="in place of presets")
    runner.add_argument("--bpp", nargs="+", type=float, default=[0.02, 0.05])
    runner.add_argument("--threads", type=int, default=num_cores())
    runner.add_argument("--time", type=float, default=120.0, help="seconds of each encode")
    runner.add_argument("--frames", type=int, default=NUM_FRAMES)
    single = commands.add_parser("point", help="run one point, and print its record")
    single.add_argument("point", metavar="JSON", type=json.loads)
    commands.add_parser("report", help="print the table")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(points(arguments), result=arguments.result)
    elif arguments.command == "point":
        json.dump(measure(arguments.point), sys.stdout)
    else:
        report(arguments.result)


if __name__ == "__main__":
    main()
