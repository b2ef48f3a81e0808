"""SOAP against its equations and against Adam, and what a fit gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inrcodec import models
from inrcodec.fitting import FitConfig, fit, load_checkpoint, save_checkpoint
from inrcodec.fitting import _loop as loop_module
from inrcodec.fitting import _soap as soap_module
from inrcodec.fitting._optimizers import build_optimizers
from inrcodec.fitting._soap import Soap


def random_matrix(rows: int, columns: int, seed: int = 3) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def gradients(shape: tuple[int, int], count: int) -> list[Tensor]:
    """Gradients whose rows and columns are correlated."""
    rows, columns = shape
    left, right = random_matrix(rows, rows, 1), random_matrix(columns, columns, 2)
    return [left @ random_matrix(rows, columns, 10 + i) @ right for i in range(count)]


def steps_to_solve(optimizer: torch.optim.Optimizer, weight: torch.nn.Parameter) -> int:
    """Steps until |A (W - W*) B| is a 30th; A and B are conditioned badly, and not diagonal."""
    rows, columns = weight.shape
    a = torch.linalg.qr(random_matrix(rows, rows))[0] * torch.logspace(0, -1.5, rows)
    b = torch.linalg.qr(random_matrix(columns, columns))[0] * torch.logspace(0, -1.5, columns)
    target = random_matrix(rows, columns, 4)
    first = 0.0
    for step in range(1000):
        residual = a.T @ (weight.detach() - target) @ b
        first = float(residual.norm()) if step == 0 else first
        if float(residual.norm()) < 0.03 * first:
            return step
        weight.grad = a @ residual @ b.T
        optimizer.step()
    return 1000


def test_an_ill_conditioned_problem_takes_fewer_steps_than_adams() -> None:
    def steps(name: str, rate: float) -> int:
        weight = torch.nn.Parameter(torch.zeros(12, 16))
        if name == "soap":
            return steps_to_solve(Soap([weight], lr=rate, betas=(0.9, 0.99)), weight)
        return steps_to_solve(torch.optim.Adam([weight], lr=rate, betas=(0.9, 0.99)), weight)

    best = {n: min(steps(n, r) for r in (0.03, 0.1)) for n in ("soap", "adam")}
    assert best["soap"] < 0.5 * best["adam"]


def test_steps_are_those_of_the_equations() -> None:
    """In float64, up to the first refresh, in the axes of the first gradient."""
    seen = [g.double() for g in gradients((6, 8), 6)]
    weight = torch.nn.Parameter(torch.zeros(6, 2, 2, 2, dtype=torch.float64))
    optimizer = Soap([weight], lr=0.1, betas=(0.9, 0.99))
    for gradient in seen:
        weight.grad = gradient.view(6, 2, 2, 2)
        optimizer.step()

    left, _, right = torch.linalg.svd(seen[0])
    expected, mean, square = torch.zeros(3, 6, 8, dtype=torch.float64)
    for t, gradient in enumerate(seen[1:], start=1):
        turned = left.T @ gradient @ right.T
        mean = 0.9 * mean + 0.1 * turned
        square = 0.99 * square + 0.01 * turned**2
        adam = mean / (1 - 0.9**t) / (torch.sqrt(square / (1 - 0.99**t)) + 1e-8)
        # The two axes that the first gradient leaves open may be any: compare in the others.
        expected = expected + 0.1 * adam
    found = left.T @ (-weight.detach().flatten(1)) @ right.T
    assert torch.allclose(found[:, :6], expected[:, :6], atol=1e-9)


def test_axes_follow_the_eigenvectors() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 9))
    optimizer = Soap([weight], betas=(0.9, 0.99))
    for gradient in gradients((6, 9), 201):
        weight.grad = gradient
        optimizer.step()
    state = optimizer.state[weight]
    for axes, covariance in zip(state["axes"], state["covariances"], strict=True):
        assert torch.allclose(axes.T @ axes, torch.eye(len(axes)), atol=1e-5)
        in_axes = axes.T @ covariance @ axes
        outside = in_axes - torch.diag(in_axes.diagonal())
        assert float(outside.norm()) < 0.1 * float(in_axes.norm())
        assert in_axes.diagonal().tolist() == pytest.approx(
            sorted(in_axes.diagonal().tolist(), reverse=True)
        )


def test_a_refresh_turns_the_mean_with_the_axes() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 9))
    optimizer = Soap([weight], betas=(0.9, 0.99))
    mean, state = torch.zeros(6, 9), optimizer.state[weight]
    for i, gradient in enumerate(gradients((6, 9), 26)):
        weight.grad = gradient
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient if i else mean  # the first only chooses the axes
    left, right = state["axes"]
    assert state["step"] == 25
    assert torch.allclose(left @ state["mean"] @ right.T, mean, rtol=1e-3, atol=1e-3)


def test_a_long_side_keeps_its_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soap_module, "_LONGEST_SIDE", 8)
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((6, 9), (9, 6), (9, 10))]
    optimizer, adam_weight = Soap(weights, lr=0.1), torch.nn.Parameter(torch.zeros(9, 10))
    adam = torch.optim.Adam([adam_weight], lr=0.1, betas=(0.95, 0.95))
    for i in range(25):
        for weight in weights:
            weight.grad = random_matrix(*weight.shape, seed=i)
        optimizer.step()
        adam_weight.grad = random_matrix(9, 10, seed=i)
        if i:
            adam.step()
    has_axes = [[a is not None for a in optimizer.state[w]["axes"]] for w in weights]
    assert has_axes == [[True, False], [False, True], [False, False]]
    assert torch.allclose(weights[2], adam_weight, atol=1e-5)


def test_vectors_and_wrong_betas_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes are \[\(3,\)\], each must have 2 dimensions"):
        Soap([torch.nn.Parameter(torch.zeros(3))])
    with pytest.raises(ValueError, match=r"betas is \(0.9,\), SOAP takes 2"):
        Soap([torch.nn.Parameter(torch.zeros(3, 3))], betas=(0.9,))


def test_a_gradient_of_zero_moves_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 5))
    optimizer = Soap([weight])
    for _ in range(12):
        weight.grad = torch.zeros(4, 5)
        optimizer.step()
    assert torch.equal(weight, torch.ones(4, 5))


def test_going_on_from_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Parameter, Soap]:
        weight = torch.nn.Parameter(torch.zeros(6, 9))
        return weight, Soap([weight], lr=0.1)

    def take_steps(weight: torch.nn.Parameter, optimizer: Soap, steps: range) -> None:
        for i in steps:
            weight.grad = gradients((6, 9), 25)[i]
            optimizer.step()

    through, optimizer = made()
    take_steps(through, optimizer, range(25))
    first, optimizer = made()
    take_steps(first, optimizer, range(13))
    save_checkpoint(tmp_path / "state", {"weight": first.data, "soap": optimizer.state_dict()})
    state = load_checkpoint(tmp_path / "state")
    second, optimizer = made()
    second.data.copy_(state["weight"])
    optimizer.load_state_dict(state["soap"])
    take_steps(second, optimizer, range(13, 25))
    assert torch.equal(through, second)


def test_a_fit_goes_on_where_it_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loop_module, "_SAVE_SECONDS", -1.0)  # after every step
    frames = torch.randint(0, 256, (4, 3, 48, 64), generator=torch.Generator().manual_seed(0))
    size = models.for_budget("hnervpp", 12_000, height=48, width=64, num_frames=4)

    def fitted(state: dict[str, Any] | None) -> np.ndarray:
        torch.manual_seed(0)
        result = fit(
            frames.to(torch.uint8),
            models.build("hnervpp", size),
            FitConfig(epochs=6, optimizer="soap"),
            num_bytes=9000,
            device=torch.device("cpu"),
            state=state,
            save=lambda state: save_checkpoint(tmp_path / str(state["steps"]), state),
        )
        assert result is not None
        return np.concatenate(result.tensors)

    whole = fitted(None)
    for steps in (1, 13):  # before the first step in the axes, and after their first refresh
        assert np.array_equal(whole, fitted(load_checkpoint(tmp_path / str(steps))))


@pytest.mark.parametrize("name", ["hnervpp", "hinerv"])
def test_soap_takes_what_muon_takes(name: str) -> None:
    network = models.build(
        name, models.for_budget(name, 30_000, height=96, width=128, num_frames=8)
    )

    def taken(optimizer: str) -> list[list[int]]:
        config = FitConfig(epochs=1, optimizer=optimizer, betas=(0.8, 0.95))
        both = build_optimizers(network, config, dtype=torch.float32)
        return [[id(p) for group in o.param_groups for p in group["params"]] for o in both]

    assert taken("soap") == taken("muon")
    config = FitConfig(epochs=1, optimizer="soap", betas=(0.8, 0.95))
    adam, soap = build_optimizers(network, config, dtype=torch.float32)
    assert isinstance(soap, Soap)
    assert soap.param_groups[0]["betas"] == adam.param_groups[0]["betas"] == (0.8, 0.95)
