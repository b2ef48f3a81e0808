"""`benchmarks/rd_1280.py`: what is published of the curve beside other codecs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
Record = dict[str, Any]


@pytest.fixture(scope="module")
def bench(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("rd_1280")


@pytest.fixture
def committed(bench: ModuleType) -> list[Record]:
    records: list[Record] = json.loads(bench.RESULT.read_text())["points"]
    return records


def test_the_page_says_what_the_committed_records_say(
    bench: ModuleType, committed: list[Record], tmp_path: Path
) -> None:
    assert bench.current_records(committed) == committed
    page = ROOT / "docs" / "flagship.md"
    copy = Path(shutil.copy(page, tmp_path))
    bench.write_report(committed, copy)
    assert copy.read_text() == page.read_text()
    assert (tmp_path / "images" / bench.PLOT).stat().st_size > 10_000


def test_the_committed_files_are_those_of_the_records(
    bench: ModuleType, committed: list[Record]
) -> None:
    sizes = {path.name: path.stat().st_size for path in bench.FILES.glob("*.inr")}
    assert sizes == {r["file"]: r["bytes"] for r in committed}
    assert [r["size_bytes"] for r in committed] == list(bench.SIZES)


def test_half_the_bytes_are_a_bd_rate_of_minus_50(
    bench: ModuleType, committed: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = [(2 * r["bpp"], r["psnr_db"]) for r in committed]
    better = [(bpp, psnr + 20) for bpp, psnr in twice]
    same = {"any, slow": [(bpp / 2, psnr) for bpp, psnr in twice]}
    curves = {bench.CODECS: {"any, slow": twice, "far": better}, bench.FROM_RGB: same}
    monkeypatch.setattr(bench, "other_curves", lambda path=bench.CODECS: curves[path])
    rows = bench.rows(committed, bench.SECONDS)
    assert "| any, slow | -50.0 % | 34.3 to 39.0 dB | +0.0 % |" in rows
    assert "| far | unknown |  | unknown |" in rows


def test_other_settings_and_budgets_are_left_out(
    bench: ModuleType, committed: list[Record]
) -> None:
    committed[0]["preset"] = "slow"
    assert bench.current_records(committed) == committed[1:]
    assert bench.rows(committed, 600.0) == bench.NOTHING


def test_a_point_of_our_curve_is_the_mean_over_seeds(
    bench: ModuleType, committed: list[Record]
) -> None:
    other = [{**r, "seed": 1, "psnr_db": r["psnr_db"] + 1} for r in committed]
    one, both = bench.our_curve(committed), bench.our_curve([*committed, *other])
    assert [bpp for bpp, _ in both] == pytest.approx([bpp for bpp, _ in one])
    assert [db for _, db in both] == pytest.approx([db + 0.5 for _, db in one])
