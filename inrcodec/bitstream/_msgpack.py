"""Hostile msgpack: one map, whose long lists are read item by item, all else within bounds.

In: bytes. Out: the map's fields, or a `BitstreamError`. Nothing is made of a length that is only
claimed, nor a list of Python's integers, which take 40 bytes each, where they may be many.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import BitstreamError

MAX_PTS = 1 << 62
_MAX_LENGTH = 256  # of an array that is no long list; keys of a map
_MAX_PARTS = 1 << 20
_BLOCK = 1 << 14  # integers at once


@dataclass(frozen=True)
class LongList:
    """What a value of the map may be, if it is a list of more than a few items."""

    most: int  # items
    rule: str  # for messages
    integers: str = ""  # what each is, in messages, if all are integers within +-2**62


def unpack_map(data: bytes, what: str, long_lists: Mapping[str, LongList]) -> dict[str, object]:
    """Unpack a map with text keys: bounded sizes, no extension types.

    Args:
        data: the map, and nothing else.
        what: it is, for messages.
        long_lists: by key. Those of integers come as `(n,)` int64.

    Raises:
        BitstreamError: it is not one well-formed map within the bounds.
    """
    num_parts = 0

    def count(parts: int) -> None:
        nonlocal num_parts
        num_parts += parts
        if num_parts > _MAX_PARTS:
            raise ValueError(f"more than {_MAX_PARTS} arrays, maps and items")

    def listed(items: list[object]) -> list[object]:
        count(1 + len(items))
        return items

    def mapped(items: list[tuple[object, object]]) -> dict[str, object]:
        count(1 + len(items))
        return _pairs(items)

    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=True,
        max_buffer_size=max(1, len(data)),
        max_array_len=_MAX_LENGTH,
        max_map_len=_MAX_LENGTH,
        max_ext_len=0,
        object_pairs_hook=mapped,
        list_hook=listed,
        ext_hook=_no_extension,
    )
    unpacker.feed(data)
    try:
        fields = _fields(unpacker, what, long_lists)
        if unpacker.tell() != len(data):
            raise ValueError(f"{len(data) - unpacker.tell()} bytes too many")
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as exc:
        reason = str(exc) or type(exc).__name__
        raise BitstreamError(f"{what} is not well-formed msgpack: {reason[:80]}") from exc
    return fields


def check_integer(value: object, what: str, low: int, high: int) -> int:
    """Return `value` if it is an integer from `low` to `high`.

    Raises:
        BitstreamError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        # Others than numbers may be long, or too deep to print.
        shown = str(value) if isinstance(value, (int, float)) else f"a {type(value).__name__}"
        raise BitstreamError(f"{what} is {shown}, must be an integer {low} to {high}")
    return value


def _fields(
    unpacker: msgpack.Unpacker, what: str, long_lists: Mapping[str, LongList]
) -> dict[str, object]:
    try:
        num_keys = unpacker.read_map_header()
    except ValueError as exc:
        raise BitstreamError(f"{what}: must be a map with text keys") from exc
    if num_keys > _MAX_LENGTH:
        raise ValueError(f"{num_keys} keys, must be up to {_MAX_LENGTH}")
    fields: dict[str, object] = {}
    for _ in range(num_keys):
        key = unpacker.unpack()
        if not isinstance(key, str) or key in fields:
            raise ValueError("keys of a map must be texts, each but once")
        listed = long_lists.get(key)
        fields[key] = unpacker.unpack() if listed is None else _items(unpacker, what, listed)
    return fields


def _items(
    unpacker: msgpack.Unpacker, what: str, listed: LongList
) -> list[object] | NDArray[np.int64]:
    try:
        count = unpacker.read_array_header()
    except ValueError as exc:
        raise BitstreamError(f"{what}: {listed.rule}") from exc
    if count > listed.most:
        raise BitstreamError(f"{what}: {listed.rule}")
    if listed.integers:
        return _integers(unpacker, count, f"{what}: {listed.integers}")
    return _take(unpacker, count)


def _integers(unpacker: msgpack.Unpacker, count: int, what: str) -> NDArray[np.int64]:
    values = np.empty(count, np.int64)
    for begin in range(0, count, _BLOCK):
        block: list[Any] = _take(unpacker, min(_BLOCK, count - begin))
        # As fast as Python admits: there may be millions.
        if set(map(type, block)) != {int} or min(block) < -MAX_PTS or max(block) > MAX_PTS:
            for value in block:
                check_integer(value, what, -MAX_PTS, MAX_PTS)
        values[begin : begin + len(block)] = array("q", block)
    return values


def _take(unpacker: msgpack.Unpacker, count: int) -> list[object]:
    items: list[object] = list(islice(unpacker, count))
    if len(items) < count:
        raise ValueError("it ends within a list")
    return items


def _pairs(items: list[tuple[object, object]]) -> dict[str, object]:
    fields = dict(items)
    if len(fields) < len(items) or not all(isinstance(key, str) for key in fields):
        raise ValueError("keys of a map must be texts, each but once")
    return fields  # type: ignore[return-value]


def _no_extension(code: int, data: bytes) -> object:
    raise ValueError(f"extension type {code}")
