"""Values that change in time, rounded with the rate of their changes in mind."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from inrcodec.quantization import round_trajectories


def cost(values: Tensor, rounded: Tensor, lmbda: float) -> Tensor:
    """Of every trajectory `(N, T)`: squared error and bits of the changes."""
    bits = torch.log2(1 + rounded.diff(dim=0).abs()).sum(0)
    return ((values - rounded) ** 2).sum(0) + lmbda * bits


@pytest.mark.parametrize("lmbda", [0.1, 0.25, 1.0])
def test_every_trajectory_is_the_best_of_all_paths(lmbda: float) -> None:
    values = 3 * torch.randn(6, 40, generator=torch.Generator().manual_seed(0)).double()
    found = cost(values, round_trajectories(values, lmbda), lmbda)
    least = torch.full_like(found, float("inf"))
    for ups in itertools.product((0, 1), repeat=len(values)):
        path = torch.where(torch.tensor(ups)[:, None] == 1, values.ceil(), values.floor())
        least = torch.minimum(least, cost(values, path, lmbda))
    torch.testing.assert_close(found, least)
    nearest = cost(values, values.round(), lmbda)
    assert (found <= nearest + 1e-12).all()
    assert float((nearest - found).sum()) > 0.05


def test_shapes_and_whole_numbers_are_kept() -> None:
    values = 5 * torch.randn(4, 3, 2, 5, generator=torch.Generator().manual_seed(1))
    for lmbda in (0.0, 0.25):
        rounded = round_trajectories(values, lmbda)
        assert rounded.shape == values.shape
        assert rounded.dtype == values.dtype
        assert torch.equal(rounded, rounded.round())
        assert float((rounded - values).abs().max()) < 1.0
        assert torch.equal(round_trajectories(rounded, lmbda), rounded)
    assert torch.equal(round_trajectories(values, 0.0), values.round())


def test_a_single_frame_is_rounded_to_the_nearest() -> None:
    values = torch.tensor([[0.2, 0.8, -1.4]])
    assert round_trajectories(values, 0.25).tolist() == [[0.0, 1.0, -1.0]]
