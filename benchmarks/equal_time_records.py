"""Records of `equal_time.py`: where they are kept, what makes them credible, whether files agree.

The result is one JSON file, a line a record: `{"machine": ..., "points": [...]}`. All records of it
are of one machine and number of threads, for without that no times are equal.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from inrcodec._provenance import processor_name
from inrcodec.errors import EvaluationError

ROOT = Path(__file__).resolve().parents[1]
PSNR_TOLERANCE_DB = 0.01
NOISY_CORES = 0.1  # of other processes, on average over an encode
STARVED_SHARE = 0.9  # of its cores that a fit must have got

Record = dict[str, Any]


def machine(threads: int) -> dict[str, Any]:
    """What points are measured on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    cores = os.cpu_count()
    return {"device": device, "processor": processor_name(), "cores": cores, "threads": threads}


def load(path: Path, here: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the result so far.

    Args:
        path: of the result; it need not be there.
        here: what is to be measured on; None for records that are only read.

    Raises:
        EvaluationError: the records are of another machine or number of threads.
    """
    if not path.exists():
        return {"machine": here, "points": []}
    result: dict[str, Any] = json.loads(path.read_text())
    if here is not None and result["machine"] != here:
        raise EvaluationError(
            f"{path}: its points are of {result['machine']}, not of {here}, at which times are not "
            "equal; take another --threads, or another --result"
        )
    return result


def save(path: Path, record: Record, here: dict[str, Any]) -> None:
    """Put a record in the place of what was measured there, while others may be doing the same."""
    from inrcodec.bitstream import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        records = [r for r in load(path, here)["points"] if place(r) != place(record)]
        lines = [json.dumps(r) for r in sorted([*records, record], key=place)]
        text = f'{{"machine": {json.dumps(here)},\n"points": [\n' + ",\n".join(lines) + "\n]}\n"
        write_atomically(path, text.encode())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder itself, so that no file of a lock stays."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def place(record: Record) -> tuple[Any, ...]:
    """What tells records apart."""
    return tuple(record[name] for name in ("clip", "variant", "budget_seconds", "seed"))


def complaint(record: Record) -> str:
    """What is wrong with a record, or nothing."""
    said = []
    quiet, seconds = record["quiet"], record["quiet"]["wall_seconds"]
    if record["bytes"] > record["size_bytes"]:
        said.append(f"{record['bytes']} bytes are more than {record['size_bytes']}")
    if record["budget_seconds"] is None:
        return ", ".join(said)  # as many epochs come out alike on a busy machine
    if record["seconds"]["total"] > record["budget_seconds"]:
        said.append(f"{record['seconds']['total']:.1f} s are over its time")
    if (quiet["others_cpu_seconds"] or 0) > NOISY_CORES * seconds:
        said.append(f"others took {quiet['others_cpu_seconds'] / seconds:.2f} cores meanwhile")
    if record["device"].startswith("cpu") and cpu_share(record) < STARVED_SHARE:
        said.append(f"it had {100 * cpu_share(record):.0f} % of its cores")
    return ", ".join(said)


def cpu_share(record: Record) -> float:
    """CPU seconds that an encode had, of those it could have had."""
    quiet = record["quiet"]
    return float(quiet["cpu_seconds"] / (quiet["wall_seconds"] * record["threads"]))


def machine_busy_seconds() -> float | None:
    """CPU seconds since boot of all processes on the cores that this one may use.

    The hypervisor's share counts too. None where unknown.
    """
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    except (OSError, AttributeError):
        return None
    ticks = [
        sum(map(int, parts[1:9])) - sum(map(int, parts[4:6]))  # idle, waiting for a disk
        for line in lines
        if (parts := line.split()) and parts[0] in ours
    ]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if len(ticks) == len(ours) else None


def code_commit() -> str | None:
    """The commit of the code that runs; results and docs, which a run changes, do not count."""
    kept = [":(exclude)benchmarks/results", ":(exclude)docs"]
    try:
        at = subprocess.run(
            ["git", "describe", "--always"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", *kept], cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{at}-dirty" if differs.returncode else at


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verify(records: Sequence[Record], folder: Path) -> dict[str, str]:
    """Compare the kept files with their records; returns by file what is wrong, or ""."""
    of_file = {record["file"]: record for record in records if record["file"]}
    found = {
        path.name: verify_file(path, of_file[path.name]) if path.name in of_file else "no record"
        for path in sorted(folder.glob("*.inr"))
    }
    return {**dict.fromkeys(sorted(of_file.keys() - found.keys()), "no such file"), **found}


def verify_file(path: Path, record: Record) -> str:
    if path.stat().st_size != record["bytes"]:
        return f"{path.stat().st_size} bytes, recorded are {record['bytes']}"
    if sha256_of(path) != record["sha256"]:
        return "another SHA-256 than recorded"
    found = decoded_psnr_db(path, record)
    if abs(found - record["psnr_db"]) > PSNR_TOLERANCE_DB:
        return f"{found:.3f} dB, recorded are {record['psnr_db']:.3f}"
    return ""


def decoded_psnr_db(path: Path, record: Record) -> float:
    """PSNR in RGB of what decodes from the file, per frame, then averaged."""
    import torch

    from inrcodec import VideoDecoder
    from inrcodec.metrics import psnr_db

    parts = (record[name] for name in ("crop", "resize", "frame_range"))
    source = record.get("source", record["clip"])
    frames = source_frames(source, *(tuple(p) if isinstance(p, list) else p for p in parts))
    with VideoDecoder(path) as decoder:
        if len(decoder) != len(frames):
            raise EvaluationError(f"{path}: {len(decoder)} frames, the clip has {len(frames)}")
        spans = [slice(start, start + 8) for start in range(0, len(decoder), 8)]
        return torch.cat([psnr_db(decoder[s].cpu(), frames[s]) for s in spans]).mean().item()


@lru_cache(maxsize=1)
def source_frames(source: str, crop: Any, resize: Any, frame_range: Any) -> Any:
    """Frames as `encode` reads them, `(N, 3, H, W)` uint8."""
    from inrcodec._source import SourceOptions, read_source

    options = SourceOptions(frames=frame_range, resize=resize, crop=crop, audio=False)
    return read_source(source, options, progress=lambda frames, _: frames).frames
