"""The `.inr` file: sections, header, segments, audio. `docs/bitstream.md` is the specification."""

from inrcodec.bitstream._audio import pack_audio, unpack_audio
from inrcodec.bitstream._file import InrFile, file_bytes, section_bytes, write_atomically
from inrcodec.bitstream._header import MAX_FRAMES, MAX_PIXELS, MAX_SIDE, Header, SegmentInfo
from inrcodec.bitstream._payload import TooDenseError
from inrcodec.bitstream._sections import VERSION, is_inr_file
from inrcodec.bitstream._segment import (
    SegmentSizes,
    pack_segment,
    segment_sizes,
    unpack_segment,
)
from inrcodec.bitstream._timestamps import TimeStamps

__all__ = [
    "MAX_FRAMES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "VERSION",
    "Header",
    "InrFile",
    "SegmentInfo",
    "SegmentSizes",
    "TimeStamps",
    "TooDenseError",
    "file_bytes",
    "is_inr_file",
    "pack_audio",
    "pack_segment",
    "section_bytes",
    "segment_sizes",
    "unpack_audio",
    "unpack_segment",
    "write_atomically",
]
