"""What a fit is told: `FitConfig`, and the named recipes that override it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inrcodec.fitting._losses import LOSSES


@dataclass(frozen=True)
class FitConfig:
    """How to fit a network; one of `epochs` and `seconds` is the budget."""

    epochs: int | None = None  # visits of every frame
    seconds: float | None = None  # wall-clock time of the fit
    batch_size: int = 1  # frames a step
    learning_rate: float = 4e-3  # at its peak; why this one: benchmarks/notes/default-recipe.md
    final_factor: float = 0.01  # of the learning rate at the end, as a fraction of its peak
    warmup: float = 0.05  # fraction of the budget in which the learning rate rises
    betas: tuple[float, float] = (0.9, 0.99)  # Adam's decay rates
    gradient_clip: float = 1.0  # largest norm of the gradient, 0 for none
    loss: str = "l2"  # a name in LOSSES
    qat_fraction: float = 0.25  # last part of the budget that is fitted through the quantiser
    precision: str = "auto"  # fp32, bf16, or auto: bf16 where the device computes in it
    seed: int = 0  # of the initial weights and the order of frames

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.seconds is None):
            raise ValueError(
                f"epochs is {self.epochs} and seconds {self.seconds}, set one of the two"
            )
        _check(self.epochs is None or self.epochs >= 1, "epochs", self.epochs, ">= 1")
        _check(self.seconds is None or self.seconds > 0, "seconds", self.seconds, "> 0")
        _check(self.batch_size >= 1, "batch_size", self.batch_size, ">= 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")
        _check(0 <= self.final_factor <= 1, "final_factor", self.final_factor, "0 to 1")
        _check(0 <= self.warmup < 1, "warmup", self.warmup, "0 to under 1")
        _check(0 <= self.qat_fraction <= 1, "qat_fraction", self.qat_fraction, "0 to 1")
        _check(self.loss in LOSSES, "loss", self.loss, f"one of {', '.join(LOSSES)}")
        precisions = ("auto", "fp32", "bf16")
        _check(self.precision in precisions, "precision", self.precision, f"one of {precisions}")


RECIPES: dict[str, dict[str, Any]] = {
    # Mean squared error: the best PSNR at short budgets.
    "default": {},
    # Absolute error and MS-SSIM: the better MS-SSIM, slower steps.
    "ms-ssim": {"loss": "l1_ms_ssim"},
}
"""Named overrides of `FitConfig`."""


def recipe_config(name: str, **settings: Any) -> FitConfig:
    """Return the `FitConfig` of the recipe `name`, with further `settings`.

    Raises:
        ValueError: no such recipe, or a setting out of its range.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe is {name!r}, must be one of {', '.join(RECIPES)}")
    return FitConfig(**{**RECIPES[name], **settings})


def _check(good: bool, name: str, value: object, rule: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value!r}, must be {rule}")
