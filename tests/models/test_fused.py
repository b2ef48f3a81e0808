"""Fused layers against PyTorch's: compiled where CUDA is, else by Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrcodec.fitting._precision import fp32_arithmetic
from inrcodec.models import _blocks, _fused, _separable, build, for_budget
from inrcodec.models._blocks import PixelShuffleUpsampler, conv_shuffle_gelu
from inrcodec.models._fused import fused_residual, has_kernels
from inrcodec.models._separable import SeparableResidual

pytestmark = pytest.mark.skipif(not _fused.is_new_enough(), reason="needs Triton, and a new one")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def _exact_references(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let layers be PyTorch's, in true fp32, and let each program have several blocks to sum."""
    for module in (_blocks, _separable):
        monkeypatch.setattr(module, "has_kernels", lambda x: False)
    monkeypatch.setattr(_fused, "_PROGRAMS", 3)
    with fp32_arithmetic():
        yield


def residual(channels: int, *, gated: bool) -> SeparableResidual:
    torch.manual_seed(0)
    block = SeparableResidual(channels, gated=gated)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block.to(DEVICE)


def maps(channels: int, *, height: int, width: int) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(2, channels, height, width).to(memory_format=torch.channels_last)
    return x.to(DEVICE).requires_grad_()


def fused(block: SeparableResidual, x: Tensor) -> Tensor:
    return fused_residual(x, depthwise=block.depthwise, gate=block.gate, pointwise=block.pointwise)


def outcome(layer: nn.Module, x: Tensor, compute: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """What it gives, and the gradients of x and of the parameters for the same slopes."""
    y = compute(x)
    torch.manual_seed(2)
    slopes = torch.randn(y.shape).to(y)
    return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], slopes)]


def assert_same(found: list[Tensor], expected: list[Tensor], *, within: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        difference = (ours.double() - theirs.double()).abs().max()
        assert float(difference) <= within * float(theirs.abs().max())


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(
    ("channels", "height", "width"),
    [(5, 3, 37), (24, 3, 37), (40, 2, 9), (1, 1, 1)],
    ids=["one by one", "in vectors", "in parts", "least"],
)
def test_a_fused_residual_is_the_block(channels: int, height: int, width: int, gated: bool) -> None:
    block = residual(channels, gated=gated)
    x = maps(channels, height=height, width=width)  # a row of 37 is a block and a part of one
    found = outcome(block, x, lambda x: fused(block, x))
    assert_same(found, outcome(block, x, block), within=1e-5)


def test_a_fused_residual_keeps_its_dtypes() -> None:
    block = residual(8, gated=True)
    x = maps(8, height=3, width=20)
    short = x.detach().bfloat16().requires_grad_()
    with torch.autocast(DEVICE, torch.bfloat16):
        found = outcome(block, short, lambda x: fused(block, x))
    assert [each.dtype for each in found[:2]] == [torch.bfloat16] * 2
    assert all(each.dtype == torch.float32 for each in found[2:])
    exact = outcome(block, x, block)
    assert_same([each.float() for each in found], exact, within=0.02)


@pytest.mark.parametrize(
    ("channels", "stride", "height", "width"),
    [(3, 2, 3, 37), (8, 3, 3, 37), (40, 2, 2, 9), (1, 5, 1, 1)],
    ids=["one by one", "in vectors", "in parts", "least"],
)
def test_a_fused_shuffle_is_the_upsampler(
    channels: int, stride: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    block = PixelShuffleUpsampler(4, channels, stride=stride, kernel_size=3).to(DEVICE)
    x = maps(4, height=height, width=width)
    found = outcome(block, x, lambda x: conv_shuffle_gelu(block[0], x, stride))
    assert_same(found, outcome(block, x, block), within=1e-5)


@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU])
def test_a_stage_is_the_same_with_kernels(
    activation: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    stage = _separable.SeparableStage(5, 4, stride=2, activation=activation, gated=True).to(DEVICE)
    for parameter in stage.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = maps(5, height=2, width=3)
    expected = outcome(stage, x, stage)
    launched = []
    for module, name in ((_separable, "fused_residual"), (_blocks, "fused_shuffle_gelu")):
        real = getattr(module, name)

        def noted(*args: Any, real: Any = real, **kwargs: Any) -> Tensor:
            launched.append(real.__name__)
            result: Tensor = real(*args, **kwargs)
            return result

        monkeypatch.setattr(module, name, noted)
        monkeypatch.setattr(module, "has_kernels", lambda x: True)
    assert_same(outcome(stage, x, stage), expected, within=1e-5)
    assert launched.count("fused_residual") == 2
    assert launched.count("fused_shuffle_gelu") == (activation is nn.GELU)


def test_only_fits_in_16_bits_on_a_gpu_have_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fused, "_has_triton", lambda device: True)
    fitted = {"is_cuda": True, "requires_grad": True, "dtype": torch.bfloat16, "device": None}

    def asked(**changes: object) -> bool:
        return has_kernels(SimpleNamespace(**{**fitted, **changes}))  # type: ignore[arg-type]

    assert asked()
    assert not asked(is_cuda=False)
    assert not asked(requires_grad=False)
    assert not asked(dtype=torch.float32)
    monkeypatch.setattr(_fused, "_has_triton", lambda device: False)
    assert not asked()


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [
        ("3.1.0", False),
        ("3.6.0", True),
        ("3.10.0+git1", True),
        ("4.0rc1", True),
        ("nightly", False),
    ],
)
def test_an_old_triton_is_not_used(
    version: str, is_enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fused, "version", lambda name: version)
    assert _fused.is_new_enough() == is_enough


def test_a_triton_that_does_not_work_is_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("Failed to find C compiler")

    assert _fused._works_on(torch.device(DEVICE))
    monkeypatch.setattr(_fused, "_kernels", broken)
    assert not _fused._works_on(torch.device(DEVICE))
    assert "fits take longer: Failed to find C compiler" in caplog.text


@needs_cuda
@pytest.mark.parametrize("preset", ["gated", "plain"])
def test_a_network_has_the_same_gradients_with_kernels(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    settings = {"gated_stages": 0} if preset == "plain" else {}
    config = for_budget("hnervpp", 60_000, height=96, width=160, num_frames=4, **settings)
    network = build("hnervpp", config).cuda().to(memory_format=torch.channels_last)
    for parameter in network.parameters():
        if not bool(parameter.any()):
            nn.init.normal_(parameter, std=0.05)
    indices = torch.tensor([1, 3], device="cuda")

    def gradients(*, with_kernels: bool, dtype: torch.dtype) -> list[Tensor]:
        for module in (_blocks, _separable):
            monkeypatch.setattr(module, "has_kernels", lambda x: with_kernels)
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            y = network(indices, network.embed(None, indices))
        loss = y.float().square().mean()
        return [y.detach().float(), *torch.autograd.grad(loss, list(network.parameters()))]

    exact = gradients(with_kernels=False, dtype=torch.float32)
    assert_same(gradients(with_kernels=True, dtype=torch.float32), exact, within=2e-3)
    rough = gradients(with_kernels=True, dtype=torch.bfloat16)
    pytorch = gradients(with_kernels=False, dtype=torch.bfloat16)

    def error(found: list[Tensor]) -> float:
        return float(sum((a - b).norm() / b.norm() for a, b in zip(found, exact, strict=True)))

    assert error(rough) < 1.2 * error(pytorch)
