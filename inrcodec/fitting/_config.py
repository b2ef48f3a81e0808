"""What a fit is told: `FitConfig`. Named ones are in `_recipes`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from inrcodec.fitting._losses import LOSSES
from inrcodec.fitting._schedules import SCHEDULES
from inrcodec.fitting._squared_error import LOSSES_OF_MSE

_KINDS: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "None": type(None),
}
QUANTIZERS = ("sensitivity", "range", "entropy")
ROUNDINGS = ("soft", "feedback", "nearest")
EMBEDDING_CODINGS = ("context", "plain")
_NUM_BETAS = {"adam": 2, "adamw": 2, "adan": 3, "muon": 2, "soap": 2}
_DECAYING = ("adamw", "muon")  # have weight decay
_DECAY = 0.3


@dataclass(frozen=True)
class FitConfig:
    """How to fit a network; one of `epochs` and `seconds` is the budget."""

    epochs: int | None = None  # visits of every frame
    seconds: float | None = None  # wall-clock time of the fit
    batch_size: int = 1  # frames a step
    # adam (arXiv 1412.6980), adamw (1711.05101), adan (2208.06677); or with adam for what is no
    # matrix: muon (2502.16982), soap (2409.11321)
    optimizer: str = "adam"
    betas: tuple[float, ...] = (0.9, 0.99)  # decay rates: adan 3, others 2, muon those of its adam
    # Part of a weight that a step of rate 1 takes away: of all by adamw, of its matrices by muon.
    weight_decay: float = 0.0
    learning_rate: float = 4e-3  # at its peak; why this one: benchmarks/notes/default-recipe.md
    rate_growth: float = 0.0  # the power of the steps over 2,000 by which the peak is higher
    # The longest side of dense layers' matrices up to which the learning rate is meant: in wider
    # networks it falls by the power 0.75 of that side. 0 for all the same.
    rate_side: int = 0
    schedule: str = "cosine"  # of the learning rate after the warm-up: a name in SCHEDULES
    decay: float = _DECAY  # wsd alone: last fraction of the budget, in which the rate falls
    warmup: float = 0.05  # fraction of the budget in which the learning rate rises
    warmup_start: float = 0.0  # of the learning rate at the beginning, as a fraction of its peak
    final_factor: float = 0.01  # of the learning rate at the end, as a fraction of its peak
    gradient_clip: float = 1.0  # largest norm of the gradient, 0 for none
    loss: str = "l2"  # a name in LOSSES
    # In the loss, of the bits of embeddings' changes from frame to frame: by which part it may rise
    # for the file's bits, 0.56 where twice the bytes are worth 1.7 dB and the loss is l2 or log_l2.
    rate_weight: float = 0.0
    # How each tensor's step is chosen, in QUANTIZERS: `sensitivity`, for equal slopes of distortion
    # over rate; `range`, as uniform b-bit quantisation has it; `entropy`, learned with a Gaussian
    # for the rate (consistent entropy minimisation, arXiv 2402.18152).
    quantizer: str = "sensitivity"
    # How weights are rounded in the quantised phase, in ROUNDINGS: `soft`, the harder the nearer
    # its end (arXiv 2006.09952), with embeddings at half their steps, straight through and from a
    # quarter of the phase on as they are; or with
    # straight-through gradients, once they have entered it by `feedback`, what rounding takes from
    # a layer's outputs given back by its other weights (arXiv 2210.17323), or as `nearest`, which
    # learned steps have. Without such a phase `soft` is `feedback`.
    rounding: str = "soft"
    # Of embeddings, in EMBEDDING_CODINGS: `context`, as changes and by what is beside them; or
    # `plain`, value by value.
    embedding_coding: str = "context"
    auxiliary_weight: float = 0.1  # of the loss of a network's auxiliary outputs, if it has any
    ema: float = 0.0  # time constant of the weights' average over the steps so far, 0 for none
    # First part of the budget in which the network leaves its last upsampling out, and the frames
    # are as much smaller; for losses of squared errors alone. None for what pays: a part where the
    # network can do that on a CPU and the budget is of seconds, else nothing.
    coarse_fraction: float | None = None
    # Last part of the budget that is fitted through the quantiser, under 1.
    qat_fraction: float = 0.25
    # fp32; tf32, where a GPU multiplies; bf16; or auto: bf16 where the device computes in it
    precision: str = "auto"
    seed: int = 0  # of the initial weights and the order of frames

    def __post_init__(self) -> None:
        self._check_types()
        if (self.epochs is None) == (self.seconds is None):
            raise ValueError(
                f"epochs is {self.epochs} and seconds {self.seconds}, set one of the two"
            )
        _check(self.epochs is None or self.epochs >= 1, "epochs", self.epochs, ">= 1")
        _check(self.seconds is None or self.seconds > 0, "seconds", self.seconds, "> 0")
        _check(self.batch_size >= 1, "batch_size", self.batch_size, ">= 1")
        self._check_optimizer()
        self._check_schedule()
        _check(self.loss in LOSSES, "loss", self.loss, f"one of {', '.join(LOSSES)}")
        _check(self.auxiliary_weight >= 0, "auxiliary_weight", self.auxiliary_weight, ">= 0")
        _check(self.rate_weight >= 0, "rate_weight", self.rate_weight, ">= 0")
        self._check_quantizer()
        _check(abs(self.seed) < 2**40, "seed", self.seed, "under 2^40 in magnitude")
        _check(0 <= self.ema <= 1, "ema", self.ema, "0 to 1")
        # Steps follow from what weights do to pixels, which those of a fresh network do not show.
        _check(0 <= self.qat_fraction < 1, "qat_fraction", self.qat_fraction, ">= 0 and < 1")
        self._check_coarse()
        precisions = ("auto", "fp32", "tf32", "bf16")
        _check(self.precision in precisions, "precision", self.precision, f"one of {precisions}")

    @property
    def codes_in_context(self) -> bool:
        """Whether embeddings are coded as changes and by what is beside them."""
        return self.embedding_coding == "context"

    @property
    def rounds_softly(self) -> bool:
        """Whether the quantised phase, if there is one, rounds weights little by little."""
        return self.rounding == "soft" and self.quantizer != "entropy" and self.qat_fraction > 0

    @property
    def rounds_with_feedback(self) -> bool:
        """Whether the quantised phase begins, or the fit without one ends, with rounded weights."""
        is_nearest = self.rounding == "nearest" or self.quantizer == "entropy"
        return not (is_nearest or self.rounds_softly)

    @property
    def rounds_at_the_end(self) -> bool:
        """Whether weights may be rounded after the last step, which codes them several times.

        Averages of weights that were drawn to multiples of their steps are none.
        """
        return self.rounds_with_feedback or (self.rounds_softly and self.ema > 0)

    def _check_types(self) -> None:
        for field in fields(self):
            names = re.findall(r"\w+", str(field.type))
            value = getattr(self, field.name)
            kinds = tuple(_KINDS[name] for name in names if name != "tuple")
            values = value if "tuple" in names and isinstance(value, tuple) else (value,)
            good = isinstance(value, tuple) == ("tuple" in names)
            good = good and all(isinstance(v, kinds) and not isinstance(v, bool) for v in values)
            _check(good, field.name, value, f"of type {field.type}")

    def _check_optimizer(self) -> None:
        known = f"one of {', '.join(_NUM_BETAS)}"
        _check(self.optimizer in _NUM_BETAS, "optimizer", self.optimizer, known)
        count = _NUM_BETAS[self.optimizer]
        good = len(self.betas) == count and all(0 <= beta < 1 for beta in self.betas)
        _check(good, "betas", self.betas, f"{count} numbers from 0 to under 1 for {self.optimizer}")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")
        _check(0 <= self.rate_growth <= 1, "rate_growth", self.rate_growth, "0 to 1")
        _check(self.rate_side >= 0, "rate_side", self.rate_side, ">= 0")
        _check(self.gradient_clip >= 0, "gradient_clip", self.gradient_clip, ">= 0")
        _check(self.weight_decay >= 0, "weight_decay", self.weight_decay, ">= 0")
        used = suits(self.optimizer, "weight_decay", self.weight_decay)
        unset = f"0 for {self.optimizer}, only {' and '.join(_DECAYING)} have it"
        _check(used, "weight_decay", self.weight_decay, unset)

    def _check_quantizer(self) -> None:
        known = f"one of {', '.join(QUANTIZERS)}"
        _check(self.quantizer in QUANTIZERS, "quantizer", self.quantizer, known)
        learns = self.qat_fraction > 0 or self.quantizer != "entropy"
        _check(learns, "qat_fraction", self.qat_fraction, "> 0 for the quantizer entropy")
        known = f"one of {', '.join(ROUNDINGS)}"
        _check(self.rounding in ROUNDINGS, "rounding", self.rounding, known)
        known = f"one of {', '.join(EMBEDDING_CODINGS)}"
        good = self.embedding_coding in EMBEDDING_CODINGS
        _check(good, "embedding_coding", self.embedding_coding, known)

    def _check_coarse(self) -> None:
        fraction = self.coarse_fraction or 0.0
        most = 1 - self.qat_fraction
        _check(0 <= fraction < 1, "coarse_fraction", fraction, "0 to under 1")
        _check(
            fraction <= most, "coarse_fraction", fraction, f"<= {most:g}, what qat_fraction leaves"
        )
        good = fraction == 0 or self.loss in LOSSES_OF_MSE
        _check(good, "coarse_fraction", fraction, f"0 for the loss {self.loss}")

    def _check_schedule(self) -> None:
        _check(0 <= self.warmup < 1, "warmup", self.warmup, "0 to under 1")
        _check(0 <= self.warmup_start <= 1, "warmup_start", self.warmup_start, "0 to 1")
        _check(0 <= self.final_factor <= 1, "final_factor", self.final_factor, "0 to 1")
        known = f"one of {', '.join(SCHEDULES)}"
        _check(self.schedule in SCHEDULES, "schedule", self.schedule, known)
        if self.schedule == "wsd":
            good = self.decay > 0 and self.warmup + self.decay <= 1
            _check(good, "decay", self.decay, f"over 0 to {1 - self.warmup:g}")
        else:
            unset = f"left at {_DECAY} for {self.schedule}, only wsd has it"
            _check(self.decay == _DECAY, "decay", self.decay, unset)


def suits(optimizer: object, name: str, value: Any) -> bool:
    """Whether an optimiser takes this value of `betas` or `weight_decay`; None takes any."""
    if optimizer not in _NUM_BETAS:
        return True  # which is refused elsewhere, by its name
    if name == "betas":
        return len(value) == _NUM_BETAS[str(optimizer)]
    return optimizer in _DECAYING or value == 0


def _check(good: bool, name: str, value: object, rule: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value!r}, must be {rule}")
