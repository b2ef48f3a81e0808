"""Where a step of a fit spends its time, and what share of the machine's peak it reaches.

    python benchmarks/step_profile.py run       profiles into benchmarks/results/step_profile*.json
    python benchmarks/step_profile.py report    tables of benchmarks/notes/step.md and gpu.md

On a CPU, steps of the very networks of files that `equal_time.py` kept (Bunny, 640x320, 0.05 bpp),
on a GPU of HNeRV's picture and values (1280x640, 1.5 million), on frames of noise, which cost what
others do. The peak is that of a large matrix product in the dtype of the fit. Operators are timed
by torch.profiler, whose own cost is taken out by scaling to the steps timed without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from equal_time_report import between_marks
from torch.profiler import ProfilerActivity, profile

from inrcodec import VideoDecoder
from inrcodec._provenance import commit, processor_name, software_versions
from inrcodec.fitting import recipe_config, resolve_device
from inrcodec.fitting._loop import _Fit
from inrcodec.models import align_widths, build, for_budget, macs_per_frame

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "benchmarks" / "results" / "files"
NUM_FRAMES = 132
FRAMES_HELD = 12  # of noise; more would only take memory
WARM_STEPS, TIMED_STEPS, PROFILED_STEPS = 10, 60, 20

HNERVPP: dict[str, Any] = {"model": "hnervpp", "recipe": "default", "precision": "auto"}
PAPER: dict[str, Any] = {"model": "hnerv", "recipe": "paper", "precision": "fp32"}
TUNED: dict[str, Any] = {
    "model": "hnerv",
    "recipe": "muon",
    "precision": "auto",
    "loss": "log_l2",
    "gradient_clip": 0.0,
    "batch_size": 2,
}
FINE = {**HNERVPP, "file": "newer-bunny-flagship-600s-seed0.inr"}


@dataclasses.dataclass(frozen=True)
class Place:
    """What is profiled on a kind of device, and where it is told."""

    name: str  # of the result and of the note
    height: int
    width: int
    num_params: int  # of networks that are of no file
    fits: dict[str, dict[str, Any]]
    groups: dict[str, tuple[str, ...]]  # the first that occurs in an operator's name
    peak_side: int  # of the matrices whose product is the peak

    @property
    def result(self) -> Path:
        """The JSON file."""
        return ROOT / "benchmarks" / "results" / f"{self.name}.json"


CPU = Place(
    "step_profile",
    320,
    640,
    268_000,
    {
        "flagship, fine shape": FINE,
        "Adam": {**FINE, "optimizer": "adam", "weight_decay": 0.0},
        "fp32": {**FINE, "precision": "fp32"},
        "quick shape": {**HNERVPP, "file": "avx2-bunny-flagship-120s-seed0.inr"},
        "hnerv, tuned": {**TUNED, "file": "bunny-hnerv-tuned-600s-seed0.inr"},
        "hnerv, paper's recipe, fp32": {**PAPER, "file": "bunny-hnerv-paper-600s-seed0.inr"},
    },
    {
        "convolutions, backward": ("convolution_backward",),
        "their weights, by products": ("bmm", "_ConvolutionBackward"),
        "convolutions, forward": ("convolution", "mkldnn"),
        "reading the canvas": ("grid_sampler",),
        "optimiser": ("Optimizer.step", "adam", "aten::mm", "addmm", "norm", "lerp"),
        "activations": ("gelu", "sigmoid", "tanh", "sin", "relu", "layer_norm"),
        "pixel shuffles": ("shuffle",),
        "bilinear skips": ("upsample",),
        "copies and conversions": ("copy", "index", "empty", "clone", "resize"),
    },
    peak_side=2048,
)
CUDA = Place(
    "step_profile_cuda",
    640,
    1280,
    1_500_000,
    {
        "hnervpp": {**HNERVPP, "model_settings": {"motion": 1, "margin": 32}},
        "hnerv, tuned": TUNED,
        "hnerv, paper's recipe, tf32": {**PAPER, "precision": "tf32"},
        "hnerv, paper's recipe, fp32": PAPER,
    },
    {  # of kernels' names
        "depthwise convolutions": ("_c1_k1_",),
        "convolutions, products": ("gemm", "xmma", "cutlass", "nvjet", "cudnn", "splitK", "conv"),
        "sums": ("reduce_kernel",),
        "reading the canvas": ("grid_sampler",),
        "copies and conversions": ("copy", "index", "Fill", "memset", "memcpy", "Cat"),
        "optimiser": ("multi_tensor_apply", "lerp"),
        "element by element": ("elementwise",),
    },
    peak_side=8192,
)


def run(place: Place, names: list[str], *, compiled: bool) -> None:
    """Profile some of the fits."""
    device = resolve_device("auto")
    here = {
        "commit": commit(),
        "versions": software_versions(),
        "processor": processor_name() if device.type == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
    }
    kept: dict[str, Any] = {"fits": {}}
    if place.result.exists():
        found = json.loads(place.result.read_text())
        kept = found if all(found[name] == value for name, value in here.items()) else kept
    fits = {name: profile_fit(place, device, **place.fits[name]) for name in names}
    if compiled:
        fits[names[0]] |= profile_compiled(place, device, **place.fits[names[0]])
    result = {**here, "fits": {**kept["fits"], **fits}}
    place.result.write_text(json.dumps(result, indent=1) + "\n")


def profile_fit(place: Place, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Time the steps of one fit, and its operators."""
    fit = made(place, device, **settings)
    milliseconds = 1e3 * seconds_of_step(fit)
    shares = _shares(fit, place)
    macs = macs_per_frame(fit.network.config)
    frames_a_step = fit.config.batch_size
    # A backward pass takes twice the products of a forward one; the encoder's are not counted.
    gflops = 6e-9 * macs * frames_a_step / (milliseconds / 1e3)
    peak = _peak_gflops(fit.dtype, device, place.peak_side, fit)
    found = {
        "milliseconds_a_step": round(milliseconds, 2),
        "frames_a_step": frames_a_step,
        "dtype": str(fit.dtype).removeprefix("torch."),
        "kmac_per_pixel": round(macs / (1e3 * place.height * place.width), 3),
        "decoder_gflops": round(gflops, 1),
        "peak_gflops": round(peak, 1),
        "share_of_peak": round(gflops / peak, 3),
        "milliseconds": {name: round(milliseconds * share, 2) for name, share in shares.items()},
    }
    if fit.graph is not None:
        fit.graph = None
        found["milliseconds_without_graph"] = round(1e3 * seconds_of_step(fit), 2)
    return found


