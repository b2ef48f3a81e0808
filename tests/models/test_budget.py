from __future__ import annotations

import math
import random

import pytest

from inrcodec import models
from inrcodec.errors import ModelError, ModelSizeError

SIZES = [(64, 64), (161, 321), (720, 1280), (1080, 1920)]
BUDGETS = [15_000, 52_345, 250_000, 3_000_001, 20_000_000]
EMBEDDING_SHARE = 0.33  # of the default network's values, at most
# Every frame has at least one value a cell, and a decoder at least one channel everywhere.
LEAST_VALUES, LEAST_VALUES_A_FRAME = 2_000, 8


def check_size(name: str, num_params: int, **clip: int) -> None:
    config = models.for_budget(name, num_params, **clip)
    total = models.count_parameters(config).total
    assert total == pytest.approx(num_params, rel=0.02), config


@pytest.mark.parametrize("name", models.names())
def test_within_two_percent(name: str) -> None:
    """The smallest budget, which is the hardest, and one of the others; at two sizes in turn."""
    turn = models.names().index(name)
    for i, num_params in enumerate((BUDGETS[0], BUDGETS[1 + turn % (len(BUDGETS) - 1)])):
        height, width = SIZES[(turn + i) % len(SIZES)]
        check_size(name, num_params, height=height, width=width, num_frames=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_within_two_percent_at_every_budget(name: str, height: int, width: int) -> None:
    for num_params in BUDGETS:
        check_size(name, num_params, height=height, width=width, num_frames=60)


@pytest.mark.parametrize(
    ("seed", "num_clips"), [(2, 15), pytest.param(3, 200, marks=pytest.mark.slow)]
)
def test_any_clip_has_a_size(seed: int, num_clips: int) -> None:
    """Sides of 16 to 1024, one to 700 frames; most of them as small as a size is promised."""
    rng = random.Random(seed)
    for _ in range(num_clips):
        longest = rng.choice((300, 300, 1024))
        clip = {name: rng.randint(16, longest) for name in ("height", "width")}
        clip["num_frames"] = round(700 ** rng.random())
        least = LEAST_VALUES + LEAST_VALUES_A_FRAME * clip["num_frames"]
        check_size("hnervpp", round(least * 10 ** rng.triangular(0, 3, 0)), **clip)


def test_refusals_of_the_default_network_say_the_smallest_size() -> None:
    with pytest.raises(ModelError, match=r"2000 parameters; the smallest possible size .* is \d+"):
        models.for_budget("hnervpp", 2000, height=750, width=1477, num_frames=620)


@pytest.mark.parametrize(
    ("width", "height", "num_frames", "num_params", "quick", "fine"),
    [  # strides, head, grid, channels
        # Bunny
        (640, 320, 132, 335_000, ((2, 2, 2), 4, (10, 20), 4), ((2, 2, 2, 2), 2, (10, 20), 4)),
        (1280, 720, 132, 1_500_000, ((2, 2, 2), 4, (23, 40), 4), ((2, 2, 2, 2), 2, (23, 40), 4)),
        # bikes.mp4, no good divisors
        (640, 272, 250, 520_000, ((2, 2, 2), 4, (9, 20), 3), ((2, 2, 2, 2), 2, (9, 20), 3)),
        # fewer cells
        (640, 272, 250, 200_000, ((3, 3, 2), 4, (4, 9), 7), ((3, 3, 2, 2), 2, (4, 9), 7)),
        (176, 144, 120, 36_000, ((3, 3), 4, (4, 5), 4), ((3, 3, 2), 2, (4, 5), 4)),
        (1920, 1080, 600, 6_000_000, ((3, 3, 2), 3, (20, 36), 4), ((3, 2, 2, 2), 2, (23, 40), 3)),
    ],
)
def test_layout_of_the_default_network(
    width: int,
    height: int,
    num_frames: int,
    num_params: int,
    quick: tuple[object, ...],
    fine: tuple[object, ...],
) -> None:
    for name in ("hnervpp", "hnervpp-boost"):
        for is_quick, layout in ((False, fine), (True, quick)):
            sizing = models.Sizing(height, width, num_frames, num_params, quick=is_quick)
            config = models.entry(name).config_class.for_base_width(8, sizing)
            assert isinstance(config, models.HNeRVPPConfig)
            found = config.strides, config.head_stride, config.grid, config.embedding_channels
            assert found == layout


@pytest.mark.parametrize("num_params", [20_000, 90_000, 400_000])
@pytest.mark.parametrize(("height", "width"), [(272, 640), (144, 176), (1080, 1920), (301, 97)])
def test_sizes_of_the_default_network_grow_with_its_width(
    height: int, width: int, num_params: int
) -> None:
    sizing = models.Sizing(height, width, 250, num_params)
    configs = [models.HNeRVPPConfig.for_base_width(w, sizing) for w in (1, 2, 3, 10, 40)]
    totals = [models.count_parameters(config).total for config in configs]
    assert totals == sorted(set(totals))
    assert len({config.embedding_channels for config in configs}) == 1
    assert 250 * math.prod(configs[0].embedding_shape) <= EMBEDDING_SHARE * num_params


def test_the_authors_size() -> None:
    config = models.for_budget("hnerv", 1_505_172, height=640, width=1280, num_frames=132)
    assert config.channels == (68, 57, 48, 40, 33, 28)


@pytest.mark.parametrize("num_frames", [1, 132, 600])
def test_embeddings_take_a_small_share(num_frames: int) -> None:
    config = models.for_budget("hnervpp", 200_000, height=640, width=1280, num_frames=num_frames)
    size = models.count_parameters(config)
    assert 0 < size.embeddings <= EMBEDDING_SHARE * 200_000


def test_overrides_are_kept() -> None:
    config = models.for_budget(
        "hnervpp",
        100_000,
        height=360,
        width=640,
        num_frames=10,
        strides=(5, 4, 2, 2),
        embedding_channels=2,
        plain_stages=0,
    )
    assert isinstance(config, models.HNeRVPPConfig)
    assert config.strides == (5, 4, 2, 2)
    assert config.embedding_channels == 2
    assert config.plain_stages == 0


def test_too_small_says_the_smallest() -> None:
    with pytest.raises(ModelError, match=r"10 parameters; the smallest possible size .* is \d+"):
        models.for_budget("hnerv", 10, height=64, width=64, num_frames=1)


def test_too_large_says_the_largest() -> None:
    with pytest.raises(ModelError, match="the largest possible size"):
        models.for_budget("nerv", 2**40, height=64, width=64, num_frames=1)


def test_no_network_is_larger_than_a_decoder_admits() -> None:
    clip = {"height": 720, "width": 1280, "num_frames": 300}
    with pytest.raises(ModelSizeError, match="the largest possible size") as caught:
        models.for_budget("hnerv", 3 * 2**27, **clip)
    assert caught.value.is_too_large


@pytest.mark.parametrize(
    ("field", "value"), [("margin", "16"), ("head_stride", 2.0), ("strides", 4), ("strides", "22")]
)
def test_overrides_of_another_type(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"{field} is .*; it must be of type"):
        models.for_budget(
            "hnervpp", 30_000, height=64, width=96, num_frames=8, **{"motion": 1, field: value}
        )


@pytest.mark.parametrize("margin", [-1, 300])
def test_margins_out_of_range(margin: int) -> None:
    with pytest.raises(ModelError, match=f"margin is {margin}"):
        models.for_budget(
            "hnervpp", 30_000, height=64, width=96, num_frames=8, motion=1, margin=margin
        )


def test_a_margin_needs_motion() -> None:
    with pytest.raises(ModelError, match="margin is 16; it must be 0 where no motion is followed"):
        models.for_budget("hnervpp", 30_000, height=64, width=96, num_frames=8, margin=16)


@pytest.mark.parametrize("field", ["channels", "colour"])
def test_unknown_override(field: str) -> None:
    with pytest.raises(ModelError, match=f"cannot override '{field}'"):
        models.for_budget("hnerv", 9000, height=64, width=64, num_frames=1, **{field: 3})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("hnerv", "strides", (0, 2)),
        ("hnervpp", "strides", (0,)),
        ("hinerv", "strides", ()),
        ("ffnerv", "strides", (6,)),
        ("ffnerv", "grid_steps", ()),
        ("ffnerv", "grid_steps", (0, 0)),
        ("ffnerv", "grid_steps", (-4, 4)),
        ("nerv", "pe_levels", 0),
        ("nerv-boost", "pe_levels", 0),
        ("nerv", "pe_base", 0.0),
    ],
)
def test_overrides_out_of_range_are_told_before_a_network_is_sized(
    name: str, field: str, value: object
) -> None:
    with pytest.raises(ModelError, match=r"(strides?|grid_steps|pe_levels|pe_base) is .*; it must"):
        models.for_budget(name, 30_000, height=64, width=96, num_frames=4, **{field: value})


