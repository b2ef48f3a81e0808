"""From the command line of `inrcodec eval` to `EvalOptions`; what contradicts itself is refused."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from inrcodec.cli import _parser as p
from inrcodec.cli import _source_options as source

Value = TypeVar("Value")


def options(arguments: argparse.Namespace) -> Any:
    """Return the `EvalOptions` of a call.

    Raises:
        ValueError: an option contradicts another, or would have no effect.
    """
    from inrcodec.evaluation._plan import EvalOptions

    given = EvalOptions(
        codecs=arguments.codecs,
        bpps=arguments.points or None,
        qualities=_once_a_codec("--qualities", arguments.qualities, arguments.codecs),
        presets=_once_a_codec("--codec-preset", arguments.codec_preset, arguments.codecs),
        tune_psnr=arguments.tune_psnr,
        gop_frames=arguments.gop,
        preset=EvalOptions.preset if arguments.preset is None else arguments.preset,
        recipe=arguments.recipe,
        epochs=arguments.epochs,
        time_seconds=arguments.time,
        seed=EvalOptions.seed if arguments.seed is None else arguments.seed,
        device=arguments.device,
        frames=arguments.frames,
        resize=arguments.resize,
        crop=arguments.crop,
        raw=source.raw_format(arguments),
        metrics=arguments.metrics,
        redo=arguments.redo,
    )
    _check_kinds(given, arguments)
    return given


def check_anchor(anchor: str | None, given: Any, out: Path) -> None:
    """Check that a codec, or a curve, to compare with is measured now or was before.

    Raises:
        ValueError: it is not.
        EvaluationError: a record is damaged.
    """
    from inrcodec.evaluation._plan import curve_name
    from inrcodec.evaluation._points import load_points

    planned = [name for codec in given.codecs for name in (codec, curve_name(codec, given))]
    if anchor is None or anchor in planned:
        return
    kept = {name for point in load_points(out) for name in (point.codec, point.series)}
    if anchor not in kept:
        names = ", ".join(dict.fromkeys([*planned, *sorted(kept)]))
        raise ValueError(f"--anchor is {anchor!r}, must be one of {names}")


def _check_kinds(given: Any, arguments: argparse.Namespace) -> None:
    """Refuse what is for a kind of codecs of which none is asked for."""
    from inrcodec.evaluation._plan import kind_of

    kinds = {kind_of(name) for name in given.codecs}
    if given.bpps and "inr" not in kinds:
        raise ValueError("--points is for networks, and --codecs names none")
    for option in ("epochs", "time", "recipe", "preset", "seed"):
        if getattr(arguments, option) is not None and "inr" not in kinds:
            hint = "; --codec-preset is for the others" if option == "preset" else ""
            raise ValueError(f"--{option} is for networks, and --codecs names none{hint}")
    references = {"--gop": given.gop_frames is not None, "--tune-psnr": given.tune_psnr}
    for option, is_given in references.items():
        if is_given and "reference" not in kinds:
            raise ValueError(f"{option} is for reference codecs, and --codecs names none")


def _once_a_codec(
    option: str, given: Sequence[tuple[str, Value]], codecs: Sequence[str]
) -> dict[str, Value]:
    """Return an option's values by codec."""
    found: dict[str, Value] = {}
    for codec, value in given:
        if codec in found:
            raise ValueError(f"{option} is given twice for {codec}")
        if codec not in codecs:
            raise ValueError(f"{option} is given for {codec}, which is not among --codecs")
        found[codec] = value
    return found


def points(text: str) -> tuple[float, ...]:
    """Return rates: `0.02,0.05`; none for `auto`.

    >>> points("0.05,0.02"), points("auto")
    ((0.02, 0.05), ())
    """
    return () if text == "auto" else tuple(sorted({p.positive_float(x) for x in text.split(",")}))


def qualities(text: str) -> tuple[str, tuple[float, ...]]:
    """Return a codec and its qualities: `x264=22,28`.

    >>> qualities("x264=22,28")
    ('x264', (22.0, 28.0))
    """
    codec, _, values = text.partition("=")
    try:
        return codec, tuple(sorted({float(x) for x in values.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not such as x264=22,28,34") from None


def codec_preset(text: str) -> tuple[str, str]:
    codec, _, preset = text.partition("=")
    if not codec or not preset:
        raise argparse.ArgumentTypeError(f"{text!r} is not such as x264=medium")
    return codec, preset
