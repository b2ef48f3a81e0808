"""The clips of an evaluation: what its sources stand for, and their frames on disk.

In: sources as the user names them. Out: one `Reference` a clip, in
`OUT/reference/<clip>-<8 digits of what it was made from>`, so that a call with other frames or
another size replaces nothing before it is known that its points may.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec import datasets
from inrcodec._source import raw_format, source_path
from inrcodec.evaluation._points import clip_folder
from inrcodec.evaluation._reference import clip_name, prepare_reference, reference_folder
from inrcodec.evaluation._scores import check_admitted
from inrcodec.evaluation._snapshots import save_snapshots

if TYPE_CHECKING:
    from inrcodec.evaluation._plan import EvalOptions
    from inrcodec.evaluation._reference import Reference
    from inrcodec.video import RawVideoFormat


def prepare_clips(
    clips: Sequence[str], out: Path, options: EvalOptions
) -> list[tuple[str, Reference]]:
    """Return each single source with its raw frames on disk.

    Raises:
        VideoError: a source cannot be read.
        EvaluationError: its 4:2:0 cannot be made, a file cannot be written, or the clip is too
            small for every metric.
    """
    prepared = []
    for source in clips:
        how: dict[str, Any] = {
            "frames": options.frames,
            "resize": options.resize,
            "crop": options.crop,
            "raw": raw_of(source, options.raw),
        }
        folder = reference_folder(source, out / "reference", **how)
        reference = prepare_reference(source, folder, **how)
        check_admitted(options.metrics, width=reference.rgb.width, height=reference.rgb.height)
        prepared.append((source, reference))
    return prepared


def single_sources(
    sources: Iterable[str | Path], *, raw: RawVideoFormat | None = None
) -> list[str]:
    """Return the clips that sources stand for, each once; nothing is read.

    Raises:
        ValueError: two of them would have one folder, or `raw` is given and none is a raw `.yuv`.
        DatasetError: a group has no such clip.
    """
    clips = list(dict.fromkeys(c for source in sources for c in datasets.expand(str(source))))
    folders: dict[str, str] = {}
    for clip in clips:
        folder = clip_folder(clip_name(clip))
        if folder in folders:
            raise ValueError(f"{clip}: another source has the name {folder} too: {folders[folder]}")
        folders[folder] = clip
    check_raw_is_for_some(raw, clips)
    return clips


def check_raw_is_for_some(raw: RawVideoFormat | None, sources: Iterable[str | Path]) -> None:
    """Refuse the format of raw `.yuv` files where no source is one.

    Raises:
        ValueError: so it is.
    """
    if raw is not None and not any(_takes_raw(str(source)) for source in sources):
        raise ValueError("--video-size is for raw .yuv files, and no source is one")


def raw_of(source: str, given: RawVideoFormat | None) -> RawVideoFormat | None:
    """Return how a source is read: as `given` where it is a raw `.yuv`, else as it says itself."""
    if given is not None and _takes_raw(source):
        return given
    return raw_format(source, source_path(source))


def settle_references(references: Iterable[Reference], out: Path) -> None:
    """Make references those of their clips, once it is known that no record contradicts.

    A few frames are kept as pictures, and what earlier calls with other frames left is removed.
    """
    for reference in {r.name: r for r in references}.values():
        save_snapshots(reference.rgb, out, reference.name, "source")
        folder = reference.rgb.path.parent
        of_clip = re.compile(re.escape(folder.name[:-8]) + "[0-9a-f]{8}")
        for other in folder.parent.iterdir():
            if of_clip.fullmatch(other.name) and other.name != folder.name:
                shutil.rmtree(other, ignore_errors=True)


def _takes_raw(source: str) -> bool:
    return not datasets.is_name(source) and Path(source).suffix.lower() == ".yuv"
