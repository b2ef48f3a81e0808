"""What a clip's entry in the catalogue says: plain data, no files touched."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

__all__ = ["Dataset", "Made", "RawLayout", "SevenZip", "ZipParts"]


@dataclass(frozen=True, kw_only=True)
class RawLayout:
    """What the bytes of a raw `.yuv` file mean."""

    width: int  # pixels
    height: int  # pixels
    pixel_format: str  # FFmpeg's name, such as yuv420p
    fps: Fraction

    @property
    def frame_bytes(self) -> int:
        """Bytes of one planar frame.

        >>> RawLayout(width=3, height=3, pixel_format="yuv420p10le", fps=Fraction(25)).frame_bytes
        34
        """
        _, _, chroma_and_depth = self.pixel_format.partition("yuv")
        chroma, _, depth = chroma_and_depth.partition("p")
        width = self.width if chroma == "444" else (self.width + 1) // 2
        height = (self.height + 1) // 2 if chroma == "420" else self.height
        return (self.width * self.height + 2 * width * height) * (2 if depth else 1)


@dataclass(frozen=True, kw_only=True)
class SevenZip:
    """A 7z archive on a server; the clip is its one `.yuv` of the clip's size."""

    url: str


@dataclass(frozen=True, kw_only=True)
class ZipParts:
    """Zip files on a server, one of which holds the clip among others."""

    listing_url: str  # answers as Hugging Face's tree does: [{"type": "file", "path": ...}, ...]
    files_url: str  # a path of the listing is appended
    member: str  # regular expression of the clip's path in its zip file


@dataclass(frozen=True, kw_only=True)
class Made:
    """Nothing is downloaded: the clip is computed."""

    kind: str  # as `_made.frames_of` takes it


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip that inrcodec knows by name."""

    name: str
    title: str
    licence: str
    page: str  # where its provider speaks of it; empty where there is none
    width: int  # pixels
    height: int  # pixels
    num_frames: int
    size_bytes: int | None  # of the file; None where no provider states it
    sha256: str | None  # of the file, lower-case hexadecimal; None where no provider states it
    how_to_get: str  # a command
    file_name: str  # in the data folder and in the package that brings it
    other_names: tuple[str, ...] = ()  # looked for next, at the same places
    name_patterns: tuple[str, ...] = ()  # regular expressions of names, looked for last
    group: str = ""  # "uvg" of "uvg/beauty"
    pixel_format: str | None = None  # of a raw .yuv
    fps: Fraction | None = None  # of a raw .yuv; other files say it themselves
    package: str = ""  # the installed package that brings the file
    source: SevenZip | ZipParts | Made | None = None  # what `fetch` downloads, or computes

    @property
    def raw(self) -> RawLayout | None:
        """How a raw file of this clip is read, None for a clip that is no raw file."""
        if self.pixel_format is None or self.fps is None:
            return None
        return RawLayout(
            width=self.width, height=self.height, pixel_format=self.pixel_format, fps=self.fps
        )

    def how_to_get_in(self, root: str | Path | None) -> str:
        """The command that gets the clip into the data folder `root`, None for the usual one."""
        if not root or self.source is None:
            return self.how_to_get
        return f"{self.how_to_get} --root {shlex.quote(str(root))}"
