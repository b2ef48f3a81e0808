"""Wrong calls are found before anything is read: hours later they would cost what was measured.

In: the options of an evaluation. Out: nothing, or a `ValueError` in the words of who would have
raised it later.
"""

from __future__ import annotations

from inrcodec._presets import preset as preset_named
from inrcodec.errors import CodecError
from inrcodec.evaluation._plan import EvalOptions, kind_of
from inrcodec.fitting import recipe_config, resolve_device


def check_options(options: EvalOptions) -> None:
    """Check what `EvalOptions` itself cannot: what codecs, recipes and this machine admit.

    Raises:
        ValueError: a quality, rate, number, preset, recipe or device is out of its range.
    """
    from inrcodec.evaluation.codecs import CODECS

    for codec, qualities in options.qualities.items():
        for quality in qualities:
            try:
                CODECS[codec].check_quality(quality)
            except CodecError as exc:
                raise ValueError(str(exc)) from exc
    for codec in [name for name in options.codecs if kind_of(name) == "reference"]:
        least = CODECS[codec].min_gop_frames
        if options.gop_frames is not None and options.gop_frames < least:
            raise ValueError(f"gop_frames is {options.gop_frames}, must be >= {least} for {codec}")
    if any(not bpp > 0 for bpp in options.bpps or ()):
        raise ValueError(f"bpps are {options.bpps}, each must be > 0")
    resolve_device(options.device)
    preset = preset_named(options.preset)
    recipe = options.recipe or preset.recipe
    budget = {"epochs": options.epochs, "seconds": options.time_seconds}
    if options.epochs is None and options.time_seconds is None:
        budget["epochs"] = preset.epochs
    for network in [name for name in options.codecs if kind_of(name) == "inr"]:
        recipe_config(recipe, network, **budget, seed=options.seed)
