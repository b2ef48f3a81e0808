"""Packages that only some of the evaluation needs."""

from __future__ import annotations

from inrcodec._extras import missing_extra
from inrcodec.errors import EvaluationError


def require_extra(extra: str, purpose: str) -> None:
    """Check that the packages of an extra are there, without importing them.

    Raises:
        EvaluationError: one is not; the message names the extra.
    """
    if missing := missing_extra(extra, purpose):
        raise EvaluationError(missing)
