"""Packages that only some of the evaluation needs, and what to say where they are missing."""

from __future__ import annotations

import importlib.util

from inrcodec.errors import EvaluationError

_PACKAGES = {
    "eval": ("matplotlib", "PIL", "plotly"),
    "lpips": ("lpips",),
    "ray": ("ray",),
}


def require_extra(extra: str, purpose: str) -> None:
    """Check that the packages of an extra are there, without importing them.

    Raises:
        EvaluationError: one is not; the message names the extra.
    """
    missing = [name for name in _PACKAGES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise EvaluationError(
            f"{purpose} needs {', '.join(missing)}: pip install 'inrcodec[{extra}]'"
        )
