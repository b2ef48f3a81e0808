"""One reference codec: raw frames in, a bare coded stream, raw frames out again.

A stream is what the encoder's packets hold and nothing else (Annex B for H.264, HEVC and VVC, OBUs
for AV1): no container, so that its file's size is that of the video packets, with the parameter
sets that a decoder needs. What no decoder reads is left out: the page that x264 and x265 write
about themselves, and the delimiters of VVenC's packets.

Colour: the encoder gets the reference's 4:2:0 (`feed="yuv"`), or its RGB converted as the scores
convert (`feed="rgb"`), in the codec's `pixel_format`: 8 bits, of VVenC, which takes nothing else,
10. Matrix, primaries, transfer and range are written into the stream. What is decoded becomes 8-bit
4:2:0, and RGB the way back that the stream came (`RgbConversion`), so that no codec pays for two
conversions that do not match.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from inrcodec.errors import CodecError
from inrcodec.evaluation._ffmpeg import run_ffmpeg
from inrcodec.evaluation._reference import RawFrames, Reference
from inrcodec.evaluation.codecs._graphs import (
    decode_arguments,
    encode_arguments,
    null_arguments,
)
from inrcodec.evaluation.codecs._padding import padded_size, write_padded
from inrcodec.evaluation.codecs._part_folder import part_folder

Feed = Literal["yuv", "rgb"]
RgbConversion = Literal["auto", "full"]
"""From decoded 4:2:0 to RGB. full: with full chroma handling, from the codec's own bit depth.
auto: as the reference's RGB came about (`Reference.to_rgb`, from 8 bits) for a stream that was made
from 4:2:0 of the source's own; else full.
"""


@dataclass(frozen=True)
class CodecPoint:
    """What one run of one reference codec gives."""

    codec: str
    preset: str
    quality: float  # crf or qp
    num_bytes: int  # of the video packets
    encode_seconds: float  # wall clock, reading the raw file included
    decode_seconds: float  # wall clock of decoding alone: no conversion, nothing written
    stream: Path  # the coded video
    tune_psnr: bool = False
    feed: Feed = "yuv"  # which of the reference's files was coded


@dataclass(frozen=True, kw_only=True)
class ReferenceCodec:
    """An encoder of FFmpeg, with how it is called here."""

    name: str
    encoder: str  # FFmpeg's name
    stream_format: str  # FFmpeg's name of the bare stream
    suffix: str  # of the stream's file
    default_preset: str
    qualities: tuple[float, ...]  # the default sweep
    quality_range: tuple[int, int]
    whole_qualities: bool = False  # the encoder takes no fractions
    preset_option: str = "preset"
    quality_option: str = "crf"
    gop_setting: tuple[str, str] = ("g", "{}")  # option, and its value for a number of frames
    min_gop_frames: int = 1
    pixel_format: str = "yuv420p"
    min_side: int = 2  # pixels; smaller frames are padded
    settings: Mapping[str, str] = field(default_factory=dict)  # further ones, always
    psnr_settings: Mapping[str, str] = field(default_factory=dict)  # those of tune_psnr

    def encode(
        self,
        reference: Reference,
        quality: float,
        *,
        folder: str | Path,
        preset: str | None = None,
        tune_psnr: bool = False,
        feed: Feed = "yuv",
        gop_frames: int | None = None,
        num_threads: int | None = None,
    ) -> CodecPoint:
        """Encode a reference into a stream in `folder`, and time its decoding.

        Args:
            reference: what to encode.
            quality: crf or qp, within `quality_range`; more is fewer bytes.
            folder: where the stream goes; made where it is missing.
            preset: None for `default_preset`.
            tune_psnr: ask the encoder for PSNR, where its default may be for the eye.
            feed: which of the reference's two files the encoder gets.
            gop_frames: most frames from one key frame to the next; None for FFmpeg's default.
            num_threads: None for FFmpeg's default. It may change the stream a little.

        Raises:
            CodecError: the quality is out of range, or FFmpeg fails; one line, no file left.
        """
        preset = self.default_preset if preset is None else preset
        settings = self._settings(quality, preset=preset, tune_psnr=tune_psnr)
        if gop_frames is not None:
            option, value = self.gop_setting
            settings[option] = value.format(gop_frames)
        if num_threads is not None:
            settings["threads"] = str(num_threads)
        tune = ["psnr"] if tune_psnr else []
        name = "-".join([self.name, preset, *tune, f"{quality:g}"]) + self.suffix
        task = f"{self.name} {preset}, {self.quality_option} {quality:g}"
        with part_folder(Path(folder)) as part:
            stream = part / name
            frames = self._padded(reference.rgb if feed == "rgb" else reference.yuv, part)
            encoding = encode_arguments(
                frames, reference, stream, pixel_format=self.pixel_format, settings=settings
            )
            decoding = null_arguments(stream, stream_format=self.stream_format)
            times = run_ffmpeg(encoding, task=task), run_ffmpeg(decoding, task=f"{task}: decoding")
            num_bytes = stream.stat().st_size
            os.replace(stream, Path(folder) / name)
        path = Path(folder) / name
        return CodecPoint(self.name, preset, quality, num_bytes, *times, path, tune_psnr, feed)

    def decode(
        self,
        point: CodecPoint,
        reference: Reference,
        folder: str | Path,
        *,
        conversion: RgbConversion = "auto",
    ) -> tuple[RawFrames, RawFrames]:
        """Decode a stream of this codec to two raw files in `folder`.

        Returns:
            The frames as rgb24 and as 8-bit yuv420p, of the reference's size and number.

        Raises:
            CodecError: FFmpeg fails, or the stream has not the reference's frames; one line.
        """
        task = f"decoding {point.stream.name}"
        names = [f"{point.stream.stem}.{ending}" for ending in ("rgb", "yuv")]
        with part_folder(Path(folder)) as part:
            rgb, yuv = (part / name for name in names)
            as_read = conversion == "auto" and point.feed == "yuv" and reference.yuv_is_own
            decoding = decode_arguments(
                point.stream,
                reference,
                stream_format=self.stream_format,
                yuv=yuv,
                rgb=None if as_read else rgb,
            )
            run_ffmpeg(decoding, task=task)
            decoded = replace(reference.yuv, path=yuv)
            num_bytes, expected = yuv.stat().st_size, decoded.num_frames * decoded.frame_bytes
            if num_bytes != expected:
                raise CodecError(f"{task}: {num_bytes} bytes of 4:2:0, must be {expected}")
            if as_read:
                reference.to_rgb(decoded, rgb)
            for name in names:
                os.replace(part / name, Path(folder) / name)
        return (
            replace(reference.rgb, path=Path(folder) / names[0]),
            replace(reference.yuv, path=Path(folder) / names[1]),
        )

    def check_quality(self, quality: float) -> None:
        """Check a crf or qp.

        Raises:
            CodecError: the encoder does not take it.
        """
        low, high = self.quality_range
        if not low <= quality <= high or (self.whole_qualities and quality != int(quality)):
            kind = "a whole number" if self.whole_qualities else "a number"
            raise CodecError(
                f"{self.name}: {self.quality_option} {quality:g} must be {kind} "
                f"from {low} to {high}"
            )

    def _settings(self, quality: float, *, preset: str, tune_psnr: bool) -> dict[str, str]:
        self.check_quality(quality)
        return {
            "format": self.stream_format,
            "vcodec": self.encoder,
            self.preset_option: preset,
            self.quality_option: f"{quality:g}",
            **self.settings,
            **(self.psnr_settings if tune_psnr else {}),
        }

    def _padded(self, frames: RawFrames, folder: Path) -> RawFrames:
        size = padded_size(frames.width, frames.height, min_side=self.min_side)
        if size == (frames.width, frames.height):
            return frames
        return write_padded(frames, folder / "padded", size=size)
