"""What an `.inr` file holds, and where every byte of it went; all checksums are checked.

In: a file. Out: a dictionary for `info --json`, and the text that a person reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inrcodec._decoder import VideoDecoder
from inrcodec._segment_codec import embedding_grid, most_segment_bytes, tensor_layout
from inrcodec.bitstream import InrFile, segment_sizes
from inrcodec.models import NetworkConfig, count_parameters, macs_per_frame

_BAR_WIDTH = 30


def describe(path: str | Path) -> dict[str, Any]:
    """Return what the file holds; sizes are bytes and add up to the file's.

    Raises:
        BitstreamError: the file is damaged.
    """
    with VideoDecoder(path, device="cpu") as decoder, InrFile(path) as file:
        header, metadata = decoder.header, decoder.metadata
        configs: list[NetworkConfig] = []
        sizes: dict[str, int] = {}
        for name, size in file.sizes():
            if name != "segment":
                sizes[name] = sizes.get(name, 0) + size
        tensors: dict[str, list[float]] = {}
        sizes["side_information"] = 0
        entropy_bits = 0.0
        for i in range(len(header.segments)):
            config = decoder.segment_config(i)
            configs.append(config)
            names, counts, groups = tensor_layout(config)
            data = file.segment(i, max_bytes=most_segment_bytes(config))
            with decoder.naming_errors():
                segment = segment_sizes(
                    data, counts, groups, grid=embedding_grid(config), version=file.version
                )
            sizes["side_information"] += segment.side_bytes
            for group, size in zip(("decoder", "embeddings"), segment.payload_bytes, strict=False):
                sizes[group] = sizes.get(group, 0) + size
            entropy_bits += segment.entropy_bits
            for name, count, bits in zip(names, counts, segment.tensor_bits, strict=True):
                total = tensors.setdefault(name, [0, 0.0])
                total[0] += count
                total[1] += bits
        audio = [stream.codec for stream in decoder.audio()]
        num_parameters = sum(count_parameters(config).total for config in configs)
        macs = sum(macs_per_frame(config) * config.num_frames for config in configs)
        pixels = metadata.num_frames * metadata.height * metadata.width
        return {
            "path": str(path),
            "format_version": file.version,
            "bytes": file.num_bytes,
            "bpp": metadata.bpp,
            "width": metadata.width,
            "height": metadata.height,
            "frames": metadata.num_frames,
            "average_fps": metadata.average_fps,
            "duration_seconds": metadata.duration_seconds,
            "pixel_aspect_ratio": str(metadata.pixel_aspect_ratio),
            "color": dict(
                zip(("primaries", "transfer", "matrix", "full_range"), header.color, strict=True)
            ),
            "audio": audio,
            "model": header.model,
            "segments": [
                {"frames": config.num_frames, "hyper_parameters": config.to_dict()}
                for config in configs
            ],
            "parameters": num_parameters,
            "bits_per_parameter": metadata.bpp * pixels / num_parameters,
            "kmac_per_pixel": macs / pixels / 1000,
            "sizes": sizes,
            "empirical_entropy_bytes": entropy_bits / 8,
            "tensors": {
                name: {"values": int(count), "bits": bits}
                for name, (count, bits) in tensors.items()
            },
        }


def render(description: dict[str, Any]) -> str:
    """Return `describe`'s dictionary as text."""
    d = description
    audio = ", ".join(d["audio"]) or "none"
    lines = [
        f"{d['path']}: {d['bytes']} bytes, {d['bpp']:.4f} bpp, format version "
        f"{d['format_version']}",
        f"video     {d['width']}x{d['height']} (pixels {d['pixel_aspect_ratio']}), "
        f"{d['frames']} frames, {d['duration_seconds']:.3f} s, {d['average_fps']:.3f} frames/s",
        f"audio     {audio}",
        f"network   {d['model']}, {len(d['segments'])} segment(s), {d['parameters']} values at "
        f"{d['bits_per_parameter']:.2f} bits, {d['kmac_per_pixel']:.1f} kMAC/pixel",
        "",
        "bytes",
    ]
    lines += [_row(name, size, d["bytes"]) for name, size in d["sizes"].items()]
    payload = d["sizes"]["decoder"] + d["sizes"].get("embeddings", 0)
    entropy = d["empirical_entropy_bytes"]
    if entropy:  # none where all symbols of every table are alike
        lines.append(
            f"  payloads are {100 * (payload / entropy - 1):+.2f} % from the empirical entropy of "
            "their symbols"
        )
    lines += ["", "tensors"]
    for name, tensor in d["tensors"].items():
        bits = tensor["bits"]
        lines.append(
            f"  {name:28} {tensor['values']:9} values {bits / 8:10.0f} bytes "
            f"{bits / tensor['values']:6.2f} bits each"
        )
    return "\n".join(lines)


def _row(name: str, size: int, total: int) -> str:
    bar = "#" * round(_BAR_WIDTH * size / total)
    return f"  {name:18} {size:9} {100 * size / total:5.1f} %  {bar}".rstrip()
