"""What a user may call a source, beyond a clip's name: groups, folders of videos, raw files."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from inrcodec.datasets._catalogue import entry, groups, names
from inrcodec.datasets._dataset import RawLayout
from inrcodec.datasets._folders import videos_under

__all__ = ["expand", "is_name", "raw_layout"]

# Each must stand in a raw file's name between underscores or hyphens, as in
# Beauty_1920x1080_120fps_420_8bit_YUV.yuv; half of it would be a guess.
_FIELDS = {
    "size": re.compile(r"(?:^|[_-])(\d+)x(\d+)(?=$|[_-])"),
    "fps": re.compile(r"(?:^|[_-])(\d+(?:\.\d+)?)fps(?=$|[_-])"),
    "chroma": re.compile(r"(?:^|[_-])(420|422|444)(?=$|[_-])"),
    "depth": re.compile(r"(?:^|[_-])(8|10|12|16)bit(?=$|[_-])"),
}


def is_name(source: str | Path) -> bool:
    """Whether a source is called as a clip or a group is, or as a member of a group would be.

    An existing file or folder goes before a dataset of the same name.

    >>> is_name("bunny"), is_name("uvg"), is_name("uvg/typo"), is_name("clip.mp4")
    (True, True, True, False)
    """
    if not isinstance(source, str) or Path(source).exists():
        return False
    if source in names() or source in groups():
        return True
    group, slash, _ = source.partition("/")
    return bool(slash) and group in groups() and not Path(group).exists()


def expand(source: str | Path) -> list[str]:
    """The single sources that a source stands for.

    A group stands for its clips, a folder for the videos in it, by name; everything else for
    itself, a folder of images too.

    Raises:
        DatasetError: it begins like a member of a group, which has no such clip.

    >>> expand("bunny")
    ['bunny']
    >>> len(expand("uvg"))
    7
    """
    if is_name(source):
        members = groups().get(str(source))
        return members if members else [entry(str(source)).name]
    videos = [str(file) for file in videos_under(Path(source), depth=0)]
    return videos or [str(source)]


def raw_layout(source: str | Path, file: str | Path) -> RawLayout | None:
    """How a raw file is read, None where nothing says so or it is no raw file.

    Args:
        source: what the user called it; the entry of a clip known by name says how it is read.
        file: where that lies; otherwise its name says it, if it has size, rate, chroma and depth.

    >>> raw_layout("a", "Beauty_1920x1080_120fps_420_8bit_YUV.yuv").pixel_format
    'yuv420p'
    >>> raw_layout("a", "Beauty_1920x1080.yuv") is None
    True
    """
    if Path(file).suffix.lower() != ".yuv":
        return None
    if is_name(source):
        return entry(str(source)).raw
    return _layout_in_name(Path(file).stem.lower())


def _layout_in_name(stem: str) -> RawLayout | None:
    found = {}
    for field, pattern in _FIELDS.items():
        values = set(pattern.findall(stem))
        if len(values) != 1:
            return None
        found[field] = values.pop()
    width, height = map(int, found["size"])
    fps = Fraction(found["fps"])
    if 0 in (width, height, fps):
        return None
    depth = "" if found["depth"] == "8" else f"{found['depth']}le"
    pixel_format = f"yuv{found['chroma']}p{depth}"
    return RawLayout(width=width, height=height, pixel_format=pixel_format, fps=fps)