def profile_compiled(place: Place, device: torch.device, **settings: Any) -> dict[str, Any]:
    """Time the steps of a fit whose network torch.compile has compiled, and the compiling."""
    fit = made(place, device, **settings)
    fit.network.forward = torch.compile(fit.network.forward, dynamic=False)  # type: ignore[method-assign]
    start = time.perf_counter()
    fit._computed(fit.order.batch(0))
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return {
        "milliseconds_compiled": round(1e3 * seconds_of_step(fit), 2),
        "seconds_to_compile": round(seconds, 1),
    }


def made(
    place: Place,
    device: torch.device,
    *,
    model: str,
    recipe: str,
    precision: str,
    file: str | None = None,
    model_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> _Fit:
    """Return a fit before its first step, of the network of a kept file or of one of this size."""
    torch.manual_seed(0)
    if file is not None:
        with VideoDecoder(FILES / file) as video:
            config = video.segment_config(0)
    else:
        config = for_budget(
            model,
            place.num_params,
            height=place.height,
            width=place.width,
            num_frames=NUM_FRAMES,
            **model_settings or {},
        )
    if device.type == "cuda":
        config = align_widths(config, 8)  # as an encode does
    shape = (FRAMES_HELD, 3, place.height, place.width)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8)
    frames = frames.repeat(-(-NUM_FRAMES // FRAMES_HELD), 1, 1, 1)[:NUM_FRAMES]
    fit_config = recipe_config(recipe, model, epochs=1000, precision=precision, **settings)
    fit = _Fit(frames, build(model, config), fit_config, num_bytes=1e6, device=device)
    fit.set_learning_rate(1.0)  # low: noise is nothing to learn
    return fit


def seconds_of_step(fit: _Fit) -> float:
    """Return the median seconds of a step, of a GPU the mean: it is waited for at the end alone."""
    for _ in range(WARM_STEPS):
        fit.step()
    if fit.device.type == "cuda":
        torch.cuda.synchronize(fit.device)
        start = time.perf_counter()
        for _ in range(TIMED_STEPS):
            fit.step()
        torch.cuda.synchronize(fit.device)
        return (time.perf_counter() - start) / TIMED_STEPS
    seconds = []
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        fit.step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _shares(fit: _Fit, place: Place) -> dict[str, float]:
    """Shares of a step's time by group of operators, the largest first."""
    on_cuda = fit.device.type == "cuda"
    activities = [ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(PROFILED_STEPS):
            fit.step()
        if on_cuda:
            torch.cuda.synchronize(fit.device)
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        group = next((g for g, ws in place.groups.items() if any(w in event.key for w in ws)), "")
        spent = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        times[group or "the rest"] += spent
    total = sum(times.values())
    return {name: spent / total for name, spent in times.most_common()}


def _peak_gflops(dtype: torch.dtype, device: torch.device, side: int, fit: _Fit) -> float:
    a = torch.randn(side, side, device=device).to(dtype)
    seconds = []
    with fit._exact():
        for _ in range(8):
            start = time.perf_counter()
            a @ a
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return 2e-9 * side**3 / min(seconds)


def report(place: Place, note: Path) -> None:
    """Put the table between the note's markers."""
    result = json.loads(place.result.read_text())
    note.write_text(between_marks(note.read_text(), "profile", ["", *_table(result), ""]))


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
        ("kernel by kernel", "milliseconds_without_graph", "{:.1f}"),
        ("compiled", "milliseconds_compiled", "{:.1f}"),
        ("seconds to compile", "seconds_to_compile", "{:.0f}"),
        ("frames a step", "frames_a_step", "{}"),
        ("decoder, kMAC/pixel", "kmac_per_pixel", "{:.2f}"),
        ("decoder, GFLOP/s", "decoder_gflops", "{:.0f}"),
        ("peak, GFLOP/s", "peak_gflops", "{:.0f}"),
        ("share of peak", "share_of_peak", "{:.0%}"),
    ):
        if not any(field in fit for fit in fits.values()):
            continue
        cells = [form.format(fit[field]) if field in fit else "" for fit in fits.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("action", choices=("run", "report"))
    parser.add_argument(
        "--fits", nargs="+", help="of these alone; others of the same machine and commit are kept"
    )
    parser.add_argument(
        "--compiled", action="store_true", help="on a GPU: the first of them compiled too"
    )
    arguments = parser.parse_args()
    notes = ROOT / "benchmarks" / "notes"
    if arguments.action == "run":
        place = CUDA if torch.cuda.is_available() else CPU
        compiled = arguments.compiled and place is CUDA
        run(place, arguments.fits or list(place.fits), compiled=compiled)
        return
    for place, name in ((CPU, "step.md"), (CUDA, "gpu.md")):
        if place.result.exists():
            report(place, notes / name)


if __name__ == "__main__":
    main()
