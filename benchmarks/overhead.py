"""What of a file is neither weights nor embeddings: header, index, framing, side information.

    python benchmarks/overhead.py    writes results/overhead.json

The files that this repository keeps are coded again, their integers as they are, by the format
version of today, and each part of both is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from inrcodec import VideoDecoder
from inrcodec._info import describe
from inrcodec._provenance import commit
from inrcodec._segment_codec import (
    embedding_grid,
    most_segment_bytes,
    read_segment,
    tensor_layout,
)
from inrcodec.bitstream import VERSION, InrFile, file_bytes, pack_segment, write_atomically

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "overhead.json"
FOLDERS = ("files", "files_1280", "files_h100")
PAYLOADS = ("decoder", "embeddings", "audio")


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    code = commit()  # before the result makes the tree differ
    paths = sorted(path for folder in FOLDERS for path in (RESULTS / folder).glob("*.inr"))
    files = []
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "again.inr"
        for path in paths:
            again.write_bytes(coded_again(path))
            before, after = (describe(each) for each in (path, again))
            files.append(
                {
                    "file": str(path.relative_to(RESULTS)),
                    "model": before["model"],
                    "tensors": len(before["tensors"]),
                    "kept": parts(before),
                    "again": parts(after),
                }
            )
            print(f"{path.name}: {files[-1]['kept']} -> {files[-1]['again']}", file=sys.stderr)
    result = {"commit": code, "format_version": VERSION, "files": files}
    write_atomically(RESULT, (json.dumps(result, indent=1) + "\n").encode())


def coded_again(path: Path) -> bytes:
    """Return a file with the integers of another one, which has no audio."""
    with VideoDecoder(path, device="cpu") as video, InrFile(path) as file:
        segments = []
        for i in range(len(video.header.segments)):
            config = video.segment_config(i)
            data = file.segment(i, max_bytes=most_segment_bytes(config))
            quantized = read_segment(config, data, version=file.version)
            _, _, groups = tensor_layout(config)
            segments.append(pack_segment(quantized, groups, grid=embedding_grid(config)))
        return file_bytes(video.header, segments)


def parts(described: dict[str, Any]) -> dict[str, int]:
    """Return a file's version, its bytes, and those that are no payload."""
    rest = {name: size for name, size in described["sizes"].items() if name not in PAYLOADS}
    return {
        "version": described["format_version"],
        "bytes": described["bytes"],
        **rest,
        "overhead": sum(rest.values()),
    }


if __name__ == "__main__":
    main()
