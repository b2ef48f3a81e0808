"""One point of `equal_time.py`: encoded, its decoder timed, all that its record states.

In: a point, which says what to encode with. Out: its record. The trace is of the fit, as it went:
seconds since it began, PSNR of recent batches, whether those went through the quantiser. The PSNR
that counts is of what decodes from the file.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from equal_time_records import Record, machine_busy_seconds, sha256_of

from inrcodec._provenance import processor_name

if TYPE_CHECKING:
    from inrcodec import EncodeReport
    from inrcodec.fitting import FitProgress

SCRIPT = Path(__file__).with_name("equal_time.py")
TRACE_ENTRIES = 200  # at most

Point = dict[str, Any]
Trace = list[tuple[float, float, bool]]


def measure_apart(point: Point, *, threads: int, keep_files: Path | None) -> Record:
    """Measure a point in a process of its own.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, str(SCRIPT), "point", json.dumps(point), "--threads", str(threads)]
    if keep_files is not None:
        command += ["--keep-files", str(keep_files)]
    limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | limits, check=True
    )
    record: Record = json.loads(done.stdout)
    return record


def measure(point: Point, *, threads: int, keep_files: Path | None = None) -> Record:
    """Encode, and time the decoder; in the process of the point."""
    import torch

    torch.set_num_threads(threads)
    trace: Trace = []

    def on_progress(at: FitProgress) -> None:
        if math.isfinite(at.psnr_db) and not at.coarse:
            trace.append((round(at.seconds, 1), round(at.psnr_db, 3), at.quantized))

    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(dir=keep_files) as folder:
        path = Path(folder) / file_name(point)
        watch = _Watch()
        with _changed(point.get("constants", {})):
            report = _encode(point, path, on_progress)
        quiet = watch.stop()
        decoding = _time_decoder(path)
        digest = sha256_of(path)
        if keep_files is not None:
            path.replace(keep_files / path.name)
    reported = report.to_dict()
    del reported["path"], reported["preset"]  # the default, where the point names none
    return {
        **reported,
        "computed_in": reported["precision"],
        **point,
        **decoding,
        "processor": processor_name(),
        "threads": threads,
        "date": date,
        "quiet": quiet,
        "sha256": digest,
        "file": None if keep_files is None else file_name(point),
        "trace": thinned(trace),
    }


def file_name(point: Point) -> str:
    """The name under which a point's file is kept."""
    told = budget(point).replace(" ", "")
    name = "{clip}-{variant}-{budget}-seed{seed}.inr".format(**point, budget=told)
    return name.replace("/", "-").replace(" ", "-")


def budget(point: Point) -> str:
    """How long a fit is, of a point or record: `120 s`, or `60 epochs` where no time bounds it."""
    if point["budget_seconds"] is None:
        return f"{point['epochs']} epochs"
    return f"{point['budget_seconds']:g} s"


def thinned(trace: Trace, most: int = TRACE_ENTRIES) -> Trace:
    """Return every n-th entry, the last one among them."""
    stride = max(1, math.ceil(len(trace) / most))
    return trace[::-1][::stride][::-1]


def _encode(point: Point, path: Path, on_progress: Callable[[FitProgress], None]) -> EncodeReport:
    import inrcodec

    cut = {"crop": point["crop"], "resize": point["resize"], "frames": point["frame_range"]}
    return inrcodec.encode(
        point.get("source", point["clip"]),
        path,
        **_with_tuples(cut),
        size_bytes=point["size_bytes"],
        time_seconds=point["budget_seconds"],
        epochs=point.get("epochs"),
        audio=False,
        model=point["model"],
        recipe=point["recipe"],
        precision=point["precision"],
        seed=point["seed"],
        fit_settings=_with_tuples(point["fit_settings"]) or None,
        model_settings=_with_tuples(point["model_settings"]) or None,
        bits_per_parameter=point.get("bits_wished"),
        **({"preset": point["preset"]} if "preset" in point else {}),
        on_progress=on_progress,
    )


@contextmanager
def _changed(constants: dict[str, float]) -> Iterator[None]:
    """Give constants of the fit's rate control other values: those that no setting has."""
    with ExitStack() as stack:
        for name, value in constants.items():
            stack.enter_context(patch(f"inrcodec.fitting._rate_control.{name}", value))
        yield


def _with_tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as Python has them: JSON has lists only."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def _time_decoder(path: Path) -> dict[str, Any]:
    """Decode all frames in order, fp32, once the weights are there."""
    import inrcodec

    with inrcodec.VideoDecoder(path) as decoder:
        decoder[0]
        start = time.perf_counter()
        decoder[:].cpu()
        decode_seconds = time.perf_counter() - start
        return {
            "decode_seconds": decode_seconds,
            "decode_fps": len(decoder) / decode_seconds,
            "hyper_parameters": decoder.segment_config(0).to_dict(),
        }


class _Watch:
    """How quiet the machine is: the time that passes, and who uses its cores."""

    def __init__(self) -> None:
        self.load_average = os.getloadavg()[0]
        self.busy = machine_busy_seconds()
        self.wall, self.own = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, float | None]:
        wall, own = time.perf_counter() - self.wall, time.process_time() - self.own
        busy = machine_busy_seconds()
        others = None if self.busy is None or busy is None else max(0.0, busy - self.busy - own)
        return {
            "load_average_before": self.load_average,
            "wall_seconds": wall,
            "cpu_seconds": own,
            "others_cpu_seconds": others,  # of the whole machine, but for this process
        }
