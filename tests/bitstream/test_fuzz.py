"""Damage anywhere in a real file, through what a user calls: never unnoticed, never a crash."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

import pytest
import torch

from inrcodec import VideoDecoder
from inrcodec.errors import BitstreamError

Sections = list[tuple[bytes, bytes]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def play(data: bytes, *, last_first: bool = False) -> None:
    """Open a file, read its audio and decode a frame of each segment."""
    with VideoDecoder(data, device="cpu") as video:
        video.audio()
        starts, at = [], 0
        for segment in video.header.segments:
            starts.append(at)
            at += segment.num_frames
        for start in reversed(starts) if last_first else starts:
            frame = video[start]
            assert frame.shape == (3, video.metadata.height, video.metadata.width)
            assert frame.dtype == torch.uint8
        assert video.metadata.num_frames == at


def test_the_file_itself_plays(real_file: bytes) -> None:
    play(real_file)
    assert len(real_file) < 20_000


def test_every_truncation(real_file: bytes) -> None:
    lengths = list(range(min(2000, len(real_file)))) + list(range(2000, len(real_file)))
    if len(real_file) > 6000:
        lengths = lengths[:2000] + lengths[2000::7]
    for length in lengths:
        with pytest.raises(BitstreamError):
            play(real_file[:length])


def test_every_flip_is_noticed(real_file: bytes) -> None:
    rng = random.Random(1)
    middle = len(real_file) // 2
    for _ in range(2000):
        at, mask = rng.randrange(len(real_file)), rng.randrange(1, 256)
        damaged = bytearray(real_file)
        damaged[at] ^= mask
        with pytest.raises(BitstreamError):
            play(bytes(damaged), last_first=at > middle)


def test_bytes_lost_and_inserted(real_file: bytes) -> None:
    rng = random.Random(2)
    for _ in range(300):
        at, count = rng.randrange(len(real_file)), rng.randrange(1, 9)
        with pytest.raises(BitstreamError):
            play(real_file[:at] + real_file[at + count :])
        with pytest.raises(BitstreamError):
            play(real_file[:at] + rng.randbytes(count) + real_file[at:])


def test_damage_under_good_crcs(
    real_file: bytes,
    split_file: Callable[[bytes], Sections],
    join_file: Callable[[Sections], bytes],
) -> None:
    rng = random.Random(3)
    refusals = []
    for _ in range(500):
        sections = split_file(real_file)
        # Half of the damage to headers and side information, the rest anywhere.
        at = rng.randrange(len(sections))
        kind, payload = sections[at]
        most = len(payload) if rng.random() < 0.5 else min(len(payload), 150)
        damaged = bytearray(payload)
        damaged[rng.randrange(most)] ^= 1 << rng.randrange(8)
        sections[at] = (kind, bytes(damaged))
        try:
            play(join_file(sections), last_first=at == 3)
        except BitstreamError as exc:
            refusals.append(str(exc))
    assert 100 < len(refusals) < 500
    assert all(10 < len(words) < 400 for words in refusals)


def test_lengths_under_good_crcs(
    real_file: bytes,
    split_file: Callable[[bytes], Sections],
    join_file: Callable[[Sections], bytes],
) -> None:
    # A section that is shorter or longer than it was, with an index that agrees.
    rng = random.Random(4)
    for _ in range(150):
        sections = split_file(real_file)
        at = rng.choice((0, 2, 3, 4))
        kind, payload = sections[at]
        cut = rng.randrange(len(payload))
        payload = payload[:cut] if rng.random() < 0.5 else payload + rng.randbytes(1 + cut % 9)
        sections[at] = (kind, payload)
        lengths = [len(part) for _, part in sections[2:]]
        sections[1] = (b"INDX", struct.pack(f"<{len(lengths)}I", *lengths))
        with pytest.raises(BitstreamError):
            play(join_file(sections), last_first=at == 3)
