"""Adan against the paper's algorithm written out for one number, and its state in a checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from inrcodec.fitting import load_checkpoint, save_checkpoint
from inrcodec.fitting._adan import Adan

GRADIENTS = [0.5, -0.25, 1.5, 0.0, 2.0]


def by_hand(
    p: float, gradients: list[float], *, lr: float, b1: float, b2: float, b3: float
) -> float:
    m = v = n = 0.0
    before = gradients[0]
    for t, g in enumerate(gradients, start=1):
        difference = g - before
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * difference
        n = b3 * n + (1 - b3) * (g + b2 * difference) ** 2
        step = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        p -= lr * step / (math.sqrt(n / (1 - b3**t)) + 1e-8)
        before = g
    return p


def take_steps(optimizer: Adan, parameter: torch.nn.Parameter, gradients: list[float]) -> None:
    for gradient in gradients:
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()


@pytest.mark.parametrize("betas", [(0.98, 0.92, 0.99), (0.5, 0.3, 0.2)])
def test_steps_are_those_of_the_algorithm(betas: tuple[float, float, float]) -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    take_steps(Adan([parameter], lr=0.1, betas=betas), parameter, GRADIENTS)
    b1, b2, b3 = betas
    expected = [by_hand(p, GRADIENTS, lr=0.1, b1=b1, b2=b2, b3=b3) for p in (1.0, -2.0)]
    assert parameter.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_parameter_counts_only_the_steps_that_have_its_gradient() -> None:
    late = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    early = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = Adan([early, late], lr=0.1)
    take_steps(optimizer, early, GRADIENTS[:2])
    assert late.tolist() == [1.0]
    early.grad = None
    take_steps(optimizer, late, GRADIENTS)
    expected = by_hand(1.0, GRADIENTS, lr=0.1, b1=0.98, b2=0.92, b3=0.99)
    assert late.tolist() == pytest.approx([expected], rel=1e-12)


def test_going_on_from_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    whole = torch.nn.Parameter(torch.tensor([0.3, 0.7]))
    take_steps(Adan([whole], lr=0.02), whole, GRADIENTS)

    first = torch.nn.Parameter(torch.tensor([0.3, 0.7]))
    optimizer = Adan([first], lr=0.02)
    take_steps(optimizer, first, GRADIENTS[:3])
    save_checkpoint(tmp_path / "a.ckpt", optimizer.state_dict())
    second = torch.nn.Parameter(first.detach().clone())
    optimizer = Adan([second], lr=0.5)
    optimizer.load_state_dict(load_checkpoint(tmp_path / "a.ckpt"))
    take_steps(optimizer, second, GRADIENTS[3:])
    assert torch.equal(second, whole)


def test_a_closure_computes_the_loss() -> None:
    parameter = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = Adan([parameter], lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        torch.autograd.backward(loss)
        return float(loss.detach())

    assert optimizer.step(closure) == 9.0
    assert parameter.tolist() == pytest.approx([2.9])


def test_three_decay_rates_are_wanted() -> None:
    with pytest.raises(ValueError, match=r"betas is \(0.9, 0.99\), Adan takes 3"):
        Adan([torch.nn.Parameter(torch.zeros(1))], betas=(0.9, 0.99))