@pytest.mark.parametrize("field", ["height", "width", "num_frames"])
@pytest.mark.parametrize("name", models.names())
def test_no_network_of_nothing(name: str, field: str) -> None:
    clip = {"height": 64, "width": 96, "num_frames": 4, field: 0}
    with pytest.raises(ModelError, match=f"{field} is 0; it must be from 1"):
        models.for_budget(name, 30_000, **clip)


def test_cells_get_larger_and_stages_narrower_until_decoding_is_cheap_enough() -> None:
    clip = {"height": 720, "width": 1280, "num_frames": 132}
    free = models.for_budget("hnervpp", 1_216_512, **clip)
    bounded = models.for_budget("hnervpp", 1_216_512, max_kmac_per_pixel=1.2, **clip)
    assert models.macs_per_frame(free) > 4e3 * 720 * 1280
    assert models.macs_per_frame(bounded) <= 1.2e3 * 720 * 1280
    assert list(bounded.channels) == sorted(bounded.channels, reverse=True)
    assert math.prod(bounded.grid) < math.prod(free.grid)
    assert free.gated_stages > 0 == bounded.gated_stages
    assert free.head_stride < bounded.head_stride
    assert models.count_parameters(bounded).total == pytest.approx(1_216_512, rel=0.02)


def test_first_the_head_upsamples_by_more() -> None:
    clip = {"height": 320, "width": 640, "num_frames": 132}
    free = models.for_budget("hnervpp", 300_000, **clip)
    quick = models.for_budget("hnervpp", 300_000, quick=True, **clip)
    bound = models.macs_per_frame(quick) / (1000 * 320 * 640)
    assert models.macs_per_frame(free) > 1.5 * models.macs_per_frame(quick)
    assert models.for_budget("hnervpp", 300_000, max_kmac_per_pixel=bound, **clip) == quick


