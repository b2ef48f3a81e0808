"""Encode Big Buck Bunny, decode it, and set x265 beside it at the same bytes: `make demo`.

Leaves in demo/: bunny.inr, bunny.mp4 (what it decodes to) and side_by_side.png (one frame of the
source, of inrcodec and of x265). On a CPU it takes under four minutes; on a CUDA device it takes
all frames at full size. Bytes and bpp are without the audio that goes through.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import torch
from PIL import Image, ImageDraw, ImageFont

import inrcodec
from inrcodec.datasets import path as dataset_path
from inrcodec.metrics import psnr_db
from inrcodec.video import VideoReader

CLIP = "bunny"
FPS = 25
INR = Path("demo/bunny.inr")
MP4 = Path("demo/bunny.mp4")
PICTURE = Path("demo/side_by_side.png")

# x265's constant rate factor runs from 0 to 51; a tenth of a step changes the size by about 1 %.
CRF_TENTHS = 510
SWS_FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp+lanczos"


@dataclass(frozen=True)
class Job:
    """What to encode, and for how long."""

    device: str
    size: tuple[int, int]  # width, height
    num_frames: int
    bpp: float
    seconds: float  # of the whole encode
    x265_preset: str


CPU = Job("cpu", size=(320, 180), num_frames=32, bpp=0.2, seconds=150, x265_preset="medium")
CUDA = Job("cuda", size=(1280, 720), num_frames=132, bpp=0.05, seconds=180, x265_preset="veryslow")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One codec's line of the table."""

    codec: str
    num_bytes: int
    frames: torch.Tensor  # (N, 3, H, W) uint8
    encode_seconds: float
    decode_seconds: float


def main() -> None:
    """Run the demonstration."""
    job = CUDA if torch.cuda.is_available() else CPU
    INR.parent.mkdir(exist_ok=True)
    geometry = "{} frames of {}x{}".format(job.num_frames, *job.size)
    print(
        f"{CLIP}: {geometry} on {job.device}, {job.bpp} bpp, {job.seconds} s to encode", flush=True
    )
    source = read_source(job)
    ours = run_inrcodec(job)
    theirs = run_x265(source, preset=job.x265_preset, max_bytes=ours.num_bytes)
    print_table([ours, theirs], source=source)
    draw_side_by_side([ours, theirs], source=source)
    print(f"\n{INR}  {MP4}  {PICTURE}")


def read_source(job: Job) -> torch.Tensor:
    """The frames that both codecs are given, (N, 3, H, W) uint8."""
    reader = VideoReader(dataset_path(CLIP), frames=(0, job.num_frames), resize=job.size)
    return torch.stack([frame.rgb for frame in reader])


def run_inrcodec(job: Job) -> Result:
    """Encode, then decode once to tensors, which is timed, and once to an .mp4."""
    start = time.perf_counter()
    report = inrcodec.encode(
        CLIP,
        INR,
        bpp=job.bpp,
        time_seconds=job.seconds,
        frames=(0, job.num_frames),
        resize=job.size,
        device=job.device,
        progress=True,
    )
    encoded = time.perf_counter()
    video = inrcodec.VideoDecoder(INR, device=job.device)
    frames = torch.stack([frame.cpu() for frame in video])
    decoded = time.perf_counter()
    inrcodec.decode(INR, MP4)
    return Result(
        codec="inrcodec",
        num_bytes=report.num_bytes - report.audio_bytes,
        frames=frames,
        encode_seconds=encoded - start,
        decode_seconds=decoded - encoded,
    )


