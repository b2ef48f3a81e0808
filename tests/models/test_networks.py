"""What a fit and a decoder ask of every network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inrcodec import models
from inrcodec.errors import ModelError
from inrcodec.models._blocks import (
    PixelShuffleUpsampler,
    PositionalEncoding,
    conv_then_shuffle,
    upsample_bilinear_by_products,
)
from inrcodec.models._separable import SeparableResidual

HEIGHT, WIDTH, NUM_FRAMES = 45, 81, 5
HYBRID = ["hnerv", "hnerv-boost", "hnervpp", "hnervpp-boost"]
ENCODED = ["hnerv", "hnerv-boost"]  # the others fit their embeddings themselves
BY_INDEX = sorted(set(models.names()) - set(HYBRID))


def small(name: str, *, with_encoder: bool = True) -> models.Network:
    config = models.for_budget(name, 15_000, height=HEIGHT, width=WIDTH, num_frames=NUM_FRAMES)
    torch.manual_seed(0)
    return models.build(name, config, with_encoder=with_encoder)


def inputs_of(network: models.Network, batch: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    indices = torch.arange(batch)
    if network.embedding_shape is None:
        return indices, None
    generator = torch.Generator().manual_seed(1)
    return indices, torch.randn(batch, *network.embedding_shape, generator=generator)


def embed(network: models.Network, frames: torch.Tensor) -> torch.Tensor | None:
    """The embeddings of the first frames of a clip, if the network has any."""
    if network.encoder is None:
        return None
    return network.embed(frames, torch.arange(len(frames)))


def config_for(name: str, *, height: int, width: int, num_frames: int) -> models.NetworkConfig:
    variant = dict(models.entry(name).variant)
    sizing = models.Sizing(height, width, num_frames, num_params=40_000)
    return models.entry(name).config_class.for_base_width(6, sizing, **variant)


@pytest.mark.parametrize("name", models.names())
@settings(deadline=None, max_examples=6)
@given(height=st.integers(64, 1080), width=st.integers(64, 1920), num_frames=st.integers(1, 700))
@example(height=64, width=64, num_frames=1)
@example(height=1080, width=1920, num_frames=600)
@example(height=719, width=1279, num_frames=7)
def test_any_frame_size(name: str, height: int, width: int, num_frames: int) -> None:
    """Shapes, on the meta device: nothing of these sizes is computed."""
    with torch.device("meta"):
        network = config_for(name, height=height, width=width, num_frames=num_frames).build()
        frames = torch.rand(1, 3, height, width)
        embeddings = embed(network, frames)
        if embeddings is not None:
            assert embeddings.shape[1:] == network.embedding_shape
        x_hat = network(torch.zeros(1, dtype=torch.int64), embeddings)
    assert x_hat.shape == frames.shape
    assert x_hat.dtype == torch.float32


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 131), (130, 65)])
def test_frames_are_in_range(name: str, height: int, width: int) -> None:
    network = config_for(name, height=height, width=width, num_frames=3).build()
    frames = torch.rand(2, 3, height, width)
    embeddings = embed(network, frames)
    x_hat = network(torch.tensor([0, 2]), embeddings).detach()
    assert x_hat.shape == frames.shape
    assert 0 <= float(x_hat.min()) <= float(x_hat.max()) <= 1


@pytest.mark.parametrize("name", models.names())
def test_deterministic_and_independent_of_batch_mates(name: str) -> None:
    network = small(name)
    indices, embeddings = inputs_of(network, 3)
    with torch.inference_mode():
        together = network(indices, embeddings)
        assert torch.equal(together, network(indices, embeddings))
        for i in range(3):
            alone = network(
                indices[i : i + 1], None if embeddings is None else embeddings[i : i + 1]
            )
            assert torch.allclose(alone[0], together[i], atol=1e-5)


@pytest.mark.parametrize("name", models.names())
def test_only_parameters_of_the_decoder_are_stored(name: str) -> None:
    network = small(name)
    parameters = dict(network.decoder.named_parameters())
    assert set(network.decoder.state_dict()) == set(parameters)
    size = models.count_parameters(network.config)
    assert size.decoder == sum(parameter.numel() for parameter in parameters.values())


@pytest.mark.parametrize("name", models.names())
def test_decodes_from_replaced_parameters_without_an_encoder(name: str) -> None:
    network = small(name)
    indices, embeddings = inputs_of(network, 2)
    torch.manual_seed(7)
    bare = models.build(name, network.config, with_encoder=False)
    assert bare.encoder is None
    replaced = {f"decoder.{n}": p for n, p in network.decoder.named_parameters()}
    with torch.no_grad():
        x_hat = torch.func.functional_call(bare, replaced, (indices, embeddings))
        assert torch.equal(x_hat, network(indices, embeddings))


@pytest.mark.parametrize("name", models.names())
def test_frames_differ_and_gradients_reach_all_parameters(name: str) -> None:
    network = small(name)
    for parameter in network.decoder.parameters():
        if not parameter.any():  # a residual that starts as nothing stops what lies before it
            torch.nn.init.normal_(parameter, std=0.1)
    x_hat = network(*inputs_of(network, 3))
    assert not torch.equal(x_hat[0], x_hat[1])
    assert not torch.equal(x_hat[1], x_hat[2])
    (x_hat * torch.randn_like(x_hat)).sum().backward()
    for parameter_name, parameter in network.decoder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", models.names())
def test_learns_under_autocast_and_channels_last(name: str) -> None:
    network = small(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frames = torch.rand(1, 3, 1, 1).expand(2, 3, HEIGHT, WIDTH)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)  # more is too much for some sines
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            embeddings = embed(network, frames)
            x_hat = network(torch.arange(2), embeddings)
        loss = F.mse_loss(x_hat, frames)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in network.decoder.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("name", HYBRID)
def test_embeddings_are_needed(name: str) -> None:
    with pytest.raises(ModelError, match="none were given"):
        small(name)(torch.arange(2))


@pytest.mark.parametrize("name", BY_INDEX)
def test_index_driven_networks_cannot_embed(name: str) -> None:
    network = small(name)
    assert network.embedding_shape is None
    with pytest.raises(ModelError, match="without an encoder"):
        network.embed(torch.rand(1, 3, HEIGHT, WIDTH), torch.tensor([0]))


def test_embed_needs_an_encoder_and_the_right_size() -> None:
    with pytest.raises(ModelError, match="without an encoder"):
        small("hnervpp", with_encoder=False).embed(
            torch.rand(1, 3, HEIGHT, WIDTH), torch.tensor([0])
        )
    with pytest.raises(ModelError, match="they must be"):
        small("hnerv").embed(torch.rand(1, 3, HEIGHT + 1, WIDTH), torch.tensor([0]))
    with pytest.raises(ModelError, match="none were given"):
        small("hnerv").embed(None, torch.tensor([0]))


def test_a_table_of_embeddings_needs_no_frames() -> None:
    network = small("hnervpp")
    found = network.embed(None, torch.tensor([1, 0]))
    assert found.shape == (2, *(network.embedding_shape or ()))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("name", BY_INDEX)
def test_frames_differ_by_their_index(name: str) -> None:
    network = small(name)
    with torch.no_grad():
        first, second, last = (network(torch.tensor([i])) for i in (0, 1, 4))
    assert not torch.equal(first, last)
    assert not torch.equal(second, last)


@pytest.mark.parametrize("name", ["hnerv-boost", "hnervpp-boost"])
def test_boost_conditions_embeddings_on_the_index(name: str) -> None:
    network = small(name)
    _, embeddings = inputs_of(network, 1)
    with torch.no_grad():
        first, last = (network(torch.tensor([i]), embeddings) for i in (0, 4))
    assert not torch.equal(first, last)


def test_positional_encoding_of_nerv_survives_half() -> None:
    encoding = PositionalEncoding(base=1.25, levels=80, num_frames=4).half()
    x = encoding(torch.tensor([1]))
    assert x.shape == (1, 160)
    assert x.dtype == torch.float32
    t_pi = torch.tensor(torch.pi / 4)
    assert torch.allclose(x[0, :2], torch.stack((t_pi.sin(), (1.25 * t_pi).sin())), atol=1e-6)
    assert torch.allclose(x[0, 80], t_pi.cos(), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_bilinear_by_products_equals_interpolate(scale: int) -> None:
    x = torch.randn(2, 3, 4, 7, dtype=torch.float64, requires_grad=True)
    by_products = upsample_bilinear_by_products(x, scale)
    reference = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(by_products, reference)
    weights = torch.randn_like(reference)
    (gradient,) = torch.autograd.grad((by_products * weights).sum(), x)
    (expected,) = torch.autograd.grad((reference * weights).sum(), x)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_bilinear_by_products_keeps_what_is_level_in_bfloat16(scale: int) -> None:
    x = torch.ones(1, 2, 6, 5, dtype=torch.bfloat16)
    assert torch.equal(upsample_bilinear_by_products(x, scale).unique(), x.unique())


@pytest.mark.parametrize("stride", [2, 3])
def test_shuffling_what_lies_together_is_pixel_shuffle(stride: int) -> None:
    """It is how fits do it; the gradients of the weights arrive in their own order."""
    block = PixelShuffleUpsampler(5, 4, stride=stride, kernel_size=3).double()
    x = torch.randn(2, 5, 6, 7, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    reference = block[1](block[0](x))
    found = conv_then_shuffle(block[0], x, stride)
    torch.testing.assert_close(found, reference)
    assert found.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(reference)
    parameters = list(block.parameters())
    gradients = torch.autograd.grad((found * weights).sum(), parameters)
    expected = torch.autograd.grad((reference * weights).sum(), parameters)
    torch.testing.assert_close(gradients, expected)


def test_macs_of_the_default_network_are_few() -> None:
    """CPU decoding stays cheap: under 25 kMAC a pixel at 640x360 and 300k parameters."""
    config = models.for_budget("hnervpp", 300_000, height=360, width=640, num_frames=60)
    assert models.macs_per_frame(config) < 25_000 * 360 * 640


@pytest.mark.parametrize("name", HYBRID)
def test_calibrated_embeddings_tell_frames_apart(name: str) -> None:
    config = models.for_budget(name, 30_000, height=64, width=96, num_frames=8)
    torch.manual_seed(0)
    network = models.build(name, config)
    flat = torch.rand(8, 3, 1, 1).expand(8, 3, 64, 96) * 0.2 + torch.rand(1, 3, 64, 96) * 0.8
    clip = (255 * flat).to(torch.uint8)
    with torch.no_grad():
        network.calibrate(clip)
        after = embed(network, clip / 255)
    assert after is not None
    assert torch.allclose(after.mean((0, 2, 3)), torch.zeros(after.shape[1]), atol=0.05)
    if name in ENCODED:
        assert torch.allclose(after.std(0).mean((1, 2)), torch.ones(after.shape[1]), atol=0.05)
    assert after.std(0).mean() > 0.05


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize(("side", "num_frames"), [(16, 300), (32, 300), (24, 120)])
def test_encoders_of_tiny_frames_tell_them_apart(name: str, side: int, num_frames: int) -> None:
    config = models.for_budget(name, 20_000, height=side, width=side, num_frames=num_frames)
    assert config.embedding_shape is not None
    assert config.embedding_shape[0] <= 2
    torch.manual_seed(0)
    network = models.build(name, config)
    clip = (255 * torch.rand(8, 3, side, side)).to(torch.uint8)
    network.calibrate(clip)
    embeddings = embed(network, clip / 255)
    assert embeddings is not None
    assert float(embeddings.detach().std(0).mean()) == pytest.approx(1, abs=0.05)
    embeddings[0].sum().backward()
    assert network.encoder is not None
    weight = next(network.encoder.parameters())
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0


@pytest.mark.parametrize("name", sorted(set(HYBRID) - set(ENCODED)))
def test_tables_start_from_principal_components(name: str) -> None:
    """A clip of one pattern, brighter and darker: its first component is the brightness."""
    config = models.for_budget(name, 30_000, height=64, width=96, num_frames=8)
    network = models.build(name, config)
    brightness = torch.tensor([0, 200, 50, 150, 100, 250, 20, 80], dtype=torch.uint8)
    clip = brightness.view(8, 1, 1, 1).expand(8, 3, 64, 96)
    network.calibrate(clip)
    embeddings = embed(network, clip / 255)
    assert embeddings is not None
    first = embeddings[:, 0].detach()
    assert first.std(dim=(1, 2)).max() < 1e-3
    wished = (brightness - brightness.float().mean()) / brightness.float().std(unbiased=False)
    sign = first[0, 0, 0].sign() * wished[0].sign()
    assert torch.allclose(first[:, 0, 0] * sign, wished, atol=1e-3)


def test_networks_without_an_encoder_need_no_calibration() -> None:
    network = models.build(
        "nerv", models.for_budget("nerv", 30_000, height=64, width=96, num_frames=8)
    )
    before = [p.clone() for p in network.parameters()]
    network.calibrate(torch.zeros(8, 3, 64, 96, dtype=torch.uint8))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_separable_blocks_start_as_the_identity() -> None:
    blocks = [m for m in small("hnervpp").modules() if isinstance(m, SeparableResidual)]
    assert blocks
    for block in blocks:
        x = torch.randn(1, block.pointwise.in_channels, 5, 7)
        assert torch.equal(block(x), x)
