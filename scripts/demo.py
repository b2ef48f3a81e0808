"""Encode Big Buck Bunny, decode it, and set x265 beside it at the same bytes: `make demo`.

Leaves in demo/: bunny.inr, bunny.mp4 (what it decodes to) and side_by_side.png (one frame of the
source, of inrcodec and of x265). On a CPU it takes under four minutes; on a CUDA device it takes
all frames at full size. Bytes and bpp are without the audio that goes through.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

import inrcodec
from inrcodec.evaluation import Reference, prepare_reference
from inrcodec.evaluation.codecs import CodecPoint, find_codec
from inrcodec.metrics import psnr_db

CLIP = "bunny"
INR = Path("demo/bunny.inr")
MP4 = Path("demo/bunny.mp4")
PICTURE = Path("demo/side_by_side.png")

# x265's constant rate factor runs from 0 to 51; a tenth of a step changes the size by about 1 %.
CRF_TENTHS = 510


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
    with tempfile.TemporaryDirectory() as folder:
        reference = read_source(job, Path(folder))
        source = reference.rgb.rgb(0, reference.rgb.num_frames)
        ours = run_inrcodec(job)
        theirs = run_x265(
            reference, preset=job.x265_preset, max_bytes=ours.num_bytes, folder=Path(folder)
        )
    print_table([ours, theirs], source=source)
    draw_side_by_side([ours, theirs], source=source)
    print(f"\n{INR}  {MP4}  {PICTURE}")


def read_source(job: Job, folder: Path) -> Reference:
    """The frames that both codecs are given, in two raw files."""
    return prepare_reference(CLIP, folder, frames=(0, job.num_frames), resize=job.size)


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


def run_x265(reference: Reference, *, preset: str, max_bytes: int, folder: Path) -> Result:
    """The best x265 stream of at most `max_bytes`: bisection for the lowest CRF that fits."""
    codec = find_codec("x265")

    def encode(tenths: int) -> CodecPoint:
        return codec.encode(
            reference, tenths / 10, preset=preset, tune_psnr=True, feed="rgb", folder=folder
        )

    low, high = 0, CRF_TENTHS  # the CRF sought, in tenths, is in [low, high]
    while low < high:
        middle = (low + high) // 2
        if encode(middle).num_bytes <= max_bytes:
            high = middle
        else:
            low = middle + 1
    best = encode(high)
    rgb, _ = codec.decode(best, reference, folder)
    return Result(
        codec=f"x265 {preset} tune=psnr, crf {best.quality}",
        num_bytes=best.num_bytes,
        frames=rgb.rgb(0, rgb.num_frames),
        encode_seconds=best.encode_seconds,
        decode_seconds=best.decode_seconds,
    )


def print_table(results: list[Result], *, source: torch.Tensor) -> None:
    """One line a codec; PSNR is of 8-bit RGB frames, averaged over frames."""
    num_pixels = source.shape[0] * source.shape[2] * source.shape[3]
    columns = "{:<34} {:>9} {:>7} {:>8} {:>9} {:>9}"
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
