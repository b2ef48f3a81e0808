"""Pictures of a page stay within one budget: less quality, fewer frames, smaller, and then none."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from inrcodec.evaluation.report import _pictures
from inrcodec.evaluation.report._pictures import LADDER, Compression, Files, Uris, embed

WIDTH, HEIGHT = 320, 180


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Files]:
    """Two clips of noise, four frames of the source and of a codec each."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    made: list[Files] = []
    for clip in range(2):
        files: dict[str, list[Path]] = {}
        for name in ("source", "hnerv"):
            for frame in range(4):
                path = folder / f"{clip}-{name}-{frame}.webp"
                noise = torch.randint(256, (HEIGHT, WIDTH, 3), generator=generator)
                Image.fromarray(noise.to(torch.uint8).numpy()).save(path, lossless=True)
                files.setdefault(name, []).append(path)
        made.append(files)
    return made


def num_bytes(uris: list[Uris]) -> int:
    return sum(len(uri) for of in uris for images in of.values() for uri in images)


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


@pytest.mark.parametrize("rung", range(len(LADDER)))
def test_the_first_that_fits_is_taken(
    clips: list[Files], rung: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # how much this one takes
        patch.setattr(_pictures, "LADDER", LADDER[rung : rung + 1])
        compression, alone = embed(clips)
    assert compression == LADDER[rung]
    monkeypatch.setattr(_pictures, "MAX_PICTURE_BYTES", num_bytes(alone))
    compression, uris = embed(clips)
    assert (compression, uris) == (LADDER[rung], alone)
    images = [images for of in uris for images in of.values()]
    assert {len(of) for of in images} == {LADDER[rung].frames}
    size = WIDTH // LADDER[rung].divisor, HEIGHT // LADDER[rung].divisor
    assert picture(images[0][0]).size == size


def test_above_every_budget_there_are_none(
    clips: list[Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pictures, "MAX_PICTURE_BYTES", 100)
    assert embed(clips) == (None, [{}, {}])


def test_notes_say_what_was_done_to_the_pictures() -> None:
    assert Compression(None).note == "Pictures are lossless."
    assert "(WebP, quality 75, at 1/2 of their size)" in Compression(75, divisor=2).note
