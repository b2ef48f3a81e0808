"""Entropy coding: integer probability models and a coder that knows nothing of them.

The models (`MixtureModel`) turn a few stored integers into a table of 16-bit frequencies by
integer arithmetic alone; `MagnitudeContext` says which table suits a value by those before it; the
coder is CompressAI's rANS (`rans_compress`, `rans_decompress`, `RansReader`), or one of many
interleaved states (`interleaved_compress`, `InterleavedReader`). Side information goes through
a small coder of its own (`ValueWriter`, `ValueReader`).
"""

from inrcodec.entropy._context import MAX_GAIN, NUM_LEVELS, MagnitudeContext
from inrcodec.entropy._interleaved import InterleavedReader, interleaved_compress
from inrcodec.entropy._mixture import MAX_ALPHABET, TABLE_BITS, MixtureModel
from inrcodec.entropy._mixture_fit import empirical_entropy_bits, fit_mixture
from inrcodec.entropy._rans import (
    RansReader,
    num_entries,
    rans_compress,
    rans_decompress,
    table_sizes,
)
from inrcodec.entropy._values import (
    MAX_VALUE_BITS,
    ValueReader,
    ValueWriter,
    from_zigzag,
)

__all__ = [
    "MAX_ALPHABET",
    "MAX_GAIN",
    "MAX_VALUE_BITS",
    "NUM_LEVELS",
    "TABLE_BITS",
    "InterleavedReader",
    "MagnitudeContext",
    "MixtureModel",
    "RansReader",
    "ValueReader",
    "ValueWriter",
    "empirical_entropy_bits",
    "fit_mixture",
    "from_zigzag",
    "interleaved_compress",
    "num_entries",
    "rans_compress",
    "rans_decompress",
    "table_sizes",
]
