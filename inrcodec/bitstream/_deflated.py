"""The header's bytes from format version 4 on: raw DEFLATE that knows the words of a header.

In: a msgpack map. Out: its code, and back within the bounds of `docs/bitstream.md`.
"""

from __future__ import annotations

import zlib

from inrcodec.errors import BitstreamError

_WINDOW_BITS = -15  # the largest window; DEFLATE without a frame (RFC 1951)
_FREE_BYTES, _BYTES_PER_BYTE = 1 << 14, 8
MAX_HEADER_BYTES = 1 << 24
"""Most bytes of a header, deflated or not."""

# What stands in the window before the first byte: pieces of headers, the usual one last.
DICTIONARY = bytes.fromhex(
    """
    a8726f746174696f6e5aa3736172920403a5636f6c6f729401010100a5636f6c6f729406060600a5617564696f01
    a974696d655f626173659201cd03e8a974696d655f626173659201ce00015f90a974696d655f626173659201cd75
    30a366707392cd7530cd03e9a366707392cd5dc0cd03e9a3667073921e01a3667073923c01a3667073923201a366
    7073921801ab626c6f636b5f7769647468aa686561645f7769647468a770655f62617365a970655f6c6576656c73
    ad74696d655f6368616e6e656c73ae646f75626c65645f737461676573aa677269645f7374657073aa6e65696768
    626f757273a667726f757073aa626173655f7374657073ab6c6f63616c5f7374657073ad677269645f6368616e6e
    656c73a56465707468a9657870616e73696f6eaf6d61785f6b65726e656c5f73697a65ac706c61696e5f73746167
    6573ab6b65726e656c5f73697a65aa7374656d5f7769647468b0686561645f6b65726e656c5f73697a65a5626c6f
    636ba56d6f64656ca5656e657276a56d6f64656cab656e6572762d626f6f7374a56d6f64656ca666666e657276a5
    6d6f64656ca668696e657276a56d6f64656ca5686e657276a56d6f64656cab686e6572762d626f6f7374a56d6f64
    656cad686e65727670702d626f6f7374a56d6f64656ca46e657276a56d6f64656caa6e6572762d626f6f7374a56d
    6f64656ca66e6572767070a56d6f64656cab6e65727670702d7265706f86a473697a6592cd0780cd0438a974696d
    655f626173659201cd3200a3667073921901a37074739300cd0258cd0200a56d6f64656ca7686e6572767070a873
    65676d656e74739192cd025889a7737472696465739402020202a86368616e6e656c73951830303030b2656d6265
    6464696e675f6368616e6e656c7304af6d696e5f6b65726e656c5f73697a6503ab686561645f73747269646502ac
    67617465645f73746167657308a66d6f74696f6e01a66d617267696e10ac706c61696e5f73746167657300
    """
)


def deflate(data: bytes) -> bytes:
    """Return the code of a header, in no fewer bytes than a file may expand."""
    for level in (zlib.Z_BEST_COMPRESSION, zlib.Z_NO_COMPRESSION):
        packer = zlib.compressobj(level, zlib.DEFLATED, _WINDOW_BITS, zdict=DICTIONARY)
        code = packer.compress(data) + packer.flush()
        if len(data) <= _most_bytes(len(code)):
            break
    return code


def inflate(code: bytes) -> bytes:
    """Return what `deflate` had.

    Raises:
        BitstreamError: the code is no whole one, or expands too much.
    """
    most = _most_bytes(len(code))
    unpacker = zlib.decompressobj(_WINDOW_BITS, zdict=DICTIONARY)
    try:
        data = unpacker.decompress(code, most + 1)
    except zlib.error as exc:
        raise BitstreamError(f"header is no DEFLATE stream: {exc}") from exc
    if len(data) > most:
        raise BitstreamError(f"header of {len(code)} bytes expands to more than {most}")
    if not unpacker.eof or unpacker.unused_data:
        raise BitstreamError("header is not one whole DEFLATE stream")
    return data


def _most_bytes(code_bytes: int) -> int:
    return min(MAX_HEADER_BYTES, _FREE_BYTES + _BYTES_PER_BYTE * code_bytes)
