"""What `inrcodec models` shows: a network's size, cost and speed, and a drawing of it.

summarize("hnerv", Clip())                     one line of the list
print(render(describe("hnerv", Clip())))       the card
"""

from inrcodec._model_card._boxes import ASCII, UNICODE, short_number
from inrcodec._model_card._facts import (
    Clip,
    ModelCard,
    ModelSummary,
    describe,
    device_text,
    summarize,
)
from inrcodec._model_card._steps import Drawing, Step, draw_steps
from inrcodec._model_card._text import render

__all__ = [
    "ASCII",
    "UNICODE",
    "Clip",
    "Drawing",
    "ModelCard",
    "ModelSummary",
    "Step",
    "describe",
    "device_text",
    "draw_steps",
    "render",
    "short_number",
    "summarize",
]
