from __future__ import annotations

import pytest

from inrcodec import models
from inrcodec.errors import ModelError


def test_all_is_what_the_package_offers() -> None:
    assert models.__all__ == sorted(models.__all__)
    offered = {
        name
        for name, value in vars(models).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("inrcodec.")
    }
    assert offered == set(models.__all__)


def test_names() -> None:
    assert models.names() == [
        "enerv",
        "enerv-boost",
        "ffnerv",
        "hinerv",
        "hnerv",
        "hnerv-boost",
        "hnervpp",
        "hnervpp-boost",
        "nerv",
        "nerv-boost",
        "nervpp",
        "nervpp-repo",
    ]


@pytest.mark.parametrize("name", models.names())
def test_entries_name_their_paper(name: str) -> None:
    entry = models.entry(name)
    assert entry.name == name
    assert entry.paper
    assert len(entry.arxiv) == len("2304.02633")
    assert entry.config_class.network is entry.network


def test_duplicates_are_refused() -> None:
    with pytest.raises(ModelError, match="'hnerv' is registered twice"):
        models.register("hnerv")(models.HNeRV)


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'hnerb'; did you mean 'hnerv'\? known: .*nervpp-repo"):
        models.entry("hnerb")
    with pytest.raises(ModelError, match="known: enerv, "):
        models.entry("x" * 10_000)


def test_variants_differ_by_their_block() -> None:
    frame = {"height": 90, "width": 160, "num_frames": 3}
    config = models.for_budget("nervpp-repo", 30_000, **frame)
    assert config.to_dict()["block"] == "gated"
    with pytest.raises(ModelError, match="fixes it to 'gated'"):
        models.build("nervpp-repo", models.for_budget("nervpp", 30_000, **frame))


def test_build_wants_the_right_config() -> None:
    config = models.for_budget("nerv", 30_000, height=90, width=160, num_frames=3)
    with pytest.raises(ModelError, match="HNeRVConfig"):
        models.build("hnerv", config)
