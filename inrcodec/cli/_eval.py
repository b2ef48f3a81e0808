"""`inrcodec eval SRC...`: rate-distortion curves against other codecs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from inrcodec.cli import _eval_options as o
from inrcodec.cli import _evaluation as e
from inrcodec.cli import _parser as p
from inrcodec.cli import _source_options as source
from inrcodec.errors import EvaluationError

_CODECS = "hnerv,nervpp,hnervpp,x264,x265,svtav1,vvenc"
_METRICS = "psnr_rgb,psnr_yuv,ms_ssim,vmaf"


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "eval",
        help="measure rate-distortion curves against other codecs, with plots and a report",
        description="Measure rate-distortion curves of networks and of other codecs. Points that "
        "the folder has already are kept: the same command goes on where it was interrupted.",
    )
    parser.add_argument("sources", metavar="SRC", nargs="+", help="as for encode")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.set_defaults(run=run)
    _add_codecs(parser.add_argument_group("codecs and points"))
    _add_fit(parser.add_argument_group("fit of a point of ours"))
    source.add_source(parser.add_argument_group("source"))
    _add_results(parser.add_argument_group("results"))
    _add_work(parser.add_argument_group("work"))
    p.add_verbosity(parser)


def _add_codecs(group: Any) -> None:
    group.add_argument(
        "--codecs",
        type=e.names,
        default=e.names(_CODECS),
        metavar="A,B",
        help=f"networks (inrcodec models), x264, x265, svtav1, libaom, vvenc (default {_CODECS})",
    )
    group.add_argument(
        "--points",
        type=o.points,
        metavar="X,Y",
        help="bpp of ours: 0.02,0.05,0.1,0.2, or auto (default): these, more of a small clip",
    )
    group.add_argument(
        "--qualities",
        type=o.qualities,
        action="append",
        default=[],
        metavar="C=X,Y",
        help="CRF or QP of a reference codec: x264=22,28,34; once a codec",
    )
    group.add_argument(
        "--codec-preset",
        type=o.codec_preset,
        action="append",
        default=[],
        metavar="C=NAME",
        help="preset of a reference codec: x264=medium; once a codec",
    )
    group.add_argument(
        "--gop",
        type=p.positive_int,
        metavar="N",
        help="most frames between key frames of reference codecs (default: each codec's own)",
    )
    group.add_argument(
        "--tune-psnr", action="store_true", help="let reference codecs aim at PSNR, not at the eye"
    )
    group.add_argument(
        "--metrics",
        type=e.names,
        default=e.names(_METRICS),
        metavar="A,B",
        help="scores: psnr_rgb, psnr_y, psnr_yuv, ssim, ms_ssim, vmaf, xpsnr, lpips "
        f"(default {_METRICS}); a plot has panels of three at most",
    )


def _add_fit(group: Any) -> None:
    group.add_argument("--preset", metavar="NAME", help="default medium")
    group.add_argument("--recipe", metavar="NAME", help="as for encode")
    budget = group.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=p.positive_int, metavar="N", help="visits of every frame")
    budget.add_argument("--time", type=p.seconds, metavar="T", help="bound of each encode: 90s")
    group.add_argument("--seed", type=int, metavar="N", help="default 0")
    p.add_device(group)


def _add_results(group: Any) -> None:
    group.add_argument(
        "--anchor", metavar="C", help="codec that BD-rates are against (default x265, if measured)"
    )
    group.add_argument("--log", action="store_true", help="plot over a logarithmic rate")
    group.add_argument(
        "--published",
        action="store_true",
        help="draw curves of the literature, dashed, where size and frames are those of their "
        "protocol; says which are not drawn, and why",
    )


def _add_work(group: Any) -> None:
    group.add_argument(
        "--workers",
        type=p.positive_int,
        default=1,
        metavar="N",
        help="points at once (default 1: two fits on one CPU slow each other down)",
    )
    group.add_argument("--executor", default="local", metavar="E", help="local (default) or ray")
    group.add_argument(
        "--redo",
        action="store_true",
        help="replace points that were measured with other settings; to measure a point again with "
        "the same, delete its record",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure what is missing, then write tables, plots and the report."""
    from pathlib import Path

    from inrcodec.evaluation._extras import require_extra

    require_extra("eval", "inrcodec eval")
    if arguments.executor == "ray":
        require_extra("ray", "--executor ray")
    from inrcodec.evaluation._lock import folder_lock
    from inrcodec.evaluation._run import check_call

    out = Path(arguments.out)
    options = o.options(arguments)
    how = {"workers": arguments.workers, "executor": arguments.executor}
    check_call(arguments.sources, options, out=out, **how)
    o.check_anchor(arguments.anchor, options, out)
    try:
        with folder_lock(out):
            failures = _measure_and_write(arguments, options, out)
    except BrokenPipeError:
        raise
    except OSError as exc:  # a full disk, say
        raise EvaluationError(str(exc)) from exc
    for failure in failures:
        print(f"inrcodec: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _measure_and_write(arguments: argparse.Namespace, options: Any, out: Any) -> Sequence[str]:
    """Return one line for each point that failed."""
    from inrcodec.evaluation._run import evaluate

    summary = evaluate(
        arguments.sources,
        out,
        options=options,
        workers=arguments.workers,
        executor=arguments.executor,
        progress=not arguments.quiet,
    )
    _write(arguments, out)
    return summary.failures


def _write(arguments: argparse.Namespace, out: Any) -> None:
    from inrcodec.evaluation._outputs import default_anchor, write_outputs
    from inrcodec.evaluation._points import load_points

    points = load_points(out)
    if not points:
        return
    written = write_outputs(
        points,
        out,
        anchor=arguments.anchor or default_anchor(points),
        log_bpp=arguments.log,
        published=arguments.published,
    )
    print(p.printable((out / "bd_rate.md").read_text()))
    print(p.printable(f"{len(points)} points: {', '.join(map(str, written.paths))}"))
    for note in written.notes:
        print(f"--published: {note}")
