"""A stub Matroska file that tells FFmpeg the parameters of an audio stream.

PyAV can copy packets into an output only beside a stream it has opened from an input. An
`AudioStream` is plain data, so it is dressed as the smallest Matroska file (RFC 9559): one track,
and the first packets in one cluster, from which FFmpeg learns what the track's header leaves out.
The packets that are written in the end are the stream's own.
"""

from __future__ import annotations

import struct

from inrcodec.video._types import AudioStream

# FFmpeg's codec name -> Matroska's CodecID (RFC 9559's registry).
CODEC_IDS = {
    "aac": "A_AAC",
    "ac3": "A_AC3",
    "alac": "A_ALAC",
    "dts": "A_DTS",
    "eac3": "A_EAC3",
    "flac": "A_FLAC",
    "mlp": "A_MLP",
    "mp1": "A_MPEG/L1",
    "mp2": "A_MPEG/L2",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "pcm_f32le": "A_PCM/FLOAT/IEEE",
    "pcm_f64le": "A_PCM/FLOAT/IEEE",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24be": "A_PCM/INT/BIG",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32be": "A_PCM/INT/BIG",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_u8": "A_PCM/INT/LIT",
    "truehd": "A_TRUEHD",
    "vorbis": "A_VORBIS",
    "wavpack": "A_WAVPACK4",
}

_NUM_PROBED_PACKETS = 8
_OPUS_RATE = 48000  # Hz, of the pre-skip in an OpusHead
_OPUS_SEEK_PREROLL_NS = 80_000_000


def stub_file(stream: AudioStream) -> bytes:
    """Return the stub for one stream; its codec must be one of `CODEC_IDS`."""
    header = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    info = _element(0x1549A966, _uint(0x2AD7B1, 1_000_000))
    tracks = _element(0x1654AE6B, _element(0xAE, _track(stream)))
    blocks = [
        # SimpleBlock: track 1, time within the cluster, key frame, data.
        _element(0xA3, b"\x81" + struct.pack(">hB", index, 0x80) + packet.data)
        for index, packet in enumerate(stream.packets[:_NUM_PROBED_PACKETS])
    ]
    cluster = _element(0x1F43B675, _uint(0xE7, 0) + b"".join(blocks))
    return header + _element(0x18538067, info + tracks + cluster)


def _track(stream: AudioStream) -> bytes:
    audio = _float(0xB5, float(stream.sample_rate)) + _uint(0x9F, stream.channels)
    if stream.codec.startswith("pcm_"):
        audio += _uint(0x6264, int("".join(filter(str.isdigit, stream.codec))))
    fields = [
        _uint(0xD7, 1),  # TrackNumber
        _uint(0x73C5, 1),  # TrackUID
        _uint(0x83, 2),  # TrackType: audio
        _element(0x86, CODEC_IDS[stream.codec].encode()),
        _element(0xE1, audio),
    ]
    private = _codec_private(stream)
    if private:
        fields.append(_element(0x63A2, private))
    if stream.codec == "opus" and len(stream.extradata) >= 12:
        (pre_skip,) = struct.unpack_from("<H", stream.extradata, 10)
        fields.append(_uint(0x56AA, pre_skip * 1_000_000_000 // _OPUS_RATE))  # CodecDelay, ns
        fields.append(_uint(0x56BB, _OPUS_SEEK_PREROLL_NS))
    return b"".join(fields)


def _codec_private(stream: AudioStream) -> bytes:
    # FFmpeg keeps FLAC's bare STREAMINFO and ALAC's cookie in its MP4 atom; Matroska does not.
    if stream.codec == "flac" and not stream.extradata.startswith(b"fLaC"):
        return b"fLaC\x80" + len(stream.extradata).to_bytes(3, "big") + stream.extradata
    if stream.codec == "alac" and len(stream.extradata) == 36:
        return stream.extradata[12:]
    return stream.extradata


def _element(element_id: int, payload: bytes) -> bytes:
    """An EBML element: its id as it stands, an eight-byte length, the payload."""
    id_bytes = element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")
    return id_bytes + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def _uint(element_id: int, value: int) -> bytes:
    return _element(element_id, value.to_bytes(8, "big"))


def _float(element_id: int, value: float) -> bytes:
    return _element(element_id, struct.pack(">d", value))
