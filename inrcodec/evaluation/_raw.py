"""`RawFrames`: frames in a raw file on disk, read a few at a time.

In: a file that holds nothing but pixels, and its geometry. Out: frames `start:stop` as a tensor or
as planes. The file is mapped for the length of one call only, so that a clip of any length takes
the memory of the frames asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inrcodec.errors import EvaluationError
from inrcodec.video._part_file import PartFile

Plane = npt.NDArray[np.uint8]

CHUNK_BYTES = 2**20
"""Bytes read at once, but at least one frame: 4 frames of 320x240 RGB, one of 640x360."""

_BYTES_PER_SAMPLE = {"rgb24": 1, "yuv420p": 1, "yuv420p10le": 2}


@dataclass(frozen=True)
class RawFrames:
    """Frames in one raw file, one after another without headers or padding.

    `rgb24` is `(N, H, W, 3)`. `yuv420p` is, frame by frame, Y `(H, W)`, U and V
    `(ceil(H/2), ceil(W/2))`. `yuv420p10le`, what 10-bit codecs decode to, is only converted.

    Raises:
        ValueError: an unknown pixel format, or a size that is no size.
    """

    path: Path
    pixel_format: str  # FFmpeg's name
    width: int  # pixels
    height: int
    num_frames: int

    def __post_init__(self) -> None:
        if self.pixel_format not in _BYTES_PER_SAMPLE:
            known = ", ".join(_BYTES_PER_SAMPLE)
            raise ValueError(f"pixel format {self.pixel_format!r} must be one of {known}")
        if min(self.width, self.height, self.num_frames) < 1:
            shape = f"{self.num_frames} frames of {self.width}x{self.height}"
            raise ValueError(f"{shape}: each number must be >= 1")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        luma = self.height * self.width
        samples = 3 * luma if self.pixel_format == "rgb24" else luma + 2 * self._chroma_samples
        return samples * _BYTES_PER_SAMPLE[self.pixel_format]

    def check(self) -> None:
        """Compare the size of the file with the geometry.

        Raises:
            EvaluationError: the file is not there, or is longer or shorter.
        """
        if not self.path.is_file():
            raise EvaluationError(f"{self.path}: no such file")
        found, expected = self.path.stat().st_size, self.num_frames * self.frame_bytes
        if found != expected:
            raise EvaluationError(
                f"{self.path}: {found} bytes, but {self.num_frames} frames of "
                f"{self.width}x{self.height} {self.pixel_format} are {expected}"
            )

    def rgb(self, start: int, stop: int) -> Tensor:
        """Return frames `start` to `stop - 1`, `(n, 3, H, W)` uint8.

        Raises:
            EvaluationError: the file has not the size that it should have.
            ValueError: not rgb24, or frames that are not there.
        """
        data = self._read(start, stop, pixel_format="rgb24")
        images = data.reshape(-1, self.height, self.width, 3).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.array(images, order="C"))

    def planes(self, start: int, stop: int) -> tuple[Plane, Plane, Plane]:
        """Return Y `(n, H, W)`, U and V `(n, ceil(H/2), ceil(W/2))` of the frames, uint8.

        Raises:
            EvaluationError: the file has not the size that it should have.
            ValueError: not yuv420p, or frames that are not there.
        """
        data = self._read(start, stop, pixel_format="yuv420p")
        luma, chroma = self.height * self.width, self._chroma_samples
        chroma_shape = (-1, -(-self.height // 2), -(-self.width // 2))
        y = data[:, :luma].reshape(-1, self.height, self.width)
        u = data[:, luma : luma + chroma].reshape(chroma_shape)
        v = data[:, luma + chroma :].reshape(chroma_shape)
        return np.array(y), np.array(u), np.array(v)

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges `(start, stop)` of at most `CHUNK_BYTES`, or of one frame."""
        step = max(1, CHUNK_BYTES // self.frame_bytes)
        for start in range(0, self.num_frames, step):
            yield start, min(start + step, self.num_frames)

    @property
    def _chroma_samples(self) -> int:
        return -(-self.height // 2) * -(-self.width // 2)

    def _read(self, start: int, stop: int, *, pixel_format: str) -> Plane:
        if self.pixel_format != pixel_format:
            raise ValueError(f"{self.path}: is {self.pixel_format}, must be {pixel_format}")
        if not 0 <= start < stop <= self.num_frames:
            raise ValueError(f"{self.path}: no frames {start}:{stop} among {self.num_frames}")
        self.check()
        return np.memmap(
            self.path,
            dtype=np.uint8,
            mode="r",
            offset=start * self.frame_bytes,
            shape=(stop - start, self.frame_bytes),
        )


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the block ends well, and is not there otherwise.

    Raises:
        EvaluationError: it cannot be written.
    """
    part = PartFile(path)
    try:
        with part.path.open("xb") as file:
            yield file
        part.commit()
    except OSError as exc:
        raise EvaluationError(f"{path}: cannot be written: {exc.strerror}") from exc
    finally:
        part.discard()


def write_frames(path: Path, frames: Iterable[bytes]) -> int:
    """Write frames one after another and return how many there were.

    Raises:
        EvaluationError: the file cannot be written.
    """
    num_frames = 0
    with writing(path) as file:
        for frame in frames:
            file.write(frame)
            num_frames += 1
    return num_frames
