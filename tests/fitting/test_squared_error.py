"""Errors of packed frames: those of the frames themselves, with the same gradients."""

from __future__ import annotations

import pytest
import torch

from inrcodec.fitting import _squared_error
from inrcodec.fitting._losses import LOSSES
from inrcodec.fitting._squared_error import LOSSES_OF_MSE, PackedError
from inrcodec.models import Network, build, for_budget, names

HEIGHT, WIDTH = 50, 70  # padded by every network


def network(model: str) -> Network:
    """A network by its name, or `hnervpp with motion`."""
    torch.manual_seed(0)
    settings = {}
    if model == "hnervpp with motion":
        model, settings = "hnervpp", {"motion": 1, "margin": 6}
    config = for_budget(model, 12_000, height=HEIGHT, width=WIDTH, num_frames=3, **settings)
    return build(model, config)


def clip() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, 3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)


def drive(model: Network, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    shape = model.embedding_shape
    if shape is None:
        return indices, None
    generator = torch.Generator().manual_seed(2)
    return indices, torch.randn(len(indices), *shape, generator=generator)


@pytest.mark.parametrize("on_the_fly", [False, True])
@pytest.mark.parametrize("loss", list(LOSSES_OF_MSE))
@pytest.mark.parametrize("model", ["hnervpp", "hnervpp with motion", "hnerv", "nerv"])
def test_loss_and_gradients_are_those_of_the_frames(
    model: str, loss: str, on_the_fly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_the_fly:
        monkeypatch.setattr(_squared_error, "_PACKED_BYTES", 0)
    net, frames, indices = network(model), clip(), torch.tensor([2, 0])
    parameters = list(net.decoder.parameters())
    expected = LOSSES[loss](net(*drive(net, indices)), frames[indices] / 255)
    wanted = torch.autograd.grad(expected, parameters)
    packed = net(*drive(net, indices), packed=True)
    found = LOSSES_OF_MSE[loss](PackedError(net, frames)(packed, indices))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0.0)
    for a, b in zip(torch.autograd.grad(found, parameters), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


def test_bfloat16_loses_little() -> None:
    net, frames, indices = network("hnervpp"), clip(), torch.tensor([1])
    packed = net(*drive(net, indices), packed=True).detach()
    error = PackedError(net, frames)
    exact, rounded = error(packed, indices), error(packed.bfloat16(), indices)
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=0.0)


@pytest.mark.parametrize("model", [*names(), "hnervpp with motion"])
def test_networks_say_how_they_pack(model: str) -> None:
    net = network(model)
    if net.packing is None:
        kind = type(net)
        assert kind.squash is not Network.squash or kind.auxiliary is not Network.auxiliary
        return
    x = net(*drive(net, torch.tensor([0])), packed=True)
    height, width = net.packed_size
    stride = net.packing
    assert x.shape == (1, 3 * stride**2, height // stride, width // stride)
    frames = torch.nn.functional.pixel_shuffle(x, stride)[..., :HEIGHT, :WIDTH]
    torch.testing.assert_close(net.squash(frames), net(*drive(net, torch.tensor([0]))))
