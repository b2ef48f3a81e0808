"""The header: everything about the video but its weights, as one msgpack map.

In: a `Header`. Out: the payload of section HEAD, and back with every field checked. A key that
equals its default is left out of the file; an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import msgpack

from inrcodec.bitstream._timestamps import TimeStamps
from inrcodec.errors import BitstreamError

MAX_SIDE = 1 << 14
MAX_PIXELS = 1 << 26
MAX_FRAMES = 1 << 20
MAX_SEGMENTS = 1 << 16
MAX_AUDIO_STREAMS = 64
MAX_HEADER_BYTES = 1 << 24
_MAX_INT = 1 << 31
_MAX_PTS = 1 << 62
_MAX_TEXT = 64
_MAX_ITEMS = 1 << 22
_MAX_CONTAINERS = 1 << 20
_DEFAULT_COLOR = (2, 2, 2, 0)


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
            Header.from_bytes(packed)
        except BitstreamError as exc:
            raise ValueError(str(exc)) from exc
        return packed

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Read and check the payload of section HEAD.

        Raises:
            BitstreamError: what is wrong, with the field's name.
        """
        fields = _Fields(_unpack(data))
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


def unpack_msgpack(data: bytes, what: str) -> object:
    """Unpack hostile msgpack `data`: bounded sizes, text keys, no extension types.

    Raises:
        BitstreamError: it is not one well-formed value within the bounds.
    """
    # An item takes a byte or more; the unpacker makes room for as many as a length claims.
    most = min(_MAX_ITEMS, len(data))
    num_containers = 0

    def count() -> None:
        nonlocal num_containers
        num_containers += 1  # an empty one takes a byte, and 56 or 64 in memory
        if num_containers > _MAX_CONTAINERS:
            raise ValueError(f"more than {_MAX_CONTAINERS} arrays and maps")

    def listed(items: list[object]) -> list[object]:
        count()
        return items

    def mapped(items: list[tuple[object, object]]) -> dict[str, object]:
        count()
        return _pairs(items)

    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=most,
            max_map_len=most,
            max_ext_len=0,
            object_pairs_hook=mapped,
            list_hook=listed,
            ext_hook=_no_extension,
        )
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as exc:
        reason = str(exc) or type(exc).__name__
        raise BitstreamError(f"{what} is not well-formed msgpack: {reason[:80]}") from exc
    return value


def _unpack(data: bytes) -> dict[str, object]:
    value = unpack_msgpack(data, "header")
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BitstreamError("header: must be a map with text keys")
    return value


def _pairs(items: list[tuple[object, object]]) -> dict[str, object]:
    fields = dict(items)
    if len(fields) < len(items) or not all(isinstance(key, str) for key in fields):
        raise ValueError("keys of a map must be texts, each but once")
    return fields  # type: ignore[return-value]


def _no_extension(code: int, data: bytes) -> object:
    raise ValueError(f"extension type {code}")


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


class _Fields:
    """The header's map, handed out field by field with type and range checked."""

    def __init__(self, fields: dict[str, object]) -> None:
        self.fields = fields

    def take(self, name: str, default: object = None) -> object:
        value = self.fields.pop(name, None)
        if value is None:
            if default is None:
                raise BitstreamError(f"header: field {name!r} is missing")
            return default
        if value == default:
            raise BitstreamError(f"header: {name!r} is its default, must be left out")
        return value

    def integers(
        self,
        name: str,
        *,
        count: int | None = None,
        low: int,
        high: int,
        default: list[int] | None = None,
    ) -> list[int]:
        value = self.take(name, default)
        if not isinstance(value, list):
            raise BitstreamError(f"header: {name!r} must be a list")
        if count is not None and len(value) != count:
            raise BitstreamError(f"header: {name!r} has {len(value)} values, must have {count}")
        return [check_integer(item, f"header: {name!r}", low, high) for item in value]

    def integer(self, name: str, *, high: int) -> int:
        return check_integer(self.take(name, 0), f"header: {name!r}", 0, high)

    def fraction(self, name: str, default: list[int] | None = None) -> Fraction:
        top, bottom = self.integers(name, count=2, low=1, high=_MAX_INT, default=default)
        return Fraction(top, bottom)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT:
            raise BitstreamError(f"header: {name!r} must be a text of 1 to {_MAX_TEXT} characters")
        return value

    def segments(self) -> tuple[SegmentInfo, ...]:
        value = self.take("segments")
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_SEGMENTS:
            raise BitstreamError(f"header: 'segments' must list 1 to {MAX_SEGMENTS} segments")
        segments = []
        for item in value:
            if not (isinstance(item, list) and len(item) == 2 and isinstance(item[1], dict)):
                raise BitstreamError("header: a segment must be [num_frames, hyper-parameters]")
            num_frames = check_integer(item[0], "header: a segment's frames", 1, MAX_FRAMES)
            segments.append(SegmentInfo(num_frames, item[1]))
        return tuple(segments)

    def timestamps(self, num_frames: int) -> TimeStamps:
        values = self.integers("pts", low=-_MAX_PTS, high=_MAX_PTS)
        runs = tuple(zip(values[1::2], values[2::2], strict=False))
        if len(values) % 2 == 0 or not runs or min(min(run) for run in runs) < 1:
            raise BitstreamError("header: 'pts' must be a start and pairs of positive integers")
        timestamps = TimeStamps(values[0], runs)
        if timestamps.num_frames != num_frames:
            raise BitstreamError(
                f"header: 'pts' are of {timestamps.num_frames} frames, segments of {num_frames}"
            )
        if timestamps.end > _MAX_PTS:
            raise BitstreamError("header: 'pts' run over 2**62")
        return timestamps

    def end(self) -> None:
        if self.fields:
            raise BitstreamError(f"header: unknown field {next(iter(self.fields))[:_MAX_TEXT]!r}")


def check_integer(value: object, what: str, low: int, high: int) -> int:
    """Return `value` if it is an integer from `low` to `high`.

    Raises:
        BitstreamError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BitstreamError(f"{what} is {str(value)[:40]}, must be an integer {low} to {high}")
    return value
