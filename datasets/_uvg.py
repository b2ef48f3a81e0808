"""UVG: the seven 1920x1080 clips of the Ultra Video Group that video codec papers report.

Raw 8-bit 4:2:0 at 120 frames/s, one 7z archive a clip (Mercat et al., "UVG dataset", MMSys 2020).
The group publishes no checksums: a file is checked by its exact size, and `fetch` records the
SHA-256 of what it unpacked in a `.sha256` beside it.
"""

from __future__ import annotations

from fractions import Fraction

from inrcodec.datasets._dataset import Dataset, SevenZip

__all__ = ["CLIPS"]

_WIDTH, _HEIGHT, _FPS = 1920, 1080, 120
_LAYOUT = f"{_WIDTH}x{_HEIGHT}_{_FPS}fps_420_8bit_YUV"
_NUM_FRAMES = {
    "Beauty": 600,
    "Bosphorus": 600,
    "HoneyBee": 600,
    "Jockey": 600,
    "ReadySetGo": 600,
    "ShakeNDry": 300,
    "YachtRide": 600,
}
# The archive of ReadySetGo unpacks to a file of this name.
_OTHER_TITLES = {"ReadySetGo": "ReadySteadyGo"}


def _clip(title: str, num_frames: int) -> Dataset:
    name = f"uvg/{title.lower()}"
    other = _OTHER_TITLES.get(title)
    return Dataset(
        name=name,
        title=f"{title} of the UVG dataset",
        licence="CC BY-NC 3.0, (c) Ultra Video Group",
        page="https://ultravideo.fi",
        width=_WIDTH,
        height=_HEIGHT,
        num_frames=num_frames,
        size_bytes=num_frames * _WIDTH * _HEIGHT * 3 // 2,
        sha256=None,
        how_to_get=f"inrcodec datasets {name} --fetch",
        file_name=f"{title}_{_LAYOUT}.yuv",
        other_names=(f"{other}_{_LAYOUT}.yuv",) if other else (),
        group="uvg",
        pixel_format="yuv420p",
        fps=Fraction(_FPS),
        source=SevenZip(url=f"https://ultravideo.fi/video/{title}_{_LAYOUT}_RAW.7z"),
    )


CLIPS = tuple(_clip(title, num_frames) for title, num_frames in _NUM_FRAMES.items())
