"""Quantisers to compare with: uniform over a tensor's range, and learned with a Gaussian rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec._segment_codec import embedding_grid, tensor_layout
from inrcodec._segment_encode import code_segment
from inrcodec.bitstream._sections import VERSION
from inrcodec.bitstream._segment import _decode
from inrcodec.fitting import FitResult, InterruptFlag
from inrcodec.fitting._entropy_minimization import EntropyQuantizer
from inrcodec.models import Network, NetworkConfig
from inrcodec.quantization import estimate_bytes, step_size

FitWaves = Callable[..., FitResult]


def steps_of(result: FitResult) -> list[float]:
    return [float(step_size(result.global_step, code)) for code in result.step_codes]


def coded_bytes(result: FitResult) -> float:
    """By their histograms, as neither learned steps nor plain coding have been told it."""
    return estimate_bytes(result.tensors, result.step_codes, result.global_step)


def test_range_gives_every_tensor_as_many_levels(fit_waves: FitWaves) -> None:
    result = fit_waves(quantizer="range", qat_fraction=0.0, rounding="nearest")
    pairs = zip(result.tensors, steps_of(result), strict=True)
    levels = [float(np.ptp(tensor)) / step for tensor, step in pairs if np.ptp(tensor) > 0]
    assert max(levels) / min(levels) < 2 ** (1.01 / 8)  # codes are eighths of an octave


@pytest.mark.parametrize("coding", ["plain", "context"])
def test_plain_embeddings_are_neither_predicted_nor_in_context(
    coding: str,
    fit_waves: FitWaves,
    waves_config: Callable[[], NetworkConfig],
    num_bytes: int,
) -> None:
    config = waves_config()
    payload = code_segment(config, fit_waves(embedding_coding=coding), num_bytes)
    _, sizes, groups = tensor_layout(config)
    coded = _decode(payload, sizes, groups, embedding_grid(config), VERSION)
    is_plain = coded.in_context is None and not any(coded.side.predictions)
    assert is_plain == (coding == "plain")


def gaussian_bits(values: NDArray[np.float32], step: float) -> float:
    """Of a tensor's symbols under the Gaussian of their mean and deviation."""
    symbols = np.rint(values / step)
    mean, deviation = float(symbols.mean()), float(symbols.std())
    upper = [0.5 * math.erf((s + 0.5 - mean) / deviation / math.sqrt(2)) for s in symbols]
    lower = [0.5 * math.erf((s - 0.5 - mean) / deviation / math.sqrt(2)) for s in symbols]
    return -sum(math.log2(max(u - v, 1e-5)) for u, v in zip(upper, lower, strict=True))


class _OneTensor(Network):
    def __init__(self, values: Tensor) -> None:
        nn.Module.__init__(self)
        self.decoder = nn.ParameterList([nn.Parameter(values)])


def quantizer_of(values: Tensor, *, num_bytes: float) -> EntropyQuantizer:
    quantizer = EntropyQuantizer(1, device=torch.device("cpu"), seed=0)
    tensors = [values.numpy()]
    quantizer.allocate_by_range(tensors)
    quantizer.meet(tensors, num_bytes, grids=[None])
    return quantizer


def test_rate_is_that_of_a_gaussian() -> None:
    values = torch.randn(4000, generator=torch.Generator().manual_seed(1))
    quantizer = quantizer_of(values, num_bytes=2000)
    quantizer.num_bits = 1.0
    term = quantizer.rate_term(_OneTensor(values), None, None)
    assert term is not None
    bits = float(term.detach()) / 2.0  # its weight, over a target of one bit
    assert bits == pytest.approx(gaussian_bits(values.numpy(), quantizer.steps[0]), rel=0.01)


def test_embeddings_of_a_batch_count_under_the_gaussian_of_their_channel() -> None:
    """Frames that differ more than their cells do take more bits than under their own."""
    generator = torch.Generator().manual_seed(2)
    frames = 3 * torch.randn(200, 1, 1, 1, generator=generator)
    stored = frames + torch.randn(200, 1, 4, 5, generator=generator)
    weights = torch.zeros(1)
    quantizer = EntropyQuantizer(2, device=torch.device("cpu"), seed=0)
    tensors = [weights.numpy(), stored.numpy().ravel()]
    quantizer.allocate_by_range(tensors)
    quantizer.meet(tensors, 2000, grids=[None, None])
    quantizer.num_bits = 1.0
    found = []
    for indices in torch.arange(200).view(100, 2):
        term = quantizer.rate_term(_OneTensor(weights), stored[indices], stored)
        assert term is not None
        found.append(float(term.detach()) / 2.0)
    expected = gaussian_bits(stored.numpy().ravel(), quantizer.steps[1])
    assert np.mean(found) == pytest.approx(expected, rel=0.01)