def run_x265(source: torch.Tensor, *, preset: str, max_bytes: int) -> Result:
    """The best x265 stream of at most `max_bytes`: bisection for the lowest CRF that fits."""
    rgb = source.permute(0, 2, 3, 1).contiguous().numpy().tobytes()
    num_frames, _, height, width = source.shape
    size = (width, height)
    low, high = 0, CRF_TENTHS  # the CRF sought, in tenths, is in [low, high]
    while low < high:
        middle = (low + high) // 2
        if len(x265_encode(rgb, size=size, crf=middle / 10, preset=preset)) <= max_bytes:
            high = middle
        else:
            low = middle + 1
    start = time.perf_counter()
    stream = x265_encode(rgb, size=size, crf=high / 10, preset=preset)
    encoded = time.perf_counter()
    decoded_rgb = bytearray(x265_decode(stream))
    decoded = time.perf_counter()
    frames = torch.frombuffer(decoded_rgb, dtype=torch.uint8).view(num_frames, height, width, 3)
    return Result(
        codec=f"x265 {preset}, crf {high / 10}",
        num_bytes=len(stream),
        frames=frames.permute(0, 3, 1, 2),
        encode_seconds=encoded - start,
        decode_seconds=decoded - encoded,
    )


def x265_encode(rgb: bytes, *, size: tuple[int, int], crf: float, preset: str) -> bytes:
    """RGB frames to a bare HEVC stream: the video packets, no container."""
    raw = {"format": "rawvideo", "pix_fmt": "rgb24", "s": "{}x{}".format(*size), "r": FPS}
    settings = {"vcodec": "libx265", "crf": crf, "preset": preset, "x265-params": "info=0"}
    pictures = convert(ffmpeg.input("pipe:", **raw), "yuv420p")
    out = pictures.output("pipe:", format="hevc", **settings)
    return run_ffmpeg(out, rgb)


def x265_decode(stream: bytes) -> bytes:
    """A bare HEVC stream to RGB frames."""
    pictures = convert(ffmpeg.input("pipe:", format="hevc", r=FPS), "rgb24")
    out = pictures.output("pipe:", format="rawvideo", fps_mode="passthrough")
    return run_ffmpeg(out, stream)


def convert(pictures: ffmpeg.nodes.FilterableStream, pix_fmt: str) -> ffmpeg.nodes.FilterableStream:
    """FFmpeg's accurate conversion between RGB and 4:2:0."""
    return pictures.filter("scale", flags=SWS_FLAGS).filter("format", pix_fmt)


def run_ffmpeg(out: ffmpeg.nodes.OutputStream, stdin: bytes) -> bytes:
    """What FFmpeg writes to standard output; its own words where it fails."""
    try:
        data, _ = out.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), input=stdin, quiet=True)
    except ffmpeg.Error as exc:
        raise SystemExit(exc.stderr.decode(errors="replace")[-2000:]) from exc
    return bytes(data)


def print_table(results: list[Result], *, source: torch.Tensor) -> None:
    """One line a codec; PSNR is of 8-bit RGB frames, averaged over frames."""
    num_pixels = source.shape[0] * source.shape[2] * source.shape[3]
    columns = "{:<24} {:>9} {:>7} {:>8} {:>9} {:>9}"
    print("\n" + columns.format("codec", "bytes", "bpp", "PSNR dB", "encode s", "decode s"))
    for result in results:
        bpp = 8 * result.num_bytes / num_pixels
        psnrs = torch.cat(list(map(psnr_db, result.frames[:, None], source[:, None])))
        numbers = f"{bpp:.4f}", f"{psnrs.mean().item():.2f}"
        seconds = f"{result.encode_seconds:.1f}", f"{result.decode_seconds:.2f}"
        print(columns.format(result.codec, result.num_bytes, *numbers, *seconds))


def draw_side_by_side(results: list[Result], *, source: torch.Tensor) -> None:
    """The middle frame of the source and of each codec, labelled, in one picture."""
    index = len(source) // 2
    panels = [("source", source[index])]
    for result in results:
        psnr = psnr_db(result.frames[index : index + 1], source[index : index + 1]).item()
        panels.append((f"{result.codec}: {psnr:.2f} dB", result.frames[index]))
    height, width = source.shape[2:]
    picture = Image.new("RGB", (width * len(panels), height))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=height // 20)
    for i, (label, frame) in enumerate(panels):
        picture.paste(Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()), (i * width, 0))
        corner = (i * width + 8, 4)
        draw.text(corner, label, font=font, fill="white", stroke_width=2, stroke_fill="black")
    picture.save(PICTURE)


if __name__ == "__main__":
    main()
