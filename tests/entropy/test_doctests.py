"""The examples in the docstrings of coder, bitstream and quantiser."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import inrcodec.bitstream
import inrcodec.entropy
import inrcodec.quantization

ROOMS = (inrcodec.entropy, inrcodec.bitstream, inrcodec.quantization)
MODULES = [
    f"{room.__name__}.{module.name}"
    for room in ROOMS
    for module in pkgutil.iter_modules(room.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_coder_and_format_have_examples() -> None:
    attempted = {n: doctest.testmod(importlib.import_module(n)).attempted for n in MODULES}
    for module in (
        "entropy._rans",
        "entropy._mixture",
        "bitstream._varint",
        "quantization._uniform",
    ):
        assert attempted[f"inrcodec.{module}"] > 0, module
