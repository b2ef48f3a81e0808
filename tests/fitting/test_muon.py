"""Muon against the singular value decomposition, and what a fit gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inrcodec import models
from inrcodec.fitting import FitConfig, load_checkpoint, save_checkpoint
from inrcodec.fitting._muon import Muon, orthogonalize
from inrcodec.fitting._optimizers import build_optimizers


def random_matrix(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("shape", [(24, 24), (16, 90), (90, 16)])
def test_orthogonal_factor_is_that_of_the_svd(shape: tuple[int, int]) -> None:
    u, _, v = torch.linalg.svd(random_matrix(*shape), full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(0.2, 3, min(shape))) @ v
    found = orthogonalize(matrix)
    in_its_axes = u.T @ found @ v.T
    assert torch.allclose(in_its_axes, torch.diag(in_its_axes.diagonal()), atol=1e-4)
    assert float(in_its_axes.diagonal().min()) > 0.72
    assert float(in_its_axes.diagonal().max()) < 1.28


def test_bfloat16_is_enough() -> None:
    matrix = random_matrix(32, 48)
    exact, rough = orthogonalize(matrix), orthogonalize(matrix.bfloat16()).float()
    assert float((exact - rough).norm() / exact.norm()) < 0.05


@pytest.mark.parametrize("shape", [(16, 90), (90, 16)])
def test_matrices_of_one_shape_are_computed_together(shape: tuple[int, int]) -> None:
    """As on a GPU; the second is half as long as the first, the third another."""
    first, third = random_matrix(*shape), random_matrix(shape[1], shape[0]).T.contiguous()
    matrices = [first, first / 2, third]
    together = orthogonalize(torch.stack(matrices))
    for matrix, found in zip(matrices, together, strict=True):
        assert torch.allclose(found, orthogonalize(matrix), atol=1e-4)
    muon = Muon([torch.nn.Parameter(first)], dtype=torch.float32)
    moves = muon._moves(matrices, lr=0.1)
    for matrix, move in zip(matrices, moves, strict=True):
        assert torch.allclose(move, muon._moves([matrix], lr=0.1)[0], atol=1e-5)


def test_steps_are_those_of_the_equation() -> None:
    weight = torch.nn.Parameter(torch.zeros(8, 2, 3, 3))
    optimizer = Muon([weight], lr=0.1, momentum=0.9, dtype=torch.float32)
    gradients = [random_matrix(8, 18), 2 * random_matrix(18, 8).T]
    expected, average = torch.zeros(8, 18), torch.zeros(8, 18)
    for gradient in gradients:
        average = 0.9 * average + 0.1 * gradient
        step = orthogonalize(0.1 * gradient + 0.9 * average)
        expected = expected - 0.1 * 0.4 * 18**0.5 * step
        weight.grad = gradient.reshape(8, 2, 3, 3)
        optimizer.step()
    assert torch.allclose(weight.flatten(1), expected, atol=1e-5)
    # Twice as large as Adam's, which are 0.2 of the rate in the mean square.
    assert float(step.square().mean().sqrt()) * 18**0.5 == pytest.approx(1, abs=0.3)


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes are \[\(3,\)\], each must have 2 dimensions"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_a_gradient_of_zero_moves_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 5))
    weight.grad = torch.zeros(4, 5)
    Muon([weight]).step()
    assert torch.equal(weight, torch.ones(4, 5))


def test_going_on_from_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Parameter, Muon]:
        weight = torch.nn.Parameter(torch.zeros(6, 9))
        return weight, Muon([weight], lr=0.1)

    def take_steps(weight: torch.nn.Parameter, optimizer: Muon, steps: range) -> None:
        for i in steps:
            weight.grad = random_matrix(6, 9) * (i + 1) + i
            optimizer.step()

    through, optimizer = made()
    take_steps(through, optimizer, range(5))
    first, optimizer = made()
    take_steps(first, optimizer, range(3))
    save_checkpoint(tmp_path / "state", {"weight": first.data, "muon": optimizer.state_dict()})
    state = load_checkpoint(tmp_path / "state")
    second, optimizer = made()
    second.data.copy_(state["weight"])
    optimizer.load_state_dict(state["muon"])
    take_steps(second, optimizer, range(3, 5))
    assert torch.equal(through, second)


@pytest.mark.parametrize("name", ["hnervpp", "hinerv", "ffnerv"])
def test_all_parameters_have_one_optimizer_and_grids_are_adams(name: str) -> None:
    config = models.for_budget(name, 30_000, height=96, width=128, num_frames=8)
    network = models.build(name, config)
    adam, muon = build_optimizers(
        network, FitConfig(epochs=1, optimizer="muon"), dtype=torch.float32
    )
    assert isinstance(muon, Muon)
    of_muon, of_adam = (
        {id(p) for group in optimizer.param_groups for p in group["params"]}
        for optimizer in (muon, adam)
    )
    assert not of_muon & of_adam
    assert of_muon | of_adam == {id(p) for p in network.parameters()}
    names = {n for n, p in network.named_parameters() if id(p) in of_muon}
    assert names
    assert all(n.endswith("weight") and "depthwise" not in n for n in names)
    assert not any("table" in n or "grid" in n for n in names)
