"""Curves of the literature, `datasets/published/*.json`: data to draw beside ours, never ours.

In: the JSON files of the package. Out: rows, each with its clip, metric, protocol and source, and
curves of them. Protocols differ; a row says which is its own, and rows of different protocols make
no curve. What may be drawn beside our points is up to `_literature.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from inrcodec.errors import EvaluationError

_REQUIRED = ("codec", "metric", "value", "protocol", "source")


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One figure of the literature."""

    clip: str  # as the clip is called here, or a data set's name: "bunny", "uvg"
    codec: str
    metric: str  # a name of METRIC_LABELS
    value: float
    bpp: float | None  # None: stated for a network that was not coded
    protocol: str  # in words: frames, size, budget, what counts as rate
    source: str  # who says so
    size: tuple[int, int]  # width, height of the frames that were coded
    parameters: int | None = None
    epochs: int | None = None
    note: str = ""


@dataclass(frozen=True)
class PublishedCurve:
    """The rows of one codec under one protocol, by rising rate."""

    codec: str
    metric: str
    protocol: str
    source: str
    points: tuple[tuple[float, float], ...]  # bpp, value
    size: tuple[int, int] = (0, 0)  # width, height

    @property
    def label(self) -> str:
        """Codec and paper: `HNeRV (published: Boost)`."""
        return f"{self.codec} (published: {self.source.split(',')[0]})"


def load_published() -> list[PublishedRow]:
    """Return every row of the package's data.

    Raises:
        EvaluationError: a file lacks something that every row must say.
    """
    folder = resources.files("inrcodec.datasets") / "published"
    files = sorted(
        (f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda file: file.name
    )
    return [row for f in files for row in parse_published(f.name, f.read_text(encoding="utf-8"))]


def parse_published(name: str, text: str) -> list[PublishedRow]:
    """Return the rows of one file.

    Raises:
        EvaluationError: it lacks something that every row must say.
    """
    try:
        table = json.loads(text)
        return [_row(table, row) for row in table["rows"]]
    except (KeyError, TypeError, ValueError) as exc:
        raise EvaluationError(f"published/{name}: {type(exc).__name__}: {exc}") from exc


def published_curves(rows: Iterable[PublishedRow], *, clip: str) -> list[PublishedCurve]:
    """Return the curves of one clip or, as means, of one data set.

    Rows with a rate, of one codec, metric and protocol each.
    """
    groups: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.clip == clip and row.bpp is not None:
            key = (row.codec, row.metric, row.protocol, row.source)
            groups.setdefault(key, []).append((row.bpp, row.value))
            sizes[row.protocol] = row.size
    return [
        PublishedCurve(*key, tuple(sorted(points)), size=sizes[key[2]])
        for key, points in groups.items()
    ]


def _row(table: dict[str, Any], row: dict[str, Any]) -> PublishedRow:
    """Return a row; `protocol` and `source` may be keys of the file's tables of them."""
    missing = [name for name in _REQUIRED if not row.get(name)]
    if missing:
        raise ValueError(f"row {row} lacks {', '.join(missing)}")
    protocol = table["protocols"][row["protocol"]]
    width, height = protocol["size"]
    words = {
        "protocol": protocol["words"],
        "size": (int(width), int(height)),
        "source": table["sources"][row["source"]],
    }
    return PublishedRow(**{"clip": table["clip"], "bpp": None, **row, **words})
