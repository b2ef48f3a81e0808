"""A few frames of every point, kept losslessly, for the frame viewer of the report.

In: raw frames. Out: `OUT/frames/<clip>/<point>-<frame>.webp`, and data URIs of such files.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from inrcodec.evaluation._points import clip_folder

if TYPE_CHECKING:
    from PIL.Image import Image

    from inrcodec.evaluation._reference import RawFrames

SNAPSHOTS = 4


def snapshot_indices(num_frames: int) -> list[int]:
    """Return up to four frames spread over a clip, none at its very ends.

    >>> snapshot_indices(32)
    [4, 12, 20, 28]
    >>> snapshot_indices(2)
    [0, 1]
    """
    count = min(SNAPSHOTS, num_frames)
    return [(2 * i + 1) * num_frames // (2 * count) for i in range(count)]


def save_snapshots(frames: RawFrames, out: Path, clip: str, stem: str) -> dict[str, str]:
    """Write the snapshots of a point; returns their paths in `out` by frame index."""
    folder = out / "frames" / clip_folder(clip)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for index in snapshot_indices(frames.num_frames):
        path = folder / f"{stem}-{index:05d}.webp"
        frame_image(frames, index).save(path, lossless=True, quality=50, method=2)
        paths[str(index)] = path.relative_to(out).as_posix()
    return paths


def frame_image(frames: RawFrames, index: int) -> Image:
    """Return one frame as a picture."""
    from PIL import Image

    rgb = frames.rgb(index, index + 1)[0]  # (3, H, W)
    return Image.fromarray(rgb.permute(1, 2, 0).contiguous().cpu().numpy())


def data_uri(picture: Path, *, quality: int | None, divisor: int = 1) -> str:
    """Return a kept picture as a `data:` URI: as it is, or with a quality compressed once more."""
    from PIL import Image

    if quality is None:
        return _uri(picture.read_bytes())
    buffer = io.BytesIO()
    with Image.open(picture) as opened:
        smaller = opened.convert("RGB").reduce(divisor) if divisor > 1 else opened.convert("RGB")
        smaller.save(buffer, "WEBP", quality=quality, method=2)
    return _uri(buffer.getvalue())


def _uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode()
