"""FreSh: the positional encoding's frequencies from the clip (Kania et al. 2024, arXiv 2410.05050).

In: the configuration of a network driven by the frame index, and frames `(N, 3, H, W)` uint8. Out:
the configuration with the `pe_base` whose untrained network varies over time most like the frames.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from inrcodec._seeded import seeded
from inrcodec.fitting._precision import fp32_arithmetic
from inrcodec.models import NetworkConfig, entry

_log = logging.getLogger(__name__)

# Frequencies are pe_base**i * pi; 1.25 is NeRV's.
_BASES = (1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.25, 1.5)
_SEEDS = 3
_MIN_FRAMES, _MAX_FRAMES = 4, 64
_PIXEL_STEP = 4
# Rows and columns of the network's grid that are decoded: over time, random weights do the same in
# a few cells as in all of them, and whole frames would take minutes.
_CELLS = 2
_BATCH_PIXELS = 1 << 17


def check_fresh(model: str, settings: Mapping[str, object]) -> None:
    """Check that the network `model` has a positional encoding to choose.

    Raises:
        ValueError: it has none that drives it, or the settings choose it already.
    """
    named = entry(model)
    has_base = any(field.name == "pe_base" for field in dataclasses.fields(named.config_class))
    # A network with embeddings is driven by them, whatever it encodes besides.
    if not has_base or named.has_embeddings:
        raise ValueError(
            f"model is {model!r}: FreSh chooses a positional encoding's frequencies; "
            f"{model} has none"
        )
    if "pe_base" in settings:
        raise ValueError("pe_base is given, which FreSh would choose: leave one of them out")


def choose_encoding(
    config: NetworkConfig, frames: Tensor, *, seed: int, device: torch.device
) -> NetworkConfig:
    """Return `config` with the `pe_base` of the nearest spectrum; the same for the same seed.

    Spectra are magnitudes of the DFT over time, since the encoding is one of time, averaged over
    pixels, without the mean over time, which says nothing of frequencies. Their distance is
    Wasserstein's. Under 4 frames, which have hardly a spectrum, `config` comes back as it is, with
    a warning.

    Args:
        config: of a network that `check_fresh` admits.
        frames: `(N, 3, H, W)` uint8.
        seed: of the untrained weights.
        device: where to decode them.
    """
    if len(frames) < _MIN_FRAMES:
        warnings.warn(
            f"FreSh leaves the frequencies of {len(frames)} frames as they are: it wants "
            f"{_MIN_FRAMES} or more",
            stacklevel=2,
        )
        return config
    indices = _run_of_frames(len(frames))
    target = frames[indices, :, ::_PIXEL_STEP, ::_PIXEL_STEP].float().to(device)
    spectrum = temporal_spectrum(target)
    small = _few_cells(config)
    distances = {}
    for base in _BASES:
        candidate = dataclasses.replace(small, pe_base=base)  # type: ignore[call-arg]
        spectra = [
            temporal_spectrum(_untrained(candidate, indices, seed=seed + i, device=device))
            for i in range(_SEEDS)
        ]
        mean = torch.stack(spectra).mean(0)
        distances[base] = wasserstein_distance(mean, spectrum)
    best = min(distances, key=distances.__getitem__)
    _log.info("FreSh: pe_base %s of %s", best, {b: round(d, 3) for b, d in distances.items()})
    return dataclasses.replace(config, pe_base=best)  # type: ignore[call-arg]


def temporal_spectrum(frames: Tensor) -> Tensor:
    """Return the mean magnitudes of frames `(T, ...)` at frequencies 1 to T // 2, of sum 1.

    Frames that do not change have the spectrum of the slowest change.
    """
    magnitudes = torch.fft.rfft(frames.flatten(1), dim=0).abs()[1:].double().mean(1)
    if float(magnitudes.sum()) == 0:
        magnitudes[0] = 1.0
    spectrum: Tensor = magnitudes / magnitudes.sum()
    return spectrum.cpu()


def wasserstein_distance(p: Tensor, q: Tensor) -> float:
    """Return the Wasserstein-1 distance of two distributions over the same bins, in bins.

    >>> wasserstein_distance(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.5, 0.5]))
    1.5
    """
    return float((p - q).cumsum(0).abs().sum())


def _run_of_frames(num_frames: int) -> Tensor:
    """Return the indices of consecutive frames in the middle of the clip."""
    count = min(num_frames, _MAX_FRAMES)
    start = (num_frames - count) // 2
    return torch.arange(start, start + count)


def _few_cells(config: NetworkConfig) -> NetworkConfig:
    """Return the same network for a frame of a few cells: what it costs to decode is per cell."""
    most = _CELLS * math.prod(config.strides)
    return dataclasses.replace(
        config, height=min(config.height, most), width=min(config.width, most)
    )


@torch.no_grad()
def _untrained(
    config: NetworkConfig, indices: Tensor, *, seed: int, device: torch.device
) -> Tensor:
    """Decode some pixels of the frames at `indices` with fresh weights: `(T, 3, h, w)`."""
    with seeded(seed):
        network = config.build(with_encoder=False)
    network = network.to(device).to(memory_format=torch.channels_last)
    at_once = max(1, _BATCH_PIXELS // (config.height * config.width))
    with fp32_arithmetic():
        parts = [
            network(batch.to(device))[:, :, ::_PIXEL_STEP, ::_PIXEL_STEP]
            for batch in torch.split(indices, at_once)
        ]
    return torch.cat(parts)
