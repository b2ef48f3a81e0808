"""What `encode` and `ladder` share: source, budget, fit, and the keywords of their functions."""

from __future__ import annotations

import argparse
import time
from typing import Any

from inrcodec._presets import (
    BITS_PER_PARAMETER,
    MAX_BITS_PER_PARAMETER,
    SEGMENT_FRAMES,
    bits_for,
)
from inrcodec.cli import _parser as p
from inrcodec.cli import _source_options as source_options


def add_source_argument(parser: argparse.ArgumentParser) -> None:
    """Add SRC."""
    parser.add_argument(
        "source",
        metavar="SRC",
        help="a video file, a folder or pattern of images (frames/%%05d.png), a raw .yuv, "
        "a .y4m, or a dataset (inrcodec datasets)",
    )


def add_options(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add everything but the rate and the output; `what` is what the budget is of."""
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
    budget.add_argument("--time", type=p.seconds, metavar="T", help=f"bound of {what}: 90s, 10m")

    fit = parser.add_argument_group("fit")
    fit.add_argument(
        "--preset",
        default="medium",
        metavar="NAME",
        help="fast, medium (default), slow or best: 50, 150, 300 or 1200 visits of a frame, and "
        "how costly decoding may be",
    )
    fit.add_argument(
        "--model",
        metavar="NAME",
        help="network (inrcodec models; default hnervpp, the only one that a preset's bound on "
        "decoding is for)",
    )
    fit.add_argument(
        "--recipe",
        metavar="NAME",
        help="default (Muon already for hnervpp); ms-ssim: L1 and MS-SSIM loss; muon, soap: Muon "
        "or SOAP for the matrices; or paper: the network's published loss, optimiser, schedule "
        "and epochs",
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
        help="override a field of the network's configuration: strides=4,4, or strides=4, for one "
        "stage; may be repeated",
    )
    fit.add_argument(
        "--bits-per-parameter",
        type=p.positive_float,
        metavar="X",
        help=f"of a weight, up to {MAX_BITS_PER_PARAMETER:g}, by which the network is sized "
        f"(default: {BITS_PER_PARAMETER:g}; {bits_for('hnervpp'):g} for hnervpp, but "
        f"{BITS_PER_PARAMETER:g} in ladders)",
    )
    fit.add_argument(
        "--fresh",
        action="store_true",
        help="choose the frequencies of the positional encoding by the clip, before the fit "
        "(networks without embeddings that have one: nerv, nervpp, ...)",
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
    source_options.add_source(video, images_have_rate=True)
    video.add_argument("--no-audio", action="store_true", help="leave the audio out")
    parser.add_argument("--json", action="store_true", help="print what is reported as JSON")
    p.add_verbosity(parser)


def keywords(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the functions are told, but for rate and time.

    Raises:
        ValueError: an option contradicts another.
    """
    return {
        "preset": arguments.preset,
        "epochs": arguments.epochs,
        "model": arguments.model,
        "recipe": arguments.recipe,
        "fit_settings": dict(arguments.fit_set),
        "model_settings": dict(arguments.model_set),
        "bits_per_parameter": arguments.bits_per_parameter,
        "fresh": arguments.fresh,
        "frames": arguments.frames,
        "resize": arguments.resize,
        "crop": arguments.crop,
        **source_options.formats(arguments),
        "audio": not arguments.no_audio,
        "segment_frames": arguments.segment_frames,
        "device": arguments.device,
        "seed": arguments.seed,
        "resume": arguments.resume,
        "progress": not arguments.quiet,
    }


def time_left(wished: float | None, started: float) -> float | None:
    """Return the wished time without what the imports took: `--time` is what the user waits.

    Args:
        wished: seconds.
        started: `time.perf_counter()` when the command began to import what is heavy.
    """
    spent = time.perf_counter() - started
    return None if wished is None else max(wished - spent, 1.0)
