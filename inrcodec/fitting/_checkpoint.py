"""Checkpoints: a dictionary of tensors and plain values in one file, replaced atomically.

The file is `_MAGIC`, the length of what follows and its CRC-32, little-endian, then PyTorch's
bytes, of which reading them checks no checksum.

A state in memory that others go on from is kept packed: what goes on from it changes its tensors.
"""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import torch

from inrcodec.bitstream import write_atomically
from inrcodec.errors import CheckpointError

_MAGIC = b"inrckpt\n"
_HEAD = struct.Struct("<8sQI")  # magic, bytes that follow, their CRC-32


def pack_state(state: dict[str, Any]) -> torch.Tensor:
    """Return a copy of `state`, on the CPU, as a 1-D uint8 tensor."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack_state(packed: torch.Tensor) -> dict[str, Any]:
    """Return a copy of what `pack_state` packed; code in it is never run."""
    buffer = io.BytesIO(packed.numpy().tobytes())
    state: dict[str, Any] = torch.load(buffer, map_location="cpu", weights_only=True)
    return state


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, replacing what was there only when all of it is on the disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    write_atomically(path, _HEAD.pack(_MAGIC, len(data), zlib.crc32(data)) + data)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; code in the file is never run.

    Raises:
        CheckpointError: the file is no checkpoint, or damaged.
    """
    data = path.read_bytes()
    body = memoryview(data)[_HEAD.size :]
    if data[: _HEAD.size] != _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)):
        raise CheckpointError(f"{path} is no checkpoint, or damaged; delete it")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise CheckpointError(f"{path} holds what this version cannot read; delete it") from exc
    return state
