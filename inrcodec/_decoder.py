"""Random access to the frames of an `.inr` file; names follow torchcodec's `VideoDecoder`.

In: a file. Out: `uint8 (3, H, W)` RGB tensors, in any order, each decoded without the others of
its segment. Only the sections that are needed are read.
"""

from __future__ import annotations

import operator
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec._segment_codec import (
    PRECISIONS,
    SegmentDecoder,
    most_segment_bytes,
    read_config,
    read_segment,
)
from inrcodec.bitstream import InrFile, unpack_audio
from inrcodec.errors import BitstreamError
from inrcodec.fitting import resolve_device, resolve_precision
from inrcodec.models import NetworkConfig
from inrcodec.video import AudioStream, ColorTags, VideoMetadata
from inrcodec.video._cut import rate_of

_SEGMENTS_HELD = 4


@dataclass(frozen=True)
class VideoDecoderMetadata:
    """What the header says of the video; `num_frames`, `width` and the like as in torchcodec."""

    height: int
    width: int
    num_frames: int
    average_fps: float
    begin_stream_seconds: float
    end_stream_seconds: float
    duration_seconds: float
    pixel_aspect_ratio: Fraction
    bit_rate: float  # bits per second of the file, audio excluded
    bpp: float  # bits per pixel of the file, audio excluded
    codec: str  # "inr/" and the network's name
    num_audio_streams: int


@dataclass(frozen=True)
class Frame:
    """One frame: `data` is `uint8 (3, H, W)` RGB."""

    data: Tensor
    pts_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class FrameBatch:
    """Frames: `data` is `uint8 (N, 3, H, W)` RGB, the times are `float64 (N,)`."""

    data: Tensor
    pts_seconds: Tensor
    duration_seconds: Tensor

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Frame]:
        for data, pts, duration in zip(
            self.data, self.pts_seconds, self.duration_seconds, strict=True
        ):
            yield Frame(data, float(pts), float(duration))


