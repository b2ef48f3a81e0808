"""Points that were never measured, a folder of them, and a browser to look at their report."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from inrcodec.evaluation._literature import Literature
from inrcodec.evaluation._points import EvalPoint, load_points, point_path, point_stem, save_point
from inrcodec.evaluation._published import PublishedCurve
from inrcodec.evaluation.report import write_report

WIDTH, HEIGHT, FRAMES = 320, 180, 12
KEPT = (3, 9)  # frames that are kept as pictures
MakePoint = Callable[..., EvalPoint]
LITERATURE = Literature(
    (
        PublishedCurve(
            "HNeRV", "psnr_rgb", "another protocol", "a paper", ((0.03, 30.0), (0.1, 36.0))
        ),
    ),
    ("NeRV: not drawn, other frames",),
)


@pytest.fixture(scope="session")
def make_point() -> MakePoint:
    """A point on a straight line over the logarithm of the rate."""

    def make(
        codec: str,
        bpp: float,
        *,
        kind: str = "reference",
        at_one_db: float = 45.0,
        clip: str = "made",
    ) -> EvalPoint:
        psnr = at_one_db + 6 * math.log2(bpp)
        quality = bpp if kind == "inr" else round(40 - 4 * math.log2(bpp / 0.01), 1)
        preset = "slow" if kind == "reference" else "medium"
        per_frame = {
            "psnr_rgb": [psnr + math.sin(i) for i in range(FRAMES)],
            "ms_ssim": [1 - 10 ** (-psnr / 25)] * FRAMES,
        }
        stem = point_stem(codec, preset if kind == "reference" else "default", quality)
        return EvalPoint(
            clip=clip,
            label=f"{clip} {WIDTH}x{HEIGHT}, frames 0:{FRAMES}",
            width=WIDTH,
            height=HEIGHT,
            frames=FRAMES,
            fps=25.0,
            codec=codec,
            kind=kind,
            preset=preset,
            model=codec if kind == "inr" else None,
            recipe="default" if kind == "inr" else None,
            quality=quality,
            bytes=round(bpp * WIDTH * HEIGHT * FRAMES / 8),
            bpp=bpp,
            encode_seconds=60.0 if kind == "inr" else 1.5,
            decode_seconds=0.25,
            metrics={"psnr_rgb": psnr, "ms_ssim": per_frame["ms_ssim"][0]},
            per_frame=per_frame,
            parameters=120_000 if kind == "inr" else None,
            kmac_per_pixel=21.5 if kind == "inr" else None,
            device="cpu, 2 threads",
            seed=0 if kind == "inr" else None,
            versions={"inrcodec": "0.1.0"},
            commit="abc1234",
            stream=f"streams/{clip}/{stem}/a",
            snapshots={str(i): f"frames/{clip}/{stem}-{i:05d}.webp" for i in KEPT},
            settings={"codec": codec, "quality": quality}
            | ({"epochs": 30, "time_seconds": None} if kind == "inr" else {}),
        )

    return make


@pytest.fixture(scope="session")
def made_points(make_point: MakePoint) -> list[EvalPoint]:
    """Two of ours and three reference codecs, four rates each."""
    codecs = (
        ("hnerv", "inr", 42.0),
        ("nervpp", "inr", 40.5),
        ("x264", "reference", 44.0),
        ("x265", "reference", 45.5),
        ("vvenc", "reference", 47.0),
    )
    return [
        make_point(codec, bpp * stretch, kind=kind, at_one_db=db)
        for codec, kind, db in codecs
        for bpp in (0.02, 0.05, 0.1, 0.2)
        for stretch in (1.0 if kind == "inr" else 1.13,)
    ]


@pytest.fixture
def made_folder(made_points: list[EvalPoint], tmp_path: Path) -> Path:
    """The records of `made_points` with pictures: blurred where the codec is worse."""
    out = tmp_path / "out"
    for point in made_points:
        stem = point.snapshots[str(KEPT[0])].rsplit("/", 1)[1].rsplit("-", 1)[0]
        save_point(point_path(out, point.clip, stem), point)
        for index, name in point.snapshots.items():
            _save(out / name, int(index), tone=int(4 * (48 - point.metrics["psnr_rgb"])))
    for index in KEPT:
        _save(out / f"frames/made/source-{index:05d}.webp", index, tone=0)
    return out


def _save(path: Path, index: int, *, tone: int) -> None:
    """A moving pattern, in a colour that tells the codecs apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    wave = (128 + 90 * torch.sin((x + 5 * index) / 17) * torch.cos(y / 23)).clamp(0, 255)
    rgb = torch.stack([wave, (wave / 2 + tone).clamp(0, 255), 255 - wave], dim=-1)
    Image.fromarray(rgb.to(torch.uint8).numpy()).save(path, lossless=True)


@pytest.fixture
def report(made_folder: Path) -> Path:
    """The page of `made_folder`, with a curve of the literature and one that is left out."""
    path = made_folder / "report.html"
    points = load_points(made_folder)
    published = {"made": LITERATURE}
    write_report(points, path, out=made_folder, anchor="x265", published=published)
    return path


@pytest.fixture
def chromium() -> str:
    """The path of a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


@pytest.fixture
def comparison(made_points: list[EvalPoint], made_folder: Path) -> Path:
    """The page of `compare`: one point a video, of which only bytes and scores are known."""
    unknown = {"quality": None, "encode_seconds": None, "decode_seconds": None}
    unknown |= {"preset": None, "recipe": None, "parameters": None, "kmac_per_pixel": None}
    points = [
        replace(point, **unknown, settings={})  # type: ignore[arg-type]
        for point in made_points
        if point.codec in ("hnerv", "x265", "vvenc") and point.bpp < 0.03
    ]
    path = made_folder / "compare.html"
    write_report(points, path, out=made_folder, anchor="", kind="compare")
    return path
