"""How the bytes of a fit are met, and what the weights then are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inrcodec.fitting import FitConfig, FitResult, InterruptFlag
from inrcodec.fitting._rate_control import RateControl
from inrcodec.fitting._weight_rounding import dense_layers
from inrcodec.models import NetworkConfig, build
from inrcodec.quantization import estimate_bytes, step_size

FitWaves = Callable[..., FitResult]


def off_the_steps(result: FitResult, config: NetworkConfig) -> float:
    """How far dense weights are from multiples of their steps, at most."""
    network = build("hnervpp", config)
    names = [name for name, _ in network.decoder.named_parameters()]
    dense = dense_layers(network)
    found = 0.0
    for name, tensor, code in zip(names, result.tensors, result.step_codes, strict=False):
        if name in dense:
            units = tensor / step_size(result.global_step, code)
            found = max(found, float(np.abs(units - np.rint(units)).max()))
    return found


def test_weights_are_rounded_with_feedback_when_the_quantiser_enters(
    fit_waves: FitWaves, waves_config: Callable[[], NetworkConfig]
) -> None:
    config = waves_config()
    # A phase of one step, at a rate that moves nothing.
    settings = {"epochs": 20, "qat_fraction": 1 / 60, "final_factor": 0.0}
    for rounding in ("soft", "feedback"):  # softly, so short a phase leaves them where they were
        assert off_the_steps(fit_waves(rounding=rounding, **settings), config) < 1e-2
    assert off_the_steps(fit_waves(rounding="nearest", **settings), config) > 0.4


def test_without_a_phase_they_are_rounded_at_the_end(
    fit_waves: FitWaves, waves_config: Callable[[], NetworkConfig], num_bytes: int
) -> None:
    result = fit_waves(qat_fraction=0.0)
    assert off_the_steps(result, waves_config()) < 1e-3
    found = estimate_bytes(result.tensors, result.step_codes, result.global_step)
    assert found > 0.9 * num_bytes


@pytest.mark.parametrize("rounding", ["soft", "feedback", "nearest"])
def test_an_interrupted_phase_goes_on_as_it_was(
    rounding: str, fit_waves: FitWaves, interrupt_after: Callable[[int], InterruptFlag]
) -> None:
    whole = fit_waves(rounding=rounding, epochs=24)
    # Of 72 steps, 18 quantised.
    resumed = fit_waves(rounding=rounding, epochs=24, stop=interrupt_after(60))
    assert whole.global_step == resumed.global_step
    for a, b in zip(whole.tensors, resumed.tensors, strict=True):
        assert a.tolist() == b.tolist()


def rate_control(
    config: NetworkConfig,
    coded: Callable[..., int] | None,
    *,
    rounding: str = "feedback",
    model: str = "hnervpp",
) -> RateControl:
    torch.manual_seed(0)
    frames = torch.zeros(config.num_frames, 3, config.height, config.width, dtype=torch.uint8)
    return RateControl(
        build(model, config),
        frames,
        FitConfig(epochs=1, qat_fraction=0.5, rounding=rounding),
        num_bytes=6000,
        coded_bytes=coded,
        device=torch.device("cpu"),
    )


def test_rounded_weights_take_the_bytes_as_measured(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    measured = []

    def coded(tensors: list[NDArray[np.float32]], codes: list[int], global_step: float) -> int:
        measured.append(500 + int(1.1 * estimate_bytes(tensors, codes, global_step)))
        return measured[-1]

    control = rate_control(waves_config(), coded)
    assert not control.meet(0.4)
    assert control.meet(0.5)
    tensors = control.stored_tensors(exact=True)
    quantizer = control.quantizer
    found = coded(tensors, quantizer.step_codes, quantizer.global_step)
    assert 0.98 * 6000 < found <= 6000
    assert control.quantizes


def disturb(control: RateControl, deviation: float) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in control.network.decoder.parameters():
            parameter += deviation * torch.randn(parameter.shape, generator=generator)


def test_rounded_weights_keep_their_step_while_the_bytes_do(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    control = rate_control(waves_config(), None)
    assert control.meet(0.5)
    before = control.quantizer.global_step
    disturb(control, 1e-4)  # as training does
    assert control.meet(0.6)
    assert control.quantizer.global_step == before
    disturb(control, 0.3)  # too many bytes: rounded anew, to coarser steps
    assert control.meet(0.7)
    assert control.quantizer.global_step > before
    layers = dense_layers(control.network)
    named = dict(control.network.decoder.named_parameters())
    for (name, weight), step in zip(named.items(), control.quantizer.steps, strict=False):
        if name in layers:
            units = weight.detach() / step
            torch.testing.assert_close(units, torch.round(units), atol=1e-3, rtol=0)
    tensors = control.stored_tensors(exact=True)
    assert 0.98 * 6000 < control.quantizer.found_bytes(tensors, grids=control._grids()) <= 6000


def test_soft_steps_follow_the_bytes_at_first_and_then_stay(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    control = rate_control(waves_config(), None, rounding="soft")
    steps = []
    for progress in (0.5, 0.57, 0.63, 0.69, 0.75, 0.82):  # an update an eighth of the phase
        assert control.meet(progress)
        steps.append(control.quantizer.global_step)
        tensors = control.stored_tensors(exact=True)
        found = control.quantizer.found_bytes(tensors, grids=control._grids())
        assert 0.99 * 6000 < found < 6000
        disturb(control, 1e-4)
    assert len(set(steps[2:])) == 1
    assert len(set(steps)) > 1
    disturb(control, 0.3)  # too many bytes
    assert control.meet(0.9)
    assert control.quantizer.global_step > steps[-1]


def test_soft_weights_come_nearer_to_the_rounded_ones(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    control = rate_control(waves_config(), None, rounding="soft")
    distances = []
    for progress in (0.5, 0.7, 0.9, 1.0):
        control.meet(progress)
        pairs = zip(
            control.decoder_weights().values(),
            control.quantizer.decoder_weights(control.network).values(),
            strict=True,
        )
        distances.append(sum(float((a - b).detach().abs().sum()) for a, b in pairs))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_embeddings_have_half_the_steps_where_weights_settle_softly(
    waves_config: Callable[[], NetworkConfig],
) -> None:
    soft, others = (
        rate_control(waves_config(), None, rounding=name) for name in ("soft", "feedback")
    )
    assert soft.meet(0.5)
    assert others.meet(0.5)
    channels = soft.network.config.embedding_channels  # type: ignore[attr-defined]
    differences = np.subtract(soft.quantizer.step_codes, others.quantizer.step_codes)
    assert differences[:-channels].tolist() == [0] * (len(differences) - channels)
    assert differences[-channels:].tolist() == [-8] * channels  # eighths of an octave


@pytest.mark.parametrize("model", ["hnervpp", "hnerv"])
def test_embeddings_settle_while_weights_are_soft(
    model: str, waves_config: Callable[..., NetworkConfig]
) -> None:
    control = rate_control(waves_config(model), None, rounding="soft", model=model)
    encoder = control.network.encoder
    assert encoder is not None
    indices = torch.tensor([1, 4])
    x = control.frames[indices] / 255
    for progress in (0.5, 0.57):  # updates
        assert control.meet(progress)
        embeddings = control.embed(x, indices)
        assert embeddings is not None
        assert embeddings.requires_grad
    assert control.meet(0.63)
    settled = control.embed(x, indices)
    assert settled is not None
    assert not settled.requires_grad
    torch.testing.assert_close(settled, control.quantizer.embeddings(settled))
    step = torch.tensor(control.quantizer.steps[-settled.shape[1] :]).view(1, -1, 1, 1)
    assert float(((settled - embeddings.detach()) / step).abs().max()) < 1.0
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 1.0
    assert control.meet(0.69)
    again = control.embed(x, indices)
    assert again is not None
    assert again.tolist() == settled.tolist()
    control.remember(settled + 1.0, indices)
    everything = control.embed_all(control.network)
    assert everything is not None
    assert everything[indices].tolist() == settled.tolist()
    channels = everything.shape[1]
    for channel, tensor in zip(everything.unbind(1), control.end()[-channels:], strict=True):
        assert channel.flatten().tolist() == tensor.tolist()


def test_embeddings_do_not_settle_where_weights_are_rounded_at_once(
    waves_config: Callable[..., NetworkConfig],
) -> None:
    for rounding in ("feedback", "nearest"):
        control = rate_control(waves_config(), None, rounding=rounding)
        for progress in (0.5, 0.57, 0.63, 0.69, 0.75, 0.82, 0.88, 0.94):
            assert control.meet(progress)
        embeddings = control.embed(None, torch.tensor([1, 4]))
        assert embeddings is not None
        assert embeddings.requires_grad
