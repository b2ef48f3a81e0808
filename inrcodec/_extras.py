"""Packages that only some of the commands need, and what to say where they are missing."""

from __future__ import annotations

import importlib.util

_PACKAGES = {
    "eval": ("matplotlib", "PIL", "plotly"),
    "lpips": ("lpips",),
    "ray": ("ray",),
}


def missing_extra(extra: str, purpose: str) -> str | None:
    """Return what to install where a package of an extra is missing, without importing any."""
    missing = [name for name in _PACKAGES[extra] if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f"{purpose} needs {', '.join(missing)}: pip install 'inrcodec[{extra}]'"