@dataclass
class _HeldSegment:
    """A segment that is decoded from, or is being loaded by whoever has the lock."""

    decoder: SegmentDecoder | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class VideoDecoder:
    """Decodes an `.inr` file; use it as a context manager to close the file early.

    Args:
        source: a path, or the bytes of a file.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; frames are returned there.
        precision: `fp32`, the reference; `bf16` or `fp16` are faster and lose under 0.05 dB;
            `auto` is `bf16` where the device computes in it.

    Raises:
        BitstreamError: the file is damaged, truncated or no `.inr` file.
        ValueError: no such device or precision.

    `decoder[10]` is a `(3, H, W)` tensor, `decoder[10:20]` a `(10, 3, H, W)` one.
    """

    def __init__(
        self, source: str | Path | bytes, *, device: str = "auto", precision: str = "fp32"
    ) -> None:
        known = (*PRECISIONS, "auto")
        if precision not in known:
            raise ValueError(f"precision is {precision!r}, must be one of {', '.join(known)}")
        self.device = resolve_device(device)
        if precision == "auto":
            low = resolve_precision("auto", self.device) == torch.bfloat16
            precision = "bf16" if low else "fp32"
        self.precision = precision
        self._file = InrFile(source)
        self.header = header = self._file.header
        self._pts = header.timestamps.pts()
        self._durations = header.timestamps.durations()
        self._starts = np.cumsum([0, *(segment.num_frames for segment in header.segments)])
        self._held: dict[int, _HeldSegment] = {}  # the one used last is last
        self._lock = threading.Lock()  # of `_held`
        self._is_closed = False

    @cached_property
    def metadata(self) -> VideoDecoderMetadata:
        """What the header says of the video."""
        header = self.header
        begin = header.timestamps.first * header.time_base
        end = header.timestamps.end * header.time_base
        num_bits = 8 * (self._file.num_bytes - self._file.audio_bytes)
        return VideoDecoderMetadata(
            height=header.height,
            width=header.width,
            num_frames=header.num_frames,
            average_fps=float(header.average_fps),
            begin_stream_seconds=float(begin),
            end_stream_seconds=float(end),
            duration_seconds=float(end - begin),
            pixel_aspect_ratio=header.sample_aspect_ratio,
            bit_rate=float(num_bits / (end - begin)),
            bpp=num_bits / (header.num_frames * header.height * header.width),
            codec=f"inr/{header.model}",
            num_audio_streams=header.num_audio_streams,
        )

    def __len__(self) -> int:
        return len(self._pts)

    def __getitem__(self, key: int | slice) -> Tensor:
        if isinstance(key, slice):
            return self._decode(range(*key.indices(len(self))))
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index}, must be {-len(self)} to {len(self) - 1}")
        return self._decode([index % len(self)])[0]

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self), 16):
            yield from self[start : start + 16]

    def get_frame_at(self, index: int) -> Frame:
        """Return the frame at `index`, which may be negative.

        Raises:
            IndexError: there is none.
        """
        return next(iter(self.get_frames_at([index])))

    def get_frames_at(self, indices: Sequence[int]) -> FrameBatch:
        """Return the frames at `indices`, in that order; negative ones count from the end.

        Raises:
            IndexError: one of them is not there.
        """
        checked = []
        for index in map(operator.index, indices):
            if not -len(self) <= index < len(self):
                raise IndexError(f"frame {index}, must be {-len(self)} to {len(self) - 1}")
            checked.append(index % len(self))
        return self._batch(checked)

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch:
        """Return the frames `start` to `stop`, the latter excluded.

        Raises:
            IndexError: the range leaves the video.
            ValueError: `step` is not positive.
        """
        if step < 1:
            raise ValueError(f"step is {step}, must be >= 1")
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"range is {start}:{stop}, must be within 0:{len(self)}")
        return self._batch(range(start, stop, step))

    def get_frame_played_at(self, seconds: float) -> Frame:
        """Return the frame on the screen at `seconds`.

        Raises:
            IndexError: the video does not run then.
        """
        return next(iter(self.get_frames_played_at([seconds])))

    def get_frames_played_at(self, seconds: Iterable[float]) -> FrameBatch:
        """Return the frames on the screen at these times, in that order.

        Raises:
            IndexError: the video does not run at one of them.
        """
        metadata = self.metadata
        begin, end = metadata.begin_stream_seconds, metadata.end_stream_seconds
        indices = []
        for time in map(float, seconds):
            if not begin <= time < end:
                raise IndexError(f"time is {time} s, must be {begin} s to under {end} s")
            indices.append(self._index_at(time))
        return self._batch(indices)

    def get_frames_played_in_range(self, start_seconds: float, stop_seconds: float) -> FrameBatch:
        """Return the frames on the screen in the half-open interval of seconds.

        The first is the one that is on the screen at `start_seconds` already.

        Raises:
            IndexError: the interval leaves the video.
            ValueError: it ends before it starts.
        """
        metadata = self.metadata
        begin, end = metadata.begin_stream_seconds, metadata.end_stream_seconds
        if stop_seconds < start_seconds:
            raise ValueError(
                f"interval is {start_seconds} s to {stop_seconds} s, must not end first"
            )
        if not (begin <= start_seconds < end and stop_seconds <= end):
            raise IndexError(
                f"interval is {start_seconds} s to {stop_seconds} s, must be within {begin} s to "
                f"{end} s"
            )
        if start_seconds == stop_seconds:
            return self._batch([])
        first = self._index_at(start_seconds)
        stop = bisect_left(self._pts, stop_seconds, key=self._seconds)
        return self._batch(range(first, max(stop, first + 1)))

    def audio(self) -> list[AudioStream]:
        """Return the passed-through audio streams.

        Raises:
            BitstreamError: one of them is damaged.
        """
        streams = []
        for i in range(self.header.num_audio_streams):  # one payload at a time: they may be large
            data = self._file.audio(i)
            with self.naming_errors():
                streams.append(unpack_audio(data))
        return streams

    def segment_config(self, index: int) -> NetworkConfig:
        """Return the network's configuration of segment `index`."""
        segment = self.header.segments[index]
        with self.naming_errors():
            return read_config(
                self.header.model,
                segment.model_fields,
                height=self.header.height,
                width=self.header.width,
                num_frames=segment.num_frames,
            )

    def writer_metadata(self, start: int, stop: int) -> VideoMetadata:
        """Return what `VideoWriter` wants to know of the frames `start` to `stop`."""
        header = self.header
        begin, end = self.interval_of(start, stop)
        primaries, transfer, matrix, full_range = header.color
        return VideoMetadata(
            height=header.height,
            width=header.width,
            time_base=header.time_base,
            average_fps=rate_of(stop - start, end - begin, header.average_fps),
            sample_aspect_ratio=header.sample_aspect_ratio,
            color=ColorTags(primaries, transfer, matrix, bool(full_range)),
            num_frames_from_header=header.num_frames,
            source=self._file.name,
            pixel_format="rgb24",
            bit_depth=8,
            codec=f"inr/{header.model}",
            rotation=header.rotation,
        )

    def pts_of(self, index: int) -> tuple[int, int]:
        """Return time stamp and duration of frame `index`, in units of the time base."""
        return int(self._pts[index]), int(self._durations[index])

    def interval_of(self, start: int, stop: int) -> tuple[Fraction, Fraction]:
        """Return the seconds at which frame `start` begins and frame `stop - 1` ends."""
        base = self.header.time_base
        return self.pts_of(start)[0] * base, sum(self.pts_of(stop - 1)) * base

    def close(self) -> None:
        """Close the file and let go of its networks; no frame can be decoded any more."""
        with self._lock:
            self._is_closed = True
            self._held.clear()
        self._file.close()

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Put the file's name before errors raised inside."""
        try:
            yield
        except BitstreamError as exc:
            raise BitstreamError(f"{self._file.name}: {exc}") from exc

    def _segment(self, index: int) -> SegmentDecoder:
        with self._lock:
            if self._is_closed:
                raise ValueError(f"{self._file.name}: the decoder is closed")
            held = self._held.pop(index, _HeldSegment())
            self._held[index] = held
            if len(self._held) > _SEGMENTS_HELD:
                del self._held[next(iter(self._held))]
        with held.lock:  # threads that want the same segment wait, others go on
            if held.decoder is None:
                held.decoder = self._load_segment(index)
            return held.decoder

    def _load_segment(self, index: int) -> SegmentDecoder:
        config = self.segment_config(index)
        data = self._file.segment(index, max_bytes=most_segment_bytes(config))
        with self.naming_errors():
            quantized = read_segment(config, data, version=self._file.version)
        return SegmentDecoder.load(config, quantized, device=self.device, precision=self.precision)

    def _decode(self, indices: Sequence[int]) -> Tensor:
        shape = (len(indices), 3, self.header.height, self.header.width)
        wanted = np.asarray(indices, np.int64)
        segment_of = np.searchsorted(self._starts, wanted, side="right") - 1
        if len(wanted) > 0 and (segment_of == segment_of[0]).all():
            local = (wanted - self._starts[segment_of[0]]).tolist()
            return self._segment(int(segment_of[0])).decode(local)
        out = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for segment in np.unique(segment_of):
            at = np.flatnonzero(segment_of == segment)
            local = (wanted[at] - self._starts[segment]).tolist()
            out[torch.from_numpy(at).to(self.device)] = self._segment(int(segment)).decode(local)
        return out

    def _batch(self, indices: Sequence[int]) -> FrameBatch:
        at = np.asarray(indices, np.int64)
        return FrameBatch(
            self._decode(indices),
            self._all_seconds(self._pts[at]),
            self._all_seconds(self._durations[at]),
        )

    def _all_seconds(self, units: NDArray[np.int64]) -> Tensor:
        return torch.tensor([self._seconds(n) for n in units], dtype=torch.float64)

    def _seconds(self, units: np.int64) -> float:
        """Return the float nearest to a time: the product may have more than 64 bits."""
        base = self.header.time_base
        return int(units) * base.numerator / base.denominator

    def _index_at(self, seconds: float) -> int:
        return bisect_right(self._pts, seconds, key=self._seconds) - 1
