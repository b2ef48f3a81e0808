"""`Reference`: the clip that every codec is given and scored against, as two raw files on disk.

In: a source as `inrcodec encode` takes it. Out: its frames as RGB, read exactly as an encode reads
them, and as the 4:2:0 that the other codecs are fed. That is the source's own where it is 8-bit
4:2:0 and is not resized, so that nobody pays for a conversion; else it is made from the RGB.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from inrcodec._source import raw_format, source_path
from inrcodec.errors import EvaluationError
from inrcodec.evaluation._ceiling import rgb_ceiling_db
from inrcodec.evaluation._colour import rgb_to_yuv420, yuv420_to_rgb
from inrcodec.evaluation._points import clip_folder
from inrcodec.evaluation._raw import RawFrames, write_frames
from inrcodec.evaluation._reader_colour import reader_rgb_to_yuv420, yuv420_to_reader_rgb
from inrcodec.video import RawVideoFormat, VideoMetadata, VideoReader
from inrcodec.video._images import is_pattern

__all__ = ["RawFrames", "Reference", "clip_name", "prepare_reference", "reference_folder"]

_LAYOUT = 2  # of reference.json and the files beside it; others are made anew
_MAX_NAME = 100  # characters of a clip's in a folder's
# H.273 code points. The reader takes an untagged source for BT.601, as FFmpeg does; RGB sources
# become BT.709, as in VideoWriter's containers.
MATRIX_OF_RGB = "bt709"
_MATRIX_NAMES = {1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020"}


@dataclass(frozen=True)
class Reference:
    """A clip on disk, twice."""

    name: str  # the dataset's, or the file's stem
    rgb: RawFrames
    # The source's own planes where it is 8-bit 4:2:0 (for `compare` of more bits too) and not
    # resized; else from rgb.
    yuv: RawFrames
    fps: Fraction
    matrix: str  # of yuv, limited range: "bt601", "bt709" or "bt2020"
    label: str  # for people: "bunny 640x320, frames 0:32, crop 1280x640"
    yuv_is_own: bool = False  # which conversion joins rgb and yuv: the reader's, or `_colour`'s
    # psnr_rgb of yuv itself, where it was made of rgb: what 4:2:0 can hold of this clip.
    rgb_ceiling_db: float | None = None

    def to_rgb(self, yuv: RawFrames, out: Path) -> RawFrames:
        """Write decoded yuv420p frames as RGB, the way `rgb` was made of the source.

        Raises:
            EvaluationError: the input is not what it should be, or a conversion fails.
        """
        convert = yuv420_to_reader_rgb if self.yuv_is_own else yuv420_to_rgb
        return convert(yuv, out, matrix=self.matrix)

    def to_yuv420(self, rgb: RawFrames, out: Path) -> RawFrames:
        """Write decoded RGB frames as yuv420p: the inverse of `to_rgb`.

        Raises:
            EvaluationError: the input is not what it should be, or a conversion fails.
        """
        convert = reader_rgb_to_yuv420 if self.yuv_is_own else rgb_to_yuv420
        return convert(rgb, out, matrix=self.matrix)


def prepare_reference(
    source: str | Path,
    folder: Path,
    *,
    frames: tuple[int, int | None] | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    raw: RawVideoFormat | None = None,
    round_own_420: bool = False,
) -> Reference:
    """Write a clip's frames to `folder`: reference.rgb, reference.yuv and reference.json.

    Frames go to disk one by one. What lies there already is kept if its JSON names the same source
    (path, bytes and time of change) and options. The other arguments are those of `VideoReader`,
    but `round_own_420`: whether 4:2:0 of 10 or 12 bits is rounded, where the source has it, rather
    than made from the RGB.

    Raises:
        VideoError: the source cannot be read.
        DatasetError: the source is a dataset that is not there.
        EvaluationError: the conversion to 4:2:0 fails, or a file cannot be written.
    """
    path, raw = source_path(source), raw or raw_format(source, source_path(source))
    made_from = _made_from(source, frames=frames, resize=resize, crop=crop, raw=raw)
    if round_own_420:
        made_from["options"]["round_own_420"] = True
    kept = _kept(folder, made_from)
    if kept is not None:
        return kept
    with VideoReader(path, frames=frames, resize=resize, crop=crop, raw=raw) as reader:
        return _write(reader, folder, name=clip_name(source), frames=frames, made_from=made_from)


def write_rgb(reader: VideoReader, path: Path) -> RawFrames:
    """Write the frames that a reader delivers, as rgb24.

    Raises:
        VideoError: the source cannot be read.
        EvaluationError: the file cannot be written.
    """
    pictures = (frame.rgb.permute(1, 2, 0).contiguous().numpy().tobytes() for frame in reader)
    num_frames = write_frames(path, pictures)
    return RawFrames(path, "rgb24", reader.metadata.width, reader.metadata.height, num_frames)


def matrix_name(metadata: VideoMetadata) -> str | None:
    """Return the matrix that a source's YUV is read by, None where it is another one, or RGB."""
    return _MATRIX_NAMES.get(metadata.color.matrix)


def reference_folder(
    source: str | Path,
    parent: Path,
    *,
    frames: tuple[int, int | None] | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    raw: RawVideoFormat | None = None,
) -> Path:
    """Return the folder in `parent` that is this reference's alone: `<clip>-<8 digits>`."""
    made_from = _made_from(source, frames=frames, resize=resize, crop=crop, raw=raw)
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return parent / f"{clip_folder(clip_name(source))[-_MAX_NAME:]}-{digest[:8]}"


