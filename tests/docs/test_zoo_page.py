"""docs/zoo.md says what benchmarks/results/zoo_cpu.json holds, of every network."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from inrcodec import models

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def zoo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_zoo", ROOT / "benchmarks" / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_network_is_measured_by_the_default_and_its_paper_s_recipe(zoo: ModuleType) -> None:
    wished = {zoo.key(point) for point in zoo.points()}
    assert wished <= {zoo.key(point) for point in zoo.load()["points"]}
    for model in models.names():
        assert (model, "default", 0, False) in wished
    assert ("nerv", "paper", 0, False) in wished
    assert all((model, "default", 2, False) in wished for model in zoo.SEEDED)


def test_points_keep_their_size_and_time(zoo: ModuleType) -> None:
    for point in zoo.load()["points"]:
        assert 0.98 * 60_000 <= point["bytes"] <= 60_000
        assert point["seconds"]["total"] < point["budget_seconds"]
        assert (point["width"], point["height"], point["frames"]) == (320, 160, 132)


def test_the_page_has_the_tables_of_the_result(zoo: ModuleType) -> None:
    text = zoo.PAGE.read_text()
    result = zoo.load()
    for rows in (zoo.network_rows(result), zoo.seed_rows(result), zoo.fresh_rows(result)):
        assert "\n".join(rows) in text


def test_the_page_names_every_network(zoo: ModuleType) -> None:
    text = zoo.PAGE.read_text()
    for model in models.names():
        assert text.count(f"`{model}`") >= 2
