"""Whether files decode alike everywhere: threads, processors' instructions, versions of PyTorch.

    python benchmarks/platforms.py run [--python PYTHON ...]   into results/platforms.json
    python benchmarks/platforms.py report                      the table of docs/bitstream.md

Each setting is a process of its own, of this interpreter or of another environment's, that reads
the golden files and those written on a GPU: SHA-256 of all quantised weights and of the steps, and
a few decoded frames of each. Weights must be the same bit for bit, pixels within 1/255.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "platforms.json"
PAGE = ROOT / "docs" / "bitstream.md"
FILES = [
    *sorted((ROOT / "tests" / "golden").glob("*.inr")),
    *sorted((ROOT / "benchmarks" / "results" / "files_h100").glob("*.inr")),
]
FRAMES = 3  # of each file, evenly spread

# What is said, and the environment; kernels of older processors are chosen by these names.
SETTINGS: dict[str, dict[str, str]] = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "5 threads": {"OMP_NUM_THREADS": "5"},
    "AVX2 alone": {
        "OMP_NUM_THREADS": "2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "SSE4.1, no vectors of PyTorch's": {
        "OMP_NUM_THREADS": "2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
    },
}


def run(interpreters: list[str]) -> None:
    """Compare all settings with the first."""
    from inrcodec._provenance import commit, processor_name

    rows = []
    first: tuple[dict[str, str], dict[str, Any]] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for number, python in enumerate(interpreters):
            for name, environment in SETTINGS.items():
                path = Path(folder) / f"{number}-{name.replace(' ', '-')}.npz"
                told = decode_apart(python, environment, path)
                frames = dict(np.load(path))
                path.unlink()
                first = first or (told["weights"], frames)
                differing = [k for k, v in told["weights"].items() if v != first[0][k]]
                errors = [np.abs(frames[k].astype(int) - first[1][k]) for k in first[1]]
                changed = sum(int((error > 0).sum()) for error in errors)
                rows.append(
                    {
                        "setting": name,
                        **told["versions"],
                        "files": len(told["weights"]),
                        "files_with_other_weights": differing,
                        "largest_difference": max(int(error.max()) for error in errors),
                        "share_of_values_changed": changed / sum(error.size for error in errors),
                    }
                )
                print(rows[-1], file=sys.stderr, flush=True)
    result = {"commit": commit(), "processor": processor_name(), "settings": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def decode_apart(python: str, environment: dict[str, str], path: Path) -> dict[str, Any]:
    """Decode in a process of its own; frames go to an .npz file, the rest is returned."""
    command = [python, str(Path(__file__)), "decode", "--out", str(path)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | environment, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def decode(path: Path) -> None:
    """Print digests and versions, and save frames."""
    import torch

    from inrcodec import VideoDecoder
    from inrcodec._segment_codec import read_segment

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    weights, frames = {}, {}
    for file in FILES:
        digest = hashlib.sha256()
        with VideoDecoder(file, device="cpu") as decoder:
            for i in range(len(decoder.header.segments)):
                data, version = decoder._file.segment(i), decoder._file.version
                quantized = read_segment(decoder.segment_config(i), data, version=version)
                for tensor in (*quantized.symbols, *quantized.weights()):
                    digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
            spread = np.linspace(0, len(decoder) - 1, min(FRAMES, len(decoder))).astype(int)
            batch = decoder.get_frames_at(spread.tolist()).data
        weights[file.stem] = digest.hexdigest()
        frames[file.stem] = batch.numpy()
    np.savez(path, **frames)
    versions = {
        "python": ".".join(map(str, sys.version_info[:2])),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    print(json.dumps({"weights": weights, "versions": versions}))


def report() -> None:
    """Put the table between the page's marks."""
    from equal_time_report import between_marks

    result = json.loads(RESULT.read_text())
    lines = [
        "| setting | Python | PyTorch | NumPy | files with other weights | largest difference | "
        "values that differ |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["settings"]:
        cells = [
            *(row[name] for name in ("setting", "python", "torch", "numpy")),
            f"{len(row['files_with_other_weights'])} of {row['files']}",
            str(row["largest_difference"]),
            f"{1e6 * row['share_of_values_changed']:.1f} in a million",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"*{result['processor']}; commit {result['commit']}.*"]
    PAGE.write_text(between_marks(PAGE.read_text(), "platforms", lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("run", "decode", "report"))
    parser.add_argument(
        "--python", nargs="+", default=[], help="interpreters of other environments, too"
    )
    parser.add_argument("--out", type=Path, help="of decode: an .npz file")
    arguments = parser.parse_args()
    if arguments.action == "run":
        run([sys.executable, *arguments.python])
    elif arguments.action == "decode":
        decode(arguments.out)
    else:
        report()


if __name__ == "__main__":
    main()
