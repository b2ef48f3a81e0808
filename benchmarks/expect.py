"""What to expect on this machine: a few encodes of Bunny beside x265, for the README's table.

    python benchmarks/expect.py            runs, and writes benchmarks/results/expect_DEVICE.json
    python benchmarks/expect.py --table    puts the table of the committed result into README.md

Each record states clip, frames, size, network, budget, bytes, PSNR, times, versions and commit;
x265 codes the very same frames in at most the same bytes (`scripts/demo.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import inrcodec
from inrcodec._provenance import commit, num_cores, processor_name
from inrcodec.metrics import psnr_db

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- expect: begin -->", "<!-- expect: end -->"
CPU_JOBS = [
    # size, frames, bpp, seconds, network
    ((320, 180), (0, 32), 0.2, 60.0, "hnervpp"),
    ((320, 180), (0, 32), 0.2, 60.0, "hnerv"),
    ((640, 360), (0, 32), 0.1, 120.0, "hnervpp"),
]
CUDA_JOBS = [((1280, 720), (0, 132), 0.05, 180.0, "hnervpp")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="only put the table into README.md")
    if not parser.parse_args().table:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        code = commit()  # before results make the tree differ
        jobs = CUDA_JOBS if device == "cuda" else CPU_JOBS
        records = [{**measure(*job), "commit": code} for job in jobs]
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps({"machine": machine(), "points": records}, indent=1)
        (RESULTS / f"expect_{device}.json").write_text(text + "\n")
    write_table()


def measure(
    size: tuple[int, int], frames: tuple[int, int], bpp: float, seconds: float, model: str
) -> dict[str, Any]:
    """Encode, time the decoder, and set x265 beside it, as the demo does."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import demo

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bunny.inr"
        report = inrcodec.encode(
            "bunny",
            path,
            resize=size,
            frames=frames,
            bpp=bpp,
            time_seconds=seconds,
            model=model,
            audio=False,
            progress=True,
        )
        with inrcodec.VideoDecoder(path) as decoder:
            decoder[0]
            start = time.perf_counter()
            decoder[:].cpu()
            decode_fps = len(decoder) / (time.perf_counter() - start)
        job = demo.Job("", size, frames[1], bpp, seconds, "medium")
        reference = demo.read_source(job, Path(folder))
        x265 = demo.run_x265(
            reference, preset=job.x265_preset, max_bytes=report.num_bytes, folder=Path(folder)
        )
        source = reference.rgb.rgb(0, reference.rgb.num_frames)
    record = report.to_dict()
    del record["path"]
    return {
        "clip": "bunny",
        "frame_range": list(frames),
        "budget_seconds": seconds,
        **record,
        "decode_fps": decode_fps,
        "x265": {
            "preset": job.x265_preset,
            "bytes": x265.num_bytes,
            "psnr_db": psnr_db(x265.frames.contiguous(), source).mean().item(),
        },
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    cores = {"cores": num_cores(), "threads": torch.get_num_threads()}
    return {"device": name, "processor": processor_name(), **cores}


def table() -> str:
    """Return the table of all committed results."""
    rows = [
        "| device | clip | network | encode | bytes | bpp | PSNR | x265 medium, same bytes "
        "| decode |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("expect_*.json")):
        result = json.loads(path.read_text())
        device = result["machine"]["device"]
        if device == "cpu":
            device = f"{result['machine']['processor']}, {result['machine']['cores']} cores"
        for p in result["points"]:
            rows.append(
                f"| {device} | {p['width']}x{p['height']}, {p['frames']} frames | {p['model']} "
                f"| {p['seconds']['total']:.0f} s | {p['bytes']} | {p['bpp']:.3f} "
                f"| {p['psnr_db']:.2f} dB | {p['x265']['psnr_db']:.2f} dB "
                f"| {p['decode_fps']:.0f} frames/s |"
            )
    return "\n".join(rows)


def write_table() -> None:
    """Put the table between the README's marks."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
