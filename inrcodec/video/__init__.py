"""Reading and writing video: true RGB frames with their time stamps, tags and audio packets.

    with VideoReader("in.mp4", frames=(0, 100), resize=(640, 360)) as reader:
        for frame in reader:          # VideoFrame: rgb (3, H, W) uint8, pts, duration
            ...
    with VideoWriter("out.mp4", metadata=reader.metadata, audio=read_audio("in.mp4")) as writer:
        writer.write(frame)

Everything that can go wrong with a file is an `inrcodec.errors.VideoError`.
"""

from inrcodec.video._audio import cut_audio, read_audio
from inrcodec.video._reader import VideoReader
from inrcodec.video._types import (
    AudioPacket,
    AudioStream,
    ColorTags,
    RawVideoFormat,
    VideoFrame,
    VideoMetadata,
)
from inrcodec.video._writer import VideoWriter, takes_audio

__all__ = [
    "AudioPacket",
    "AudioStream",
    "ColorTags",
    "RawVideoFormat",
    "VideoFrame",
    "VideoMetadata",
    "VideoReader",
    "VideoWriter",
    "cut_audio",
    "read_audio",
    "takes_audio",
]
