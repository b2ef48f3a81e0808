"""A network's card as text of at most 100 columns: facts, and a drawing from top to bottom.

The drawing is a line of boxes, one for each step on the way from what drives the network to the
frame; steps that only help another one (an encoding of time that scales features) stand beside it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from inrcodec._model_card._boxes import (
    BOX,
    LINE,
    UNICODE,
    Columns,
    Glyphs,
    main_box,
    shape_text,
    short_number,
    side_box,
)
from inrcodec._model_card._facts import ModelCard, device_text
from inrcodec._model_card._steps import Drawing, Step
from inrcodec._model_card._trace import EMBEDDING, FRAME_INDEX

__all__ = ["render"]

_COLUMNS = 100


def render(card: ModelCard, glyphs: Glyphs = UNICODE) -> str:
    """Return the card as text."""
    summary = card.summary
    head = [
        summary.entry.name,
        "",
        *textwrap.wrap(summary.entry.paper, _COLUMNS),
        f"https://arxiv.org/abs/{summary.entry.arxiv}",
        "",
        *textwrap.wrap(card.about, _COLUMNS),
        "",
    ]
    lines = [*head, *_facts(card), "", *_drawing(card, glyphs)]
    return "\n".join(line.rstrip() for line in lines)


def _facts(card: ModelCard) -> Iterator[str]:
    summary, clip, size = card.summary, card.summary.clip, card.summary.size
    stored = f"{size.total:,}"
    if size.embeddings:
        stored += f" = {size.decoder:,} of the decoder + {size.embeddings:,} of embeddings"
    speed = "not measured"
    if summary.decode_fps is not None:
        speed = (
            f"{short_number(summary.decode_fps)} frames/s, one at a time in fp32, on "
            f"{device_text(summary.device)}"
        )
    fields = {**summary.config.to_dict(), **card.defaults}
    rows = {
        "sized for": f"{clip.num_params:,} values, {clip.num_frames} frames of "
        f"{clip.width}x{clip.height}",
        "driven by": card.driven_by,
        "parameters": stored,
        "compute": f"{short_number(summary.kmac_per_pixel)} kMAC/pixel",
        "decodes": speed,
        "fields": ", ".join(f"{name} {_value(value)}" for name, value in fields.items()),
    }
    for name, text in rows.items():
        yield from textwrap.wrap(
            text, _COLUMNS, initial_indent=f"{name:12}", subsequent_indent=" " * 12
        )


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _drawing(card: ModelCard, glyphs: Glyphs) -> Iterator[str]:
    drawing, clip, size = card.drawing, card.summary.clip, card.summary.size
    columns = Columns(size.total, drawing.macs, clip.width * clip.height, glyphs)
    main = _main_line(drawing)
    line = " " * LINE + glyphs.vertical
    shape = card.summary.config.embedding_shape
    driver = FRAME_INDEX if shape is None else f"{EMBEDDING} {shape_text(shape)}"
    legend = f"shapes are C x H x W; {glyphs.beside} begins another branch"
    yield f"{legend:{BOX}} {columns.title}"
    yield f"  {driver:{BOX - 2}} " + (columns.of_step(size.embeddings, 0) if shape else "")
    yield line
    out = ""
    for i, step in enumerate(drawing.steps):
        if out:
            yield f"{line} {out}"
            out = ""
        if step.name in main:
            yield from main_box(step, _others(step, main[step.name]), columns)
            out = shape_text(step.shape)
        else:
            following = next((s for s in drawing.steps[i:] if s.name in main), None)
            joins = following is not None and step.name in following.sources
            yield from side_box(step, columns, joins=joins)
    yield f"{line} {out}"
    last = drawing.steps[-1].shape or ()
    cropped = [f"crop to {clip.width}x{clip.height}"]
    squashed = [*(cropped if last[1:] != (clip.height, clip.width) else []), *drawing.squashing]
    yield " " * LINE + f"{glyphs.enter} {', '.join(squashed)}"
    frame = f"frame 3 x {clip.height} x {clip.width}"
    yield f"  {frame:{BOX - 2}} {columns.of_step(size.total, drawing.macs)}"


def _others(step: Step, before: str) -> list[str]:
    """What leads into a step beside the main line: for the first one, all but what drives it."""
    drivers = () if before else (EMBEDDING if EMBEDDING in step.sources else FRAME_INDEX,)
    return [name for name in step.sources if name not in (before, *drivers)]


def _main_line(drawing: Drawing) -> dict[str, str]:
    """Return the steps that the picture goes through, each with the step before it.

    Backwards from the last one: of the steps that its input comes from, the latest that puts out
    a picture, else the latest.
    """
    line: dict[str, str] = {}
    step: Step | None = drawing.steps[-1]
    while step is not None:
        line[step.name] = ""
        found = [s for name in step.sources if (s := drawing.step(name)) and s.name not in line]
        pictures = [s for s in found if s.shape is not None and len(s.shape) == 3]
        if not pictures and EMBEDDING in step.sources:
            break
        before = max(pictures or found, key=drawing.steps.index, default=None)
        line[step.name] = before.name if before else ""
        step = before
    return line
