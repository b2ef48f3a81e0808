"""Framing: signature, version, sections and index, one refusal for each way to be wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inrcodec.bitstream import InrFile
from inrcodec.errors import BitstreamError

Sections = list[tuple[bytes, bytes]]
Join = Callable[[Sections], bytes]


@pytest.fixture(scope="module")
def sections(real_file: bytes, split_file: Callable[[bytes], Sections]) -> Sections:
    """HEAD, INDX, two SEGM, one AUDI."""
    found = split_file(real_file)
    assert [kind for kind, _ in found] == [b"HEAD", b"INDX", b"SEGM", b"SEGM", b"AUDI"]
    return found


def read_all(data: bytes) -> list[bytes]:
    """Every payload, as a player of the whole file reads them."""
    with InrFile(data) as file:
        segments = [file.segment(i) for i in range(len(file.header.segments))]
        return segments + [file.audio(i) for i in range(file.header.num_audio_streams)]


def refusal(data: bytes) -> str:
    with pytest.raises(BitstreamError) as caught:
        read_all(data)
    return str(caught.value)


def test_payloads_come_back(real_file: bytes, sections: Sections, join_file: Join) -> None:
    assert join_file(sections) == real_file
    assert read_all(real_file) == [payload for _, payload in sections[2:]]


def test_sizes_are_those_of_the_file(real_file: bytes, sections: Sections) -> None:
    with InrFile(real_file) as file:
        sizes = list(file.sizes())
        assert file.num_bytes == len(real_file)
        assert file.audio_bytes == len(sections[4][1]) + 12 + 4  # framing, index entry
    names = ["header", "index", "segment", "segment", "audio", "framing"]
    assert [name for name, _ in sizes] == names
    assert [size for _, size in sizes[:5]] == [len(payload) for _, payload in sections]
    assert sum(size for _, size in sizes) == len(real_file)


def test_a_path_and_its_bytes_read_alike(real_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.inr"
    path.write_bytes(real_file)
    for source in (path, str(path)):
        with InrFile(source) as file:
            assert file.name == str(path)
            assert file.segment(1) == read_all(real_file)[1]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.inr"):
        InrFile(tmp_path / "nothing.inr")


@pytest.mark.parametrize(
    "start",
    [b"", b"\x89IN", b"\0" * 8, b"\x89PNG\r\n\x1a\n", b"\x89INR\n\x1a\n\0", b"\x89inr\r\n\x1a\n"],
    ids=["empty", "short", "zeros", "PNG", "line ends converted", "lower case"],
)
def test_signature(start: bytes, real_file: bytes) -> None:
    assert "not an .inr file: starts with" in refusal(start + (real_file[8:] if start else b""))


def test_end_in_the_preamble(real_file: bytes) -> None:
    assert "file ends after 9 bytes, in its preamble" in refusal(real_file[:9])


@pytest.mark.parametrize("version", [0, 5, 256, 65535])
def test_version(version: int, real_file: bytes) -> None:
    data = real_file[:8] + struct.pack("<H", version) + real_file[10:]
    assert f"format version is {version}, this decoder knows 1 to 4" in refusal(data)


@pytest.mark.parametrize("at", range(5))
def test_crc(at: int, sections: Sections, real_file: bytes) -> None:
    end = 10 + sum(len(payload) + 12 for _, payload in sections[: at + 1])
    damaged = bytearray(real_file)
    damaged[end - 1] ^= 1
    kind = sections[at][0].decode()
    assert f"section {kind} is damaged: its CRC-32 does not match" in refusal(bytes(damaged))


@pytest.mark.parametrize("at", range(5))
def test_payload(at: int, sections: Sections, real_file: bytes) -> None:
    start = 10 + sum(len(payload) + 12 for _, payload in sections[:at]) + 8
    damaged = bytearray(real_file)
    damaged[start + len(sections[at][1]) // 2] ^= 0x40
    kind = sections[at][0].decode()
    assert f"section {kind} is damaged: its CRC-32 does not match" in refusal(bytes(damaged))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([1, 0, 2, 3, 4], "found section b'INDX' where HEAD should begin"),
        ([0, 2, 1, 3, 4], "found section b'SEGM' where INDX should begin"),
        ([0, 2, 3, 4], "found section b'SEGM' where INDX should begin"),
        ([0, 0, 1, 2, 3, 4], "found section b'HEAD' where INDX should begin"),
        ([1, 2, 3, 4], "found section b'INDX' where HEAD should begin"),
        ([0], "file ends where section INDX should begin"),
        ([], "file ends where section HEAD should begin"),
        ([0, 1, 2, 3], "its index says"),
        ([0, 1, 2, 3, 4, 4], "its index says"),
    ],
    ids=[
        "index first",
        "index after a segment",
        "no index",
        "two headers",
        "no header",
        "header alone",
        "nothing",
        "no audio",
        "audio twice",
    ],
)
def test_order(order: list[int], words: str, sections: Sections, join_file: Join) -> None:
    assert words in refusal(join_file([sections[i] for i in order]))


@pytest.mark.parametrize(
    ("at", "kind", "words"),
    [
        (2, b"AUDI", "found section b'AUDI' where SEGM should begin"),
        (4, b"SEGM", "found section b'SEGM' where AUDI should begin"),
        (3, b"segm", "found section b'segm' where SEGM should begin"),
        (3, b"\xff\0\r\n", r"where SEGM should begin"),
    ],
)
def test_type(at: int, kind: bytes, words: str, sections: Sections, join_file: Join) -> None:
    changed = list(sections)
    changed[at] = (kind, sections[at][1])
    assert words in refusal(join_file(changed))


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 12, b"SEGM\0\0\0\0", b"\x89INR\r\n\x1a\n\x01\0"])
def test_trailing_bytes(extra: bytes, real_file: bytes) -> None:
    assert f"file has {len(real_file) + len(extra)} bytes, its index says" in refusal(
        real_file + extra
    )


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 1 << 22])
@pytest.mark.parametrize("at", range(5))
def test_length_beyond_the_file(at: int, length: int, sections: Sections, real_file: bytes) -> None:
    start = 10 + sum(len(payload) + 12 for _, payload in sections[:at])
    data = real_file[: start + 4] + struct.pack("<I", length) + real_file[start + 8 :]
    words = refusal(data)
    assert f"section {sections[at][0].decode()} claims {length} bytes" in words


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("at", range(5))
def test_length_too_small(at: int, length: int, sections: Sections, real_file: bytes) -> None:
    start = 10 + sum(len(payload) + 12 for _, payload in sections[:at])
    data = real_file[: start + 4] + struct.pack("<I", length) + real_file[start + 8 :]
    assert f"section {sections[at][0].decode()} is damaged" in refusal(data)


def _with_index(sections: Sections, lengths: list[int]) -> Sections:
    index = struct.pack(f"<{len(lengths)}I", *lengths)
    return [sections[0], (b"INDX", index), *sections[2:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, b, c: [a + 1, b, c], "its index says"),
        (lambda a, b, c: [a, b, c - 1], "its index says"),
        (lambda a, b, c: [a, b, 0xFFFFFFFF], "its index says"),
        (lambda a, b, c: [a + 1, b - 1, c], "section has"),
        (lambda a, b, c: [a - 1, b + 1, c], "section SEGM claims"),
        (lambda a, b, c: [a, b], "index has 8 bytes, must have 12"),
        (lambda a, b, c: [], "index has 0 bytes, must have 12"),
        (lambda a, b, c: [a, b, c, 0], "section INDX claims 16 bytes, must be <= 12"),
    ],
    ids=[
        "too long",
        "too short",
        "huge",
        "shifted up",
        "shifted down",
        "entry missing",
        "empty",
        "entry too many",
    ],
)
def test_index(
    change: Callable[..., list[int]], words: str, sections: Sections, join_file: Join
) -> None:
    lengths = [len(payload) for _, payload in sections[2:]]
    assert words in refusal(join_file(_with_index(sections, change(*lengths))))


def test_index_of_part_of_a_value(sections: Sections, join_file: Join) -> None:
    changed = [sections[0], (b"INDX", sections[1][1][:-1]), *sections[2:]]
    assert "index has 11 bytes, must have 12" in refusal(join_file(changed))


def test_a_damaged_segment_leaves_the_others(real_file: bytes, sections: Sections) -> None:
    start = 10 + sum(len(payload) + 12 for _, payload in sections[:2]) + 8
    damaged = bytearray(real_file)
    damaged[start + 20] ^= 1
    with InrFile(bytes(damaged)) as file:
        with pytest.raises(BitstreamError, match=r"<bytes>: section SEGM is damaged"):
            file.segment(0)
        assert file.segment(1) == sections[3][1]
        assert file.audio(0) == sections[4][1]


def test_segments_are_read_by_several_threads(real_file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.inr").write_bytes(real_file)
    with InrFile(tmp_path / "a.inr") as file:
        count = len(file.header.segments)
        expected = [file.segment(i) for i in range(count)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(file.segment, [i % count for i in range(200)]))
        assert file._file.tell() == file._offsets[0]  # where it was: nobody moves it
    assert found == [expected[i % count] for i in range(200)]
