from __future__ import annotations

import pytest

from inrcodec import models
from inrcodec.errors import ModelError

SIZES = [(64, 64), (161, 321), (720, 1280), (1080, 1920)]
BUDGETS = [15_000, 52_345, 250_000, 3_000_001, 20_000_000]
EMBEDDING_SHARE = 0.15


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_within_two_percent(name: str, height: int, width: int) -> None:
    for num_params in BUDGETS:
        config = models.for_budget(name, num_params, height=height, width=width, num_frames=60)
        total = models.count_parameters(config).total
        assert total == pytest.approx(num_params, rel=0.02), config


def test_the_authors_size() -> None:
    config = models.for_budget("hnerv", 1_505_172, height=640, width=1280, num_frames=132)
    assert config.channels == (68, 57, 48, 40, 33, 28)


@pytest.mark.parametrize("num_frames", [1, 132, 600])
def test_embeddings_take_a_small_share(num_frames: int) -> None:
    config = models.for_budget("hnervpp", 200_000, height=640, width=1280, num_frames=num_frames)
    size = models.count_parameters(config)
    assert 0 < size.embeddings <= EMBEDDING_SHARE * 200_000
    assert size.embeddings <= 225 * num_frames


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


@pytest.mark.parametrize("field", ["channels", "colour"])
def test_unknown_override(field: str) -> None:
    with pytest.raises(ModelError, match=f"cannot override '{field}'"):
        models.for_budget("hnerv", 9000, height=64, width=64, num_frames=1, **{field: 3})
