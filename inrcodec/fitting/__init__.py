"""Fitting a network to the frames of one segment, aware of the quantiser that follows."""

from inrcodec.fitting._checkpoint import load_checkpoint, save_checkpoint
from inrcodec.fitting._config import RECIPES, FitConfig, recipe_config
from inrcodec.fitting._interrupt import InterruptFlag, hold_interrupts
from inrcodec.fitting._loop import FitProgress, FitResult, fit, frame_batch
from inrcodec.fitting._losses import LOSSES
from inrcodec.fitting._precision import fp32_arithmetic, resolve_device, resolve_precision
from inrcodec.fitting._schedules import learning_rate_factor

__all__ = [
    "LOSSES",
    "RECIPES",
    "FitConfig",
    "FitProgress",
    "FitResult",
    "InterruptFlag",
    "fit",
    "fp32_arithmetic",
    "frame_batch",
    "hold_interrupts",
    "learning_rate_factor",
    "load_checkpoint",
    "recipe_config",
    "resolve_device",
    "resolve_precision",
    "save_checkpoint",
]
