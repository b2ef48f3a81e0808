"""What travels between a video file and the codec: frames, tags, audio packets. Plain data only."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import torch

UNSPECIFIED = 2  # the H.273 code point for "not known", in each of the three tags


def exact_rate(fps: Fraction | float) -> Fraction:
    """Return frames per second as a fraction, a float as the one of few digits that it stands for.

    >>> exact_rate(30), exact_rate(29.97), exact_rate(Fraction(30000, 1001))
    (Fraction(30, 1), Fraction(2997, 100), Fraction(30000, 1001))

    Raises:
        ValueError: it is no finite number.
    """
    if isinstance(fps, (int, Fraction)):
        return Fraction(fps)
    if not math.isfinite(fps):
        raise ValueError(f"fps is {fps}, must be a finite number")
    return Fraction(float(fps)).limit_denominator(1 << 20)


@dataclass(frozen=True)
class ColorTags:
    """How a source says its colours are meant: code points of ITU-T H.273 (CICP)."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED  # 0 for a source that is RGB already
    full_range: bool = False  # False also where the source does not say


@dataclass(frozen=True)
class VideoMetadata:
    """What is known of a video before its frames are read."""

    height: int  # of the frames as delivered: after rotation, crop and resize
    width: int
    time_base: Fraction  # seconds in one unit of pts
    average_fps: Fraction
    sample_aspect_ratio: Fraction  # as delivered; 1 when unknown
    color: ColorTags
    num_frames_from_header: int | None  # of the whole source; exact for images and raw video
    source: str  # printable name
    pixel_format: str  # FFmpeg's name of the source's format
    bit_depth: int  # of the source; frames are always delivered in 8 bits
    codec: str  # FFmpeg's name of the source's codec
    rotation: int  # degrees clockwise that were applied to make the frames upright; 0 for mirrored


@dataclass(frozen=True)
class CodedSize:
    """How much video a source holds: of a container, in the packets of the stream that is read."""

    num_bytes: int  # of the video alone
    num_frames: int
    is_exact: bool  # False where decoding may give other frames than there are packets


@dataclass(frozen=True)
class VideoFrame:
    """One picture and when it is shown."""

    rgb: torch.Tensor  # (3, H, W) uint8
    pts: int  # in units of the metadata's time_base, as in the source (not rebased to 0)
    duration: int  # in units of time_base, > 0


@dataclass(frozen=True)
class RawVideoFormat:
    """What the name of a raw `.yuv` file cannot say."""

    width: int
    height: int
    pixel_format: str  # FFmpeg's name, such as yuv420p or yuv420p10le
    fps: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", exact_rate(self.fps))


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One coded audio packet, its bytes as the source holds them."""

    pts: int  # in units of the stream's time_base, on the clock of the video's time stamps
    dts: int
    duration: int  # 0 when unknown
    is_keyframe: bool
    data: bytes


@dataclass(frozen=True)
class AudioStream:
    """Everything needed to mux an audio stream again without touching its packets."""

    codec: str  # FFmpeg's codec name, such as aac, opus, mp3, flac, pcm_s16le
    time_base: Fraction  # seconds in one unit of pts
    sample_rate: int  # Hz
    channels: int
    layout: str  # FFmpeg's name, such as 5.1; empty when the source does not say
    bit_rate: int  # bits per second, 0 when unknown
    extradata: bytes  # the codec's global header (AudioSpecificConfig, OpusHead, ...)
    language: str = ""  # ISO 639-2, empty when unknown
    packets: list[AudioPacket] = field(default_factory=list)
