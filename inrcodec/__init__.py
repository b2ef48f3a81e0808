"""A video codec whose bitstream is the weights of a small network fitted to that one video.

    report = inrcodec.encode("in.mp4", "out.inr", preset="medium", bpp=0.05)
    inrcodec.decode("out.inr", "out.mp4")
    video = inrcodec.VideoDecoder("out.inr")
    video[10]                                  # uint8 (3, H, W)

Imports are lazy: what needs torch or FFmpeg is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inrcodec._decode import decode
    from inrcodec._decoder import Frame, FrameBatch, VideoDecoder, VideoDecoderMetadata
    from inrcodec._encode import encode
    from inrcodec._ladder import encode_ladder
    from inrcodec._report import EncodeReport

__all__ = [
    "EncodeReport",
    "Frame",
    "FrameBatch",
    "VideoDecoder",
    "VideoDecoderMetadata",
    "decode",
    "encode",
    "encode_ladder",
]

__version__ = version("inrcodec")

_HOME = {
    "EncodeReport": "_report",
    "Frame": "_decoder",
    "FrameBatch": "_decoder",
    "VideoDecoder": "_decoder",
    "VideoDecoderMetadata": "_decoder",
    "decode": "_decode",
    "encode": "_encode",
    "encode_ladder": "_ladder",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"inrcodec.{_HOME[name]}"), name)
    raise AttributeError(f"module 'inrcodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
