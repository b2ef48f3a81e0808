"""A folder of images, or a pattern such as `frames/%05d.png`, as a source of frames."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame as AvFrame

from inrcodec.errors import VideoError
from inrcodec.video._types import CodedSize

DEFAULT_FPS = Fraction(25)
IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_PATTERN = re.compile(r"%(0\d+)?d")


def is_pattern(source: str) -> bool:
    """Whether the file name holds exactly one `%d` or `%05d`."""
    return len(_PATTERN.findall(Path(source).name)) == 1


def numbered_name(pattern: str, number: int) -> str:
    """Return a file's name by its pattern.

    >>> numbered_name("100%_%03d.png", 7)
    '100%_007.png'
    """
    return _PATTERN.sub(lambda field: field[0] % number, pattern)


class ImageSource:
    """Images of one size, one a frame, in the order of the numbers in their names.

    Raises:
        VideoError: no image is there, or a number of the pattern is missing.
    """

    def __init__(self, source: str, *, fps: Fraction | None) -> None:
        folder = Path(source)
        self.paths = _folder(folder) if folder.is_dir() else _numbered(folder)
        self.name = source
        self.average_fps = fps or DEFAULT_FPS
        self.time_base = 1 / self.average_fps
        self.sample_aspect_ratio = Fraction(1)
        self.num_frames: int | None = len(self.paths)
        self.is_count_exact = True
        self.codec = self.paths[0].suffix.lstrip(".").lower()

    def decode(self) -> Iterator[AvFrame]:
        """Yield the frames, pts counting from 0 in units of one frame."""
        for index, path in enumerate(self.paths):
            frame = _read_image(path)
            frame.pts, frame.time_base = index, self.time_base
            frame.duration = 1
            yield frame

    def coded_size(self) -> CodedSize:
        """Return the bytes of the images.

        Raises:
            VideoError: one is gone.
        """
        try:
            num_bytes = sum(path.stat().st_size for path in self.paths)
        except OSError as exc:
            raise VideoError(f"{exc.filename}: {exc.strerror}") from exc
        return CodedSize(num_bytes, len(self.paths), is_exact=True)

    def frame_name(self, index: int) -> str:
        """Return what an error should call frame `index`."""
        return str(self.paths[index])


def _read_image(path: Path) -> AvFrame:
    try:
        # From memory: FFmpeg would take a % or a : in the name for its own syntax.
        with av.open(io.BytesIO(path.read_bytes()), mode="r") as container:
            frame: AvFrame = next(container.decode(video=0))
            return frame
    except (av.FFmpegError, OSError, IndexError, StopIteration) as exc:
        raise VideoError(f"{path}: not an image that FFmpeg reads: {exc}") from exc


def _folder(folder: Path) -> list[Path]:
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")
    ]
    if not paths:
        raise VideoError(f"{folder}: a folder without images (known: {', '.join(IMAGE_ENDINGS)})")
    return sorted(paths, key=_natural_order)


def _natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def _numbered(pattern: Path) -> list[Path]:
    if not pattern.parent.is_dir():
        raise VideoError(f"{pattern}: no such folder: {pattern.parent}")
    field = _PATTERN.search(pattern.name)
    if field is None:
        raise VideoError(f"{pattern}: no number such as %05d in the name")
    before, after = pattern.name[: field.start()], pattern.name[field.end() :]
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    matches = (name.fullmatch(path.name) for path in pattern.parent.iterdir())
    numbers = sorted(
        int(match[1])
        for match in matches
        if match and numbered_name(pattern.name, int(match[1])) == match[0]
    )
    if not numbers:
        raise VideoError(f"{pattern}: no file matches the pattern")
    for number, expected in zip(numbers, range(numbers[0], numbers[0] + len(numbers)), strict=True):
        if number != expected:
            missing = numbered_name(pattern.name, expected)
            raise VideoError(f"{pattern}: {missing} is missing, but {number} is there")
    return [pattern.parent / numbered_name(pattern.name, number) for number in numbers]
