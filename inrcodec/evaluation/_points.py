"""One measured point: its record, the name of its file, and when a kept record still counts.

In: what was measured. Out: `OUT/points/<clip>/<codec>-<preset or recipe>-<quality>.json`. A record
carries the settings that it was measured with: with other settings it is not taken for the same
point.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from inrcodec.bitstream import write_atomically
from inrcodec.errors import EvaluationError

POINTS_FOLDER = "points"
_ERROR_SUFFIX = ".error.txt"


@dataclass(frozen=True, kw_only=True)
class EvalPoint:
    """One codec at one quality on one clip; `bytes` and `bpp` are of the video alone."""

    clip: str
    label: str  # for people: "bunny 640x360, frames 0:32"
    width: int
    height: int
    frames: int
    fps: float
    codec: str  # a network of the zoo, or a reference codec
    kind: str  # "inr" or "reference"
    preset: str | None
    model: str | None
    recipe: str | None
    quality: float | None  # CRF or QP; of ours, the bpp wished; None of what others coded
    bytes: int
    bpp: float
    encode_seconds: float | None  # None where it was not measured
    decode_seconds: float | None
    metrics: dict[str, float]  # means over the frames
    per_frame: dict[str, list[float]]
    parameters: int | None = None  # stored values
    kmac_per_pixel: float | None = None
    device: str = ""
    seed: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    stream: str = ""  # the coded file, relative to the evaluation's folder
    snapshots: dict[str, str] = field(default_factory=dict)  # frame index -> picture, likewise
    settings: dict[str, Any] = field(default_factory=dict)  # what makes it this point

    def to_json(self) -> str:
        """Return the record as it is stored."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> EvalPoint:
        """Return the point that a record holds; members of later versions are passed over.

        Raises:
            EvaluationError: members are missing, or the sizes are no numbers above 0.
        """
        known = {f.name for f in fields(cls)}
        try:
            point = cls(**{name: value for name, value in record.items() if name in known})
            sound = point.bytes > 0 and point.bpp > 0 and bool(point.metrics)
        except (TypeError, AttributeError) as exc:
            raise EvaluationError(f"is no record of a point: {exc}") from exc
        if not sound:
            raise EvaluationError("is no record of a point: it has no bytes, bpp or metrics")
        return point

    @property
    def series(self) -> str:
        """Name of the curve that the point lies on: `x265 veryslow`, `hnerv`, `nerv paper`."""
        return series_name(self.codec, self.preset if self.kind == "reference" else self.recipe)

    @property
    def code_version(self) -> str | None:
        """Which inrcodec measured it: a commit, or a version where there was no git."""
        return self.commit or self.versions.get("inrcodec")

    @property
    def budget(self) -> str:
        """What the fit was given, `120 s` or `150 epochs`; empty of other codecs."""
        seconds, epochs = self.settings.get("time_seconds"), self.settings.get("epochs")
        if seconds is not None:
            return f"{seconds:g} s"
        return "" if epochs is None else f"{epochs} epochs"


def series_name(codec: str, detail: str | None) -> str:
    """Return the name of the curve of a codec's preset, or of a network's recipe.

    >>> series_name("svtav1", "4"), series_name("hnerv", "default")
    ('svtav1 preset 4', 'hnerv')
    """
    if not detail or detail == "default":
        return codec
    return f"{codec} {'preset ' if detail[0].isdigit() else ''}{detail}"


def point_stem(codec: str, detail: str | None, quality: float) -> str:
    """Return the name of a point's files, without their ending.

    >>> point_stem("x265", "veryslow tune=psnr", 28.0)
    'x265-veryslow_tune_psnr-28'
    >>> point_stem("hnerv", "default", 0.05)
    'hnerv-default-0.05'
    """
    parts = (codec, detail or "default", f"{quality:.6g}")
    return "-".join(re.sub(r"[^\w.+]+", "_", part) for part in parts)


def clip_folder(name: str) -> str:
    """Return a clip's name as a folder's.

    >>> clip_folder("uvg/beauty")
    'uvg_beauty'
    """
    return re.sub(r"[^\w.+-]+", "_", name).strip(".") or "clip"


def point_path(out: Path, clip: str, stem: str) -> Path:
    """Return where the record of a point lies."""
    return out / POINTS_FOLDER / clip_folder(clip) / f"{stem}.json"


def save_point(path: Path, point: EvalPoint) -> None:
    """Write a record, whole or not at all, and forget an earlier failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, point.to_json().encode())
    path.with_suffix(_ERROR_SUFFIX).unlink(missing_ok=True)


def save_failure(path: Path, message: str) -> None:
    """Leave what went wrong beside where the record would be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(_ERROR_SUFFIX).write_text(message + "\n")


def load_point(path: Path) -> EvalPoint:
    """Read one record.

    Raises:
        EvaluationError: the file is damaged; the message says what to do.
    """
    try:
        return EvalPoint.from_dict(json.loads(path.read_text()))
    except (ValueError, AttributeError, EvaluationError) as exc:
        raise EvaluationError(f"{path}: {exc}; delete it to measure the point again") from exc


def load_points(out: Path) -> list[EvalPoint]:
    """Return all records of a folder, by clip, series and rate."""
    found = [load_point(path) for path in sorted((out / POINTS_FOLDER).glob("*/*.json"))]
    return sorted(found, key=lambda p: (p.clip, p.kind, p.series, p.bpp))


def is_done(path: Path, settings: Mapping[str, Any], *, redo: bool) -> bool:
    """Whether the record at `path` is of the point with these settings.

    Raises:
        EvaluationError: it is of other settings, and `redo` does not allow to replace it.
    """
    if not path.exists():
        return False
    kept = load_point(path).settings
    asked = json.loads(json.dumps(settings))
    differ = sorted(k for k in {*kept, *asked} if kept.get(k) != asked.get(k))
    if not differ:
        return True
    if redo:
        return False
    changes = ", ".join(f"{k} was {kept.get(k)!r}, is {asked.get(k)!r}" for k in differ)
    raise EvaluationError(
        f"{path} was measured with other settings: {changes}; "
        "choose another --out, or replace such points by --redo"
    )


def group_by_series(points: Iterable[EvalPoint]) -> dict[str, list[EvalPoint]]:
    """Return the curves, ours first, each by rising rate."""
    curves: dict[str, list[EvalPoint]] = {}
    for point in sorted(points, key=lambda p: (p.kind != "inr", p.series, p.bpp)):
        curves.setdefault(point.series, []).append(point)
    return curves


def metric_db(name: str, value: float) -> float:
    """Return a metric on the scale that curves and BD-rates use: (MS-)SSIM as -10 log10(1-x).

    >>> round(metric_db("ms_ssim", 0.99), 6)
    20.0
    """
    if name in ("ms_ssim", "ssim"):
        return -10 * math.log10(max(1 - value, 1e-10))
    return value
