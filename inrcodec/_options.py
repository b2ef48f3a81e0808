"""What `encode` and `encode_ladder` are told but for source, output and rate, and its checks.

In: keyword arguments. Out: frozen options, the configuration of a fit that they mean, and what a
checkpoint must have in common with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from inrcodec._presets import MAX_BITS_PER_PARAMETER, SEGMENT_FRAMES
from inrcodec.fitting import FitConfig, FitProgress, recipe_config
from inrcodec.models import Network, entry
from inrcodec.video import RawVideoFormat
from inrcodec.video._types import exact_rate


@dataclass(frozen=True)
class EncodeOptions:
    """What `encode` is told but for source, output and rate; its docstring says what it means."""

    preset: str = "medium"
    epochs: int | None = None
    time_seconds: float | None = None
    model: str | None = None
    recipe: str | None = None
    fit_settings: Mapping[str, object] | None = None
    model_settings: Mapping[str, object] | None = None
    bits_per_parameter: float | None = None
    fresh: bool = False
    frames: tuple[int, int | None] | None = None
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    raw: RawVideoFormat | None = None
    fps: Fraction | float | None = None
    audio: bool = True
    segment_frames: int = SEGMENT_FRAMES
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    resume: bool = False
    progress: bool = False
    on_progress: Callable[[FitProgress], None] | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.time_seconds is not None:
            raise ValueError("epochs and time_seconds are given, at most one of them may be")
        for name in ("epochs", "time_seconds", "segment_frames", "bits_per_parameter"):
            check_positive(name, getattr(self, name))
        for name in ("epochs", "segment_frames"):
            value = getattr(self, name)
            if value is not None and value != int(value):
                raise ValueError(f"{name} is {value}, must be a whole number")
        self._take_plain_numbers()
        if self.bits_per_parameter and self.bits_per_parameter > MAX_BITS_PER_PARAMETER:
            raise ValueError(
                f"bits_per_parameter is {self.bits_per_parameter:g}, "
                f"must be <= {MAX_BITS_PER_PARAMETER:g}"
            )

    def _take_plain_numbers(self) -> None:
        """Make NumPy's numbers Python's: a checkpoint holds no others; and a rate a fraction."""
        kinds: dict[str, Callable[[Any], object]] = {
            **dict.fromkeys(("epochs", "segment_frames", "seed"), int),
            **dict.fromkeys(("time_seconds", "bits_per_parameter"), float),
            "fps": exact_rate,
            **dict.fromkeys(("fit_settings", "model_settings"), _plain_settings),
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, kind(value))


def check_positive(name: str, value: float | None) -> None:
    """Refuse a number that is not above 0, or not finite; None is none."""
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}, must be > 0{' and finite' * bool(value > 0)}")


def fit_config_of(options: EncodeOptions) -> FitConfig:
    """Return the recipe's configuration with the settings, which leave budget and seed alone."""
    told = {
        "epochs": options.epochs,
        "seconds": options.time_seconds,
        "precision": options.precision,
        "seed": options.seed,
    }
    settings = options.fit_settings or {}
    admitted = {field.name for field in fields(FitConfig)} - set(told)
    for name in settings:
        if name not in admitted:
            raise ValueError(
                f"fit setting is {name!r}, must be one of {', '.join(sorted(admitted))}"
            )
    config = recipe_config(str(options.recipe), str(options.model), **settings, **told)
    _check_used(settings, config, str(options.model))
    return config


def _check_used(settings: Mapping[str, object], config: FitConfig, model: str) -> None:
    """Check that the settings, by themselves in their ranges, have an effect on this fit.

    Raises:
        ValueError: one has none.
    """
    named = entry(model)
    no_embeddings = not named.has_embeddings
    no_auxiliary = named.network.auxiliary is Network.auxiliary
    learned_steps = config.quantizer == "entropy"
    unused = {
        "rounding": learned_steps
        and config.rounding != "nearest"
        and "is nearest where steps are learned",
        "warmup_start": config.warmup == 0 and "needs a warmup",
        "rate_weight": no_embeddings and f"is of embeddings, which {model} has not",
        "embedding_coding": no_embeddings and f"is of embeddings, which {model} has not",
        "auxiliary_weight": no_auxiliary and f"is of auxiliary outputs, which {model} has not",
    }
    for name, reason in unused.items():
        if reason and name in settings:
            raise ValueError(f"{name} is {settings[name]!r}, which has no effect: it {reason}")


def fingerprint(options: EncodeOptions, device: torch.device) -> dict[str, Any]:
    """What the file depends on; the time does not belong here, since its files do not repeat."""
    named = (
        "epochs",
        "preset",
        "model",
        "recipe",
        "fit_settings",
        "model_settings",
        "bits_per_parameter",
        "fresh",
        "segment_frames",
        "precision",
        "seed",
    )
    return {
        **{name: getattr(options, name) for name in named},
        "timed": options.time_seconds is not None,
        "device": device.type,
    }


def _plain_settings(settings: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(value) for name, value in settings.items()}


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
