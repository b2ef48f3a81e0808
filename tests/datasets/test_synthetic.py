"""Clips that are computed: the same bytes everywhere, each of what its title says."""

from __future__ import annotations

import hashlib
import os
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inrcodec
from inrcodec import datasets
from inrcodec.datasets._made import frames_of
from inrcodec.errors import DatasetError
from inrcodec.video import RawVideoFormat, VideoReader

KINDS = ["cuts", "noise", "object", "pan", "zoom"]


def lumas(kind: str, *indices: int) -> list[NDArray[np.int64]]:
    frames = list(islice(frames_of(kind), max(indices) + 1))
    return [frames[i][0].astype(np.int64) for i in indices]


def test_the_group() -> None:
    assert datasets.groups()["synthetic"] == [f"synthetic/{kind}" for kind in KINDS]


def test_fetch_makes_what_encode_and_eval_read(tmp_path: Path, data_folder: Path) -> None:
    name = "synthetic/pan"
    with pytest.raises(DatasetError, match="inrcodec datasets synthetic/pan --fetch, or set"):
        inrcodec.encode(name, tmp_path / "a.inr", bpp=0.1, epochs=1)
    told: list[tuple[str, int, int]] = []
    file = datasets.fetch(name, progress=lambda *report: told.append(report))
    assert file.parent == data_folder / "synthetic"
    assert list(file.parent.iterdir()) == [file]
    assert datasets.path(name) == datasets.fetch(name) == file
    entry = datasets.entry(name)
    assert told[-1] == (f"make {file.name}", entry.size_bytes, entry.size_bytes)
    layout = datasets.raw_layout(name, file)
    assert layout is not None
    raw = RawVideoFormat(layout.width, layout.height, layout.pixel_format, layout.fps)
    with VideoReader(file, raw=raw) as reader:
        assert len([frame.pts for frame in reader]) == entry.num_frames


def test_a_full_disk_leaves_nothing(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DatasetError, match=r"cannot write .*No space left on device"):
        datasets.fetch("synthetic/cuts")
    assert list((data_folder / "synthetic").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_all_bytes_are_known(kind: str) -> None:
    digest = hashlib.sha256()
    for planes in frames_of(kind):
        for plane in planes:
            digest.update(plane.tobytes())
    assert digest.hexdigest() == datasets.entry(f"synthetic/{kind}").sha256


def test_pan_moves_by_whole_pixels() -> None:
    first, later = lumas("pan", 0, 4)
    assert np.array_equal(later[:-4, :-12], first[4:, 12:])
    assert not np.array_equal(later, first)


def test_zoom_keeps_the_centre_and_enlarges() -> None:
    first, later = lumas("zoom", 0, 40)
    middle = np.s_[94:98, 158:162]
    assert np.abs(later[middle] - first[middle]).max() <= 4
    roughness = [np.abs(np.diff(luma, axis=1)).mean() for luma in (first, later)]
    assert roughness[1] < 0.9 * roughness[0]


def test_object_moves_before_what_stands_still() -> None:
    first, later = lumas("object", 0, 10)
    changed = np.argwhere(first != later)
    assert changed.min(0).tolist() == [24, 0]
    assert changed.max(0).tolist() == [113, 119]  # both places of the disc
    assert np.array_equal(first[30:90, 20:60], later[40:100, 60:100])


def test_cuts_are_between_scenes_at_rest() -> None:
    frames = lumas("cuts", 0, 15, 16, 31, 32, 47)
    assert all(np.array_equal(*frames[i : i + 2]) for i in (0, 2, 4))
    assert all(np.abs(frames[i] - frames[i + 1]).mean() > 10 for i in (1, 3))


def test_noise_is_new_in_every_frame() -> None:
    first, later = lumas("noise", 0, 1)
    (scene,) = lumas("cuts", 0)
    for frame in (first, later):
        grain = frame - scene
        assert (grain.min(), grain.max()) == (-16, 15)
        assert abs(grain.mean()) < 1
    assert abs(np.corrcoef((first - scene).ravel(), (later - scene).ravel())[0, 1]) < 0.02
