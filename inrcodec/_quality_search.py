"""The smallest file that reaches a PSNR: fits of different sizes, each coded as coarsely as it may.

In: a PSNR, and functions that fit and measure. Out: the smallest file found that reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from inrcodec._rounds import EncodedVideo, UncodableError
from inrcodec.errors import ModelSizeError, RateError, TimeError

MAX_ROUNDS = 4
_DB_A_DOUBLING = 2.5  # what twice the bytes are worth, nearly
_DB_A_DOUBLING_OF_STEPS = 1.0  # a fit that ended early at the goal could have had so much more
_MAX_STEP = 4.0
_MAX_SIZES = 16
_CLOSE = 1.12  # sizes nearer than this are not worth another fit
_RECODES = 5
_RECODES_RESERVED = 3  # times what one takes: for itself, and for checking the file
_COARSEST = 0.6  # of the bytes that the fit was made for


def search_quality(
    goal_db: float,
    num_bytes: int,
    *,
    encode: Callable[[int, int], EncodedVideo],
    psnr_db: Callable[[EncodedVideo], float],
    seconds_left: Callable[[], float],
) -> EncodedVideo:
    """Return the smallest coded clip found whose PSNR is at least `goal_db`.

    Args:
        goal_db: mean RGB PSNR in dB.
        num_bytes: size of the first try.
        encode: fits round i of at most `MAX_ROUNDS` to a number of bytes.
        psnr_db: measures what decodes.
        seconds_left: until the file must be written and checked.

    Raises:
        RateError: no round reached it; says the best PSNR and its bytes.
        TimeError: there was no time for a fit.
        ModelSizeError: no network is as large as the first try.
    """
    num_bytes = max(num_bytes, 1)  # a bit of a few pixels is none
    best: EncodedVideo | None = None
    reached = (-math.inf, 0)
    too_small, enough = 0.0, math.inf
    round_index = 0
    refusal: RateError | None = None
    for _ in range(_MAX_SIZES):
        try:
            encoded = encode(round_index, num_bytes)
        except RateError as exc:
            # Where no network is so small nothing was fitted, so that is no round.
            round_index += isinstance(exc, UncodableError)
            refusal = exc
            too_small = max(too_small, num_bytes)
            if enough <= _CLOSE * too_small or round_index == MAX_ROUNDS:
                break
            num_bytes = _next_size(num_bytes, math.inf, too_small, enough)
            continue
        except (TimeError, ModelSizeError):  # no time is left, or no network is so large
            if round_index == 0:
                raise
            break
        round_index += 1
        found_db = psnr_db(encoded)
        reached = max(reached, (found_db, encoded.video_bytes))
        if found_db >= goal_db:
            enough = min(enough, num_bytes)
            encoded = _coarsen(encoded, goal_db, psnr_db, seconds_left)
            if best is None or encoded.video_bytes < best.video_bytes:
                best = encoded
        else:
            too_small = max(too_small, num_bytes)
        if enough <= _CLOSE * too_small or round_index == MAX_ROUNDS:
            break
        missing_db = goal_db - found_db
        if missing_db <= 0:
            missing_db -= _DB_A_DOUBLING_OF_STEPS * encoded.unused_octaves
        num_bytes = _next_size(num_bytes, missing_db, too_small, enough)
    if best is None and reached[1] == 0 and refusal is not None:
        raise RateError(f"PSNR {goal_db} dB was not reached: {refusal}") from refusal
    if best is None:
        raise RateError(
            f"PSNR {goal_db} dB was not reached: {reached[0]:.2f} dB at {reached[1]} bytes is the "
            f"best of {round_index} fits; allow more time or epochs"
        )
    return best


def _next_size(num_bytes: int, missing_db: float, too_small: float, enough: float) -> int:
    octaves = math.log2(_MAX_STEP)
    step = 2 ** min(max(missing_db / _DB_A_DOUBLING, -octaves), octaves)
    step = max(step, _CLOSE) if missing_db > 0 else min(step, 1 / _CLOSE)
    size = num_bytes * step
    if not too_small < size < enough:
        size = math.sqrt(max(too_small, 1) * enough)
    return int(size)


def _coarsen(
    encoded: EncodedVideo,
    goal_db: float,
    psnr_db: Callable[[EncodedVideo], float],
    seconds_left: Callable[[], float],
) -> EncodedVideo:
    """Code the same fit in the fewest bytes that still reach the goal, while there is time."""
    full_bytes = encoded.video_bytes
    low, high = _COARSEST, 1.0
    longest = 0.0
    for _ in range(_RECODES):
        before = seconds_left()
        if before < _RECODES_RESERVED * longest:
            break
        middle = (low + high) / 2
        try:
            candidate = encoded.recode(int(full_bytes * middle))
        except RateError:
            break
        if psnr_db(candidate) >= goal_db:
            high, encoded = middle, candidate
        else:
            low = middle
        if math.isfinite(before):
            longest = max(longest, before - seconds_left())
    return encoded
