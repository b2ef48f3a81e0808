"""Checkpoints: a dictionary of tensors and plain values in one file, replaced atomically."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from inrcodec.bitstream import write_atomically
from inrcodec.errors import CheckpointError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, replacing what was there only when all of it is on the disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; code in the file is never run.

    Raises:
        CheckpointError: the file is no checkpoint, or damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as exc:
        raise CheckpointError(f"{path} is no checkpoint, or damaged; delete it") from exc
    return state
