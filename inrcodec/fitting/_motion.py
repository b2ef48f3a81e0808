"""How a clip moves: for every frame a smooth field of displacements to a canvas.

In: frames `(N, 3, H, W)` uint8. Out: a `ClipMotion`, where a network's motion starts from. Frames
are compared in grey and small; a field is found by gradient steps from the one of the frame beside
it, so that it follows motion much larger than a step can see.

A canvas is what one frame shows, the middle one of a run of frames. A run ends where the picture
changes at once, or has moved so far that the canvas would have to be much larger than a frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fitting._optim import Adam
from inrcodec.models import read_displaced

_log = logging.getLogger(__name__)

_PIXELS = 320 * 160  # of a frame, at most, when it is compared
_CELL_PIXELS = 32  # a side of a cell of a frame 320 rows high, and in proportion
_CELL_ROWS = 10
_REACH = 0.1  # of the frame's shorter side: how far a run may move
# (factor by which frames are smaller, steps, pixels of the first step), coarse to fine.
_PAIR_LEVELS = ((4, 8, 0.6), (2, 6, 0.2))
_LEVELS = ((2, 10, 0.5), (1, 6, 0.2))
_PAIR_CELLS = (4, 8)
_SMOOTHNESS = 4e-3  # weight of squared differences between neighbouring cells, in pixels
_EDGE = 0.01  # grey levels in [0, 1] under which an error counts as squared
_CUT = 0.5  # of a frame's variance: what the frame before it must explain
_PAIRS_AT_ONCE = 16
_LEAST_ERROR = 1e-5  # 50 dB
_NEARLY_ALL = 0.95  # the rest may have been lost sight of


@dataclass(frozen=True)
class ClipMotion:
    """Displacements from the frames to their canvases."""

    pixels: Tensor  # (N, 2, r, c): right and down; r x c cells cover a frame
    gain_db: float  # how much nearer the canvas is to a frame, displaced, than as it is; mean

    @property
    def reach(self) -> float:
        """Pixels by which nearly all frames are displaced at most, as a whole, across or down."""
        return float(_dominant(self.pixels).abs().amax(1).quantile(_NEARLY_ALL))


def estimate_motion(
    frames: Tensor, *, progress: Callable[[list[Any]], Iterable[Any]] = iter
) -> ClipMotion:
    """Find the motion of a clip, `(N, 3, H, W)` uint8; `progress` wraps the work as it is taken."""
    grey, scale = _small_grey(frames)
    rows = max(2, round(_CELL_ROWS * min(1.0, frames.shape[2] / (_CELL_ROWS * _CELL_PIXELS))))
    columns = max(2, round(rows * frames.shape[3] / frames.shape[2]))
    motion = torch.zeros(len(frames), 2, rows, columns)
    gains = torch.zeros(len(frames))
    runs = list(_runs(grey))
    for distance, (anchors, indices) in enumerate(progress(_outwards(runs)), start=1):
        steps = (indices - anchors).sign()
        fields = motion[indices - steps]
        if distance > 1:
            fields = 2 * fields - motion[indices - 2 * steps]  # it goes on as fast as before
        for part in torch.split(torch.arange(len(indices)), _PAIRS_AT_ONCE):
            canvases, moved = grey[anchors[part]], grey[indices[part]]
            found = fields[part]
            for level in _LEVELS:
                found = _refined(canvases, moved, found, level)
            motion[indices[part]] = found
    for start, end in runs:
        anchor = (start + end) // 2
        gains[start:end] = _gains_db(grey[anchor], grey[start:end], motion[start:end])
        # The canvas lies in the middle of where the run's frames are.
        shifts = _dominant(motion[start:end])
        motion[start:end] -= ((shifts.amax(0) + shifts.amin(0)) / 2)[None, :, None, None]
    clip_motion = ClipMotion(motion * scale, float(gains.mean()))
    _log.info("motion: %.1f pixels, %.2f dB nearer", clip_motion.reach, clip_motion.gain_db)
    return clip_motion


def _outwards(runs: list[tuple[int, int]]) -> list[tuple[Tensor, Tensor]]:
    """Return the middles of runs, each with the frames at distance 1 of them, then 2, and so on."""
    pairs = []
    for distance in range(1, max(end - start for start, end in runs) // 2 + 1):
        found = [
            (anchor, i)
            for start, end in runs
            for anchor in ((start + end) // 2,)
            for i in (anchor - distance, anchor + distance)
            if start <= i < end
        ]
        anchors, indices = torch.tensor(found).T
        pairs.append((anchors, indices))
    return pairs


def _small_grey(frames: Tensor) -> tuple[Tensor, int]:
    """Return frames `(N, 1, h, w)` in [0, 1], and by how much they are smaller."""
    height, width = frames.shape[2:]
    scale = 1
    while (height // scale) * (width // scale) > _PIXELS:
        scale += 1
    small = [
        F.avg_pool2d(frame[None].float().mean(1, keepdim=True) / 255, scale) for frame in frames
    ]
    return torch.cat(small).cpu(), scale


def _runs(grey: Tensor) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of frames that share a canvas."""
    most = _REACH * min(grey.shape[2:])
    start = 0
    path = low = high = torch.zeros(2)
    for i, (shift, unexplained) in enumerate(_pairs(grey), start=1):
        path = path + shift
        low, high = torch.minimum(low, path), torch.maximum(high, path)
        if unexplained > _CUT or float((high - low).max()) > most:
            yield start, i
            start = i
            path = low = high = torch.zeros(2)
    yield start, len(grey)


