"""`inrcodec encode SRC OUT.inr`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from inrcodec._presets import BITS_PER_PARAMETER, SEGMENT_FRAMES
from inrcodec.cli import _parser as p


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "encode",
        help="fit a network to a video and write it as an .inr file",
        description="Fit a network to a video and write it as an .inr file.",
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help="a video file, a folder or pattern of images (frames/%%05d.png), a raw .yuv, "
        "a .y4m, or a dataset (inrcodec datasets)",
    )
    parser.add_argument("output", metavar="OUT.inr", help="the file to write")
    parser.set_defaults(run=run)

    rate = parser.add_argument_group("rate, one of (default: the preset's bpp)")
    rate = rate.add_mutually_exclusive_group()
    rate.add_argument(
        "--bpp", type=p.positive_float, metavar="X", help="bits per pixel, audio excluded"
    )
    rate.add_argument(
        "--size",
        type=p.byte_size,
        metavar="BYTES",
        help="of the file on disk, audio included: 20000, 500k, 1.5M",
    )
    rate.add_argument(
        "--psnr",
        type=p.positive_float,
        metavar="DB",
        help="the smallest file found that reaches it (up to 4 fits, each of which ends as "
        "soon as it is reached)",
    )
    budget = parser.add_argument_group(
        "budget, one of (default: the recipe's or the preset's epochs)"
    )
    budget = budget.add_mutually_exclusive_group()
    budget.add_argument(
        "--epochs",
        type=p.positive_int,
        metavar="N",
        help="visits of every frame, fewer where the PSNR rises no more",
    )
    budget.add_argument(
        "--time", type=p.seconds, metavar="T", help="bound of the whole encode: 90s, 10m"
    )

    fit = parser.add_argument_group("fit")
    fit.add_argument(
        "--preset",
        default="medium",
        metavar="NAME",
        help="fast, medium (default), slow or best",
    )
    fit.add_argument("--model", metavar="NAME", help="network (inrcodec models)")
    fit.add_argument(
        "--recipe",
        metavar="NAME",
        help="default; ms-ssim: L1 and MS-SSIM loss; muon, soap: Muon or SOAP for the matrices; or "
        "paper: the network's published loss, optimiser, schedule and epochs",
    )
    fit.add_argument(
        "--fit-set",
        type=p.setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a field of the recipe: learning_rate=2e-3; may be repeated",
    )
    fit.add_argument(
        "--model-set",
        type=p.setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a field of the network's configuration: strides=4,4; may be repeated",
    )
    fit.add_argument(
        "--bits-per-parameter",
        type=p.positive_float,
        default=BITS_PER_PARAMETER,
        metavar="X",
        help=f"of a weight, by which the network is sized (default {BITS_PER_PARAMETER:g})",
    )
    fit.add_argument(
        "--fresh",
        action="store_true",
        help="choose the frequencies of the positional encoding by the clip, before the fit "
        "(networks driven by the frame index: nerv, nervpp, ...)",
    )
    fit.add_argument(
        "--segment-frames",
        type=p.positive_int,
        default=SEGMENT_FRAMES,
        metavar="N",
        help=f"cut longer clips into segments of at most N frames (default {SEGMENT_FRAMES})",
    )
    p.add_device(fit)
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    fit.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of an interrupted encode"
    )

    video = parser.add_argument_group("source")
    video.add_argument("--frames", type=p.frame_range, metavar="A:B", help="half-open range")
    video.add_argument("--crop", type=p.pixels, metavar="WxH", help="central, before the resize")
    video.add_argument("--resize", type=p.pixels, metavar="WxH")
    video.add_argument("--no-audio", action="store_true", help="leave the audio out")
    video.add_argument("--video-size", type=p.pixels, metavar="WxH", help="of a raw .yuv")
    video.add_argument("--pix-fmt", metavar="F", help="of a raw .yuv (default yuv420p)")
    video.add_argument("--fps", type=p.frame_rate, metavar="R", help="of a raw .yuv (default 25)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    p.add_verbosity(parser)


def run(arguments: argparse.Namespace) -> int:
    """Encode, and print the report."""
    started = time.perf_counter()
    raw_options = (arguments.video_size, arguments.pix_fmt, arguments.fps)
    if arguments.video_size is None and any(option is not None for option in raw_options):
        raise ValueError("--pix-fmt and --fps go with --video-size, for a raw .yuv")
    from inrcodec import encode

    report = encode(
        arguments.source,
        arguments.output,
        preset=arguments.preset,
        bpp=arguments.bpp,
        size_bytes=arguments.size,
        psnr=arguments.psnr,
        epochs=arguments.epochs,
        time_seconds=_time_left(arguments.time, time.perf_counter() - started),
        model=arguments.model,
        recipe=arguments.recipe,
        fit_settings=dict(arguments.fit_set),
        model_settings=dict(arguments.model_set),
        bits_per_parameter=arguments.bits_per_parameter,
        fresh=arguments.fresh,
        frames=arguments.frames,
        resize=arguments.resize,
        crop=arguments.crop,
        raw=_raw_format(arguments),
        audio=not arguments.no_audio,
        segment_frames=arguments.segment_frames,
        device=arguments.device,
        seed=arguments.seed,
        resume=arguments.resume,
        progress=not arguments.quiet,
    )
    if arguments.json:
        json.dump(report.to_dict(), sys.stdout, indent=2)
        print()
    else:
        print(report.summary())
    return 0


def _time_left(wished: float | None, spent: float) -> float | None:
    """The wished time without what the imports took: `--time` is what the user waits."""
    return None if wished is None else max(wished - spent, 1.0)


def _raw_format(arguments: argparse.Namespace) -> Any:
    if arguments.video_size is None:
        return None
    from fractions import Fraction

    from inrcodec.video import RawVideoFormat

    width, height = arguments.video_size
    return RawVideoFormat(
        width, height, arguments.pix_fmt or "yuv420p", arguments.fps or Fraction(25)
    )
