"""Frames on the device: a batch of them as floats, and the embeddings of all.

In: a segment's frames, `(N, 3, H, W)` uint8, wherever they are. Out: what a step computes with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inrcodec.models import Network

_FRAMES_ON_DEVICE_BYTES = 8 << 30
_SHARE_OF_MEMORY = 0.25  # of the device's free memory, which a step needs too


def frame_batch(frames: Tensor, indices: Tensor, device: torch.device) -> Tensor:
    """Return the frames at `indices` as `(B, 3, H, W)` float32 in [0, 1] on `device`."""
    batch = frames[indices.to(frames.device)].to(device, non_blocking=True)
    return (batch.float() / 255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def embed_all(network: Network, frames: Tensor) -> Tensor | None:
    """Return the embeddings of all frames, `(N, C, h, w)` float32, or None if it has none."""
    if network.encoder is None:
        return None
    device = next(network.parameters()).device
    if not network.encodes_frames:
        return network.embed(None, torch.arange(len(frames), device=device)).float()
    parts = []
    for i in range(len(frames)):
        index = torch.tensor([i])
        batch = frame_batch(frames, index, device)
        parts.append(network.embed(batch, index.to(device)).float())
    return torch.cat(parts)


def place_frames(frames: Tensor, device: torch.device) -> Tensor:
    """Keep the whole segment on the device when it is small enough for that."""
    if device.type != "cuda":
        return frames
    free_bytes, _ = torch.cuda.mem_get_info(device)
    most = min(_FRAMES_ON_DEVICE_BYTES, int(_SHARE_OF_MEMORY * free_bytes))
    return frames.to(device) if frames.numel() <= most else frames