def _pairs(grey: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Yield for each frame but the first its displacement `(2,)` to the one before it, and the part
    of its variance that is left then.
    """
    for start in range(0, len(grey) - 1, _PAIRS_AT_ONCE):
        after = grey[start + 1 : start + 1 + _PAIRS_AT_ONCE]
        before = grey[start : start + len(after)]
        fields = torch.zeros(len(after), 2, *_PAIR_CELLS)
        for level in _PAIR_LEVELS:
            fields = _refined(before, after, fields, level)
        errors = (_moved(before, fields) - after).square().mean((1, 2, 3))
        variances = after.var((1, 2, 3), correction=0)
        unexplained = errors / variances.clamp(min=_LEAST_ERROR)
        yield from zip(_dominant(fields), unexplained.tolist(), strict=True)


@torch.enable_grad()
def _refined(
    canvas: Tensor, frames: Tensor, fields: Tensor, level: tuple[int, int, float]
) -> Tensor:
    """Return fields `(B, 2, r, c)` at which `canvas` `(B, 1, h, w)` is nearer to the frames."""
    factor, num_steps, first_step = level
    if factor > 1:
        factor = min(factor, *canvas.shape[2:])
        canvas, frames = F.avg_pool2d(canvas, factor), F.avg_pool2d(frames, factor)
    fields = (fields / factor).clone().requires_grad_()
    adam = Adam([fields], lr=first_step, betas=(0.8, 0.95))
    for i in range(num_steps):
        adam.param_groups[0]["lr"] = first_step * (1 - i / num_steps)
        errors = (_moved(canvas, fields) - frames).square()
        across, down = fields.diff(dim=3).square(), fields.diff(dim=2).square()
        roughness = across.mean((1, 2, 3)) + down.mean((1, 2, 3))
        loss = (errors + _EDGE**2).sqrt().mean((1, 2, 3)) + _SMOOTHNESS * factor**2 * roughness
        adam.zero_grad()
        torch.autograd.backward(loss.sum())
        adam.step()
    return fields.detach() * factor


def _dominant(fields: Tensor) -> Tensor:
    """Return the medians `(N, 2)` of fields `(N, 2, r, c)`: what most of a frame does."""
    return fields.flatten(2).median(2).values


def _moved(canvas: Tensor, fields: Tensor) -> Tensor:
    """Read canvases `(B, 1, h, w)` at displaced places; `fields` `(B, 2, r, c)` in their pixels."""
    height, width = canvas.shape[2:]
    return read_displaced(canvas, fields, (height, width))


def _gains_db(canvas: Tensor, frames: Tensor, fields: Tensor) -> Tensor:
    """Return by how much each frame `(N, 1, h, w)` is nearer to the canvas `(1, h, w)`, moved."""
    gains = []
    for frame, field in zip(frames, fields, strict=True):
        still = (canvas - frame).square().mean()
        moved = (_moved(canvas[None], field[None])[0] - frame).square().mean()
        gains.append(10 * torch.log10((still + _LEAST_ERROR) / (moved + _LEAST_ERROR)))
    return torch.stack(gains)
