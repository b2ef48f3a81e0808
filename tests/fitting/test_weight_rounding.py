"""Second moments of layers' inputs: those of what a layer weighs, by the names of its weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec import models
from inrcodec.fitting._weight_rounding import dense_layers, input_moments
from inrcodec.models import Network, build, for_budget


class _Small(Network):
    """A convolution, a depthwise one and a linear layer."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.decoder = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.Linear(8, 4)
        )


def frames() -> Tensor:
    return torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def test_moments_are_those_of_the_products_that_a_layer_makes() -> None:
    network = _Small()
    layers = dense_layers(network)
    assert list(layers) == ["0.weight", "2.weight"]
    found = input_moments(network, layers, [lambda: network.decoder(frames())] * 2)
    patches = F.unfold(frames(), 3, padding=1).transpose(1, 2).flatten(0, 1)  # (pixels, 27)
    torch.testing.assert_close(found["0.weight"], patches.T @ patches / len(patches))
    assert not any(module._forward_pre_hooks for module in layers.values())
    # The layer's outputs have the energy that the moments say.
    weight = layers["0.weight"].weight.detach().flatten(1)
    outputs = F.conv2d(frames(), layers["0.weight"].weight, padding=1)
    expected = outputs.square().mean((0, 2, 3))
    torch.testing.assert_close((weight @ found["0.weight"] * weight).sum(1), expected.detach())


def test_large_maps_are_sampled_evenly() -> None:
    x = torch.linspace(0, 1, 200).expand(1, 3, 200, 200)  # rises along the rows
    network = _Small()
    layers = {"0.weight": dense_layers(network)["0.weight"]}

    def run() -> None:
        layers["0.weight"](x)

    moments = input_moments(network, layers, [run])["0.weight"]
    assert float(moments[4, 4]) == pytest.approx(float((x[0, 0] ** 2).mean()), rel=0.02)


@pytest.mark.parametrize("name", models.names())
def test_layers_are_named_as_the_decoder_names_their_weights(name: str) -> None:
    config = for_budget(name, 40_000, height=96, width=128, num_frames=4)
    network = build(name, config, with_encoder=False)
    named = dict(network.decoder.named_parameters())
    layers = dense_layers(network)
    assert layers
    for weight, layer in layers.items():
        assert named[weight] is layer.weight
