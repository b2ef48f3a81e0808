"""The fit's Adam and AdamW step as PyTorch's do, and leave its compiler where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import optim

from inrcodec.fitting import _optim

ENCODE = """
import sys
from inrcodec.cli import main
main(["encode", "carphone", "-q", *sys.argv[1:]])
sys.exit(any(name in sys.modules for name in ("torch._dynamo", "torch._inductor", "sympy")))
"""


@pytest.mark.parametrize(
    ("ours", "theirs"), [(_optim.Adam, optim.Adam), (_optim.AdamW, optim.AdamW)]
)
@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_those_of_pytorch(
    ours: type[optim.Adam], theirs: type[optim.Adam], fused: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    start, pull = torch.randn(2, 5, 3, generator=generator)
    found = []
    for kind in (ours, theirs, ours):
        weight = start.clone().requires_grad_()
        optimizer = kind([weight], lr=0.1, weight_decay=0.01, fused=fused)
        for step in range(6):
            optimizer.zero_grad()
            assert weight.grad is None
            (weight - pull).square().sum().backward()
            optimizer.step()
            if step == 2:  # a fit that is resumed
                state = optimizer.state_dict()
                optimizer = kind([weight], lr=0.1, weight_decay=0.01, fused=fused)
                optimizer.load_state_dict(state)
        assert weight.is_leaf
        found.append(weight.detach())
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], start)


def test_an_encode_does_not_import_the_compiler(tmp_path: Path) -> None:
    sizes = ["--frames", "0:3", "--resize", "88x72", "--size", "5k", "--epochs", "1"]
    output = tmp_path / "clip.inr"
    command = [sys.executable, "-c", ENCODE, str(output), *sizes, "--device", "cpu"]
    assert subprocess.run(command, timeout=120).returncode == 0
    assert output.stat().st_size <= 5000
