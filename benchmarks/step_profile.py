"""Where a step of a fit spends its time, and what share of the machine's peak it reaches.

    python benchmarks/step_profile.py run       profiles into benchmarks/results/step_profile.json
    python benchmarks/step_profile.py report    tables of benchmarks/notes/step.md

Steps of Bunny's size at 0.05 bpp (640x320, 268,000 stored values) on frames of noise, which cost
what others do. The peak is that of a large matrix product in the dtype of the fit. Operators are
timed by torch.profiler, whose own cost is taken out by scaling to the steps timed without it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from inrcodec._provenance import commit, processor_name, software_versions
from inrcodec.fitting import recipe_config, resolve_device
from inrcodec.fitting._loop import _Fit
from inrcodec.models import build, for_budget, macs_per_frame

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "step_profile.json"
NOTE = ROOT / "benchmarks" / "notes" / "step.md"

FITS = {
    "hnervpp": {"model": "hnervpp", "recipe": "default", "precision": "auto"},
    "hnervpp, Adam": {
        "model": "hnervpp",
        "recipe": "default",
        "precision": "auto",
        "optimizer": "adam",
    },
    "hnervpp, fp32": {"model": "hnervpp", "recipe": "default", "precision": "fp32"},
    "hnerv": {"model": "hnerv", "recipe": "default", "precision": "auto"},
    "hnerv, paper's recipe, fp32": {"model": "hnerv", "recipe": "paper", "precision": "fp32"},
}
HEIGHT, WIDTH, NUM_FRAMES, NUM_PARAMS = 320, 640, 132, 268_000
FRAMES_HELD = 16  # of noise; more would only take memory
WARM_STEPS, TIMED_STEPS, PROFILED_STEPS = 10, 60, 20
PEAK_SIDE = 2048

# The first that occurs in an operator's name.
GROUPS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution", "mkldnn"),
    "optimiser": ("Optimizer.step", "adam", "aten::mm", "addmm", "norm", "lerp"),
    "activations": ("gelu", "sigmoid", "tanh", "sin", "relu", "layer_norm"),
    "pixel shuffles": ("shuffle",),
    "bilinear skips": ("upsample",),
    "copies and conversions": ("copy", "index", "empty", "clone", "resize"),
}


def run() -> None:
    """Profile all fits."""
    device = resolve_device("auto")
    result = {
        "commit": commit(),
        "versions": software_versions(),
        "processor": processor_name() if device.type == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "fits": {name: profile_fit(device, **fit) for name, fit in FITS.items()},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def profile_fit(
    device: torch.device, *, model: str, recipe: str, precision: str, **settings: Any
) -> dict[str, Any]:
    """Time the steps of one fit, and its operators."""
    torch.manual_seed(0)
    shape = {"height": HEIGHT, "width": WIDTH, "num_frames": NUM_FRAMES}
    config = for_budget(model, NUM_PARAMS, **shape)
    frames = torch.randint(0, 256, (FRAMES_HELD, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    frames = frames.repeat(-(-NUM_FRAMES // FRAMES_HELD), 1, 1, 1)[:NUM_FRAMES]
    fit_config = recipe_config(recipe, model, epochs=1000, precision=precision, **settings)
    fit = _Fit(frames, build(model, config), fit_config, num_bytes=1e6, device=device)
    for _ in range(WARM_STEPS):
        fit.step()
    milliseconds = 1e3 * statistics.median(_seconds_of_step(fit) for _ in range(TIMED_STEPS))
    shares = _shares(fit)
    frames_a_step = fit_config.batch_size
    # A backward pass takes twice the products of a forward one; the encoder's are not counted.
    gflops = 6e-9 * macs_per_frame(config) * frames_a_step / (milliseconds / 1e3)
    peak = _peak_gflops(fit.dtype, device)
    return {
        "milliseconds_a_step": round(milliseconds, 2),
        "frames_a_step": frames_a_step,
        "dtype": str(fit.dtype).removeprefix("torch."),
        "kmac_per_pixel": round(macs_per_frame(config) / (1e3 * HEIGHT * WIDTH), 3),
        "decoder_gflops": round(gflops, 1),
        "peak_gflops": round(peak, 1),
        "share_of_peak": round(gflops / peak, 3),
        "milliseconds": {name: round(milliseconds * share, 2) for name, share in shares.items()},
    }


def _seconds_of_step(fit: _Fit) -> float:
    start = time.perf_counter()
    fit.step()
    if fit.device.type == "cuda":
        torch.cuda.synchronize(fit.device)
    return time.perf_counter() - start


def _shares(fit: _Fit) -> dict[str, float]:
    """Shares of a step's time by group of operators, the largest first."""
    on_cuda = fit.device.type == "cuda"
    activities = [ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(PROFILED_STEPS):
            fit.step()
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        group = next((g for g, words in GROUPS.items() if any(w in event.key for w in words)), "")
        spent = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        times[group or "the rest"] += spent
    total = sum(times.values())
    return {name: spent / total for name, spent in times.most_common()}


def _peak_gflops(dtype: torch.dtype, device: torch.device) -> float:
    a = torch.randn(PEAK_SIDE, PEAK_SIDE, device=device).to(dtype)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2e-9 * PEAK_SIDE**3 / min(seconds)


def report() -> None:
    """Put the table between the note's markers."""
    result = json.loads(RESULT.read_text())
    begin, end = "<!-- profile: begin -->", "<!-- profile: end -->"
    before, rest = NOTE.read_text().split(begin)
    lines = "\n".join(["", *_table(result), ""])
    NOTE.write_text(before + begin + "\n" + lines + "\n" + end + rest.split(end)[1])


def _table(result: dict[str, Any]) -> list[str]:
    fits = result["fits"]
    groups = list(dict.fromkeys(g for fit in fits.values() for g in fit["milliseconds"]))
    lines = [
        f"{result['processor']}, {result['threads']} threads, commit {result['commit']}.",
        "",
        f"| ms a step | {' | '.join(fits)} |",
        "|---" * (len(fits) + 1) + "|",
    ]
    for group in groups:
        cells = [f"{fit['milliseconds'].get(group, 0):.1f}" for fit in fits.values()]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    for title, field, form in (
        ("all", "milliseconds_a_step", "{:.1f}"),
        ("frames a step", "frames_a_step", "{}"),
        ("decoder, kMAC/pixel", "kmac_per_pixel", "{:.2f}"),
        ("decoder, GFLOP/s", "decoder_gflops", "{:.0f}"),
        ("peak, GFLOP/s", "peak_gflops", "{:.0f}"),
        ("share of peak", "share_of_peak", "{:.0%}"),
    ):
        cells = [form.format(fit[field]) for fit in fits.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("action", choices=("run", "report"))
    arguments = parser.parse_args()
    run() if arguments.action == "run" else report()


if __name__ == "__main__":
    main()
