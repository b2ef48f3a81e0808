"""Fused layers against PyTorch's: compiled where CUDA is, else by Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from inrcodec.fitting._precision import fp32_arithmetic
from inrcodec.models import _blocks, _fused, _separable, build, for_budget
from inrcodec.models._blocks import PixelShuffleUpsampler, conv_shuffle_gelu
from inrcodec.models._fused import fused_residual, has_kernels
from inrcodec.models._separable import SeparableResidual

pytest.importorskip("triton")

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
@pytest.mark.parametrize("channels", [5, 24], ids=["one by one", "in vectors"])
def test_a_fused_residual_is_the_block(channels: int, gated: bool) -> None:
    block = residual(channels, gated=gated)
    x = maps(channels, height=3, width=37)  # a row is a block and a part of one
    found = outcome(block, x, lambda x: fused(block, x))
    assert_same(found, outcome(block, x, block), within=1e-5)


def test_a_fused_residual_keeps_the_dtype_of_autocast() -> None:
    block = residual(8, gated=True)
    x = maps(8, height=3, width=20)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = outcome(block, x, lambda x: fused(block, x))
    assert found[0].dtype == torch.bfloat16
    assert all(each.dtype == torch.float32 for each in found[1:])
    exact = outcome(block, x, block)
    assert_same([each.float() for each in found], exact, within=0.02)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("channels", [3, 8], ids=["one by one", "in vectors"])
def test_a_fused_shuffle_is_the_upsampler(channels: int, stride: int) -> None:
    torch.manual_seed(0)
    block = PixelShuffleUpsampler(4, channels, stride=stride, kernel_size=3).to(DEVICE)
    x = maps(4, height=3, width=37)
    found = outcome(block, x, lambda x: conv_shuffle_gelu(block[0], x, stride))
    assert_same(found, outcome(block, x, block), within=1e-5)


def test_only_fits_on_a_gpu_have_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_kernels(torch.zeros(1, requires_grad=True))
    monkeypatch.setattr(_fused, "version", lambda name: "3.1.0")
    assert not _fused._is_new_enough()
    monkeypatch.setattr(_fused, "version", lambda name: "3.10.0+git1")
    assert _fused._is_new_enough()


def test_a_triton_that_does_not_work_is_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(_fused, "_kernels", broken)
    assert not _fused._compiles()
    if DEVICE == "cuda":
        assert "Failed to find C compiler" in caplog.text
    else:
        assert "Triton does not work here" in caplog.text


@needs_cuda
@pytest.mark.parametrize("preset", ["gated", "plain"])
def test_a_network_has_the_same_gradients_with_kernels(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    config = for_budget("hnervpp", 60_000, height=96, width=160, num_frames=4)
    if preset == "plain":
        config = for_budget("hnervpp", 60_000, height=96, width=160, num_frames=4, gated_stages=0)
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
