"""Boxes of a network's drawing: names, layers and, to the right, parameters and kMAC/pixel.

In: a `Step`. Out: lines of text. `UNICODE` and `ASCII` are the characters to draw with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inrcodec._model_card._parts import Part
from inrcodec._model_card._steps import Step

__all__ = [
    "ASCII",
    "BOX",
    "LINE",
    "UNICODE",
    "Columns",
    "Glyphs",
    "main_box",
    "shape_text",
    "short_number",
    "side_box",
]

BOX = 62  # columns of a box of the main line
LINE = 6  # column of the line that joins the boxes
_SIDE = 12  # column where boxes beside the line begin
_BAR = 6
_NAME = 17  # columns of a part's name, at most


@dataclass(frozen=True)
class Glyphs:
    """Characters of a drawing."""

    corners: tuple[str, str, str, str]
    horizontal: str
    vertical: str
    leave: str  # a line leaves a box downwards
    enter: str
    joins: tuple[str, str]  # ends of a line from a box beside the main line to it
    arrow: str
    beside: str
    bar: str  # from the emptiest to the full one


UNICODE = Glyphs(("╭", "╮", "╰", "╯"), "─", "│", "┬", "▼", ("◀", "┤"), "→", "┆", " ▏▎▍▌▋▊▉█")
ASCII = Glyphs(("+", "+", "+", "+"), "-", "|", "+", "v", ("<", "+"), "->", "|", " #")


@dataclass(frozen=True)
class Columns:
    """The numbers to the right of the boxes."""

    parameters: int  # of the whole network
    macs: int
    num_pixels: int
    glyphs: Glyphs

    @property
    def title(self) -> str:
        """Heads of the columns."""
        return f"{'parameters':>10}{'kMAC/pixel':>14}"

    def of_step(self, parameters: int, macs: int) -> str:
        """Both numbers, their shares of the whole network, and a bar for the second's."""
        text = f"{parameters:>10,}" if parameters else " " * 10
        text += f"{_percent(parameters, self.parameters):>6}"
        if macs:
            text += f"{self._kmac(macs):>8}{_percent(macs, self.macs):>6} "
            text += self._bar(macs / self.macs) if macs < self.macs else ""
        return text

    def of_part(self, part: Part) -> str:
        """Both numbers of a part of a step, where it has any."""
        text = f"{part.parameters:>10,}" if part.parameters else " " * 10
        return f"{text}{'':6}{self._kmac(part.macs):>8}" if part.macs else text.rstrip()

    def _kmac(self, macs: int) -> str:
        return short_number(macs / self.num_pixels / 1000)

    def _bar(self, share: float) -> str:
        steps = len(self.glyphs.bar) - 1
        full, rest = divmod(round(share * _BAR * steps), steps)
        return self.glyphs.bar[-1] * full + (self.glyphs.bar[rest] if rest else "")


def short_number(value: float) -> str:
    """Return about three digits.

    >>> short_number(0.123), short_number(12.345), short_number(1234.5), short_number(0.0)
    ('0.12', '12.3', '1234', '0')
    """
    if value == 0:
        return "0"
    if value < 0.01:
        return "<0.01"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def shape_text(shape: Sequence[int] | None) -> str:
    """Return `3 x 720 x 1280`."""
    return "" if shape is None else " x ".join(map(str, shape))


def main_box(step: Step, others: Sequence[str], columns: Columns) -> Iterator[str]:
    """Yield the lines of a step that the main line goes through; `others` lead into it too."""
    glyphs = columns.glyphs
    left, right = step.name, step.kind
    if others:
        left += f"  + {', '.join(others)}"
    yield _edge(glyphs, BOX, top=True, mark=glyphs.enter)
    for text, numbers in _content(step, left, right, columns, width=BOX - 4):
        yield f"{glyphs.vertical} {text} {glyphs.vertical} {numbers}"
    yield _edge(glyphs, BOX, top=False, mark=glyphs.leave)


def side_box(step: Step, columns: Columns, *, joins: bool) -> Iterator[str]:
    """Yield the lines of a step beside the main line, whose output may join it right here."""
    glyphs = columns.glyphs
    width = BOX - _SIDE
    left = step.name + (f"  from {', '.join(step.sources)}" if step.sources else "")
    line = " " * LINE + glyphs.vertical + " " * (_SIDE - LINE - 1)
    yield line + _edge(glyphs, width, top=True)
    content = list(_content(step, left, shape_text(step.shape), columns, width=width - 4))
    for i, (text, numbers) in enumerate(content):
        start = line + glyphs.vertical
        if joins and i == len(content) - 1:
            to_line = glyphs.joins[0] + glyphs.horizontal * (_SIDE - LINE - 1)
            start = " " * LINE + to_line + glyphs.joins[1]
        yield f"{start} {text} {glyphs.vertical} {numbers}"
    yield line + _edge(glyphs, width, top=False)


def _edge(glyphs: Glyphs, width: int, *, top: bool, mark: str = "") -> str:
    corners = glyphs.corners[:2] if top else glyphs.corners[2:]
    line = glyphs.horizontal * (width - 2)
    if mark:
        line = line[: LINE - 1] + mark + line[LINE:]
    return corners[0] + line + corners[1]


def _content(
    step: Step, left: str, right: str, columns: Columns, *, width: int
) -> Iterator[tuple[str, str]]:
    """Yield lines of text and the numbers beside them."""
    if step.calls > 1:
        left += f"  (runs {step.calls} times)"
    if len(left) + 2 + len(right) > width:
        right = ""
    text = f"{left}{right:>{max(0, width - len(left))}}"
    yield text[:width].ljust(width), columns.of_step(step.parameters, step.macs)
    names = max((len(part.title) for part in step.parts), default=0)
    names = min(_NAME, names + 2) if names else 0
    detailed = sum(part.parameters > 0 for part in step.parts) > 1
    for part in step.parts:
        title = part.title[: max(0, names - 1)].ljust(names)
        for i, line in enumerate(_wrapped(part, columns.glyphs, width - 2 - names)):
            head = f"  {title}" if i == 0 else " " * (2 + names)
            numbers = columns.of_part(part) if detailed and i == 0 else ""
            yield (head + line)[:width].ljust(width), numbers


def _wrapped(part: Part, glyphs: Glyphs, width: int) -> Iterator[str]:
    """Yield the chains in lines that end before or after an arrow."""
    words: list[str] = []
    for i, chain in enumerate(part.chains):
        if i:
            words[-1] += f" {glyphs.beside}"
        words += [f"{label} {glyphs.arrow}" for label in chain[:-1]]
        words.append(chain[-1])
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    yield line


def _percent(value: int, whole: int) -> str:
    if not value or not whole:
        return ""
    share = 100 * value / whole
    return f"{share:.0f} %" if share >= 0.5 else "<1 %"
