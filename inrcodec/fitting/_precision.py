"""Devices and number formats: which device `auto` is, and where bfloat16 pays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from inrcodec._processor import has_bf16

_LOCK = threading.Lock()
_num_inside = {"fp32": 0, "tf32": 0}  # of `fp32_arithmetic` and `tf32_arithmetic`
_before: list[tuple[Any, str, object]] = []  # what the settings were


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` means here.

    Raises:
        ValueError: no such name, or no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ValueError(f"device is {name!r}, must be auto, cpu, cuda or cuda:N") from exc
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise ValueError(f"device is {name!r}, must be auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise ValueError(f"device is {name!r}, this machine has {count} CUDA devices")
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype that the precision `fp32`, `tf32`, `bf16` or `auto` means on `device`.

    `auto` is bfloat16 where the hardware multiplies in it: CUDA from Ampere on, and CPUs with
    AVX-512 BF16.
    """
    if name != "auto":
        dtypes = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
        return dtypes[name]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = has_bf16()
    return torch.bfloat16 if fast else torch.float32


@contextmanager
def fp32_arithmetic() -> Iterator[None]:
    """Compute in true fp32 and repeatably inside: no TF32, deterministic algorithms.

    These are settings of the process: the first thread inside makes them, the last one out takes
    them back.
    """
    with _inside("fp32"):
        yield


@contextmanager
def tf32_arithmetic() -> Iterator[None]:
    """Let a GPU multiply fp32 matrices in TF32 inside, except while any thread is in true fp32."""
    with _inside("tf32"):
        yield


@contextmanager
def _inside(mode: str) -> Iterator[None]:
    with _LOCK:
        if not any(_num_inside.values()):
            _before.extend((*place, getattr(*place)) for place, _ in _settings("fp32"))
        _num_inside[mode] += 1
        _set()
    try:
        yield
    finally:
        with _LOCK:
            _num_inside[mode] -= 1
            _set()
            if not any(_num_inside.values()):
                _before.clear()


def _set() -> None:
    """Make the settings those of whoever is inside, or what they were; touch no others."""
    wished = {(id(owner), name): (owner, name, value) for owner, name, value in _before}
    for mode in ("tf32", "fp32"):
        if _num_inside[mode]:
            wished |= {(id(o), name): (o, name, value) for (o, name), value in _settings(mode)}
    for owner, name, value in wished.values():
        if getattr(owner, name) != value:
            setattr(owner, name, value)


def _settings(mode: str) -> list[tuple[tuple[Any, str], object]]:
    """Return where each setting is, and what it is inside."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn  # its stubs do not know `conv`
    is_exact = mode == "fp32"
    made: list[tuple[tuple[Any, str], object]]
    if hasattr(matmul, "fp32_precision"):  # from 2.9 on; who has set it may not read allow_tf32
        value = "ieee" if is_exact else "tf32"
        made = [((matmul, "fp32_precision"), value), ((cudnn.conv, "fp32_precision"), value)]
        mkldnn: Any = torch.backends.mkldnn
        if is_exact and hasattr(mkldnn, "matmul"):  # a CPU's, which may be bf16
            made += [((owner, "fp32_precision"), "ieee") for owner in (mkldnn.matmul, mkldnn.conv)]
    else:
        made = [((matmul, "allow_tf32"), not is_exact), ((cudnn, "allow_tf32"), not is_exact)]
    if is_exact:
        made += [((cudnn, "deterministic"), True), ((cudnn, "benchmark"), False)]
    return made
