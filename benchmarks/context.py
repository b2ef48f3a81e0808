"""What coding embeddings in context saves: kept files, packed anew with it and without.

    python benchmarks/context.py            measures the files of benchmarks/results/files
    python benchmarks/context.py report     prints the committed result as a table

The integers of a file are the same in both; only how they are coded differs. Seconds are the
fastest of some passes, on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from inrcodec import VideoDecoder
from inrcodec._provenance import commit, processor_name, software_versions
from inrcodec._segment_codec import embedding_grid, read_segment, tensor_layout
from inrcodec.bitstream import InrFile, unpack_segment
from inrcodec.bitstream._segment import pack_in_context, pack_plain

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "context.json"
PASSES = 3
WAYS = ("plain", "in_context")


def measure(path: Path) -> dict[str, Any] | None:
    """Pack the first segment of a file both ways; None where its network has no embeddings."""
    with VideoDecoder(path, device="cpu") as decoder, InrFile(path) as file:
        config, data, rest = decoder.segment_config(0), file.segment(0), file.num_bytes
    quantized = read_segment(config, data, version=file.version)
    _, sizes, groups = tensor_layout(config)
    grid = embedding_grid(config)
    if grid is None:
        return None
    rest -= len(data)
    record: dict[str, Any] = {"file": path.name, "grid": grid, "channels": groups[1]}
    record["embeddings"] = sum(sizes[groups[0] :])
    for way, pack in zip(WAYS, (pack_plain, pack_in_context), strict=True):
        seconds, packed = fastest(partial(pack, quantized, groups, grid))
        if packed is None:
            raise SystemExit(f"{path.name}: no room for its tables in context")
        unpack_seconds, symbols = fastest(partial(unpack_segment, packed, sizes, groups, grid=grid))
        if [s.tolist() for s in symbols.symbols] != [s.tolist() for s in quantized.symbols]:
            raise SystemExit(f"{path.name}: other symbols came back")
        record[way] = {
            "file_bytes": rest + len(packed),
            "pack_seconds": seconds,
            "unpack_seconds": unpack_seconds,
        }
    return record


def fastest(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest of some passes, and what it gives."""
    best, given = float("inf"), None
    for _ in range(PASSES):
        start = time.perf_counter()
        given = action()
        best = min(best, time.perf_counter() - start)
    return best, given


def report(result: dict[str, Any]) -> None:
    """Print the table."""
    print("| file | embeddings | bytes | in context | saved | unpacked in | in context |")
    print("|---|---|---|---|---|---|---|")
    for record in result["files"]:
        plain, context = (record[way] for way in WAYS)
        saved = 1 - context["file_bytes"] / plain["file_bytes"]
        cells = [record["file"], record["embeddings"], plain["file_bytes"], context["file_bytes"]]
        cells += [f"{saved:.1%}"]
        cells += [f"{way['unpack_seconds']:.3f} s" for way in (plain, context)]
        print("|", " | ".join(map(str, cells)), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--files", type=Path, default=RESULTS / "files", metavar="DIR")
    parser.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    arguments = parser.parse_args()
    if arguments.command == "run":
        records = [record for p in sorted(arguments.files.glob("*.inr")) if (record := measure(p))]
        lines = ",\n".join(map(json.dumps, records))
        about = {
            "processor": processor_name(),
            "versions": software_versions(),
            "commit": commit(),
        }
        arguments.result.write_text(f'{json.dumps(about)[:-1]},\n"files": [\n{lines}\n]}}\n')
    report(json.loads(arguments.result.read_text()))


if __name__ == "__main__":
    main()
