"""Recipes: named settings of a fit, some of them the ones published with a network.

In: the names of a recipe and of a network. Out: a `FitConfig`. `default`, `ms-ssim`, `muon` and
`soap` are this project's, the same for every network but for what `_OUR_SETTINGS` says; `paper` is
what the network's authors fitted Bunny with.
"""

from __future__ import annotations

from typing import Any

from inrcodec.fitting._config import FitConfig, suits

RECIPES = ("default", "ms-ssim", "muon", "soap", "paper")
"""Names of the recipes."""

# The same PSNR in half the steps (benchmarks/notes/flagship.md); what hnervpp's default is.
_MUON: dict[str, Any] = {"optimizer": "muon", "weight_decay": 0.4}

_ADAN_BETAS = (0.98, 0.92, 0.99)  # its paper's

_OURS: dict[str, dict[str, Any]] = {
    # Mean squared error: the best PSNR at short budgets.
    "default": {},
    # Absolute error and MS-SSIM: the better MS-SSIM, slower steps.
    "ms-ssim": {"loss": "l1_ms_ssim", "rate_weight": 0.0},
    "muon": _MUON,
    # Adam in the axes along which gradients vary independently.
    "soap": {"optimizer": "soap", "weight_decay": 0.0},
}

# What a network needs besides, in the recipes that are ours.
_OUR_SETTINGS: dict[str, dict[str, Any]] = {
    # Why: benchmarks/notes/flagship.md. A gradient's norm costs a tenth of its cheap step.
    "hnervpp": {
        **_MUON,
        "batch_size": 2,
        "learning_rate": 9e-3,
        "rate_growth": 0.25,
        "rate_side": 424,
        "loss": "log_l2",
        "gradient_clip": 0.0,
        "rate_weight": 0.56,
        "qat_fraction": 0.15,
    },
    # Sines wrap where GELUs only grow: their networks take smaller steps (benchmarks/notes/zoo.md).
    "nerv-boost": {"learning_rate": 2e-3},
    "hnerv-boost": {"learning_rate": 2e-3},
    "hnervpp-boost": {"learning_rate": 2e-3},
    "enerv-boost": {"learning_rate": 1e-3},
}

# NeRV (arXiv 2110.13903): README of github.com/haochen-rye/NeRV, its loss "Fusion6".
_NERV: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "optimizer": "adam",
    "betas": (0.5, 0.999),
    "learning_rate": 5e-4,
    "warmup": 0.2,
    "warmup_start": 0.1,
    "final_factor": 0.0,
    "gradient_clip": 0.0,
    "loss": "l1_ssim",
}

# HNeRV (arXiv 2304.02633): README of github.com/haochen-rye/HNeRV, "--lr_type cosine_0.1_1_0.1".
_HNERV: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 2,
    "optimizer": "adam",
    "betas": (0.9, 0.999),
    "learning_rate": 1e-3,
    "warmup": 0.1,
    "warmup_start": 0.1,
    "final_factor": 0.0,
    "gradient_clip": 0.0,
    "loss": "l2",
    "coarse_fraction": 0.0,
}

# HiNeRV (arXiv 2306.09818): cfgs/train/hinerv_1280x720.txt of github.com/hmkx/HiNeRV. Its batches
# are patches of several frames with as many pixels as one frame; ours are whole frames.
_HINERV: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "optimizer": "adam",
    "betas": (0.9, 0.999),
    "learning_rate": 2e-3,
    "warmup": 0.1,
    "warmup_start": 0.01,
    "final_factor": 0.01,
    "gradient_clip": 1.0,
    "loss": "l1_ms_ssim_5",
}

# Boosting-NeRV (arXiv 2402.18152): scripts/regression/bunny of github.com/Xinjie-Q/Boosting-NeRV,
# its loss "Fusion10_freq".
_BOOST: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 1,
    "optimizer": "adan",
    "betas": _ADAN_BETAS,
    "learning_rate": 3e-3,
    "warmup": 0.1,
    "warmup_start": 0.1,
    "final_factor": 0.0,
    "gradient_clip": 0.0,
    "loss": "l1_ms_ssim_fft",
}

_PAPERS: dict[str, dict[str, Any]] = {
    "nerv": _NERV,
    # NeRV++ (arXiv 2402.18305): README of github.com/ahmedgh970/NeRV-, NeRV's command.
    "nervpp": _NERV,
    "nervpp-repo": _NERV,
    # E-NeRV (arXiv 2207.08132): cfgs/E-NeRV-bunny.yaml of github.com/kyleleey/E-NeRV.
    "enerv": _NERV,
    # FFNeRV (arXiv 2212.12294): README of github.com/maincold2/FFNeRV, its "--lw".
    "ffnerv": {**_NERV, "epochs": 600, "auxiliary_weight": 0.1},
    "hnerv": _HNERV,
    # No paper's network, HNeRV's embeddings under NeRV++'s blocks: the recipe of the former.
    "hnervpp": _HNERV,
    "hinerv": _HINERV,
    "nerv-boost": _BOOST,
    "enerv-boost": {**_BOOST, "learning_rate": 1.5e-3},
    "hnerv-boost": _BOOST,
    # No paper's network either.
    "hnervpp-boost": _BOOST,
}


def recipe_config(name: str, model: str, **settings: Any) -> FitConfig:
    """Return the `FitConfig` of the recipe `name` for the network `model`.

    A published recipe stands for its optimiser, schedule, batch, loss and epochs. What this codec
    adds is left as it is by default: the last quarter of the fit goes through the quantiser
    (`qat_fraction`), and `precision` is `auto`. The papers' pruning is left out.

    Args:
        name: one of `RECIPES`.
        model: a network's name.
        settings: fields of `FitConfig` that override the recipe's. Where another `optimizer` does
            not take the recipe's `betas` or `weight_decay`, it has the usual ones. Without `epochs`
            and `seconds` the budget is the recipe's number of epochs, if it has one.

    Raises:
        ValueError: no such recipe, none published for this network, or a setting out of its range.
    """
    merged = {**_settings(name, model), **settings}
    for unsuitable in {"betas", "weight_decay"} & merged.keys() - settings.keys():
        if not suits(settings.get("optimizer"), unsuitable, merged[unsuitable]):
            del merged[unsuitable]
    if settings.get("optimizer") == "adan":
        merged.setdefault("betas", _ADAN_BETAS)
    if settings.get("seconds") is not None and settings.get("epochs") is None:
        merged["epochs"] = None
    return FitConfig(**merged)


def recipe_epochs(name: str, model: str) -> int | None:
    """Return the epochs that the recipe `name` prescribes for `model`, or None for no number.

    Raises:
        ValueError: no such recipe, or none published for this network.
    """
    return _settings(name, model).get("epochs")


def _settings(name: str, model: str) -> dict[str, Any]:
    if name not in RECIPES:
        raise ValueError(f"recipe is {name!r}, must be one of {', '.join(RECIPES)}")
    if name in _OURS:
        return {**_OUR_SETTINGS.get(model, {}), **_OURS[name]}
    if model not in _PAPERS:
        raise ValueError(
            f"recipe is {name!r}, but none is published for {model!r}, "
            f"only for {', '.join(_PAPERS)}; take one of {', '.join(_OURS)}"
        )
    return _PAPERS[model]
