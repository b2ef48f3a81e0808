"""The header: what it keeps, and one refusal for every way in which a field can be wrong."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgpack
import pytest

from inrcodec.bitstream import Header, InrFile, SegmentInfo, TimeStamps
from inrcodec.bitstream._deflated import DICTIONARY, deflate, inflate
from inrcodec.errors import BitstreamError

Sections = list[tuple[bytes, bytes]]

GOOD: dict[str, Any] = {
    "size": [64, 48],
    "time_base": [1, 12800],
    "fps": [25, 1],
    "pts": [0, 5, 512],
    "model": "hnerv",
    "segments": [[2, {"strides": [4, 2]}], [3, {}]],
}
MISSING = object()
HUGE = 1 << 63


def read(**changes: object) -> Header:
    fields = {**GOOD, **changes}
    return Header.from_map(
        msgpack.packb({key: value for key, value in fields.items() if value is not MISSING})
    )


def refusal(data: bytes) -> str:
    with pytest.raises(BitstreamError) as caught:
        Header.from_map(data)
    return str(caught.value)


HEADER = Header(
    width=64,
    height=48,
    time_base=Fraction(1, 12800),
    average_fps=Fraction(25),
    timestamps=TimeStamps(0, ((5, 512),)),
    model="hnerv",
    segments=(SegmentInfo(2, {"strides": [4, 2]}), SegmentInfo(3, {})),
)


def test_fields_are_what_was_written() -> None:
    assert read() == HEADER
    assert HEADER.num_frames == 5


def test_defaults_are_left_out() -> None:
    assert msgpack.unpackb(inflate(HEADER.to_bytes())) == GOOD


def test_round_trip_of_every_field() -> None:
    header = replace(
        HEADER,
        width=1 << 14,
        height=1 << 12,
        time_base=Fraction(1 << 31, 999),
        average_fps=Fraction(30000, 1001),
        timestamps=TimeStamps(-7, ((1, 3), (4, 1 << 40))),
        model="x" * 64,
        color=(9, 16, 9, 1),
        sample_aspect_ratio=Fraction(12, 11),
        rotation=270,
        num_audio_streams=64,
    )
    assert Header.from_bytes(header.to_bytes()) == header


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        # size
        ("size", MISSING, "field 'size' is missing"),
        ("size", None, "'size' must be a list"),
        ("size", 64, "'size'"),
        ("size", [64], "'size' has 1 values, must have 2"),
        ("size", [64, 48, 3], "'size' has 3 values, must have 2"),
        ("size", {"w": 64}, "'size'"),
        ("size", "64x48", "'size'"),
        ("size", [64.0, 48], "'size' is 64.0, must be an integer 1 to 16384"),
        ("size", [True, 48], "'size' is True, must be an integer 1 to 16384"),
        ("size", ["64", 48], "'size' is a str, must be an integer 1 to 16384"),
        ("size", [64, [48]], "'size' is a list, must be an integer"),
        ("size", [0, 48], "'size' is 0, must be an integer 1 to 16384"),
        ("size", [64, -1], "'size' is -1, must be an integer 1 to 16384"),
        ("size", [64, 16385], "'size' is 16385, must be an integer 1 to 16384"),
        ("size", [HUGE, 48], "'size' is 9223372036854775808, must be"),
        ("size", [1 << 14, 4097], "16384x4097 is over 67108864 pixels"),
        # time_base
        ("time_base", MISSING, "field 'time_base' is missing"),
        ("time_base", 0.04, "'time_base'"),
        ("time_base", [1, 2, 3], "'time_base' has 3 values, must have 2"),
        ("time_base", [0, 25], "'time_base' is 0, must be an integer 1 to 2147483648"),
        ("time_base", [1, 0], "'time_base' is 0, must be an integer 1 to 2147483648"),
        ("time_base", [1, (1 << 31) + 1], "'time_base' is 2147483649, must be"),
        ("time_base", [1.0, 25], "'time_base' is 1.0, must be an integer"),
        # fps
        ("fps", MISSING, "field 'fps' is missing"),
        ("fps", 25, "'fps'"),
        ("fps", [25, 0], "'fps' is 0, must be an integer"),
        ("fps", [-25, 1], "'fps' is -25, must be an integer"),
        ("fps", [HUGE, 1], "'fps' is 9223372036854775808, must be an integer"),
        # pts
        ("pts", MISSING, "field 'pts' is missing"),
        ("pts", [], "'pts'"),
        ("pts", [0], "'pts' must be a start and pairs of positive integers"),
        ("pts", 0, "'pts'"),
        ("pts", [0, 5], "'pts' must be a start and pairs of positive integers"),
        ("pts", [0, 5, 512, 1], "'pts' must be a start and pairs of positive integers"),
        ("pts", [0, 5, 0], "'pts' must be a start and pairs of positive integers"),
        ("pts", [0, 5, -512], "'pts' must be a start and pairs of positive integers"),
        ("pts", [0, 5, 1, 0, 1], "'pts' must be a start and pairs of positive integers"),
        ("pts", [0.5, 5, 512], "'pts' is 0.5, must be an integer"),
        ("pts", [0, "5", 512], "'pts' is a str, must be an integer"),
        ("pts", [0, [5], 512], "'pts' is a list, must be an integer"),
        ("pts", [0, True, 512], "'pts' is True, must be an integer"),
        ("pts", None, "'pts' must list up to 2097153 integers"),
        ("pts", {}, "'pts' must list up to 2097153 integers"),
        ("pts", [0] * ((1 << 21) + 3), "'pts' must list up to 2097153 integers"),
        ("pts", [0, 4, 512], "'pts' are of 4 frames, segments of 5"),
        ("pts", [0, 6, 512], "'pts' are of 6 frames, segments of 5"),
        ("pts", [0, 1 << 62, 1], "'pts' are of 4611686018427387904 frames, segments of 5"),
        ("pts", [HUGE, 5, 512], "'pts' is 9223372036854775808, must be an integer"),
        ("pts", [-HUGE, 5, 512], "'pts' is -9223372036854775808, must be an integer"),
        ("pts", [0, 5, 1 << 62], r"'pts' run over 2\*\*62"),
        # model
        ("model", MISSING, "field 'model' is missing"),
        ("model", "", "'model' must be a text of 1 to 64 characters"),
        ("model", "x" * 65, "'model' must be a text of 1 to 64 characters"),
        ("model", b"hnerv", "'model' must be a text of 1 to 64 characters"),
        ("model", 3, "'model' must be a text of 1 to 64 characters"),
        # segments
        ("segments", MISSING, "field 'segments' is missing"),
        ("segments", {}, "'segments' must list 1 to 65536 segments"),
        ("segments", 5, "'segments' must list 1 to 65536 segments"),
        ("segments", [], "'segments' must list 1 to 65536 segments"),
        ("segments", None, "'segments' must list 1 to 65536 segments"),
        ("segments", [[1, {}]] * 65537, "'segments' must list 1 to 65536 segments"),
        ("segments", [5], r"a segment must be \[num_frames, hyper-parameters\]"),
        ("segments", [[5]], r"a segment must be \[num_frames, hyper-parameters\]"),
        ("segments", [[5, {}, 1]], r"a segment must be \[num_frames, hyper-parameters\]"),
        ("segments", [[5, []]], r"a segment must be \[num_frames, hyper-parameters\]"),
        ("segments", [[0, {}], [5, {}]], "a segment's frames is 0, must be an integer 1 to"),
        ("segments", [[-1, {}], [6, {}]], "a segment's frames is -1, must be an integer 1 to"),
        ("segments", [[5.0, {}]], "a segment's frames is 5.0, must be an integer 1 to 1048576"),
        ("segments", [[(1 << 20) + 1, {}]], "a segment's frames is 1048577, must be an integer"),
        ("segments", [[1 << 20, {}], [1, {}]], "1048577 frames, must be <= 1048576"),
        # color
        ("color", 1, "'color'"),
        ("color", None, "'color' must be a list"),
        ("color", [1, 1, 1], "'color' has 3 values, must have 4"),
        ("color", [1, 1, 256, 0], "'color' is 256, must be an integer 0 to 255"),
        ("color", [-1, 1, 1, 0], "'color' is -1, must be an integer 0 to 255"),
        ("color", [1, 1, 1, False], "'color' is False, must be an integer"),
        ("color", [1, 1, 1, 2], "'color'.* 0 (to|or) 1"),
        # sar
        ("sar", None, "'sar' must be a list"),
        ("sar", [1], "'sar' has 1 values, must have 2"),
        ("sar", [0, 1], "'sar' is 0, must be an integer 1 to 2147483648"),
        ("sar", [1, 0], "'sar' is 0, must be an integer 1 to 2147483648"),
        # rotation
        ("rotation", -90, "'rotation' is -90, must be an integer 0 to 359"),
        ("rotation", None, "'rotation' is a NoneType, must be an integer 0 to 359"),
        ("rotation", 360, "'rotation' is 360, must be an integer 0 to 359"),
        ("rotation", 90.0, "'rotation' is 90.0, must be an integer 0 to 359"),
        ("rotation", [90, 0], "'rotation'"),
        ("rotation", [90], "'rotation'"),
        # audio
        ("audio", -1, "'audio' is -1, must be an integer 0 to 64"),
        ("audio", 65, "'audio' is 65, must be an integer 0 to 64"),
        ("audio", None, "'audio' is a NoneType, must be an integer 0 to 64"),
        ("audio", "1", "'audio' is a str, must be an integer 0 to 64"),
        ("audio", [1], "'audio'"),
        # others
        ("comment", "hello", "unknown field 'comment'"),
        ("x" * 3000, 1, "unknown field 'x{64}'"),
    ],
)
def test_refusal(field: str, value: object, words: str) -> None:
    with pytest.raises(BitstreamError, match=f"^header: .*{words}"):
        read(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("color", [2, 2, 2, 0]), ("sar", [1, 1]), ("rotation", 0), ("audio", 0)],
)
def test_a_default_must_be_left_out(field: str, value: object) -> None:
    with pytest.raises(BitstreamError, match=f"'{field}'"):
        read(**{field: value})


def test_the_value_in_a_message_is_short() -> None:
    assert len(refusal(msgpack.packb({**GOOD, "rotation": "x" * 100_000}))) < 200
    assert len(refusal(msgpack.packb({**GOOD, "y" * 100_000: 1}))) < 200


def test_a_value_too_deep_to_print() -> None:
    fields = msgpack.packb({**GOOD, "rotation": 0})
    deep = b"\x91" * 1000 + b"\0"
    assert "'rotation' is a list, must be an integer" in refusal(fields[:-1] + deep)


def test_a_header_takes_few_bytes() -> None:
    assert len(HEADER.to_bytes()) < len(msgpack.packb(GOOD)) / 2
    assert Header.from_bytes(msgpack.packb(GOOD), version=3) == HEADER  # as it was


def deflated(data: bytes, *, level: int = 9, **options: Any) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, **options)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"", "not one whole DEFLATE stream"),
        (b"\xff" * 40, "no DEFLATE stream"),
        (msgpack.packb(GOOD), "DEFLATE stream"),
        (deflate(msgpack.packb(GOOD))[:-1], "not one whole DEFLATE stream"),
        (deflate(msgpack.packb(GOOD)) + b"\0", "not one whole DEFLATE stream"),
        (deflated(bytes(1 << 20)), "expands to more than"),
        (deflated(bytes((1 << 14) + 8 * 40)), "expands to more than"),  # of 33 bytes
        (deflated(bytes((1 << 24) + 1), level=0), "expands to more than 16777216"),
        (zlib.compress(msgpack.packb(GOOD)), "DEFLATE stream"),  # with a frame
    ],
    ids=lambda told: told if isinstance(told, str) else "code",
)
def test_no_deflated_header(code: bytes, words: str) -> None:
    with pytest.raises(BitstreamError, match=f"header .*{words}"):
        Header.from_bytes(code)


def test_a_header_may_be_deflated_without_the_dictionary() -> None:
    assert Header.from_bytes(deflated(msgpack.packb(GOOD))) == HEADER
    assert len(deflated(msgpack.packb(GOOD), zdict=DICTIONARY)) == len(HEADER.to_bytes())


def test_what_expands_too_much_is_stored() -> None:
    """Every second frame as long as the first: two bytes a frame, 1000 times smaller deflated."""
    runs = ((1, 1), (1, 2)) * (1 << 15)
    header = replace(HEADER, timestamps=TimeStamps(0, runs), segments=(SegmentInfo(1 << 16, {}),))
    code = header.to_bytes()
    assert len(code) > 1 << 17
    assert Header.from_bytes(code) == header


def test_frames_of_all_durations() -> None:
    """The most runs that a file may have."""
    runs = tuple((1, 1 + i % 2) for i in range(1 << 20))
    header = replace(HEADER, timestamps=TimeStamps(-9, runs), segments=(SegmentInfo(1 << 20, {}),))
    assert Header.from_bytes(header.to_bytes()) == header


def test_as_many_keys_as_a_map_may_have() -> None:
    keys = {f"k{i}": i for i in range(256)}
    assert read(segments=[[5, keys]]).segments[0].model_fields == keys
    assert "exceeds max_map_len" in refusal(
        msgpack.packb({**GOOD, "segments": [[5, {**keys, "more": 1}]]})
    )
    assert "keys, must be up to 256" in refusal(msgpack.packb({**GOOD, **keys}))


@pytest.mark.parametrize("value", [[], 1, None, "text", b"HEAD"], ids=repr)
def test_not_a_map(value: object) -> None:
    assert "must be a map with text keys" in refusal(msgpack.packb(value))


@pytest.mark.parametrize("data", [b"\xc1", b"\x91" * 100_000 + b"\0"], ids=["reserved", "deep"])
def test_not_even_a_value(data: bytes) -> None:
    assert "must be a map with text keys" in refusal(data)


@pytest.mark.parametrize("key", [b"comment", 7, None, True], ids=repr)
def test_keys_that_are_not_texts(key: object) -> None:
    assert refusal(msgpack.packb({**GOOD, key: 1})).startswith("header")


@pytest.mark.parametrize("key", [b"strides", 7, None], ids=repr)
def test_keys_of_hyper_parameters_that_are_not_texts(key: object) -> None:
    assert refusal(msgpack.packb({**GOOD, "segments": [[5, {key: 1}]]})).startswith("header")


def test_a_key_twice() -> None:
    good = msgpack.packb(GOOD)
    twice = bytes([good[0] + 1]) + good[1:] + msgpack.packb("fps") + msgpack.packb([30, 1])
    assert refusal(twice).startswith("header")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        msgpack.packb(GOOD)[:-1],
        msgpack.packb(GOOD) + b"\0",
        msgpack.packb(GOOD) * 2,
        b"\x81\xa4size\xc1",
        b"\x81\xa2\xff\xfe\x01",
        msgpack.packb({**GOOD, "x": msgpack.ExtType(5, b"abc")}),
        msgpack.packb({**GOOD, "x": msgpack.Timestamp(5)}),
        b"\x81\xa4size\xdd\xff\xff\xff\xff",
        b"\x81\xa4size\xdf\xff\xff\xff\xff",
        b"\x81\xa5model\xdb\xff\xff\xff\xff",
        b"\x81\xa5model\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4size" + b"\x91" * 100_000 + b"\0",
        b"\x81\xa4size\xdd\x00\x20\x00\x00" + b"\x90" * (1 << 21),
        b"\x81\xa4size\xdd\x00\x20\x00\x00" + b"\x80" * (1 << 21),
        b"\x81\xa4size" * 100_000 + b"\0",
        b"\x81\xa8segments\x91\x92\x05\x81\xa1a" + b"\x91" * 100_000 + b"\0",
    ],
    ids=[
        "empty",
        "cut",
        "trailing byte",
        "two values",
        "reserved byte inside",
        "not UTF-8",
        "extension",
        "time stamp extension",
        "huge array",
        "huge map inside",
        "huge text",
        "huge binary",
        "huge map",
        "deep arrays",
        "many arrays",
        "many maps",
        "deep maps",
        "deep hyper-parameters",
    ],
)
def test_not_well_formed(data: bytes) -> None:
    assert refusal(data).startswith("header is not well-formed msgpack")


def test_an_empty_extension_inside_hyper_parameters() -> None:
    empty = msgpack.ExtType(5, b"")
    assert refusal(msgpack.packb({**GOOD, "segments": [[5, {"a": empty}]]})).startswith("header")


def test_the_file_is_named(
    real_file: bytes,
    split_file: Callable[[bytes], Sections],
    join_file: Callable[[Sections], bytes],
    tmp_path: Any,
) -> None:
    sections = split_file(real_file)
    sections[0] = (b"HEAD", deflate(msgpack.packb({**GOOD, "rotation": 400})))
    path = tmp_path / "turned.inr"
    path.write_bytes(join_file(sections))
    with pytest.raises(BitstreamError, match=r"turned\.inr: header: 'rotation' is 400"):
        InrFile(path)


def test_a_header_of_any_length_that_is_written_can_be_read() -> None:
    # Variable frame rate: two integers a frame, over an hour of video.
    num_frames = 200_000
    header = replace(
        HEADER,
        timestamps=TimeStamps(0, tuple((1, 33 + i % 2) for i in range(num_frames))),
        segments=(SegmentInfo(num_frames, {}),),
    )
    assert Header.from_bytes(header.to_bytes()) == header


@pytest.mark.parametrize(
    "change",
    [
        {"width": 16385},
        {"rotation": -90},
        {"average_fps": Fraction(1 << 40, 3)},
        {"model": ""},
        {"timestamps": TimeStamps(0, ((4, 512),))},
    ],
    ids=["width", "rotation", "fps", "model", "pts"],
)
def test_a_header_that_no_reader_accepts_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(HEADER, **change).to_bytes()
