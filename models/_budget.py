"""From a number of parameters to channel widths.

The authors' rule turns one base width into all widths, in coarse steps: near 20k parameters one
more channel everywhere is 10 % more. So the best base width is found first, then one stage
or two are widened or narrowed by a channel, by more where nothing nearer comes close; the
smallest networks from several base widths.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations, product
from typing import Any, TypeVar

from inrcodec.errors import ModelError, ModelSizeError

from ._config import (
    MAX_DECODER_PARAMS,
    NetworkConfig,
    Sizing,
    annotation,
    check_clip,
    check_range,
    check_strides,
    count_parameters,
    typed,
)
from ._network import kmac_per_pixel

__all__ = ["TOLERANCE", "align_widths", "check_overrides", "fit_to_budget"]

TOLERANCE = 0.02  # promised
_GOOD_ENOUGH = 0.002  # where the search stops
_MAX_BASE_WIDTH = 2048
_MAX_STEPS = 64
_FAR = 4  # channels; the smallest networks have no size nearer
_COUNTED = 6  # pairs of changes, of those that are likely to come nearest
_MORE_STARTS = 3  # base widths around the best, for those that still have none
_COARSEST = 16.0
# (cell_pixels, taper) of a quick `Sizing`, each cheaper to decode than the one before.
_CHEAPER = (
    *((cell_pixels, 1.0) for cell_pixels in (1.0, 2.0, 4.0, 8.0, _COARSEST)),
    *((_COARSEST, 0.93**i) for i in range(1, 13)),
)
_ANY = 2**62  # parameters
# Where some widths are free while others are rounded to multiples: by what factors they change, and
# how closely the first is found.
_MOST_SCALED, _MOST_ROUNDED = 1.5, 1.4
_MOST_NARROWED = 1.5  # the last of them
_SCALINGS = 6

ConfigT = TypeVar("ConfigT", bound=NetworkConfig)


def fit_to_budget(
    config_class: type[ConfigT],
    num_params: int,
    *,
    height: int,
    width: int,
    num_frames: int,
    max_kmac_per_pixel: float | None = None,
    quick: bool = False,
    **overrides: Any,
) -> ConfigT:
    """Find the configuration whose stored values come within 2 % of `num_params`.

    Args:
        max_kmac_per_pixel: thousands of multiply-accumulates a pixel that decoding may take. Until
            it does the head upsamples by more, then the embeddings' grid gets coarser, then stages
            near the output narrower, in networks whose rule has them; where no shape is so cheap,
            the cheapest is taken.
        quick: whether the head upsamples by more in any case, since the fit will be short.

    Raises: ModelSizeError for a size that the network cannot have; ModelError for an override.
    """
    check_range("num_params", num_params, 1, 2**40)
    check_clip(height, width, num_frames)
    check_overrides(config_class, overrides)
    if "strides" in overrides:
        check_strides(overrides["strides"])
    sizing = Sizing(height, width, num_frames, num_params, quick=quick)
    best = _fit_stored_size(config_class, sizing, overrides)
    if max_kmac_per_pixel is None:
        return best
    for cell_pixels, taper in _CHEAPER:
        if kmac_per_pixel(best) <= max_kmac_per_pixel:
            break
        cheaper = sizing._replace(cell_pixels=cell_pixels, taper=taper, quick=True)
        try:
            candidate = _fit_stored_size(config_class, cheaper, overrides)
        except ModelError:  # a gap between whole widths
            continue
        best = min(best, candidate, key=kmac_per_pixel)
    return best


def _fit_stored_size(
    config_class: type[ConfigT], sizing: Sizing, overrides: dict[str, Any]
) -> ConfigT:
    num_params = sizing.num_params

    def sized(base_width: int) -> ConfigT:
        return config_class.for_base_width(base_width, sizing, **overrides)

    def error(config: NetworkConfig) -> float:
        return _error(config, num_params)

    low, high = 1, _MAX_BASE_WIDTH + 1  # sized(low) fits, sized(high) does not
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(sized, middle, num_params):
            low = middle
        else:
            high = middle
    best = _refine(sized(low), num_params)
    if error(best) <= TOLERANCE:
        return best
    if not _fits(sized, 1, num_params):
        raise _refusal(best, num_params, "smallest possible")
    if not _fits(sized, high, _ANY):
        raise _refusal(best, num_params, "largest possible")
    for base_width in range(max(1, low - _MORE_STARTS), low + _MORE_STARTS + 1):
        if error(best) > TOLERANCE and _fits(sized, base_width, _ANY):
            start = sized(base_width)
            start = _best_neighbour(start, num_params, most=_FAR) or start
            best = min(best, _refine(start, num_params), key=error)
    if error(best) > TOLERANCE:
        raise _refusal(best, num_params, "nearest")
    return best


def _refusal(nearest: NetworkConfig, num_params: int, what: str) -> ModelSizeError:
    error = ModelSizeError(
        f"{num_params} parameters; the {what} size of this network at {nearest.width}x"
        f"{nearest.height}, {nearest.num_frames} frames is {count_parameters(nearest).total}"
    )
    error.is_too_large = num_params > count_parameters(nearest).total
    return error


def _fits(sized: Any, base_width: int, num_params: int) -> bool:
    try:
        size = count_parameters(sized(base_width))
    except ModelError:  # a feature map beyond the limits
        return False
    return size.total <= num_params and size.decoder <= MAX_DECODER_PARAMS


def _error(config: NetworkConfig, num_params: int) -> float:
    return abs(count_parameters(config).total / num_params - 1)


def _refine(config: ConfigT, num_params: int) -> ConfigT:
    """Widen or narrow single stages, or move a channel, while that brings the total closer."""

    def error(candidate: NetworkConfig) -> float:
        return _error(candidate, num_params)

    for _ in range(_MAX_STEPS):
        if error(config) <= _GOOD_ENOUGH:
            break
        best = _best_neighbour(config, num_params) or config
        if error(best) >= error(config) and error(config) > TOLERANCE:
            best = _best_neighbour(config, num_params, most=_FAR) or config
        if error(best) >= error(config):
            break
        config = best
    return config


def _best_neighbour(config: ConfigT, num_params: int, most: int = 1) -> ConfigT | None:
    """Return the nearest in size with a stage up to `most` channels wider or narrower, or two.

    Two of them unalike. To count a network it has to be built, and most changes are of two stages,
    whose sizes follow from what each of them changes, and neighbouring ones together: only those
    are counted that are likely to be the best.
    """
    steps = [step for step in range(-most, most + 1) if step]
    stages = range(len(config.channels))
    before = count_parameters(config).total

    def growth(*changes: tuple[int, int]) -> int | None:
        found = _widened(config, dict(changes))
        return None if found is None else count_parameters(found).total - before

    alone = {change: growth(change) for change in product(stages, steps)}
    together: dict[int, int] = {}  # by stage: of what it shares with the next, for a step of both
    for i in stages[:-1]:
        pair = (i, 1), (i + 1, -1)
        parts, whole = [alone[change] for change in pair], growth(*pair)
        if whole is not None and None not in parts:
            together[i] = sum(part for part in parts if part is not None) - whole

    def foretold_error(pair: tuple[tuple[int, int], ...]) -> float:
        (i, a), (j, b) = pair
        first, second = alone[i, a], alone[j, b]
        if first is None or second is None:
            return -1.0  # alone it is outside the limits: nothing is known of both
        shared = together.get(i, 0) * a * b if j == i + 1 else 0
        return abs(before + first + second + shared - num_params)

    pairs = [
        ((i, a), (j, b))
        for (i, j), a, b in product(combinations(stages, 2), steps, steps)
        if a != b
    ]
    pairs.sort(key=foretold_error)
    num_unknown = sum(foretold_error(pair) < 0 for pair in pairs)
    likely = [dict(pair) for pair in pairs[: num_unknown + _COUNTED]]
    changes = [*({i: step} for i, step in alone), *likely]
    found = [each for change in changes if (each := _widened(config, change)) is not None]
    return min(found, key=lambda each: _error(each, num_params), default=None)


def _widened(config: ConfigT, change: Mapping[int, int]) -> ConfigT | None:
    """Return the configuration with some stages wider or narrower; None outside the limits."""
    widths = tuple(width + change.get(i, 0) for i, width in enumerate(config.channels))
    try:
        return dataclasses.replace(config, channels=widths)
    except ModelError:
        return None


def align_widths(config: ConfigT, multiple: int, *, num_free: int = 0) -> ConfigT:
    """Round the widths to multiples of `multiple`, up or down, as little as keeps the total.

    Within 2 %; where no choice does, widths stay as they are.

    Args:
        num_free: how many of the first widths are no multiples, but grow or shrink alike by up to a
            half until the total is met: their maps are small. Then others change by no more than
            two fifths, those under `multiple` not at all, and the last, whose map is the largest,
            becomes narrower where that is by no more than a third.
    """
    total = count_parameters(config).total
    first, rest = config.channels[:num_free], config.channels[num_free:]
    choices = [_multiples_near(width, multiple, is_bounded=num_free > 0) for width in rest]
    if num_free and choices:
        narrower = rest[-1] // multiple * multiple
        is_near = narrower and rest[-1] <= _MOST_NARROWED * narrower
        choices[-1] = [narrower] if is_near else choices[-1][:1]

    def distortion(widths: Sequence[int]) -> float:
        logarithms = (math.log(after / before) for after, before in zip(widths, rest, strict=True))
        return sum(each**2 for each in logarithms)

    # Of equals the one that computes least, the wider stages coming first.
    for widths in sorted(product(*choices), key=lambda w: (round(distortion(w), 6), w[::-1])):
        found = None
        with suppress(ModelError):  # outside the limits, or not as the network has them
            found = _with_first(config, first, widths, total)
        if found is not None and _error(found, total) <= TOLERANCE:
            return found
    return config


def _multiples_near(width: int, multiple: int, *, is_bounded: bool) -> list[int]:
    """Return the multiples on both sides of a width, or those of them that are near; or itself."""
    down, up = width // multiple * multiple, -(-width // multiple) * multiple
    if not is_bounded:
        return sorted({max(multiple, down), up})
    near = {each for each in (down, up) if 1 / _MOST_ROUNDED <= each / width <= _MOST_ROUNDED}
    return sorted(near) if near and width >= multiple else [width]


def _with_first(
    config: ConfigT, first: tuple[int, ...], rest: tuple[int, ...], total: int
) -> ConfigT:
    """Return the configuration of these widths whose first ones, times one factor, meet `total`."""

    def scaled(factor: float) -> ConfigT:
        widths = (max(1, round(width * factor)) for width in first)
        return dataclasses.replace(config, channels=(*widths, *rest))

    best, low, high = scaled(1.0), 1 / _MOST_SCALED, _MOST_SCALED
    for _ in range(_SCALINGS if first else 0):
        middle = math.sqrt(low * high)
        candidate = scaled(middle)
        best = min(best, candidate, key=lambda each: _error(each, total))
        if count_parameters(candidate).total < total:
            low = middle
        else:
            high = middle
    return best


def check_overrides(config_class: type[NetworkConfig], overrides: Mapping[str, object]) -> None:
    """Check that `overrides` are fields of the configuration but `channels`, and of their types.

    Raises: ModelError.
    """
    types = {f.name: annotation(f) for f in dataclasses.fields(config_class)}
    allowed = types.keys() - {"height", "width", "num_frames", "channels"}
    for name, value in overrides.items():
        if name not in allowed:
            raise ModelError(f"cannot override {name!r}; it must be one of {sorted(allowed)}")
        typed(name, types[name], value)
