"""Schedules as pure functions of how much of the budget is used, from 0 to 1."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "wsd")
"""Names of the schedules of the learning rate."""

STEPS_ARE_KNOWN = 0.05
"""Part of a budget of seconds after which `expected_steps` is taken for good."""

_LEAST_FACTOR = 0.01
_GROWS_FROM = 2000  # steps
_SIDE_POWER = 0.75


def learning_rate_factor(
    progress: float,
    *,
    warmup: float,
    final_factor: float,
    warmup_start: float = 0.0,
    schedule: str = "cosine",
    decay: float = 0.3,
) -> float:
    """Linear warm-up, then by `schedule` down to `final_factor`.

    `cosine` falls along half a period, from the warm-up on (Loshchilov and Hutter 2017, arXiv
    1608.03983); `wsd` stays at 1 and falls linearly in the last part of the budget (warm-up,
    stable, decay; Haegele et al. 2024, arXiv 2405.18392).

    Args:
        progress: used part of the budget, 0 to 1.
        warmup: part of the budget in which the factor rises to 1.
        final_factor: its value at the end.
        warmup_start: its value at the beginning; at least 0.01, since a step of length 0 is lost.
        schedule: one of `SCHEDULES`.
        decay: of `wsd`, the last part of the budget, in which the factor falls.

    >>> [round(learning_rate_factor(p, warmup=0.5, final_factor=0.0), 3) for p in (0.25, 0.75, 1)]
    [0.5, 0.5, 0.0]
    >>> wsd = {"warmup": 0.1, "final_factor": 0.0, "schedule": "wsd", "decay": 0.5}
    >>> [round(learning_rate_factor(p, **wsd), 3) for p in (0.05, 0.4, 0.75, 1)]
    [0.5, 1.0, 0.5, 0.0]
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        risen = warmup_start + (1 - warmup_start) * (progress / warmup)
        return max(risen, _LEAST_FACTOR)
    if schedule == "wsd":
        left = min((1 - progress) / decay, 1.0)
    else:
        decayed = (progress - warmup) / (1 - warmup) if warmup < 1 else 1.0
        left = 0.5 * (1 + math.cos(math.pi * decayed))
    return final_factor + (1 - final_factor) * left


def grown_rate(learning_rate: float, growth: float, num_steps: float) -> float:
    """The learning rate's peak in a fit of so many steps: higher in those of over 2,000.

    More steps average out more noise, and have the time to settle after longer ones.

    Args:
        learning_rate: of fits of up to 2,000 steps, > 0.
        growth: the power of the steps by which it grows, >= 0.
        num_steps: of the whole fit.

    >>> [grown_rate(0.01, 0.5, steps) for steps in (100, 2000, 8000)]
    [0.01, 0.01, 0.02]
    """
    return float(learning_rate * max(1.0, num_steps / _GROWS_FROM) ** growth)


def rate_for_side(learning_rate: float, meant_for: int, side: int) -> float:
    """The learning rate of a network whose layers have so long a side, see `FitConfig.rate_side`.

    Muon's step has a length an element; with longer sides it turns a layer's outputs further.

    >>> [rate_for_side(0.01, 400, side) for side in (100, 400, 6400)]
    [0.01, 0.01, 0.00125]
    """
    if not (meant_for and side):
        return learning_rate
    return float(learning_rate * min(1.0, meant_for / side) ** _SIDE_POWER)
