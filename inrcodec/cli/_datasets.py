"""`inrcodec datasets [NAME]`: the clips known by name, where they lie, how to get them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from inrcodec.cli import _parser as p
from inrcodec.cli._fetch import fetch_all


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "datasets",
        help="list the clips that are known by name, or download them",
        description="List the clips that are known by name: where they lie, how to get them; with "
        "NAME, one clip or a group such as uvg.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="bunny, uvg, uvg/beauty, ...")
    parser.add_argument(
        "--fetch", action="store_true", help="download what is not there, or make it"
    )
    parser.add_argument(
        "--keep-archive",
        action="store_true",
        help="with --fetch: keep what was downloaded beside the clip",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the data folder (default: $INRCODEC_DATA, else the platform's cache folder); encode "
        "and eval look into the default one",
    )
    parser.add_argument("--json", action="store_true")
    p.add_verbosity(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a table, or one clip in detail; download first where asked to."""
    from inrcodec import datasets

    if arguments.keep_archive and not arguments.fetch:
        raise ValueError("--keep-archive goes with --fetch")
    if not arguments.name:
        if arguments.fetch:
            raise ValueError("--fetch takes a NAME, such as uvg or uvg/beauty")
        names = datasets.names()
    else:
        names = datasets.groups().get(arguments.name) or [datasets.entry(arguments.name).name]
    failures = []
    if arguments.fetch:
        failures = fetch_all(
            names,
            root=arguments.root,
            keep_archive=arguments.keep_archive,
            quiet=arguments.quiet,
        )
    _print(_records(names, arguments.root), arguments, is_one=arguments.name in names)
    for failure in failures:
        print(f"inrcodec: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _print(records: list[dict[str, Any]], arguments: argparse.Namespace, *, is_one: bool) -> None:
    from inrcodec import datasets

    if arguments.json:
        print(json.dumps(records[0] if is_one else records, indent=2))
    elif is_one:
        _print_detail(records[0])
    else:
        _print_table(records)
        print(f"\ndata folder: {datasets.data_folder(arguments.root)}")


def _records(names: list[str], root: str | None) -> list[dict[str, Any]]:
    """What is known of each clip and where it lies, as plain data."""
    from inrcodec import datasets

    files = datasets.locate(names, root=root)
    records = []
    for name in names:
        found = datasets.entry(name)
        file, problem = files.get(name), None
        if file is not None:
            problem = _problem(name, file, root)
        records.append(
            {
                "name": name,
                "group": found.group or None,
                "title": found.title,
                "width": found.width,
                "height": found.height,
                "frames": found.num_frames,
                "fps": None if found.fps is None else float(found.fps),
                "pixel_format": found.pixel_format,
                "bytes": found.size_bytes,
                "licence": found.licence,
                "page": found.page or None,
                "path": None if file is None or problem else str(file),
                "problem": problem,
                "sha256": found.sha256,
                "sha256_when_unpacked": file and datasets.recorded_sha256(file),
                "how_to_get": found.how_to_get_in(root),
            }
        )
    return records


def _problem(name: str, file: Path, root: str | None) -> str | None:
    from inrcodec import datasets
    from inrcodec.errors import DatasetError

    try:
        datasets.verify(name, file, root=root)
    except DatasetError as exc:
        return str(exc)
    return None


def _where(record: dict[str, Any]) -> str:
    """Where a clip lies, what is wrong with its file, or the command that gets it."""
    return str(record["path"] or record["problem"] or record["how_to_get"])


def _print_table(records: list[dict[str, Any]]) -> None:
    """Print one line a clip, groups apart."""
    widths = [max(len(record[key]) for record in records) for key in ("name", "licence")]
    line = f"{{:{widths[0]}}} {{:>9}} {{:>6}} {{:>9}}  {{:{widths[1]}}}  {{}}"
    print(
        line.format("name", "size", "frames", "bytes", "licence", "where it is, or how to get it")
    )
    group = None
    for record in records:
        if record["group"] != group and len({r["group"] for r in records}) > 1:
            print()
        group = record["group"]
        size = f"{record['width']}x{record['height']}"
        num_bytes = "-" if record["bytes"] is None else _short_bytes(record["bytes"])
        cells = (record["name"], size, record["frames"], num_bytes, record["licence"])
        print(line.format(*cells, _where(record)))


def _print_detail(record: dict[str, Any]) -> None:
    """Print all that is known of one clip."""
    rows = {
        "name": record["name"],
        "title": record["title"],
        "size": f"{record['width']}x{record['height']}",
        "frames": record["frames"],
        "raw": record["pixel_format"] and f"{record['pixel_format']}, {record['fps']:g} frames/s",
        "bytes": record["bytes"],
        "SHA-256": record["sha256"],
        "SHA-256 when unpacked": record["sha256_when_unpacked"],
        "licence": record["licence"],
        "page": record["page"],
        "file": record["path"] or record["problem"] or "not on this machine",
        "how to get": record["how_to_get"],
    }
    rows = {label: value for label, value in rows.items() if value is not None}
    width = max(map(len, rows))
    for label, value in rows.items():
        print(f"{label:{width}}  {value}")


def _short_bytes(num_bytes: int) -> str:
    """Bytes in three figures: 1.06 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes / 1000:.0f} kB"
