"""What FFmpeg is asked to do around a reference codec: ffmpeg-python graphs, colours and sizes.

To the encoder: its pixel format, limited range, tagged with the reference's matrix. From the
decoder: 8-bit 4:2:0, rounded to nearest without dither, and RGB.

RGB and 4:2:0 are converted into each other by the reference's matrix as the scores convert
(`SWS_FLAGS`), with chroma in the centre both ways, and with a 10-bit decoder's frames straight to
RGB. Where the reference's RGB came about otherwise, `Reference.to_rgb` makes it, not FFmpeg: full
conversion of Bunny's own 4:2:0, uncoded, is 43.2 dB from the reference's RGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ffmpeg

from inrcodec.evaluation._colour import CHROMA_LOCATION, SWS_FLAGS, to_rgb_scale
from inrcodec.evaluation._reference import RawFrames, Reference

# A reference's matrix -> FFmpeg's names of matrix, primaries and transfer in the stream. BT.2020's
# transfer is BT.709's; under its own name FFmpeg sets VVenC to HDR.
_TAGS = {
    "bt601": ("smpte170m", "smpte170m", "smpte170m"),
    "bt709": ("bt709", "bt709", "bt709"),
    "bt2020": ("bt2020nc", "bt2020", "bt709"),
}
_EVERY_FRAME = {"fps_mode": "passthrough"}


def encode_arguments(
    frames: RawFrames,
    reference: Reference,
    stream: Path,
    *,
    pixel_format: str,
    settings: Mapping[str, str],
) -> list[str]:
    """FFmpeg's arguments to encode raw frames of the reference's colours into a bare stream.

    8-bit 4:2:0 goes to the encoder as it is; to a 10-bit encoder, each value times four.
    """
    colors = {"out_range": "limited", "out_color_matrix": reference.matrix}
    if frames.pixel_format == "rgb24":
        colors |= {"in_range": "full", "out_chroma_loc": CHROMA_LOCATION}
    else:
        colors |= {"in_range": "limited", "in_color_matrix": reference.matrix}
    matrix, primaries, transfer = _TAGS[reference.matrix]
    pictures = (
        _raw_input(frames, reference)
        .filter("scale", flags=SWS_FLAGS, **colors)
        .filter("format", pixel_format)
        .filter(
            "setparams",
            range="limited",
            colorspace=matrix,
            color_primaries=primaries,
            color_trc=transfer,
            chroma_location="unspecified",  # else only RGB that was converted would have one
        )
    )
    return _arguments(pictures.output(_url(stream), **settings))


def null_arguments(stream: Path, *, stream_format: str) -> list[str]:
    """FFmpeg's arguments to decode a stream and throw its frames away as they are."""
    return _arguments(_decoded(stream, stream_format).output("-", format="null", **_EVERY_FRAME))


def decode_arguments(
    stream: Path, reference: Reference, *, stream_format: str, yuv: Path, rgb: Path | None
) -> list[str]:
    """FFmpeg's arguments to decode a stream once into a yuv420p and, if wished, an rgb24 file.

    Both are of the reference's size: what was padded is cut off.
    """
    size = reference.rgb.width, reference.rgb.height
    # exact: an odd size is cut to the pixel, its chroma planes to their half rounded up. This comes
    # before the conversion, since swscale stretches chroma to an odd width, in both directions.
    cut = _decoded(stream, stream_format).filter("crop", *size, 0, 0, exact=1)
    if rgb is None:
        return _arguments(_raw_output(_eight_bits(cut), yuv))
    both = cut.split()
    outputs = _raw_output(_to_rgb(both[1], reference), rgb), _raw_output(_eight_bits(both[0]), yuv)
    return _arguments(ffmpeg.merge_outputs(*outputs))


def _eight_bits(pictures: Any) -> Any:
    planes = pictures.filter("scale", flags="accurate_rnd", sws_dither="none")
    return planes.filter("format", "yuv420p")


def _to_rgb(pictures: Any, reference: Reference) -> Any:
    scaled = pictures.filter("scale", **to_rgb_scale(reference.matrix))
    return scaled.filter("format", "rgb24")


def _raw_input(frames: RawFrames, reference: Reference) -> Any:
    return ffmpeg.input(
        _url(frames.path),
        format="rawvideo",
        pixel_format=frames.pixel_format,
        video_size=(frames.width, frames.height),
        framerate=f"{reference.fps.numerator}/{reference.fps.denominator}",
    )


def _decoded(stream: Path, stream_format: str) -> Any:
    return ffmpeg.input(_url(stream), format=stream_format)


def _raw_output(pictures: Any, path: Path) -> Any:
    return pictures.output(_url(path), format="rawvideo", **_EVERY_FRAME)


def _arguments(output: Any) -> list[str]:
    return list(map(str, output.get_args()))


def _url(path: Path) -> str:
    # The protocol is spelled out, so that a colon in a file's name is only a colon.
    return f"file:{path}"
