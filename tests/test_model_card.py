"""The facts and the drawing of every registered network, and of networks that nobody foresaw."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inrcodec import models
from inrcodec._model_card import (
    ASCII,
    UNICODE,
    Clip,
    ModelCard,
    describe,
    draw_steps,
    render,
    short_number,
)
from inrcodec._model_card._facts import decode_fps
from inrcodec.models import Network, NetworkConfig, Sizing, _registry

CLIP = Clip(width=320, height=180, num_frames=24, num_params=150_000)


@pytest.fixture(scope="module", params=models.names())
def card(request: pytest.FixtureRequest) -> ModelCard:
    return describe(request.param, CLIP, speed=False)


def test_steps_hold_all_parameters_and_macs(card: ModelCard) -> None:
    steps = card.drawing.steps
    assert len(steps) >= 3
    assert sum(step.parameters for step in steps) == card.summary.size.decoder
    macs = models.macs_per_frame(card.summary.config)
    assert sum(step.macs for step in steps) == pytest.approx(macs, rel=0.01)
    assert card.summary.kmac_per_pixel == pytest.approx(macs / (320 * 180 * 1000))


def test_steps_lead_from_what_drives_it_to_the_frame(card: ModelCard) -> None:
    steps = card.drawing.steps
    assert steps[-1].shape == (3, *card.summary.config.padded_size)
    by_name = {step.name: step for step in steps}
    assert len(by_name) == len(steps)
    assert all(step.parts for step in steps)
    drivers = {name for step in steps for name in step.sources} - set(by_name)
    assert drivers <= {"frame index", "embedding"}
    wanted = "frame index" if card.summary.config.embedding_shape is None else "embedding"
    assert wanted in drivers
    assert ("frame index" in drivers) == ("the frame index" in card.driven_by)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_the_text_fits_the_page(card: ModelCard, glyphs: Any) -> None:
    text = render(card, glyphs)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == card.summary.entry.name
    assert f"https://arxiv.org/abs/{card.summary.entry.arxiv}" in lines
    assert f"{card.summary.size.total:,}" in lines[-1]
    if glyphs is ASCII:
        assert text.isascii()
    drawing = text[text.index("shapes are") :]
    for step in card.drawing.steps:
        assert step.name in drawing
        if step.parameters:
            assert f"{step.parameters:,}" in drawing


def test_json_repeats_the_facts(card: ModelCard) -> None:
    found = card.to_dict()
    assert found["decode_fps"] is None
    assert found["parameters"] == found["decoder_parameters"] + found["embedding_parameters"]
    total = sum(step["kmac_per_pixel"] for step in found["drawing"])
    assert total == pytest.approx(found["kmac_per_pixel"], rel=0.01)
    fields = {**found["hyper_parameters"], **found["default_hyper_parameters"]}
    config = models.config_from_dict(
        found["name"], fields, height=180, width=320, num_frames=CLIP.num_frames
    )
    assert config == card.summary.config
    for step in found["drawing"]:
        assert {"name", "shape", "modules", "parameters", "kmac_per_pixel"} <= set(step)


def test_layers_are_in_the_words_of_the_papers() -> None:
    steps = describe("hnervpp", CLIP, speed=False).to_dict()["drawing"]
    first, stage, head = steps[0], steps[1], steps[-1]
    assert first["modules"][0].startswith("conv 1x1, ")
    assert head["modules"] == ["conv 3x3, 12 -> PixelShuffle 2"]
    width = first["shape"][0]
    gated = f"depthwise 3x3, {width} | depthwise 3x3, {width} -> multiply"
    before = f"before: {gated} -> conv 1x1, {width} -> add"
    assert stage["modules"][0] == before
    assert stage["modules"][-1].startswith("skip: conv 1x1, ")
    assert "-> bilinear x" in stage["modules"][-1]


def test_the_speed_is_that_of_decoding() -> None:
    config = models.for_budget("hnerv", 20_000, height=90, width=160, num_frames=5)
    assert decode_fps(config, torch.device("cpu")) > 1
    before = torch.random.get_rng_state()
    decode_fps(config, torch.device("cpu"))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_speed_of_a_gpu() -> None:
    config = models.for_budget("hnerv", 20_000, height=90, width=160, num_frames=5)
    assert decode_fps(config, torch.device("cuda")) > 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.001, "<0.01"), (2.345, "2.35"), (36.21, "36.2"), (512.3, "512")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@dataclasses.dataclass(frozen=True)
class OddConfig(NetworkConfig):
    decoder: str = "sequential"

    @classmethod
    def for_base_width(cls, base_width: int, sizing: Sizing, **overrides: Any) -> OddConfig:
        return cls(*sizing.clip, (4,), (base_width, base_width), **overrides)


class Odd(Network):
    config_class = OddConfig
    paper = "Odd – a paper with a dash"
    arxiv = "0000.00000"

    def __init__(self, config: OddConfig, *, with_encoder: bool = True) -> None:
        super().__init__(config)
        self.decoder = DECODERS[config.decoder](config)


class Lookup(nn.Module):
    """Everything in the decoder's own forward: no children at all."""

    def __init__(self, config: OddConfig) -> None:
        super().__init__()
        rows, columns = config.padded_size
        self.size = (3, rows, columns)
        self.left = nn.Parameter(torch.zeros(config.num_frames, config.channels[0]))
        self.right = nn.Parameter(torch.zeros(config.channels[0], 3 * rows * columns))

    def forward(self, indices: Tensor) -> Tensor:
        return (self.left[indices] @ self.right).unflatten(1, self.size)