def test_a_bound_that_is_met_changes_nothing() -> None:
    clip = {"height": 144, "width": 176, "num_frames": 30}
    free = models.for_budget("hnervpp", 30_000, **clip)
    assert models.for_budget("hnervpp", 30_000, max_kmac_per_pixel=60.0, **clip) == free


def test_without_a_cheap_shape_the_cheapest_is_taken() -> None:
    clip = {"height": 144, "width": 176, "num_frames": 30}
    free = models.for_budget("hnervpp", 30_000, **clip)
    bounded = models.for_budget("hnervpp", 30_000, max_kmac_per_pixel=1e-3, **clip)
    assert models.macs_per_frame(bounded) < models.macs_per_frame(free)
    # HNeRV's rule has no taper.
    assert models.for_budget("hnerv", 30_000, max_kmac_per_pixel=1e-3, **clip) == models.for_budget(
        "hnerv", 30_000, **clip
    )


@pytest.mark.parametrize("name", models.names())
def test_widths_are_rounded_where_the_total_stays(name: str) -> None:
    """HiNeRV's first two widths must be equal, which most roundings are not."""
    never = name in ("ffnerv", "nerv", "nerv-boost")  # a multiple of 8 is too coarse for those
    aligned = 0
    for num_params in (300_000,) if never else (300_000, 310_000, 325_000, 340_000):
        shape = {"height": 320, "width": 640, "num_frames": 32}
        config = models.for_budget(name, num_params, **shape)
        found = models.align_widths(config, 8)
        if found != config:
            aligned += 1
            assert all(width % 8 == 0 for width in found.channels)
            before, after = (models.count_parameters(c).total for c in (config, found))
            assert after == pytest.approx(before, rel=0.02)
            if not never:
                break
    assert aligned == (0 if never else 1)


def test_first_widths_may_take_up_what_rounding_the_others_changes() -> None:
    clip = {"height": 320, "width": 640, "num_frames": 132, "motion": 1}
    config = models.for_budget("hnervpp", 370_000, **clip)
    found = models.align_widths(config, 16, num_free=2)
    assert any(width % 16 for width in config.channels[2:])
    assert not any(width % 16 for width in found.channels[2:])
    assert found.channels[:2] != config.channels[:2]
    before, after = (models.count_parameters(c).total for c in (config, found))
    assert after == pytest.approx(before, rel=0.02)


def test_widths_under_the_multiple_are_left_where_some_are_free() -> None:
    clip = {"height": 144, "width": 176, "num_frames": 30}
    config = models.for_budget("hnervpp", 30_000, **clip)
    assert max(config.channels[2:]) < 16
    assert models.align_widths(config, 16, num_free=2) == config


def test_the_widths_of_the_largest_map_are_rounded_down_if_anyhow_near() -> None:
    clip = {"height": 320, "width": 640, "num_frames": 132}
    fields = {"strides": (2, 2, 2, 2), "head_stride": 2, "plain_stages": 2, "embedding_channels": 5}
    for last, rounded in ((44, 32), (46, 32), (50, 48)):
        config = models.HNeRVPPConfig(**clip, **fields, channels=(22, 45, 45, 45, last))
        found = models.align_widths(config, 16, num_free=2)
        assert found.channels[2:] == (48, 48, rounded)


def test_a_rounding_that_is_too_far_is_left_out() -> None:
    """22 channels are 16 or 32: the one too few, by more than the first widths make up, the other
    too many.
    """
    clip = {"height": 320, "width": 640, "num_frames": 132, "channels": (11, 22, 22, 22, 22)}
    fields = {"strides": (2, 2, 2, 2), "head_stride": 2, "plain_stages": 0, "embedding_channels": 1}
    config = models.HNeRVPPConfig(**clip, **fields)
    assert models.align_widths(config, 16, num_free=2) == config
