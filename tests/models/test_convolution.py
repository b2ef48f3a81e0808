"""Convolutions whose weights have a gradient of matrix products: the same sums in another order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec import models
from inrcodec.models import _convolution
from inrcodec.models._convolution import Convolution, convolve, weight_gradient

LARGE = 24, 32, 88, 96  # channels in and out, rows, columns: products pay


@pytest.fixture(params=[True, False], ids=["AVX2 alone", "another"])
def has_avx2_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(_convolution, "has_avx2_alone", lambda: request.param)
    alone: bool = request.param
    return alone


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the maps whose layers took matrix products."""
    shapes: list[tuple[int, ...]] = []

    def recorded(x: Tensor, d_y: Tensor, side: int) -> Tensor:
        shapes.append(tuple(x.shape))
        return weight_gradient(x, d_y, side)

    monkeypatch.setattr(_convolution, "weight_gradient", recorded)
    return shapes


def channels_last(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("size", [(7, 9), (4, 1), (1, 5), (2, 2)])
@pytest.mark.parametrize("channels", [(3, 5), (6, 2), (4, 4)])
def test_the_gradient_is_that_of_the_convolution(
    channels: tuple[int, int], size: tuple[int, int], side: int
) -> None:
    torch.manual_seed(0)
    in_channels, out_channels = channels
    x = channels_last(2, in_channels, *size, dtype=torch.float64)
    weight = torch.randn(out_channels, in_channels, side, side, dtype=torch.float64)
    weight.requires_grad_()
    y = F.conv2d(x, weight, padding=side // 2)
    d_y = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, weight, d_y)
    torch.testing.assert_close(weight_gradient(x, d_y, side), expected)


def test_all_gradients_of_a_layer_are_the_same(
    has_avx2_alone: bool, products: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    in_channels, out_channels, *size = LARGE
    layer = Convolution(in_channels, out_channels, 3)
    plain = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = channels_last(2, in_channels, *size).requires_grad_()
    d_y = channels_last(2, out_channels, *size)
    ours, theirs = (
        torch.autograd.grad(y, [x, *each.parameters()], d_y)
        for each in (layer, plain)
        for y in [each(x)]
    )
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert products == [(2, in_channels, *size)] * has_avx2_alone


def test_parameters_that_stay_have_no_gradient(products: list[tuple[int, ...]]) -> None:
    in_channels, out_channels, *size = LARGE
    weight = torch.randn(out_channels, in_channels, 3, 3)
    x = channels_last(2, in_channels, *size).requires_grad_()
    convolve(x, weight, None).sum().backward()
    assert x.grad is not None
    assert products == []


@pytest.mark.parametrize(
    ("shape", "side", "out_channels"),
    [((2, 16, 8, 8), 3, 24), ((2, 24, 88, 96), 1, 288), ((8, 16, 80, 96), 3, 3)],
    ids=["few products", "one pixel", "thin"],
)
def test_small_layers_are_left_to_pytorch(
    monkeypatch: pytest.MonkeyPatch,
    products: list[tuple[int, ...]],
    shape: tuple[int, ...],
    side: int,
    out_channels: int,
) -> None:
    monkeypatch.setattr(_convolution, "has_avx2_alone", lambda: True)
    layer = Convolution(shape[1], out_channels, side)
    layer(channels_last(*shape)).sum().backward()
    assert layer.weight.grad is not None
    assert products == []


def test_bfloat16_is_left_to_pytorch(
    monkeypatch: pytest.MonkeyPatch, products: list[tuple[int, ...]]
) -> None:
    monkeypatch.setattr(_convolution, "has_avx2_alone", lambda: True)
    in_channels, out_channels, *size = LARGE
    layer = Convolution(in_channels, out_channels, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(channels_last(2, in_channels, *size))
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert products == []


@pytest.mark.parametrize("name", models.names())
def test_a_step_of_every_network_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(_convolution, "_FEWEST_MACS", 0)  # all layers
    monkeypatch.setattr(_convolution, "_FEWEST_CHANNELS", 1)
    config = models.for_budget(name, 30_000, height=50, width=70, num_frames=6)
    network = models.build(name, config).to(memory_format=torch.channels_last).train()
    frames, indices = channels_last(2, 3, 50, 70).sigmoid(), torch.tensor([1, 4])
    found = []
    for alone in (False, True):
        monkeypatch.setattr(_convolution, "has_avx2_alone", lambda alone=alone: alone)
        network.zero_grad()
        embeddings = None if network.encoder is None else network.embed(frames, indices)
        x_hat = network(indices, embeddings)
        (x_hat - frames).square().mean().backward()
        found.append([p.grad for p in network.parameters() if p.grad is not None])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-6)
