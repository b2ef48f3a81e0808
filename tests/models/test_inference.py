"""`prepare_for_inference`: other modules, the same frames."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from inrcodec import models
from inrcodec.models import HNeRVPPConfig, Network, halves, prepare_for_inference
from inrcodec.models._network import traced_macs

SIZES = {
    "shuffled by 4": {"strides": (4, 3), "head_stride": 4},
    "shuffled by 3": {"strides": (2, 5), "head_stride": 3},
    "no shuffle": {"strides": (3, 2, 2), "head_stride": 1},
    "plain last stage": {"strides": (3, 2), "head_stride": 2, "plain_stages": 1},
    "gates": {"strides": (3, 2), "head_stride": 2, "gated_stages": 2},
    "gates in the first stage": {"strides": (3, 2), "head_stride": 2, "gated_stages": 1},
    "motion": {"strides": (4, 3), "head_stride": 4, "motion": 1, "margin": 5},
}


@pytest.mark.parametrize("mkldnn", [True, False])
@pytest.mark.parametrize("name", models.names())
def test_every_network_computes_the_same(
    name: str, mkldnn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = models.for_budget(name, 30_000, height=50, width=70, num_frames=6)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: mkldnn)
    _assert_same(config.build(with_encoder=False))


@pytest.mark.parametrize("options", SIZES.values(), ids=SIZES)
def test_hnervpp_of_other_shapes_computes_the_same(options: dict[str, Any]) -> None:
    fields = {"plain_stages": 0, "embedding_channels": 3, **options}
    channels = (10, 7, 13, 9)[: len(fields["strides"]) + 1]
    config = HNeRVPPConfig(height=50, width=70, num_frames=6, channels=channels, **fields)
    _assert_same(config.build(with_encoder=False))


@pytest.mark.parametrize("options", SIZES.values(), ids=SIZES)
def test_counted_macs_are_the_traced_ones(options: dict[str, Any]) -> None:
    fields = {"plain_stages": 0, "embedding_channels": 3, "min_kernel_size": 1, **options}
    channels = (10, 7, 13, 9)[: len(fields["strides"]) + 1]
    config = HNeRVPPConfig(height=50, width=70, num_frames=6, channels=channels, **fields)
    assert config.count_macs() == traced_macs(config)
    boosted = models.for_budget("hnervpp-boost", 30_000, height=50, width=70, num_frames=6)
    assert boosted.count_macs() is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", models.names())
@torch.inference_mode()
def test_every_network_computes_nearly_the_same_in_16_bits(name: str, dtype: torch.dtype) -> None:
    config = models.for_budget(name, 30_000, height=50, width=70, num_frames=6)
    torch.manual_seed(0)
    network = config.build(with_encoder=False)
    shape = network.embedding_shape
    embeddings = None if shape is None else torch.randn(1, *shape)
    prepared = copy.deepcopy(network).to(memory_format=torch.channels_last)
    stride = prepare_for_inference(prepared, dtype)
    with torch.autocast("cpu", dtype):
        found = prepared.decode(torch.tensor([2]), embeddings)
    expected = network.decode(torch.tensor([2]), embeddings)
    found = network.squash(F.pixel_shuffle(found.float(), stride))
    torch.testing.assert_close(found, network.squash(expected), atol=0.02, rtol=0)


@torch.inference_mode()
def _assert_same(network: Network) -> None:
    torch.manual_seed(0)
    for parameter in network.parameters():  # residuals start from zeros, which hide their inputs
        parameter.add_(0.05 * torch.randn_like(parameter))
    indices = torch.tensor([2, 5, 3])
    shape = network.embedding_shape
    embeddings = None if shape is None else torch.randn(3, *shape)
    prepared = copy.deepcopy(network).to(memory_format=torch.channels_last)
    stride = prepare_for_inference(prepared, torch.float32)
    expected = network.decode(indices, embeddings)
    found = F.pixel_shuffle(prepared.decode(indices, embeddings), stride)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    if (cut := halves(prepared)) is not None:
        first, rest = cut
        maps = first(indices if embeddings is None else prepared.drawn_from(embeddings))
        found = torch.cat([F.pixel_shuffle(rest(one), stride) for one in maps.split(1)])
        if embeddings is not None:
            found = prepared.place(found, embeddings)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_decoder_is_cut_between_small_maps_and_large_ones() -> None:
    config = models.for_budget("hnervpp", 1_000_000, height=720, width=1280, num_frames=132)
    network = config.build(with_encoder=False)
    prepare_for_inference(network, torch.float32)
    cut = halves(network)
    assert cut is not None
    maps = cut[0](torch.zeros(1, *config.embedding_shape))
    pixels = config.padded_size[0] // maps.shape[2]
    assert pixels >= 8
    assert pixels // config.strides[len(cut[0]) - 1] < 8
    assert (
        halves(models.for_budget("hinerv", 100_000, height=64, width=64, num_frames=4).build())
        is None
    )
