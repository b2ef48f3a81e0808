"""A ladder: one fit of a clip, then files of several sizes.

In: a source and the sizes wished for. Out: a file and a report for each. Networks are fitted once,
as far as the quantised phase; from there the fit goes on once for every size, through the steps
that this one wants. So a further file costs that phase, and not a fit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inrcodec._fit_task import SharedTime
from inrcodec._job import Encoding
from inrcodec._options import EncodeOptions, check_positive
from inrcodec._presets import BITS_PER_PARAMETER
from inrcodec._report import EncodeReport
from inrcodec._rounds import EncodedVideo, Plan, check_time
from inrcodec.errors import RateError
from inrcodec.fitting import FitResult

_PLACE = "%d"
_MOST_RATIO = 1.75  # of a size over the middle of all, or of that over it: else bits do not suit it
# Of a fit's budget, the least that goes through the quantiser: most files have other bits than the
# network was sized for, and weights need time to get used to few.
_LEAST_PHASE = 0.25


def encode_ladder(
    source: str | Path,
    output: str | Path,
    *,
    sizes_bytes: Sequence[int] | None = None,
    bpps: Sequence[float] | None = None,
    **options: Any,
) -> list[EncodeReport]:
    """Encode a video into `.inr` files of several sizes, by one fit that ends once for each.

    The networks have the same shape in all of them, which suits the middle of the sizes (their
    geometric mean). None may be farther from it than a factor of 1.75, and `encode` gives the same
    bytes a better picture, the more so the farther they are from it.

    Args:
        source: as for `encode`.
        output: the files' path, with `%d` in its name, which stands for the bytes wished for.
        sizes_bytes: of the files on disk, audio included; each is met as `encode` meets one.
            One of `sizes_bytes` and `bpps`.
        bpps: bits per pixel of the files, audio excluded.
        options: all others that `encode` has but its rate. `time_seconds` bounds the whole call;
            without a `qat_fraction` in `fit_settings` at least a quarter of the fit goes through
            the quantiser; `bits_per_parameter` is of the middle of the sizes, 5 unless told.

    Returns:
        A report a file, in the order of the sizes. Its seconds of fit are those that led to this
        file, those that others share with it included.

    Raises:
        RateError: a size is too far from the others.
        TimeError: no time is left to fit.
        As `encode` besides.
    """
    started = time.perf_counter()
    for name, values in {"sizes_bytes": sizes_bytes, "bpps": bpps}.items():
        for value in () if values is None else values:
            check_positive(name, value)
    # Plain numbers, for the checkpoint: NumPy's are welcome too.
    sizes_bytes = None if sizes_bytes is None else [int(size) for size in sizes_bytes]
    bpps = None if bpps is None else [float(bpp) for bpp in bpps]
    wishes = {"sizes_bytes": sizes_bytes, "bpps": bpps}
    wished = [value for value in wishes.values() if value is not None]
    if len(wished) != 1 or not wished[0]:
        raise ValueError("one of sizes_bytes and bpps must be given, with one value or more")
    bits = options.get("bits_per_parameter")
    bits = BITS_PER_PARAMETER if bits is None else bits
    if len(set(wished[0])) < len(wished[0]):
        raise ValueError(f"{list(wished[0])} are wished for, each must be another")
    # Bits are those of the middle: at the lower end they are little more than half as many.
    told = EncodeOptions(**{**options, "bits_per_parameter": bits})
    if (told.fit_settings or {}).get("qat_fraction") == 0:
        raise ValueError("qat_fraction is 0, must be > 0 for a ladder")
    if _PLACE not in Path(output).name:
        raise ValueError(f"output is {str(output)!r}, its name must have {_PLACE} for the bytes")
    encoding = Encoding(
        source,
        Path(output),
        told,
        wishes={name: None if value is None else list(value) for name, value in wishes.items()},
        started=started,
    )
    sizes = [encoding.bytes_of_bpp(bpp) for bpp in bpps or ()]
    sizes += [encoding.bytes_of_size(size) for size in sizes_bytes or ()]
    if min(sizes) < 1:
        raise RateError(f"{min(sizes)} bytes are too few for a file")
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"{list(wished[0])} are wished for, {sizes} bytes: each must be another")
    with encoding.naming_audio():
        _check_range(sizes)
    names = sizes_bytes or sizes
    paths = [Path(output).with_name(Path(output).name.replace(_PLACE, str(n))) for n in names]
    for path in paths:
        encoding.check_target(path)
    _lengthen_phase(encoding)
    encoding.find_motions()
    reports = {}
    with encoding.naming_audio():
        for size, encoded, code_seconds in _rungs(encoding, sizes):
            path = paths[sizes.index(size)]
            reports[size] = encoding.write(encoded, path, code_seconds=code_seconds)
    encoding.session.remove()
    return [reports[size] for size in sizes]


def _check_range(sizes: Sequence[int]) -> None:
    middle = _middle(sizes)
    for size in sizes:
        if not middle / _MOST_RATIO <= size <= middle * _MOST_RATIO:
            raise RateError(
                f"{size} bytes are too far from the middle of all, {middle:.0f}, for one fit: must "
                f"be at most {_MOST_RATIO:g} times as many or as few; make two ladders"
            )


def _middle(sizes: Sequence[int]) -> float:
    return math.exp(sum(map(math.log, sizes)) / len(sizes))


def _lengthen_phase(encoding: Encoding) -> None:
    """Give the quantised phase the time that it needs, unless its length is a wish."""
    settings = encoding.options.fit_settings or {}
    if "qat_fraction" not in settings:
        fit = encoding.job.fit
        phase = max(fit.qat_fraction, _LEAST_PHASE)
        encoding.job = replace(encoding.job, fit=replace(fit, qat_fraction=phase))
        settings = {**settings, "qat_fraction": phase}
        encoding.options = replace(encoding.options, fit_settings=settings)


def _rungs(encoding: Encoding, sizes: Sequence[int]) -> Iterator[tuple[int, EncodedVideo, float]]:
    """Yield the clip coded in each number of bytes, and the seconds that coding took."""
    session, seconds = encoding.session, encoding.options.time_seconds
    middle = _middle(sizes)
    # What they share is fitted for the first.
    sizes = sorted(sizes, key=lambda size: abs(math.log(size / middle)))
    # All budgets together, over that of the first.
    budgets = 1 + (len(sizes) - 1) * encoding.job.fit.qat_fraction
    plan = Plan.of(encoding.job, round(middle), num_rounds=1 if seconds is None else budgets)
    reserve = 0.0 if seconds is None else len(sizes) * plan.reserve_seconds()
    fits: list[list[FitResult]] = [[] for _ in sizes]
    for i in range(len(plan.spans)):
        left = None if seconds is None else seconds - session.seconds() - reserve
        if i == 0 and not session.knows(f"{sizes[0]}.{i}", f"{i}"):
            check_time(left)
        budget = plan.budget(i, left)
        if budget.seconds is not None:
            budget = replace(budget, seconds=budget.seconds / budgets)
        # All of them before the first fit: the header may be too much for a size.
        parts = [plan.part(i, num_bytes, budget=budget) for num_bytes in sizes]
        for rung, (num_bytes, part) in enumerate(zip(sizes, parts, strict=True)):
            shared = None
            if seconds is not None:
                left = plan.budget(i, seconds - session.seconds() - reserve).seconds
                assert left is not None  # as there is a bound
                shared = SharedTime(left, num_after=len(sizes) - 1 - rung)
            result = plan.fit(
                i,
                part,
                key=f"{num_bytes}.{i}",
                session=session,
                bars=encoding.bars,
                stage_end=f", {rung + 1} of {len(sizes)}",
                base_key=f"{i}",
                base=shared,
            )
            fits[rung].append(result)
        session.bases.pop(f"{i}", None)
    for num_bytes, results in zip(sizes, fits, strict=True):
        started = time.perf_counter()
        encoded = plan.coded(results, num_bytes)
        yield num_bytes, encoded, time.perf_counter() - started