def clip_name(source: str | Path) -> str:
    """Return what a source is called: a dataset's name, a file's stem, or a folder's name."""
    if source_path(source) is not source:  # a dataset's, such as uvg/beauty
        return str(source).replace("/", "-")
    path = Path(source)
    if path.is_dir():
        return path.resolve().name
    return path.parent.resolve().name if is_pattern(str(source)) else path.stem


def clip_label(
    name: str, frames: RawFrames, *, start: int, crop: tuple[int, int] | None = None
) -> str:
    """Return a clip's name with its size, frames and crop, for people.

    >>> clip_label("bunny", RawFrames(Path("a"), "rgb24", 640, 320, 32), start=0, crop=(1280, 640))
    'bunny 640x320, frames 0:32, crop 1280x640'
    """
    geometry = f"{frames.width}x{frames.height}"
    cropped = f", crop {crop[0]}x{crop[1]}" if crop else ""
    return f"{name} {geometry}, frames {start}:{start + frames.num_frames}{cropped}"


def _write(
    reader: VideoReader,
    folder: Path,
    *,
    name: str,
    frames: tuple[int, int | None] | None,
    made_from: dict[str, Any],
) -> Reference:
    folder.mkdir(parents=True, exist_ok=True)
    _json_path(folder).unlink(missing_ok=True)  # it is only there beside what it describes
    metadata = reader.metadata
    size = metadata.width, metadata.height
    yuv_path = folder / "reference.yuv"
    rgb = write_rgb(reader, folder / "reference.rgb")
    own_matrix = matrix_name(metadata)
    is_own = reader.has_own_420 and own_matrix is not None
    is_rounded = (
        "round_own_420" in made_from["options"]
        and reader.has_rounded_420
        and own_matrix is not None
    )
    matrix = own_matrix or MATRIX_OF_RGB
    ceiling_db = None
    if is_own or is_rounded:
        write_frames(yuv_path, reader.own_420())
    else:
        ceiling_db = rgb_ceiling_db(rgb, rgb_to_yuv420(rgb, yuv_path, matrix=matrix), matrix=matrix)
    start = 0 if frames is None else frames[0]
    crop = made_from["options"]["crop"]
    record = {
        "made_from": made_from,
        "name": name,
        "label": clip_label(name, rgb, start=start, crop=crop),
        "width": size[0],
        "height": size[1],
        "num_frames": rgb.num_frames,
        "fps": str(metadata.average_fps),
        "matrix": matrix,
        "yuv_is_own": is_own,
        "rgb_ceiling_db": ceiling_db,
    }
    write_frames(_json_path(folder), [json.dumps(record, indent=1).encode()])
    reference = _reference(folder, record)
    reference.yuv.check()
    return reference


def _kept(folder: Path, made_from: dict[str, Any]) -> Reference | None:
    """What an earlier call left, if it is the same clip and complete."""
    try:
        record = json.loads(_json_path(folder).read_text())
        if record["made_from"] != made_from or made_from["source"] is None:
            return None
        reference = _reference(folder, record)
        reference.rgb.check()
        reference.yuv.check()
    except (OSError, ValueError, KeyError, TypeError, EvaluationError):
        return None
    return reference


def _reference(folder: Path, record: dict[str, Any]) -> Reference:
    geometry = record["width"], record["height"], record["num_frames"]
    return Reference(
        name=record["name"],
        rgb=RawFrames(folder / "reference.rgb", "rgb24", *geometry),
        yuv=RawFrames(folder / "reference.yuv", "yuv420p", *geometry),
        fps=Fraction(record["fps"]),
        matrix=record["matrix"],
        label=record["label"],
        yuv_is_own=record["yuv_is_own"],
        rgb_ceiling_db=record["rgb_ceiling_db"],
    )


def _json_path(folder: Path) -> Path:
    return folder / "reference.json"


def _made_from(source: str | Path, *, raw: RawVideoFormat | None, **options: Any) -> dict[str, Any]:
    """What makes a reference this one, as it is read back from its JSON."""
    path = source_path(source)
    raw = raw or raw_format(source, path)
    options["raw"] = raw and asdict(raw)
    made_from = {"layout": _LAYOUT, "source": _state(path), "options": options}
    found: dict[str, Any] = json.loads(json.dumps(made_from, default=str))
    return found


def _state(path: str | Path) -> dict[str, Any] | None:
    """What tells whether a source has changed: path, bytes and time of change of all its files."""
    place = Path(path)
    is_images = place.is_dir() or (is_pattern(str(path)) and not place.exists())
    try:
        files = [place]
        if is_images:
            inside = place if place.is_dir() else place.parent
            files = sorted(entry for entry in inside.iterdir() if entry.is_file())
        states = [file.stat() for file in files]
    except OSError:  # a URL, or nothing: read it, and let the reader say what is wrong
        return None
    named = zip((file.name for file in files), states, strict=True)
    return {
        "path": os.path.realpath(place),
        "files": len(states),
        "bytes": sum(state.st_size for state in states),
        "mtime_ns": max((state.st_mtime_ns for state in states), default=0),
        # Renamed images keep their times and the bytes of all together.
        "each_crc32": zlib.crc32(repr([(n, s.st_size, s.st_mtime_ns) for n, s in named]).encode()),
    }
