"""`inrcodec compare REF A [B...]`: scores of videos or `.inr` files against a reference."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inrcodec.cli import _evaluation as e
from inrcodec.cli import _parser as p
from inrcodec.cli import _source_options as source

if TYPE_CHECKING:
    from pathlib import Path

    from inrcodec.evaluation._points import EvalPoint

_METRICS = "psnr_rgb,psnr_yuv,ssim,ms_ssim,vmaf"


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "compare",
        help="score videos or .inr files against a reference",
        description="Score videos or .inr files against a reference, frame by frame: a table, and "
        "with --html a page with the frames side by side.",
    )
    parser.add_argument("reference", metavar="REF", help="a source as for encode, or an .inr file")
    parser.add_argument("videos", metavar="A", nargs="+", help="likewise, of REF's frames and size")
    parser.set_defaults(run=run)
    parser.add_argument("--html", metavar="FILE", help="write a page with frames and curves")
    parser.add_argument("--json", action="store_true", help="print all scores as JSON")
    parser.add_argument(
        "--metrics",
        type=e.names,
        default=e.names(_METRICS),
        metavar="A,B",
        help=f"default {_METRICS}; also psnr_y, xpsnr, lpips",
    )
    p.add_device(parser)
    group = parser.add_argument_group(
        "part of REF",
        "--frames cuts an A of another number of frames too, --crop and --resize one of another "
        "size.",
    )
    source.add_source(group)


def run(arguments: argparse.Namespace) -> int:
    """Score, print the table, and write the page."""
    import tempfile
    from pathlib import Path

    from inrcodec.evaluation._extras import require_extra

    raw = source.raw_format(arguments)
    if arguments.html:
        require_extra("eval", "--html")
        _check_writable(Path(arguments.html))
    from inrcodec.evaluation._compare import compare

    with tempfile.TemporaryDirectory(prefix="inrcodec-compare-") as folder:
        points = compare(
            arguments.reference,
            arguments.videos,
            Path(folder),
            frames=arguments.frames,
            resize=arguments.resize,
            crop=arguments.crop,
            raw=raw,
            metrics=arguments.metrics,
            device=arguments.device,
            snapshots=bool(arguments.html),
        )
        _print(points, as_json=arguments.json)
        if arguments.html:
            _write_page(points, Path(arguments.html), folder=Path(folder))
    return 0


def _check_writable(path: Path) -> None:
    """Check that a page can be written, before hours go into what it shows.

    Raises:
        EvaluationError: it cannot.
    """
    from inrcodec._output import probe_folder
    from inrcodec.errors import EvaluationError

    if path.is_dir():
        raise EvaluationError(f"--html {path}: is a folder")
    try:
        probe_folder(path)
    except OSError as exc:
        raise EvaluationError(f"--html {path}: cannot be written: {exc.strerror}") from exc


def _print(points: Sequence[EvalPoint], *, as_json: bool) -> None:
    from dataclasses import asdict

    from inrcodec.evaluation._compare import table

    if as_json:
        names = ("codec", "bytes", "bpp", "metrics", "per_frame")
        print(json.dumps([{n: asdict(x)[n] for n in names} for x in points], indent=1))
    else:
        print(p.printable(f"{points[0].label}\n\n{table(points)}"))
    sys.stdout.flush()


def _write_page(points: Sequence[EvalPoint], path: Path, *, folder: Path) -> None:
    from inrcodec.errors import EvaluationError
    from inrcodec.evaluation.report import write_report

    title = f"{len(points)} video{'s' * (len(points) > 1)} against {points[0].clip}"
    try:
        write_report(points, path, out=folder, anchor="", title=title, kind="compare")
    except OSError as exc:
        raise EvaluationError(f"--html {path}: cannot be written: {exc.strerror}") from exc
