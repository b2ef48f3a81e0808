"""Groups, folders of videos, raw files: a tree of small clips laid out as the real ones are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import inrcodec
from inrcodec import datasets
from inrcodec._source import SourceOptions, read_source
from inrcodec.cli import main
from inrcodec.datasets._dataset import Dataset
from inrcodec.errors import DatasetError, VideoError

UVG_FILES = {
    "uvg/beauty": "Beauty_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/bosphorus": "Bosphorus_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/honeybee": "HoneyBee_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/jockey": "Jockey_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/readysetgo": "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/shakendry": "ShakeNDry_1920x1080_120fps_420_8bit_YUV.yuv",
    "uvg/yachtride": "YachtRide_1920x1080_120fps_420_8bit_YUV.yuv",
}


def read(source: str | Path) -> inrcodec._source.Source:
    return read_source(source, SourceOptions(), progress=lambda frames, total: frames)


@pytest.fixture
def uvg_tree(data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes) -> Path:
    """The seven clips as their archives unpack, each brighter than the one before."""
    folder = data_folder / "uvg"
    folder.mkdir()
    for i, file_name in enumerate(UVG_FILES.values()):
        content = bytes(value + i if value != 128 else value for value in small_yuv)
        (folder / file_name).write_bytes(content)
    return folder


def test_every_clip_of_a_uvg_tree_is_found_and_read(uvg_tree: Path) -> None:
    assert datasets.expand("uvg") == list(UVG_FILES)
    means = []
    for name, file_name in UVG_FILES.items():
        assert datasets.path(name) == uvg_tree / file_name
        clip = read(name)
        assert tuple(clip.frames.shape) == (6, 3, 48, 64)
        assert clip.metadata.average_fps == 120
        assert clip.metadata.num_frames_from_header == 6
        means.append(clip.frames.float().mean().item())
    assert means == sorted(means)
    assert len(set(means)) == 7


def test_a_clip_of_a_uvg_tree_is_encoded_without_video_size(
    uvg_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "beauty.inr"
    budget = ["--epochs", "1", "--bpp", "8", "-q", "--device", "cpu", "--model", "hnerv"]
    assert main(["encode", "uvg/beauty", str(output), *budget]) == 0
    capsys.readouterr()
    with inrcodec.VideoDecoder(output, device="cpu") as video:
        assert len(video) == 6
        assert (video.metadata.width, video.metadata.height) == (64, 48)
        assert video.metadata.average_fps == 120


def test_a_raw_format_that_is_given_goes_first(uvg_tree: Path) -> None:
    raw = inrcodec.video.RawVideoFormat(32, 48, "yuv420p", Fraction(30))
    clip = read_source("uvg/beauty", SourceOptions(raw=raw), progress=lambda frames, total: frames)
    assert tuple(clip.frames.shape) == (12, 3, 48, 32)


def test_a_clip_cut_short_says_both_sizes(uvg_tree: Path) -> None:
    (uvg_tree / UVG_FILES["uvg/jockey"]).write_bytes(bytes(1000))
    with pytest.raises(
        DatasetError, match="has 1000 bytes, expected 27648; remove it and run: inr"
    ):
        read("uvg/jockey")


def test_an_absent_clip_says_how_to_get_it(uvg_tree: Path) -> None:
    (uvg_tree / UVG_FILES["uvg/jockey"]).unlink()
    with pytest.raises(DatasetError, match="inrcodec datasets uvg/jockey --fetch, or set INRCODEC"):
        read("uvg/jockey")


def test_mcl_jcv_is_found_as_its_mirror_unpacks(
    data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes
) -> None:
    tree = data_folder / "MCL_JCV"
    for folder, file_name in {
        "720P/YUV_source": "videoSRC05_1280x720_25.yuv",
        "1080P/YUV_source": "videoSRC05_1920x1080_25.yuv",
        "1080P/videos": "videoSRC05_1920x1080_25_qp_00.yuv",
    }.items():
        (tree / folder).mkdir(parents=True)
        (tree / folder / file_name).write_bytes(small_yuv)
    found = tree / "1080P/YUV_source/videoSRC05_1920x1080_25.yuv"
    assert datasets.locate(datasets.expand("mcl-jcv")) == {"mcl-jcv/videoSRC05": found}
    assert read("mcl-jcv/videoSRC05").metadata.average_fps == 25


def test_mcl_jcv_may_be_there_at_another_rate_or_as_mp4(
    data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes, clip_with_audio: Path
) -> None:
    (data_folder / "videoSRC01_1920x1080_29.97.yuv").write_bytes(small_yuv)
    (data_folder / "videoSRC02_1920x1080_30.mp4").write_bytes(clip_with_audio.read_bytes())
    assert len(read("mcl-jcv/videoSRC01").frames) == 6
    assert read("mcl-jcv/videoSRC02").metadata.average_fps == 12


def test_a_folder_stands_for_the_videos_in_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.mp4", "a.YUV", "c.y4m", "notes.txt", ".hidden", "below/d.mkv", "e.mp4.part"):
        (tmp_path / name).write_bytes(b"")
    expected = [str(tmp_path / name) for name in ("a.YUV", "b.mp4", "c.y4m")]
    assert datasets.expand(tmp_path) == expected
    assert datasets.expand(str(tmp_path)) == expected


def test_everything_else_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"")
    for source in (str(tmp_path), "clip.mp4", "frames/%05d.png", "bunny", "uvg/beauty"):
        assert datasets.expand(source) == [source]


def test_an_existing_folder_goes_before_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert datasets.is_name("uvg/%05d.png")
    (tmp_path / "uvg").mkdir()
    (tmp_path / "uvg" / "own.mp4").write_bytes(b"")
    assert datasets.expand("uvg") == ["uvg/own.mp4"]
    assert not datasets.is_name("uvg/%05d.png")
    assert datasets.is_name("uvg/beauty")


def test_a_typo_in_a_group_offers_the_nearest() -> None:
    with pytest.raises(DatasetError, match="'uvg/Beuty'; did you mean 'uvg/beauty'"):
        datasets.expand("uvg/Beuty")
    with pytest.raises(DatasetError, match=r"'uvg'; it is a group of 7: uvg/beauty, uvg/bosphorus"):
        read("uvg")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Beauty_1920x1080_120fps_420_8bit_YUV.yuv", (1920, 1080, 120, "yuv420p")),
        ("a-64x48-29.97fps-444-10bit.YUV", (64, 48, Fraction(2997, 100), "yuv444p10le")),
        ("BasketballDrive_1920x1080_50.yuv", None),  # 8 or 10 bit?
        ("a_1920x1080_120fps_420.yuv", None),
        ("a_64x48_32x24_25fps_420_8bit.yuv", None),
        ("a_0x48_25fps_420_8bit.yuv", None),
        ("Beauty_1920x1080_120fps_420_8bit_YUV.mp4", None),
    ],
)
def test_a_raw_file_that_says_all_of_it_needs_no_options(
    name: str, expected: tuple[int, int, Fraction, str] | None
) -> None:
    layout = datasets.raw_layout(name, name)
    if expected is None:
        assert layout is None
    else:
        assert layout is not None
        found = (layout.width, layout.height, layout.fps, layout.pixel_format)
        assert found == expected


def test_a_raw_file_is_read_as_its_name_says(tmp_path: Path, small_yuv: bytes) -> None:
    file = tmp_path / "any_64x48_30fps_420_8bit.yuv"
    file.write_bytes(small_yuv)
    clip = read(file)
    assert tuple(clip.frames.shape) == (6, 3, 48, 64)
    assert clip.metadata.average_fps == 30
    silent = file.rename(tmp_path / "any_64x48.yuv")
    with pytest.raises(VideoError, match="raw video does not say what it is"):
        read(silent)
