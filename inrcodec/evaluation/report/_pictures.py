"""Pictures embedded in the page within one budget of bytes, whatever was evaluated.

In: for each clip, files of a picture a frame. Out: data URIs: lossless while they fit into the
budget, then of less quality, then of fewer frames, then smaller; at last none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inrcodec.evaluation._snapshots import SNAPSHOTS, data_uri

MAX_PICTURE_BYTES = 32_000_000
"""Of all pictures of a page as they stand in it: in base64, the source's among them."""

Files = Mapping[str, Sequence[Path]]  # a picture a frame, by the name of the curve
Uris = dict[str, list[str]]


@dataclass(frozen=True)
class Compression:
    """How pictures are embedded."""

    quality: int | None  # of WebP; None: the files as they are, lossless
    frames: int = SNAPSHOTS  # of a clip, at most
    divisor: int = 1  # of width and height

    @property
    def note(self) -> str:
        """What the reader must know of the pictures."""
        if self.quality is None:
            return "Pictures are lossless."
        smaller = f", at 1/{self.divisor} of their size" if self.divisor > 1 else ""
        return (
            "Pictures are compressed once more for this page "
            f"(WebP, quality {self.quality}{smaller})."
        )


LADDER = (
    *(Compression(None), Compression(90), Compression(75)),
    *(Compression(75, frames=2), Compression(75, frames=1)),
    *(Compression(75, frames=1, divisor=2), Compression(75, frames=1, divisor=4)),
)


def embed(clips: Sequence[Files]) -> tuple[Compression | None, list[Uris]]:
    """Return the first compression of `LADDER` within the budget, and each clip's data URIs.

    None and no pictures where even the last one is above it.
    """
    for compression in LADDER:
        uris = _within_budget(clips, compression)
        if uris is not None:
            return compression, uris
    return None, [{} for _ in clips]


def spread(num_kept: int, count: int) -> list[int]:
    """Return up to `count` of the first `num_kept` numbers, spread evenly.

    >>> spread(4, 2), spread(4, 1), spread(2, 4)
    ([1, 3], [2], [0, 1])
    """
    count = min(num_kept, count)
    return [(2 * i + 1) * num_kept // (2 * count) for i in range(count)]


def _within_budget(clips: Sequence[Files], compression: Compression) -> list[Uris] | None:
    """Return the pictures, or None as soon as they are above the budget."""
    embedded: list[Uris] = []
    left = MAX_PICTURE_BYTES
    if compression.quality is None:  # known without reading them
        every = [file for of in clips for files in of.values() for file in files]
        left -= sum(4 * file.stat().st_size // 3 for file in every)
    for files_of in clips:
        embedded.append({})
        for name, files in files_of.items():
            uris = embedded[-1][name] = []
            for index in spread(len(files), compression.frames):
                if left < 0:
                    return None
                uri = data_uri(
                    files[index], quality=compression.quality, divisor=compression.divisor
                )
                left -= 0 if compression.quality is None else len(uri)
                uris.append(uri)
    return embedded if left >= 0 else None
