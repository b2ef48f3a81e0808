"""Networks of users: what registering one checks, and that its layers decode as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrcodec import models
from inrcodec.errors import ModelError
from inrcodec.models import Network, NetworkConfig, Sizing, _registry, register

FRAME = {"height": 32, "width": 48, "num_frames": 4}
FRAME_OF_8 = {"height": 64, "width": 96, "num_frames": 8}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered within a test is gone after it."""
    monkeypatch.setattr(_registry, "_ENTRIES", dict(_registry._ENTRIES))


@dataclass(frozen=True)
class PlainConfig(NetworkConfig):
    """Fields of every network."""

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> PlainConfig:
        strides = overrides.pop("strides", (2, 2))
        return cls(*sizing.clip, strides, (base_width,) * (len(strides) + 1), **overrides)


class _Decoder(nn.Module):
    def __init__(self, config: NetworkConfig, convolution: Callable[..., nn.Module]) -> None:
        super().__init__()
        width, self.grid = config.channels[0], config.grid
        self.table = nn.Parameter(
            torch.randn(config.num_frames, width * self.grid[0] * self.grid[1])
        )
        self.first = convolution(width, 3 * config.upsampling**2, 3)
        self.shuffle = nn.PixelShuffle(config.upsampling)

    def forward(self, frame_indices: Tensor) -> Tensor:
        x = self.table[frame_indices].unflatten(1, (-1, *self.grid))
        x_hat: Tensor = self.shuffle(self.first(x))
        return x_hat


def network_of(convolution: Callable[..., nn.Module]) -> type[Network]:
    """A network of one convolution, with a configuration of its own."""
    own = make_dataclass("OwnConfig", [], bases=(PlainConfig,), frozen=True)

    class Own(Network):
        config_class: Any = own
        paper, arxiv = "none", "0000.00000"

        def __init__(self, config: NetworkConfig, *, with_encoder: bool = True) -> None:
            super().__init__(config)
            self.decoder = _Decoder(config, convolution)

    return Own


class _Doubled(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "convolution",
    [
        lambda i, o, k: nn.Conv2d(i, o, k, padding=1),
        lambda i, o, k: nn.Conv2d(i, o, k, padding=1, padding_mode="reflect"),
        lambda i, o, k: nn.Conv2d(i, o, k, padding=1, padding_mode="circular"),
        lambda i, o, k: nn.Conv2d(i, o, k, padding="same"),
        lambda i, o, k: _Doubled(i, o, k, padding=1),
        lambda i, o, k: nn.utils.parametrizations.weight_norm(nn.Conv2d(i, o, k, padding=1)),
    ],
    ids=["zeros", "reflect", "circular", "same", "of a subclass", "of normalised weights"],
)
def test_convolutions_of_any_kind_decode_as_they_are(
    convolution: Callable[..., nn.Module], registered: None
) -> None:
    register("own")(network_of(convolution))
    torch.manual_seed(0)
    config = models.for_budget("own", 20_000, **FRAME)
    network = models.build("own", config).eval()
    indices = torch.arange(4)
    with torch.no_grad():
        expected = network(indices)
        assert models.prepare_for_inference(network, torch.float32) == 1
        torch.testing.assert_close(network(indices), expected, atol=1e-5, rtol=0)


def test_a_network_has_a_configuration_of_its_own(registered: None) -> None:
    class Mine(models.HNeRV):
        """Inherits that of HNeRV."""

    class Theirs(models.HNeRV):
        config_class = models.HNeRVConfig

    for network in (Mine, Theirs):
        match = f"HNeRVConfig is the configuration of HNeRV; {network.__name__} needs"
        with pytest.raises(ModelError, match=match):
            register("mine")(network)
    config = models.for_budget("hnerv", 30_000, height=64, width=96, num_frames=4)
    assert type(models.build("hnerv", config)) is models.HNeRV


@pytest.mark.parametrize("neighbours", [(-1, 1), [-1, 1]])
def test_a_name_may_fix_a_tuple(neighbours: Any, registered: None) -> None:
    register("ffnerv-near", neighbours=neighbours)(models.FFNeRV)
    config = models.for_budget("ffnerv-near", 60_000, height=64, width=96, num_frames=8)
    assert models.build("ffnerv-near", config).config.neighbours == (-1, 1)
    fields = config.to_dict()
    assert models.config_from_dict("ffnerv-near", fields, **FRAME_OF_8).to_dict() == fields
    for wrong in ([-2, 1], "11", 3):
        with pytest.raises(ModelError, match="'ffnerv-near' fixes it to"):
            models.config_from_dict("ffnerv-near", {**fields, "neighbours": wrong}, **FRAME_OF_8)


class _WithBuffer(nn.Conv2d):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes, padding=1)
        self.register_buffer("mean", torch.zeros(3))


class _Tied(nn.Module):
    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.one = self.other = nn.Conv2d(*sizes, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.one(x)
        return y


@pytest.mark.parametrize(
    ("convolution", "name"), [(_WithBuffer, "first.mean"), (_Tied, "first.other.weight")]
)
def test_state_that_no_file_would_have_is_refused_before_a_fit(
    convolution: Callable[..., nn.Module], name: str, registered: None
) -> None:
    register("own")(network_of(convolution))
    with pytest.raises(ModelError, match=f"'{name}' of the decoder is no parameter of its own"):
        models.for_budget("own", 20_000, **FRAME)


def test_annotations_may_be_types(registered: None) -> None:
    evaluated = make_dataclass(
        "Evaluated",
        [("terms", int, 3), ("rates", tuple[int, ...], (1, 2))],
        bases=(PlainConfig,),
        frozen=True,
    )
    config = evaluated(*FRAME.values(), (2, 2), (8, 8, 8), terms=5, rates=[3])
    assert (config.terms, config.rates) == (5, (3,))
    with pytest.raises(ModelError, match="terms is 'x'; it must be of type int"):
        evaluated(*FRAME.values(), (2, 2), (8, 8, 8), terms="x")
