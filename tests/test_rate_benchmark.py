"""`benchmarks/rate.py`: what is run, and what is published of it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from inrcodec import fitting
from inrcodec.evaluation._bd import bd_rate
from inrcodec.fitting import _rate_control

ROOT = Path(__file__).resolve().parents[1]
Record = dict[str, Any]


@pytest.fixture(scope="module")
def bench(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("rate")


@pytest.fixture(scope="module")
def report(bench: ModuleType) -> ModuleType:
    return importlib.import_module("rate_report")


@pytest.fixture
def measured(bench: ModuleType) -> list[Record]:
    """Two schemes on four rates, one of them with two seeds; 1.5 dB an octave."""
    found = []
    for scheme, offset in ((bench.OURS, 3.0), ("8 bits", 0.0)):
        for seed in (0, 1) if scheme == bench.OURS else (0,):
            for i, bpp in enumerate(bench.BPPS):
                point = bench.make_point(scheme, bpp, seed)
                psnr = 30 + offset + 1.5 * i + 0.2 * seed
                found.append({**point, **quiet(point), "bpp": bpp, "psnr_db": psnr})
    return found


def quiet(point: Record) -> Record:
    """What a record has of the machine and the file."""
    return {
        "bytes": point["size_bytes"],
        "seconds": {"total": 100.0},
        "processor": "AMD EPYC",
        "device": "cpu, 2 threads",
        "threads": 2,
        "commit": "abc1234",
        "quiet": {"wall_seconds": 100.0, "cpu_seconds": 199.0, "others_cpu_seconds": 1.0},
    }


def tables_of(bench: ModuleType, report: ModuleType, records: list[Record]) -> dict[str, list[str]]:
    """The tables of a benchmark of which only the schemes are measured."""
    told = {"ours": bench.OURS, "named": bench.SETS}
    found: dict[str, list[str]] = report.tables({"schemes": records}, **told)
    return found


@pytest.mark.parametrize("chosen", ["schemes", "long", "same", "ablation"])
def test_every_scheme_is_a_fit_at_every_rate(bench: ModuleType, chosen: str) -> None:
    names = list(bench.SETS[chosen])
    points = bench.wanted_points(names, [0], chosen=chosen)
    assert len({(p["variant"], p["seed"]) for p in points}) == len(names) * len(bench.BPPS)
    admitted = {field.name for field in dataclasses.fields(fitting.FitConfig)}
    for point in points:
        told = point["fit_settings"]
        assert set(told) <= admitted
        assert all(hasattr(_rate_control, name) for name in point.get("constants", {}))
        fitting.recipe_config(point["recipe"], point["model"], seconds=1.0, **told)
    assert bench.current_records(points, chosen=chosen) == points


def test_schemes_have_a_time_and_the_ablation_epochs(bench: ModuleType) -> None:
    timed = bench.make_point(bench.OURS, 0.02, 0)
    assert timed["budget_seconds"] == 120
    assert "epochs" not in timed
    assert timed["size_bytes"] == 67_584  # 0.02 bpp of 132 frames of 640x320
    assert bench.make_point(bench.OURS, 0.02, 0, chosen="long") == {**timed, "budget_seconds": 600}
    counted = bench.make_point(bench.OURS, 0.02, 0, chosen="ablation")
    assert counted["budget_seconds"] is None
    assert counted["epochs"] == bench.EPOCHS
    assert counted["size_bytes"] == 16_896  # 0.02 bpp of 132 frames of 320x160


def test_bd_rates_are_of_the_means_over_seeds(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    ours, plain = tables_of(bench, report, measured)["schemes"][2:4]
    assert ours == "| inrcodec | 33.10 (0.20 of 2) | 34.60 (0.20 of 2) | 36.10 (0.20 of 2) " + (
        "| 37.60 (0.20 of 2) |  |  |"
    )
    of_ours = [(bpp, 33.1 + 1.5 * i) for i, bpp in enumerate(bench.BPPS)]
    of_plain = [(bpp, 30 + 1.5 * i) for i, bpp in enumerate(bench.BPPS)]
    more, fewer = bd_rate(of_ours, of_plain), bd_rate(of_plain, of_ours)
    assert more > 100  # 3.1 dB at 1.5 dB an octave
    assert plain.endswith(f"| 34.50 | {more:+.1f} % | {fewer:+.1f} % |")


def test_the_report_writes_page_and_plot(
    bench: ModuleType, report: ModuleType, measured: list[Record], tmp_path: Path
) -> None:
    page = tmp_path / "rate.md"
    shutil.copy(ROOT / "docs" / "rate.md", page)
    for _ in range(2):  # the second time over what the first one wrote
        report.write_report({"schemes": measured}, page, ours=bench.OURS, named=bench.SETS)
        for rows in tables_of(bench, report, measured).values():
            assert "\n".join(rows) in page.read_text()
        assert page.read_text().count("(images/rate_bunny.png)") == 1
    assert (tmp_path / "images" / "rate_bunny.png").stat().st_size > 10_000


def test_each_set_has_a_table_of_its_own_records(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    coarse = [
        {
            **r,
            "scheme": "4 bits a weight",
            "variant": r["variant"].replace(bench.OURS, "4 bits a weight"),
        }
        for r in measured[:4]
    ]
    found = report.tables(
        {"schemes": measured, "ablation": [*measured[:4], *coarse]},
        ours=bench.OURS,
        named=bench.SETS,
    )
    assert not any("4 bits" in line for line in found["schemes"])
    assert not any("8 bits" in line for line in found["ablation"])
    assert any(line.startswith("| 4 bits a weight") for line in found["ablation"])


def test_a_network_of_two_codings_is_compared_rate_by_rate(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    def record(i: int, bpp: float, seed: int) -> Record:
        point = bench.make_point(bench.SAME, bpp, seed, chosen="same")
        # Three times the bytes, a tenth of a decibel more.
        own = next(r for r in measured if r["variant"] == f"{bench.OURS}/{bpp:g}")
        told = {"bpp": 3 * own["bpp"], "bytes": 3 * own["bytes"], "psnr_db": 33.2 + 1.5 * i}
        return {**point, **quiet(point), **told, "parameters": 1000 + i}

    others = [record(i, bpp, seed) for i, bpp in enumerate(bench.BPPS) for seed in (0, 1)]
    ours = [{**r, "parameters": 1000} for r in measured]
    found = report.tables({"schemes": ours, "same": others}, ours=bench.OURS, named=bench.SETS)[
        "same"
    ]
    assert len(found) == 2 + len(bench.BPPS) + 2
    assert found[3] == (
        "| 1,000 | 135,168 bytes, 34.60 (0.20 of 2) dB "
        "| 1,001 | 405,504 bytes, 34.70 (0.00 of 2) dB | -66.7 % | -0.10 dB |"
    )
    of_ours = [(bpp, 33.1 + 1.5 * i) for i, bpp in enumerate(bench.BPPS)]
    of_others = [(3 * bpp, 33.2 + 1.5 * i) for i, bpp in enumerate(bench.BPPS)]
    assert found[-1].startswith(f"At equal PSNR (BD-rate): {bd_rate(of_others, of_ours):+.1f} %. ")
    of_seed_0 = [r for r in others if r["seed"] == 0]
    own = [r for r in ours if r["scheme"] == bench.OURS]
    rows = report.same_table(own, of_seed_0, ours=bench.OURS)
    assert "| 135,168 bytes, 34.50 dB |" in rows[3]  # ours of seed 1 is left out


def test_other_codecs_are_compared_at_equal_quality(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    def point(bpp: float, db: float) -> dict[str, Any]:
        about = {"processor": "made", "versions": {"ffmpeg": "9"}, "commit": "abc"}
        return {
            "codec": "x265",
            "setting": "slow",
            "bpp": bpp,
            "metrics": {"psnr_rgb": db},
            **about,
        }

    # Half the bytes of ours at every quality.
    codecs = {"points": [point(bpp / 2, 33.1 + 1.5 * i) for i, bpp in enumerate(bench.BPPS)]}
    told = {"ours": bench.OURS, "named": bench.SETS, "codecs": codecs}
    heading, _, ours, other, _, said = report.tables({"schemes": measured}, **told)["codecs"]
    assert heading == "| codec | bpp at 34 dB | bpp at 36 dB | ours to its, 2 min |"
    assert other.endswith(" | +100.0 % |")
    of_ours, of_other = ([float(c) for c in line.split(" | ")[1:3]] for line in (ours, other))
    assert of_ours == pytest.approx([2 * bpp for bpp in of_other], abs=2e-4)
    assert of_ours[0] == pytest.approx(0.02 * 2 ** (0.9 / 1.5), abs=2e-4)
    assert said == "1 points of other codecs; made, FFmpeg 9; commit abc.".replace("1", "4")


def test_nothing_is_said_of_networks_that_were_not_measured(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    assert tables_of(bench, report, measured)["same"] == report.NOTHING


def test_a_single_rate_has_no_bd_rate(
    bench: ModuleType, report: ModuleType, measured: list[Record]
) -> None:
    first = [r for r in measured if r["variant"].endswith("/0.02")]
    assert tables_of(bench, report, first)["schemes"][3].endswith("| unknown | unknown |")


def test_records_of_other_settings_are_left_out(
    bench: ModuleType, measured: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    measured[0]["size_bytes"] += 1
    measured[1]["variant"] = "unheard of/0.02"
    assert bench.current_records(measured) == measured[2:]
    assert capsys.readouterr().err.count("left out") == 2


def test_the_page_says_what_the_committed_records_say(
    bench: ModuleType, report: ModuleType
) -> None:
    found = {
        chosen: bench.current_records(bench.records_of(paths), chosen=chosen)
        for chosen, paths in bench.RESULT.items()
    }
    text = (ROOT / "docs" / "rate.md").read_text()
    codecs = json.loads(bench.CODECS.read_text())
    told = {"ours": bench.OURS, "named": bench.SETS, "codecs": codecs}
    for mark, rows in report.tables(found, **told).items():
        assert f"<!-- {mark}: begin -->\n" + "\n".join(rows) in text
