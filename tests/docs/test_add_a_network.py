"""The network of docs/add-a-network.md: taken out of the page, it does all that the page says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import inrcodec
from inrcodec import models
from inrcodec._model_card import Clip, describe, render
from inrcodec.errors import BitstreamError, ModelError
from inrcodec.models import _registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-network.md"
NAME = "cosines"


def source() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(block)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's network as an imported module, registered for one test."""
    monkeypatch.setattr(_registry, "_ENTRIES", dict(_registry._ENTRIES))
    made = ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, made)
    exec(compile(source(), str(PAGE), "exec"), made.__dict__)
    yield made
    models.count_parameters.cache_clear()


def test_it_is_one_short_file_of_public_names() -> None:
    text = source()
    assert len(text.splitlines()) < 120
    assert not re.search(r"^(from|import) inrcodec.*\._", text, re.MULTILINE)
    imported = re.search(r"^from inrcodec.models import (.*)$", text, re.MULTILINE)
    assert imported
    assert set(imported[1].split(", ")) <= set(models.__all__)


@pytest.mark.parametrize(
    ("num_params", "height", "width", "num_frames"),
    [(1_500_000, 720, 1280, 132), (300_000, 360, 640, 32), (6_000, 48, 64, 6)],
)
def test_sizes_are_met(
    module: ModuleType, num_params: int, height: int, width: int, num_frames: int
) -> None:
    config = models.for_budget(NAME, num_params, height=height, width=width, num_frames=num_frames)
    assert models.count_parameters(config).total == pytest.approx(num_params, rel=0.02)
    assert models.macs_per_frame(config) > 0


def test_hostile_headers_are_refused(module: ModuleType) -> None:
    fields = {"strides": [5, 2], "channels": [4, 4, 4], "num_terms": 10**9}
    with pytest.raises(ModelError, match="num_terms is 1000000000; it must be from 1 to 256"):
        models.config_from_dict(NAME, fields, height=90, width=160, num_frames=12)


def test_frames_do_not_depend_on_their_batch(module: ModuleType) -> None:
    config = models.for_budget(NAME, 8_000, height=45, width=81, num_frames=5)
    network = models.build(NAME, config)
    assert set(network.decoder.state_dict()) == {n for n, _ in network.decoder.named_parameters()}
    with torch.inference_mode():
        together = network(torch.arange(3))
        assert together.shape == (3, 3, 45, 81)
        for i in range(3):
            assert torch.allclose(network(torch.tensor([i]))[0], together[i], atol=1e-5)


def test_encodes_and_decodes_a_real_file(
    module: ModuleType, tiny_clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out.inr"
    report = inrcodec.encode(tiny_clip, path, model=NAME, epochs=60, bpp=8.0, device="cpu")
    assert path.stat().st_size == report.num_bytes
    assert report.bpp <= 8.0
    assert report.psnr_db > 15
    with inrcodec.VideoDecoder(path, device="cpu") as video:
        assert video.header.model == NAME
        frames = video[:].numpy()
    inrcodec.decode(path, tmp_path / "%d.png", device="cpu")
    assert len(list(tmp_path.glob("*.png"))) == len(frames) == 6
    assert np.ptp(frames) > 50  # a picture


def test_a_file_says_which_network_is_missing(
    module: ModuleType, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.inr"
    inrcodec.encode(tiny_clip, path, model=NAME, epochs=1, bpp=8.0, device="cpu")
    monkeypatch.delitem(_registry._ENTRIES, NAME)
    with pytest.raises(BitstreamError, match="unknown network 'cosines'"):
        inrcodec.decode(path, tmp_path / "out.y4m", device="cpu")


def test_the_card_draws_it(module: ModuleType) -> None:
    card = describe(NAME, Clip(320, 180, 32, 100_000), speed=False)
    steps = card.drawing.steps
    names = [step.name for step in steps]
    assert [names[0], names[1], names[-1]] == ["decoder", "stages.0", "head"]
    config = card.summary.config
    assert steps[0].shape == (config.channels[0], *config.grid)
    assert (steps[0].sources, steps[1].sources) == (("frame index",), ("decoder",))
    assert sum(step.parameters for step in steps) == card.summary.size.decoder
    assert sum(step.macs for step in steps) == card.summary.macs
    assert steps[-1].shape == (3, *config.padded_size)
    text = render(card)
    assert "learned 16 x" in text
    assert "Cosines: a cosine series in time" in text
    assert "PixelShuffle" in text


def test_the_command_line_takes_it_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{NAME}.py").write_text(source())
    found = re.search(r'^python -c "(.*)" models cosines$', PAGE.read_text(), re.MULTILINE)
    assert found
    monkeypatch.setattr(_registry, "_ENTRIES", dict(_registry._ENTRIES))
    monkeypatch.setitem(sys.modules, NAME, None)  # taken away again at the end
    del sys.modules[NAME]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["-c", "models", NAME, "--no-speed", "--size", "320x180"])
    with pytest.raises(SystemExit) as ended:
        exec(found[1], {})
    assert ended.value.code == 0
    assert "head" in capsys.readouterr().out


def test_it_is_gone_again() -> None:
    assert NAME not in models.names()