class Twice(nn.Module):
    """A list of parameters, one child that runs twice, and one that is called in another."""

    def __init__(self, config: OddConfig) -> None:
        super().__init__()
        rows, columns = config.padded_size
        width = config.channels[0]
        self.size = (width, rows, columns)
        self.maps = nn.ParameterList([torch.zeros(width * rows * columns) for _ in range(2)])
        self.block = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, indices: Tensor) -> Tensor:
        x = torch.stack(list(self.maps)).sum(0).expand(len(indices), -1).unflatten(1, self.size)
        x_hat: Tensor = self.head(torch.relu(x + self.block(self.block(x))))
        return x_hat


def sequential(config: OddConfig) -> nn.Module:
    rows, columns = config.grid
    width = config.channels[0]
    return nn.Sequential(
        nn.Embedding(config.num_frames, width * rows * columns),
        nn.Unflatten(1, (width, rows, columns)),
        nn.Conv2d(width, 16 * width, 1),
        nn.PixelShuffle(4),
        nn.Identity(),
        nn.Conv2d(width, 3, 1, bias=False),
    )


DECODERS: dict[str, Any] = {"sequential": sequential, "lookup": Lookup, "twice": Twice}


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_ENTRIES", dict(_registry._ENTRIES))
    models.register("odd")(Odd)


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_any_network_is_drawn(odd: None, kind: str) -> None:
    config = OddConfig(16, 24, 5, (4,), (6, 6), kind)
    drawing = draw_steps(config)
    assert sum(s.parameters for s in drawing.steps) == models.count_parameters(config).decoder
    assert sum(s.macs for s in drawing.steps) == models.macs_per_frame(config) > 0
    assert drawing.steps[-1].shape == (3, 16, 24)


def test_nameless_layers_are_taken_together(odd: None) -> None:
    steps = draw_steps(OddConfig(16, 24, 5, (4,), (6, 6))).steps
    assert [step.name for step in steps] == ["0-1", "2-4", "5"]
    assert [str(part) for part in steps[1].parts] == ["conv 1x1, 96 -> PixelShuffle 4"]


def test_what_the_decoder_does_itself_is_a_step(odd: None) -> None:
    config = OddConfig(16, 24, 5, (4,), (6, 6), "lookup")
    (step,) = draw_steps(config).steps
    assert (step.name, step.calls) == ("decoder", 1)
    assert [str(part) for part in step.parts] == [
        "left: learned 5 x 6",
        "right: learned 6 x 1152",
        "matmul",
    ]


def test_what_runs_twice_is_drawn_once(odd: None) -> None:
    config = OddConfig(16, 24, 5, (4,), (6, 6), "twice")
    maps, *_, block, head = draw_steps(config).steps
    assert (maps.name, block.name, head.name) == ("maps", "block", "head")
    assert block.calls == 2
    assert block.macs == 2 * 16 * 24 * 6 * 6 * 9
    assert block.shape == (6, 16, 24)
    assert "maps" in block.sources
    assert head.sources == ("maps", "block")


def test_a_card_of_any_network_is_rendered(odd: None) -> None:
    card = describe("odd", Clip(24, 16, 5, 2136), speed=False)
    assert "Odd – a paper with a dash" in render(card)
