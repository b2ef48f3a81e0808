"""The rate of embeddings in the loss: its value, its gradient, and what it does to a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from inrcodec.fitting import FitConfig, FitResult, InterruptFlag, fit
from inrcodec.fitting._embedding_rate import EmbeddingRate
from inrcodec.fitting._qat import Quantizer
from inrcodec.models import build, for_budget

NUM_FRAMES = 6


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


def test_nothing_counts_before_there_are_steps() -> None:
    embeddings = torch.ones(1, 2, 1, 1, requires_grad=True)
    found = EmbeddingRate(0.5, 1000)(embeddings, torch.tensor([1]), torch.zeros(3, 2, 1, 1))
    assert float(found) == 0


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


def clip() -> Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.stack(
            (torch.sin((x + 0.3 * i) / 9), torch.cos((y - 3 * i) / 7), torch.sin((x + y) / 8))
        )
        for i in range(NUM_FRAMES)
    ]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def fitted(
    rate_weight: float,
    *,
    model: str = "hnervpp",
    loss: str = "log_l2",
    stop: InterruptFlag | None = None,
) -> FitResult | None:
    """A short fit; one that stops goes on from its state."""
    config = FitConfig(
        epochs=120, batch_size=2, loss=loss, rate_weight=rate_weight, precision="fp32"
    )
    network_config = for_budget(model, 12_000, height=48, width=64, num_frames=NUM_FRAMES)
    kept: list[dict[str, Any]] = []

    def run(**more: Any) -> FitResult | None:
        torch.manual_seed(0)
        network = build(model, network_config)
        return fit(clip(), network, config, num_bytes=6000, device=torch.device("cpu"), **more)

    if stop is None:
        return run()
    assert run(save=kept.append, interrupt=stop) is None
    return run(state=kept[-1])


def changes_in_steps(result: FitResult, model: str = "hnervpp") -> float:
    config = for_budget(model, 12_000, height=48, width=64, num_frames=NUM_FRAMES)
    assert config.embedding_shape is not None
    channels = config.embedding_shape[0]
    steps = [result.global_step * 2 ** (code / 8) for code in result.step_codes[-channels:]]
    values = [torch.from_numpy(t).view(NUM_FRAMES, -1) for t in result.tensors[-channels:]]
    return sum(float(v.diff(dim=0).abs().mean()) / s for v, s in zip(values, steps, strict=True))


@pytest.mark.parametrize(
    ("model", "loss"), [("hnervpp", "log_l2"), ("hnerv", "log_l2"), ("hnervpp", "l1_ssim")]
)
def test_embeddings_change_less(model: str, loss: str) -> None:
    without, with_rate = (fitted(weight, model=model, loss=loss) for weight in (0.0, 100.0))
    assert without is not None
    assert with_rate is not None
    assert changes_in_steps(with_rate, model) < 0.95 * changes_in_steps(without, model)


def test_an_interrupted_fit_goes_on_as_it_was(
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    whole, resumed = fitted(1.0), fitted(1.0, stop=interrupt_after(50))
    assert whole is not None
    assert resumed is not None
    for a, b in zip(whole.tensors, resumed.tensors, strict=True):
        assert a.tolist() == b.tolist()
