"""The rate of embeddings in the loss: its value, its gradient, and what it does to a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inrcodec.fitting import FitResult, InterruptFlag
from inrcodec.fitting._embedding_rate import EmbeddingRate
from inrcodec.fitting._qat import Quantizer
from inrcodec.models import NetworkConfig

FitWaves = Callable[..., FitResult]


def rate(*, weight: float = 0.5, num_bytes: float = 1000.0) -> EmbeddingRate:
    counted = EmbeddingRate(weight, num_bytes)
    counted.take_steps(Quantizer(steps=[9.0, 0.5, 2.0]), torch.zeros(1, 2, 1, 1))
    return counted


def test_bits_by_hand() -> None:
    stored = torch.tensor([[0.0, 0.0], [1.5, 4.0], [1.5, -2.0]]).view(3, 2, 1, 1)
    # Frame 1 in steps of 0.5 and 2: 3 and 2 from frame 0, 0 and 3 from frame 2.
    bits = torch.tensor([4.0, 3.0, 1.0, 4.0]).log2().sum()
    found = rate()(stored[1:2], torch.tensor([1]), stored)
    assert float(found) == pytest.approx(float(bits) * 0.5 * 3 / 8000)
    # The last frame has one beside it.
    bits = torch.tensor([1.0, 4.0]).log2().sum()
    found = rate()(stored[2:], torch.tensor([2]), stored)
    assert float(found) == pytest.approx(float(bits) * 0.5 * 3 / 8000)


def test_other_steps_take_the_place_of_the_first() -> None:
    counted = rate()
    assert counted.steps is not None
    where = counted.steps.data_ptr()  # which a recorded step reads
    counted.take_steps(Quantizer(steps=[9.0, 1.5, 3.0]), torch.zeros(1, 2, 1, 1))
    assert counted.steps.flatten().tolist() == [1.5, 3.0]
    assert counted.steps.data_ptr() == where


def test_nothing_counts_before_there_are_steps() -> None:
    embeddings = torch.ones(1, 2, 1, 1, requires_grad=True)
    found = EmbeddingRate(0.5, 1000)(embeddings, torch.tensor([1]), torch.zeros(3, 2, 1, 1))
    assert float(found) == 0


def test_frames_at_the_ends_do_not_cling_to_what_they_were() -> None:
    stored = torch.zeros(2, 2, 1, 1)
    moved = torch.tensor([1.5, 4.0]).view(1, 2, 1, 1)  # 3 and 2 steps from what was stored
    bits = torch.tensor([4.0, 3.0]).log2().sum() * 0.5 * 2 / 8000  # from the other frame alone
    for index in (0, 1):
        found = rate()(moved, torch.tensor([index]), stored)
        assert float(found) == pytest.approx(float(bits))
    assert float(rate()(moved, torch.tensor([0]), stored[:1])) == 0


def test_gradient_is_that_of_the_whole_clip() -> None:
    table = torch.randn(8, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    whole = table.clone().requires_grad_()
    changes = (whole[1:] - whole[:-1]) / torch.tensor([0.5, 2.0]).view(1, 2, 1, 1)
    (0.5 * torch.log2(1 + changes.abs()).sum() / 8000).backward()
    found = torch.zeros_like(table)
    for indices in torch.arange(8).view(4, 2):
        batch = table[indices].requires_grad_()
        rate()(batch, indices, table).backward()
        assert batch.grad is not None
        found[indices] += batch.grad / 4  # of four batches one is drawn
    assert whole.grad is not None
    torch.testing.assert_close(found, whole.grad)


def changes_in_steps(result: FitResult, config: NetworkConfig) -> float:
    assert config.embedding_shape is not None
    channels = config.embedding_shape[0]
    steps = [result.global_step * 2 ** (code / 8) for code in result.step_codes[-channels:]]
    values = [torch.from_numpy(t).view(config.num_frames, -1) for t in result.tensors[-channels:]]
    return sum(float(v.diff(dim=0).abs().mean()) / s for v, s in zip(values, steps, strict=True))


@pytest.mark.parametrize(
    ("model", "loss", "epochs"),
    [("hnervpp", "log_l2", 60), ("hnerv", "log_l2", 30), ("hnervpp", "l1_ssim", 60)],
)
def test_embeddings_change_less(
    model: str,
    loss: str,
    epochs: int,
    fit_waves: FitWaves,
    waves_config: Callable[[str], NetworkConfig],
) -> None:
    told: dict[str, Any] = {"epochs": epochs, "loss": loss, "qat_fraction": 0.8}
    without, with_rate = (
        changes_in_steps(fit_waves(model, rate_weight=weight, **told), waves_config(model))
        for weight in (0.0, 300.0)
    )
    assert with_rate < 0.95 * without


def test_an_interrupted_fit_goes_on_as_it_was(
    fit_waves: FitWaves,
    interrupt_after: Callable[[int], InterruptFlag],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    call = EmbeddingRate.__call__

    def remembered(self: EmbeddingRate, *tensors: torch.Tensor) -> torch.Tensor:
        asked.append(self.steps is not None)
        return call(self, *tensors)

    monkeypatch.setattr(EmbeddingRate, "__call__", remembered)
    whole = fit_waves(rate_weight=1.0)
    steps_from, asked_in_all = asked.index(True), len(asked)
    stop_after = steps_from + 10  # before the phase, and embeddings count in steps
    assert stop_after < asked_in_all
    resumed = fit_waves(rate_weight=1.0, stop=interrupt_after(stop_after))
    # The resumed fit counts in the kept steps at once.
    assert all(asked[asked_in_all + steps_from :])
    for a, b in zip(whole.tensors, resumed.tensors, strict=True):
        assert a.tolist() == b.tolist()
