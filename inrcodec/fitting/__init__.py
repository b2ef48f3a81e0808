"""Fitting a network to the frames of one segment, aware of the quantiser that follows."""

from inrcodec.fitting._batches import frame_batch
from inrcodec.fitting._checkpoint import (
    load_checkpoint,
    pack_state,
    save_checkpoint,
    unpack_state,
)
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._fresh import check_fresh, choose_encoding
from inrcodec.fitting._interrupt import InterruptFlag, hold_interrupts
from inrcodec.fitting._loop import fit
from inrcodec.fitting._losses import LOSSES
from inrcodec.fitting._motion import ClipMotion, estimate_motion
from inrcodec.fitting._precision import fp32_arithmetic, resolve_device, resolve_precision
from inrcodec.fitting._progress import FitProgress, FitResult
from inrcodec.fitting._recipes import RECIPES, recipe_config, recipe_epochs
from inrcodec.fitting._schedules import learning_rate_factor

__all__ = [
    "LOSSES",
    "RECIPES",
    "ClipMotion",
    "FitConfig",
    "FitProgress",
    "FitResult",
    "InterruptFlag",
    "check_fresh",
    "choose_encoding",
    "estimate_motion",
    "fit",
    "fp32_arithmetic",
    "frame_batch",
    "hold_interrupts",
    "learning_rate_factor",
    "load_checkpoint",
    "pack_state",
    "recipe_config",
    "recipe_epochs",
    "resolve_device",
    "resolve_precision",
    "save_checkpoint",
    "unpack_state",
]