def test_rate_counts_above_its_target_alone() -> None:
    values = torch.randn(4000, generator=torch.Generator().manual_seed(1))
    quantizer = quantizer_of(values, num_bytes=2000)
    network = _OneTensor(values)
    assert quantizer.rate_term(network, None, None) is not None  # 4 bits at 0.993 of them
    quantizer.num_bits *= 1.05
    assert quantizer.rate_term(network, None, None) is None


def test_rate_pulls_weights_together_and_steps_apart() -> None:
    values = torch.randn(4000, generator=torch.Generator().manual_seed(1))
    quantizer = quantizer_of(values, num_bytes=2000)
    network = _OneTensor(values)
    term = quantizer.rate_term(network, None, None)
    assert term is not None
    term.backward()
    (weight,) = network.decoder.parameters()
    assert weight.grad is not None
    assert float((weight.grad * weight.detach()).sum()) > 0
    before = quantizer.steps[0]
    quantizer.num_bits /= 2  # it stays above its target
    for _ in range(3):
        term = quantizer.rate_term(network, None, None)
        assert term is not None
        term.backward()
        quantizer.learn(1.0)
    assert quantizer.steps[0] > before


def test_steps_have_the_gradient_of_the_distortion() -> None:
    values = torch.randn(64, generator=torch.Generator().manual_seed(1))
    quantizer = quantizer_of(values, num_bytes=32)
    network = _OneTensor(values)
    (quantized,) = quantizer.decoder_weights(network).values()
    symbols = torch.round(values / quantizer.steps[0])
    torch.testing.assert_close(quantized.detach(), symbols * quantizer.steps[0])
    quantized.sum().backward()
    # Learned step size: d(q s) / ds = q - w / s (arXiv 1902.08153), here by its logarithm.
    expected = (symbols - values / quantizer.steps[0]).sum() * quantizer.steps[0] * math.log(2)
    assert quantizer.log2_steps.grad is not None
    assert float(quantizer.log2_steps.grad) == pytest.approx(float(expected), rel=1e-4)


def test_settled_steps_meet_the_file_and_stay() -> None:
    values = torch.randn(4000, generator=torch.Generator().manual_seed(1))
    quantizer = quantizer_of(values, num_bytes=2000)
    network, tensors = _OneTensor(values), [values.numpy()]

    def file_bytes(step: float) -> int:
        """A tenth more than the Gaussian says."""
        return round(1.1 * gaussian_bits(values.numpy(), step) / 8)

    assert quantizer.settles
    quantizer.settle()
    quantizer.meet(
        tensors,
        1500,
        grids=[None],
        coded_bytes=lambda _, codes, step: file_bytes(float(step_size(step, codes[0]))),
    )
    assert not quantizer.settles
    before = quantizer.steps[0]
    assert file_bytes(before) == pytest.approx(0.993 * 1500, rel=0.003)
    quantizer.num_bits /= 2
    term = quantizer.rate_term(network, None, None)
    assert term is not None
    term.backward()
    quantizer.learn(1.0)
    assert quantizer.steps[0] == before
    again = quantizer_of(values, num_bytes=2000)
    again.load_state(quantizer.state())
    assert not again.settles
    assert again.steps == quantizer.steps


def test_a_fit_learns_its_steps_and_meets_its_bytes(fit_waves: FitWaves, num_bytes: int) -> None:
    result = fit_waves(quantizer="entropy", embedding_coding="plain", epochs=120)
    assert coded_bytes(result) < 1.05 * num_bytes
    pairs = zip(result.tensors, steps_of(result), strict=True)
    levels = [float(np.ptp(tensor)) / step for tensor, step in pairs if np.ptp(tensor) > 0]
    assert max(levels) / min(levels) > 1.3  # not as it began


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_an_interrupted_fit_goes_on_as_it_was(
    share: float, fit_waves: FitWaves, interrupt_after: Callable[[int], InterruptFlag]
) -> None:
    """In the half of the phase in which steps move, and in the other."""
    settings = {"quantizer": "entropy", "embedding_coding": "plain", "qat_fraction": 0.5}
    settings["epochs"] = 20
    whole = fit_waves(**settings)
    resumed = fit_waves(stop=interrupt_after(round(share * whole.steps)), **settings)
    assert whole.step_codes == resumed.step_codes
    for a, b in zip(whole.tensors, resumed.tensors, strict=True):
        assert a.tolist() == b.tolist()
