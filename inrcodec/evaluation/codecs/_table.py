"""The reference codecs, by name: FFmpeg's encoder, preset, quality option, and arguments.

All run in their random-access mode, which is each encoder's default here: B-frames in a hierarchy,
lookahead, one pass of constant quality, and a key frame as often as the encoder has it in FFmpeg
(found in 600 frames without a cut: x264 and x265 every 250 frames, SVT-AV1 every 161 at 25 fps and
every 321 at 50, VVenC every second, libaom never). `gop_frames` sets one distance for all of them.

The default sweeps go from transparent to as little as a quick fit of ours reaches, 24 to 25 dB of
RGB on Bunny at 640x360; AV1's quantiser ends before, at 27.6 (libaom) and 28.6 dB (SVT-AV1).

`tune_psnr` turns off what serves the eye at the cost of PSNR: psycho-visual decisions of x264 and
x265, VVenC's perceptual QP adaptation. SVT-AV1 and libaom are asked for PSNR in so many words.
"""

from __future__ import annotations

from inrcodec.errors import CodecError
from inrcodec.evaluation.codecs._codec import ReferenceCodec

_X264 = ReferenceCodec(
    name="x264",
    encoder="libx264",
    stream_format="h264",
    suffix=".264",
    default_preset="veryslow",
    qualities=(18, 22, 26, 30, 34, 38, 42, 46, 50),
    quality_range=(0, 51),
    # Supplemental information (NAL type 6) is only x264's description of itself.
    settings={"bsf:v": "filter_units=remove_types=6"},
    psnr_settings={"tune": "psnr"},
)
_X265 = ReferenceCodec(
    name="x265",
    encoder="libx265",
    stream_format="hevc",
    suffix=".265",
    default_preset="veryslow",
    qualities=(18, 22, 26, 30, 34, 38, 42, 46, 50),
    quality_range=(0, 51),
    settings={"x265-params": "info=0:log-level=error"},
    psnr_settings={"tune": "psnr"},
)
_SVTAV1 = ReferenceCodec(
    name="svtav1",
    encoder="libsvtav1",
    stream_format="obu",
    suffix=".obu",
    default_preset="4",
    qualities=(16, 26, 36, 46, 56, 63),
    quality_range=(1, 63),
    whole_qualities=True,
    min_side=64,
    psnr_settings={"svtav1-params": "tune=1"},
)
_LIBAOM = ReferenceCodec(
    name="libaom",
    encoder="libaom-av1",
    stream_format="obu",
    suffix=".obu",
    default_preset="4",
    preset_option="cpu-used",
    qualities=(16, 26, 36, 46, 56, 63),
    quality_range=(0, 63),
    whole_qualities=True,
    min_gop_frames=3,  # FFmpeg's process crashes below
    min_side=16,
    settings={"b:v": "0", "row-mt": "1"},
    psnr_settings={"tune": "psnr"},
)
_VVENC = ReferenceCodec(
    name="vvenc",
    encoder="libvvenc",
    stream_format="vvc",
    suffix=".266",
    default_preset="medium",
    quality_option="qp",
    qualities=(20, 24, 28, 32, 36, 40, 44, 48, 52, 56),
    quality_range=(0, 63),
    whole_qualities=True,
    # FFmpeg's own option does not reach VVenC.
    gop_setting=("vvenc-params", "accessunitdelimiter=0:intraperiod={}"),
    pixel_format="yuv420p10le",  # the only one it takes
    settings={"vvenc-params": "accessunitdelimiter=0"},
    psnr_settings={"qpa": "0"},
)

CODECS = {codec.name: codec for codec in (_X264, _X265, _SVTAV1, _LIBAOM, _VVENC)}


def find_codec(name: str) -> ReferenceCodec:
    """Return a reference codec by its name.

    Raises:
        CodecError: there is no such codec; the message names those there are.
    """
    if name not in CODECS:
        raise CodecError(f"{name}: no such reference codec; known: {', '.join(CODECS)}")
    return CODECS[name]
