"""Reference codecs: x264, x265, SVT-AV1, libaom and VVenC, through imageio-ffmpeg's FFmpeg.

codec = find_codec("x265")
point = codec.encode(reference, 30, tune_psnr=True, folder=folder)
rgb, yuv = codec.decode(point, reference, folder)
"""

from inrcodec.evaluation._ffmpeg import ffmpeg_version
from inrcodec.evaluation.codecs._codec import CodecPoint, Feed, ReferenceCodec, RgbConversion
from inrcodec.evaluation.codecs._table import CODECS, find_codec

__all__ = [
    "CODECS",
    "CodecPoint",
    "Feed",
    "ReferenceCodec",
    "RgbConversion",
    "ffmpeg_version",
    "find_codec",
]
