"""What an encode reports: the file, its quality as decoded from the disk, and what it cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from inrcodec._provenance import software_versions


@dataclass(frozen=True)
class EncodeReport:
    """The figures of one encode; quality is of what decodes from the written file."""

    path: str
    num_bytes: int  # of the file on disk
    audio_bytes: int  # of it, passed-through audio
    bpp: float  # bits per pixel of the file, audio excluded
    psnr_db: float  # RGB, per frame, then averaged
    ms_ssim: float | None  # RGB, likewise; None for frames under 161 pixels
    num_frames: int
    width: int
    height: int
    num_segments: int
    model: str
    num_parameters: int  # stored values, embeddings included
    bits_per_parameter: float  # file, audio excluded, over stored values
    kmac_per_pixel: float  # to decode, thousands of multiply-accumulates
    steps: int  # of the optimiser
    stopped: str  # what ended the fit: budget, goal (the wished PSNR), or plateau
    seconds: dict[str, float]  # by stage: read, fit with motion, code, verify, total
    preset: str
    recipe: str
    fit_settings: dict[str, object]  # that overrode the recipe's
    model_settings: dict[str, object]  # that overrode the network's sizing rule
    fresh: bool  # whether the clip chose the positional encoding's frequencies
    seed: int
    device: str
    precision: str  # of the fit; decoding is fp32
    workers: int = 1  # that fitted segments at once
    versions: dict[str, str] = field(default_factory=software_versions)

    def to_dict(self) -> dict[str, Any]:
        """Return the report under the names that `--json` prints."""
        fields = asdict(self)
        renamed = {
            "num_bytes": "bytes",
            "num_frames": "frames",
            "num_segments": "segments",
            "num_parameters": "parameters",
        }
        return {renamed.get(name, name): value for name, value in fields.items()}

    def summary(self) -> str:
        """Return the last line that `encode` prints."""
        ms_ssim = "" if self.ms_ssim is None else f", MS-SSIM {self.ms_ssim:.4f}"
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())
        early = "" if self.stopped == "budget" else f", ended early: {self.stopped}"
        at_once = f", {self.workers} segments at once" if self.workers > 1 else ""
        audio = f" + {self.audio_bytes} bytes of audio" if self.audio_bytes else ""
        return (
            f"{self.path}: {self.num_bytes - self.audio_bytes} bytes{audio}, "
            f"{self.bpp:.4f} bpp, PSNR {self.psnr_db:.2f} dB{ms_ssim}, {self.num_frames} frames, "
            f"{self.model} with {self.num_parameters} parameters at "
            f"{self.bits_per_parameter:.2f} bits and {self.kmac_per_pixel:.1f} kMAC/pixel, "
            f"{self.device}{at_once}{early}, seconds: {stages}"
        )
