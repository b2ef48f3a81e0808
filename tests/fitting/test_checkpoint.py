"""Checkpoints come back as they were written, or not at all."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
import torch

from inrcodec.errors import CheckpointError
from inrcodec.fitting import load_checkpoint, save_checkpoint

STATE = {"weights": torch.arange(2000.0), "steps": 7, "codes": [1, 2]}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.ckpt", STATE)
    return tmp_path / "a.ckpt"


def test_a_state_comes_back(written: Path) -> None:
    state = load_checkpoint(written)
    assert torch.equal(state.pop("weights"), STATE["weights"])
    assert state == {"steps": 7, "codes": [1, 2]}


@pytest.mark.parametrize("seed", range(40))
def test_a_bit_that_flipped_is_seen(written: Path, seed: int) -> None:
    data = bytearray(written.read_bytes())
    bit = random.Random(seed).randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    written.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.ckpt is no checkpoint, or damaged"):
        load_checkpoint(written)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.01, 0.5, 0.999])
def test_a_part_of_one_is_seen(written: Path, kept: float) -> None:
    data = written.read_bytes()
    written.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(CheckpointError, match="delete it"):
        load_checkpoint(written)


def test_what_another_program_wrote_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(torch.ones(3), buffer)
    for foreign in (buffer.getvalue(), b"\x80\x02.", b"no checkpoint"):
        (tmp_path / "b.ckpt").write_bytes(foreign)
        with pytest.raises(CheckpointError, match="is no checkpoint"):
            load_checkpoint(tmp_path / "b.ckpt")
