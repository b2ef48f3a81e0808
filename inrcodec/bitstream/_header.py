"""The header: everything about the video but its weights, as one msgpack map, deflated.

In: a `Header`. Out: the payload of section HEAD, and back with every field checked. A key that
equals its default is left out of the file; an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from operator import mul
from typing import Any

import msgpack
import numpy as np

from inrcodec.bitstream._deflated import deflate, inflate
from inrcodec.bitstream._msgpack import MAX_PTS, LongList, check_integer, unpack_map
from inrcodec.bitstream._sections import VERSION
from inrcodec.bitstream._timestamps import TimeStamps
from inrcodec.errors import BitstreamError

MAX_SIDE = 1 << 14
MAX_PIXELS = 1 << 26
MAX_FRAMES = 1 << 20
MAX_SEGMENTS = 1 << 16
MAX_AUDIO_STREAMS = 64
_FIRST_DEFLATED = 4  # version of the format
_MAX_INT = 1 << 31
_MAX_TEXT = 64
_DEFAULT_COLOR = (2, 2, 2, 0)
_ABSENT = object()
_LONG_LISTS = {
    "pts": LongList(
        2 * MAX_FRAMES + 1, f"'pts' must list up to {2 * MAX_FRAMES + 1} integers", "'pts'"
    ),
    "segments": LongList(MAX_SEGMENTS, f"'segments' must list 1 to {MAX_SEGMENTS} segments"),
}


@dataclass(frozen=True)
class SegmentInfo:
    """One run of frames with a network of its own."""

    num_frames: int
    model_fields: Mapping[str, object]  # the network's hyper-parameters, as its config gives them


@dataclass(frozen=True)
class Header:
    """What a player must know before it decodes a weight."""

    width: int
    height: int
    time_base: Fraction  # seconds per unit of the time stamps
    average_fps: Fraction
    timestamps: TimeStamps
    model: str  # name in the zoo
    segments: tuple[SegmentInfo, ...]
    color: tuple[int, int, int, int] = _DEFAULT_COLOR  # primaries, transfer, matrix, full range
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0  # degrees clockwise that the encoder has already turned the frames by
    num_audio_streams: int = 0

    @property
    def num_frames(self) -> int:
        """Frames of all segments."""
        return sum(segment.num_frames for segment in self.segments)

    def to_bytes(self) -> bytes:
        """Return the payload of section HEAD."""
        fields: dict[str, Any] = {
            "size": [self.width, self.height],
            "time_base": _pair(self.time_base),
            "fps": _pair(self.average_fps),
            "pts": [self.timestamps.first, *(n for run in self.timestamps.runs for n in run)],
            "model": self.model,
            "segments": [[s.num_frames, dict(s.model_fields)] for s in self.segments],
        }
        if self.color != _DEFAULT_COLOR:
            fields["color"] = list(self.color)
        if self.sample_aspect_ratio != 1:
            fields["sar"] = _pair(self.sample_aspect_ratio)
        if self.rotation:
            fields["rotation"] = self.rotation
        if self.num_audio_streams:
            fields["audio"] = self.num_audio_streams
        packed: bytes = msgpack.packb(fields)
        try:
            Header.from_map(packed)
        except BitstreamError as exc:
            raise ValueError(str(exc)) from exc
        return deflate(packed)

    @classmethod
    def from_bytes(cls, data: bytes, *, version: int = VERSION) -> Header:
        """Read and check the payload of section HEAD in a file of `version`.

        Raises:
            BitstreamError: what is wrong, with the field's name.
        """
        return cls.from_map(data if version < _FIRST_DEFLATED else inflate(data))

    @classmethod
    def from_map(cls, data: bytes) -> Header:
        """Read and check the msgpack map of a header.

        Raises:
            BitstreamError: what is wrong, with the field's name.
        """
        fields = _Fields(unpack_map(data, "header", _LONG_LISTS))
        width, height = fields.integers("size", count=2, low=1, high=MAX_SIDE)
        if width * height > MAX_PIXELS:
            raise BitstreamError(f"header: {width}x{height} is over {MAX_PIXELS} pixels")
        segments = fields.segments()
        num_frames = sum(segment.num_frames for segment in segments)
        if num_frames > MAX_FRAMES:
            raise BitstreamError(f"header: {num_frames} frames, must be <= {MAX_FRAMES}")
        color = fields.integers("color", count=4, low=0, high=255, default=list(_DEFAULT_COLOR))
        check_integer(color[3], "header: 'color' full range", 0, 1)
        header = cls(
            width=width,
            height=height,
            time_base=fields.fraction("time_base"),
            average_fps=fields.fraction("fps"),
            timestamps=fields.timestamps(num_frames),
            model=fields.text("model"),
            segments=segments,
            color=(color[0], color[1], color[2], color[3]),
            sample_aspect_ratio=fields.fraction("sar", default=[1, 1]),
            rotation=fields.integer("rotation", high=359),
            num_audio_streams=fields.integer("audio", high=MAX_AUDIO_STREAMS),
        )
        fields.end()
        return header


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


class _Fields:
    """The header's map, handed out field by field with type and range checked."""

    def __init__(self, fields: dict[str, object]) -> None:
        self.fields = fields

    def take(self, name: str, default: object = _ABSENT) -> object:
        value = self.fields.pop(name, _ABSENT)
        if value is _ABSENT:
            if default is _ABSENT:
                raise BitstreamError(f"header: field {name!r} is missing")
            return default
        # Compared only with what has a default, and so is no long list.
        if default is not _ABSENT and value == default:
            raise BitstreamError(f"header: {name!r} is its default, must be left out")
        return value

    def integers(
        self, name: str, *, count: int, low: int, high: int, default: object = _ABSENT
    ) -> list[int]:
        value = self.take(name, default)
        if not isinstance(value, list):
            raise BitstreamError(f"header: {name!r} must be a list")
        if len(value) != count:
            raise BitstreamError(f"header: {name!r} has {len(value)} values, must have {count}")
        return [check_integer(item, f"header: {name!r}", low, high) for item in value]

    def integer(self, name: str, *, high: int) -> int:
        return check_integer(self.take(name, 0), f"header: {name!r}", 0, high)

    def fraction(self, name: str, default: object = _ABSENT) -> Fraction:
        top, bottom = self.integers(name, count=2, low=1, high=_MAX_INT, default=default)
        return Fraction(top, bottom)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT:
            raise BitstreamError(f"header: {name!r} must be a text of 1 to {_MAX_TEXT} characters")
        return value

    def segments(self) -> tuple[SegmentInfo, ...]:
        value = self.take("segments")
        if not isinstance(value, list) or not value:
            raise BitstreamError(f"header: {_LONG_LISTS['segments'].rule}")
        segments = []
        for item in value:
            if not (isinstance(item, list) and len(item) == 2 and isinstance(item[1], dict)):
                raise BitstreamError("header: a segment must be [num_frames, hyper-parameters]")
            num_frames = check_integer(item[0], "header: a segment's frames", 1, MAX_FRAMES)
            segments.append(SegmentInfo(num_frames, item[1]))
        return tuple(segments)

    def timestamps(self, num_frames: int) -> TimeStamps:
        values = self.take("pts")
        if not isinstance(values, np.ndarray):
            raise BitstreamError(f"header: {_LONG_LISTS['pts'].rule}")
        if values.size % 2 == 0 or values.size < 3 or values[1:].min() < 1:
            raise BitstreamError("header: 'pts' must be a start and pairs of positive integers")
        first, counts, durations = int(values[0]), values[1::2].tolist(), values[2::2].tolist()
        if sum(counts) != num_frames:
            raise BitstreamError(
                f"header: 'pts' are of {sum(counts)} frames, segments of {num_frames}"
            )
        if first + sum(map(mul, counts, durations)) > MAX_PTS:
            raise BitstreamError("header: 'pts' run over 2**62")
        return TimeStamps(first, tuple(zip(counts, durations, strict=True)))

    def end(self) -> None:
        if self.fields:
            raise BitstreamError(f"header: unknown field {next(iter(self.fields))[:_MAX_TEXT]!r}")
