"""How far a file's size is from what its own probabilities say: all kept files.

    python benchmarks/estimates.py            measures the files of benchmarks/results/files*
    python benchmarks/estimates.py report     prints the committed result

`expected_bytes` are those of everything but the payloads, and of these what all symbols take by
the probabilities of their tables. `entropy_bytes` have in its place the empirical entropy of the
symbols that share a table, as if tables fitted perfectly. What `xz -9` would save of the file is in
`xz_saves_bytes`.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path
from typing import Any

from inrcodec._info import describe
from inrcodec._provenance import commit, software_versions

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "estimates.json"
_PAYLOADS = ("decoder", "embeddings")


def measure(path: Path) -> dict[str, Any]:
    """Compare a file with what it is expected to take."""
    told = describe(path)
    payloads = sum(told["sizes"].get(name, 0) for name in _PAYLOADS)
    rest = told["bytes"] - payloads
    by_tables = sum(tensor["bits"] for tensor in told["tensors"].values()) / 8
    return {
        "file": path.name,
        "bytes": told["bytes"],
        "expected_bytes": round(rest + by_tables, 1),
        "entropy_bytes": round(rest + told["empirical_entropy_bytes"], 1),
        "xz_saves_bytes": max(0, told["bytes"] - len(lzma.compress(path.read_bytes(), preset=9))),
    }


def report(result: dict[str, Any]) -> None:
    """Print how far files are from both."""
    files = result["files"]
    for name in ("expected_bytes", "entropy_bytes"):
        beyond = [100 * (record["bytes"] / record[name] - 1) for record in files]
        mean = sum(beyond) / len(beyond)
        print(
            f"{len(files)} files are {min(beyond):+.2f} % to {max(beyond):+.2f} % beyond "
            f"{name}, {mean:+.2f} % on average"
        )
    saved = max(record["xz_saves_bytes"] / record["bytes"] for record in files)
    print(f"xz -9 saves {100 * saved:.2f} % at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    arguments = parser.parse_args()
    if arguments.command == "run":
        paths = sorted(RESULTS.glob("files*/*.inr"))
        about = {"versions": software_versions(), "commit": commit()}
        lines = ",\n".join(json.dumps(measure(path)) for path in paths)
        arguments.result.write_text(f'{json.dumps(about)[:-1]},\n"files": [\n{lines}\n]}}\n')
    report(json.loads(arguments.result.read_text()))


if __name__ == "__main__":
    main()
