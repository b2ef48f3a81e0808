"""`benchmarks/equal_time.py`: what is run, recorded, proven and published."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image

import inrcodec
from inrcodec import fitting, models
from inrcodec.errors import EvaluationError, InrcodecError

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v1-hnervpp.inr"  # 64x64, 4 frames
HERE = {"device": "cpu", "processor": "any", "cores": 2, "threads": 1}
Record = dict[str, Any]


@pytest.fixture(scope="module")
def bench(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("equal_time")


@pytest.fixture(scope="module")
def records(bench: ModuleType) -> ModuleType:
    return importlib.import_module("equal_time_records")


def make_record(point: Record, psnr: float = 30.0, **changes: Any) -> Record:
    """A record as `measure` makes it, of a quiet run."""
    seconds = point["budget_seconds"]
    return {
        **point,
        "steps": 100,
        "kmac_per_pixel": 1.7,
        "width": 640,
        "height": 320,
        "frames": 132,
        "bytes": point["size_bytes"] - 1000,
        "psnr_db": psnr,
        "file": None,
        "sha256": "0",
        "device": "cpu, 1 threads",
        "processor": "any",
        "threads": 1,
        "commit": "abc1234",
        "versions": {"torch": "2"},
        "date": "2025-11-21T10:00:00+00:00",
        "seconds": {"read": 1.0, "fit": seconds - 9, "total": seconds - 5},
        "quiet": {
            "load_average_before": 0.1,
            "wall_seconds": seconds - 5,
            "cpu_seconds": seconds - 6,
            "others_cpu_seconds": 1.0,
        },
        "trace": [[1.0, psnr - 5, False], [seconds - 10, psnr, True]],
        **changes,
    }


def test_short_budgets_come_first(bench: ModuleType) -> None:
    points = bench.wanted_points(
        ["flagship", "hnerv-paper"], clips=["bunny"], budgets=[600, 120], seeds=[0, 1]
    )
    told = [(p["budget_seconds"], p["seed"], p["variant"]) for p in points]
    assert told[:3] == [(120, 0, "flagship"), (120, 0, "hnerv-paper"), (120, 1, "flagship")]
    assert [seconds for seconds, _, _ in told] == [120] * 4 + [600] * 4
    assert points[1]["precision"] == "fp32"


def test_only_takes_a_pair_or_makes_it_a_variant(bench: ModuleType) -> None:
    def names(only: str) -> list[str]:
        points = bench.wanted_points(
            ["flagship", "hnerv-paper"], clips=["bunny"], budgets=[120], seeds=[0], only=[only]
        )
        return [p["variant"] for p in points]

    assert names("hnerv/paper") == ["hnerv-paper"]
    assert names("nerv/muon") == ["nerv/muon"]
    for wrong in ("nerv", "nerv/nonsense", "nonsense/muon"):
        with pytest.raises(InrcodecError):
            names(wrong)


def test_every_variant_can_be_encoded_with(bench: ModuleType) -> None:
    for name in [name for chosen in bench.sets().values() for name in chosen]:
        told = bench.variant(name)
        fitting.recipe_config(told["recipe"], told["model"], seconds=1.0, **told["fit_settings"])
        fields = {f.name for f in dataclasses.fields(models.entry(told["model"]).config_class)}
        assert set(told["model_settings"]) <= fields
    zoo = {bench.variant(name)["model"] for name in bench.sets()["zoo"]}
    assert zoo | {"hnervpp", "hnerv"} == set(models.names())


def test_both_clips_have_a_twentieth_of_a_bit(bench: ModuleType) -> None:
    for clip, pixels in (("bunny", 640 * 320 * 132), ("bikes", 640 * 272 * 250)):
        assert 8 * bench.CLIPS[clip]["size_bytes"] / pixels == pytest.approx(0.05, rel=0.01)


@pytest.fixture
def fake_encode(monkeypatch: pytest.MonkeyPatch) -> Record:
    """In place of `encode`, whose arguments it returns: a golden file, 1000 times progress."""
    called: Record = {}

    def encode(source: str, path: Path, **options: Any) -> inrcodec.EncodeReport:
        called.update(options, source=source)
        shutil.copy(GOLDEN, path)
        for i in range(1000):
            told = {"progress": i / 1000, "steps": i, "frames_seen": i, "seconds": i / 2}
            at = {**told, "psnr_db": float("inf") if i == 0 else 20 + i / 100, "quantized": i > 750}
            at["coarse"] = i < 100
            options["on_progress"](type("FitProgress", (), at)())
        fields: Record = {f.name: 0 for f in dataclasses.fields(inrcodec.EncodeReport)}
        fields |= {"path": str(path), "num_bytes": GOLDEN.stat().st_size, "psnr_db": 31.5}
        fields |= {"seconds": {"total": 3.0}, "precision": "float32", "device": "cpu, 1 threads"}
        return inrcodec.EncodeReport(**fields)

    monkeypatch.setattr(inrcodec, "encode", encode)
    return called


def test_a_record_says_all_that_repeats_it(
    bench: ModuleType, records: ModuleType, fake_encode: Record, tmp_path: Path
) -> None:
    point = bench.make_point("bunny", "hnerv-paper", 120.0, 3)
    point["fit_settings"] = {"betas": [0.9, 0.99]}
    record = json.loads(
        json.dumps(bench.measure(point, threads=torch.get_num_threads(), keep_files=tmp_path))
    )
    asked = {name: fake_encode[name] for name in ("source", "crop", "resize", "size_bytes", "seed")}
    assert list(asked.values()) == ["bunny", (1280, 640), (640, 320), 170_000, 3]
    assert fake_encode["fit_settings"] == {"betas": (0.9, 0.99)}
    assert (fake_encode["model_settings"], fake_encode["time_seconds"]) == (None, 120)
    assert bench.is_current(record, point)
    assert (record["psnr_db"], record["bytes"]) == (31.5, GOLDEN.stat().st_size)
    assert (record["precision"], record["computed_in"]) == ("fp32", "float32")
    assert 100 <= len(record["trace"]) <= 200
    assert record["trace"][-1] == [499.5, 29.99, True]
    assert 50 <= record["trace"][0][0] < 60  # small frames are not on it
    assert record["quiet"]["wall_seconds"] > 0
    assert record["hyper_parameters"]["channels"]
    kept = tmp_path / "bunny-hnerv-paper-120s-seed3.inr"
    assert [kept] == list(tmp_path.iterdir())
    assert (record["file"], record["sha256"]) == (kept.name, records.sha256_of(GOLDEN))


def test_a_run_goes_on_where_it_was(
    bench: ModuleType, records: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, measured = tmp_path / "result.json", []
    points = bench.wanted_points(
        ["flagship", "hnerv-tuned"], clips=["bunny"], budgets=[60], seeds=[0]
    )

    def measure(point: Record) -> Record:
        measured.append(point["variant"])
        if len(measured) == 1:
            raise subprocess.CalledProcessError(1, "point")
        return make_record(point)

    failures = bench.run(points, result, HERE, measure)
    assert failures == ["bunny, flagship, 60 s, seed 0: exit status 1, see above"]
    assert bench.run(points, result, HERE, measure) == []
    assert measured == ["flagship", "hnerv-tuned", "flagship"]

    changed = {**bench.NAMED["hnerv-tuned"], "fit_settings": {"loss": "l2"}}
    monkeypatch.setitem(bench.NAMED, "hnerv-tuned", changed)
    assert len(bench.current_records(records.load(result)["points"])) == 1
    points = bench.wanted_points(
        ["flagship", "hnerv-tuned"], clips=["bunny"], budgets=[60], seeds=[0]
    )
    bench.run(points, result, HERE, measure)
    assert measured[3:] == ["hnerv-tuned"]
    assert len(records.load(result)["points"]) == 2

    disturbed = make_record(points[1], seconds={"total": 61.0})
    records.save(result, disturbed, HERE)
    bench.run(points, result, HERE, measure)
    assert len(measured) == 4
    bench.run(points, result, HERE, measure, ["missing", "disturbed"])
    assert measured[4:] == ["hnerv-tuned"]

    with pytest.raises(EvaluationError, match="'threads': 2"):
        bench.run(points, result, {**HERE, "threads": 2}, measure)
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"bytes": 170_001}, "170001 bytes are more than 170000"),
        ({"seconds": {"total": 121.0}}, "121.0 s are over its time"),
        ({"others_cpu_seconds": 30.0}, "others took 0.26 cores meanwhile"),
        ({"cpu_seconds": 46.0}, "it had 40 % of its cores"),
    ],
)
def test_disturbed_points_are_named(
    bench: ModuleType, records: ModuleType, changes: Record, said: str
) -> None:
    record = make_record(bench.make_point("bunny", "flagship", 120.0, 0))
    for name, value in changes.items():
        (record["quiet"] if name in record["quiet"] else record)[name] = value
    assert records.complaint(record) == said
    if "bytes" not in changes:  # epochs come out alike on a busy machine
        assert records.complaint({**record, "budget_seconds": None}) == ""


def test_what_others_take_is_of_the_cores_that_a_fit_may_use(
    records: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    cores = [f"cpu{i} {i * ticks} {ticks} 0 999 999 0 0 {ticks} 0 0" for i in range(4)]
    told = "\n".join(["cpu 1 2 3 4 5 6 7 8 9 10", *cores, "intr 1"])
    monkeypatch.setattr(Path, "read_text", lambda self: told)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)
    assert records.machine_busy_seconds() == 1 + 3 + 2 * 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 4}, raising=False)
    assert records.machine_busy_seconds() is None


def test_a_fit_of_epochs_is_named_by_them(bench: ModuleType) -> None:
    point = {**bench.make_point("bunny", "flagship", 120.0, 0), "epochs": 60}
    assert bench.label(point) == "bunny, flagship, 120 s, seed 0"
    point["budget_seconds"] = None
    assert bench.label(point) == "bunny, flagship, 60 epochs, seed 0"


def test_kept_files_are_what_the_records_say(records: ModuleType, tmp_path: Path) -> None:
    """Of a source whose samples differ by one from what decodes: 48.13 dB."""
    (tmp_path / "source").mkdir()
    with inrcodec.VideoDecoder(GOLDEN) as decoder:
        for i, frame in enumerate(decoder[:].numpy() ^ 1):
            Image.fromarray(frame.transpose(1, 2, 0)).save(tmp_path / "source" / f"{i}.png")
    shutil.copy(GOLDEN, tmp_path / "a.inr")
    cut = {"clip": str(tmp_path / "source"), "crop": None, "resize": None, "frame_range": None}
    about = {"bytes": GOLDEN.stat().st_size, "sha256": records.sha256_of(GOLDEN)}
    good = {**cut, **about, "file": "a.inr", "psnr_db": 48.1308}

    def said(**changes: Any) -> str:
        found: dict[str, str] = records.verify([{**good, **changes}], tmp_path)
        return found["a.inr"]

    assert said() == said(psnr_db=48.1398) == ""
    assert "dB, recorded are" in said(psnr_db=48.151)
    assert "bytes, recorded are" in said(bytes=about["bytes"] + 1)
    assert "SHA-256" in said(sha256="0")
    assert said(file="b.inr") == "no record"
    lost = {**good, "file": "lost.inr"}
    assert records.verify([good, lost], tmp_path) == {"lost.inr": "no such file", "a.inr": ""}


def test_verify_fails_without_proof(bench: ModuleType, tmp_path: Path) -> None:
    arguments = bench.parse(
        ["verify", "--files", str(tmp_path), "--result", str(tmp_path / "none")]
    )
    assert arguments.action(arguments) == 1
    shutil.copy(GOLDEN, tmp_path)
    assert arguments.action(arguments) == 1


@pytest.fixture
def measured(bench: ModuleType) -> list[Record]:
    """The flagship with two seeds is as good after 10 minutes as the paper's after 30."""
    quality = {
        ("flagship", 120.0): (28.0, 28.2),
        ("flagship", 600.0): (29.0, 29.4),
        ("hnerv-paper", 120.0): (25.0,),
        ("hnerv-paper", 1800.0): (29.2,),
        ("nerv/default", 120.0): (24.0,),
        ("adam", 120.0): (28.5,),
    }
    return [
        make_record(bench.make_point("bunny", name, seconds, seed), value)
        for (name, seconds), values in quality.items()
        for seed, value in enumerate(values)
    ]


def tables_of(bench: ModuleType, found: list[Record]) -> dict[str, list[str]]:
    told = {"named": list(bench.NAMED), "ablation": list(bench.ABLATION), "budgets": bench.BUDGETS}
    report = importlib.import_module("equal_time_report")
    tables: dict[str, list[str]] = report.tables(found, **told)
    return tables


def test_tables_have_means_spreads_and_differences(
    bench: ModuleType, measured: list[Record]
) -> None:
    tables = tables_of(bench, measured)
    flagship, paper, zoo = tables["equal-time"][2:5]
    # The difference is of seed 0 alone, which both have.
    assert "| 28.10 dB (0.20, 2 seeds) | +3.00 | 29.20 dB (0.40, 2 seeds) |  |  |  |" in flagship
    assert "`hnerv`, paper | 1.7 | 25.00 dB |  |  |  | 29.20 dB |  |" in paper
    assert "`nerv/default` | `nerv`, default | 1.7 | 24.00 dB | -1.00 |" in zoo
    assert "crop 1280x640" in tables["equal-time"][-1]
    assert "0 of 7 points disturbed" in tables["equal-time"][-1]
    assert "| `adam` | `hnervpp`, default | 1.7 | 28.50 dB | +0.50 |" in tables["ablation"][3]
    assert tables["bikes"] == ["Not measured yet."]


def test_points_of_another_machine_than_the_baselines_have_their_own_table(
    bench: ModuleType, measured: list[Record]
) -> None:
    newer = make_record(bench.make_point("bunny", "flagship", 600.0, 0), 35.0)
    newer["processor"] = "a faster one"
    alone, beside = (tables_of(bench, found) for found in (measured, [*measured, newer]))
    assert alone["elsewhere"] == ["Not measured yet."]
    assert "35.00 dB" in beside["elsewhere"][2]
    assert "a faster one" in beside["elsewhere"][-1]
    for mark in ("equal-time", "time-to-quality", "ablation", "avx2"):
        assert beside[mark] == alone[mark]


def test_points_of_shorter_vectors_have_their_own_table(
    bench: ModuleType, measured: list[Record]
) -> None:
    slower = [
        {**make_record(bench.make_point("bunny", name, 600.0, 0), psnr), "processor": "one, AVX2"}
        for name, psnr in (("flagship", 31.0), ("hnerv-paper", 22.0))
    ]
    alone, beside = (tables_of(bench, found) for found in (measured, [*measured, *slower]))
    assert alone["avx2"] == ["Not measured yet."]
    assert "31.00 dB | +9.00" in beside["avx2"][2]
    assert {mark for mark in alone if alone[mark] != beside[mark]} == {"avx2"}


def test_time_to_quality_is_the_shortest_budget_that_is_as_good(
    bench: ModuleType, measured: list[Record]
) -> None:
    goal = "| bunny | 29.20 dB after 30 min | `flagship` |"
    (row,) = tables_of(bench, measured)["time-to-quality"][2:]
    assert row == f"{goal} 10 min | 29.20 dB | 3 times |"
    worse = [{**r, "psnr_db": r["psnr_db"] - 0.1 * (r["variant"] == "flagship")} for r in measured]
    (row,) = tables_of(bench, worse)["time-to-quality"][2:]
    assert row == f"{goal} not in 10 min | 29.10 dB |  |"
    poor = [{**r, "psnr_db": r["psnr_db"] - 10} for r in measured]
    assert tables_of(bench, poor)["time-to-quality"] == ["Not measured yet."]


def test_the_report_writes_page_and_plot(
    bench: ModuleType, records: ModuleType, measured: list[Record], tmp_path: Path
) -> None:
    page, result = tmp_path / "flagship.md", tmp_path / "result.json"
    shutil.copy(ROOT / "docs" / "flagship.md", page)
    for record in measured:
        records.save(result, record, HERE)
    ablation = tmp_path / "ablation.json"
    for name, psnr in (("flagship", 31.5), ("adam", 30.25)):
        records.save(ablation, make_record(bench.make_point("bunny", name, 120.0, 0), psnr), HERE)
    told = ["--page", str(page), "--result", str(result), "--ablation", str(ablation)]
    arguments = bench.parse(["report", *told])
    for _ in range(2):  # the second time over what the first one wrote
        assert arguments.action(arguments) == 0
        for rows in tables_of(bench, measured).values():
            assert "\n".join(rows) in page.read_text()
        assert page.read_text().count("(images/equal_time.png)") == 1
        now = page.read_text().split("<!-- ablation-now: begin -->")[1]
        assert "| `adam` | `hnervpp`, default | 1.7 | 30.25 dB | -1.25 |\n" in now
    assert (tmp_path / "images" / "equal_time.png").stat().st_size > 10_000


def committed_records(bench: ModuleType) -> list[Record]:
    found: list[Record] = bench.records_of([bench.RESULT, bench.XEON_RESULT, bench.AVX2_RESULT])
    return found


def test_the_page_says_what_the_committed_records_say(bench: ModuleType, tmp_path: Path) -> None:
    found = bench.current_records(committed_records(bench))
    text = (ROOT / "docs" / "flagship.md").read_text()
    for mark, rows in tables_of(bench, found).items():
        assert f"<!-- {mark}: begin -->\n" + "\n".join(rows) in text
    report = importlib.import_module("equal_time_report")
    page = tmp_path / "flagship.md"
    page.write_text(text)
    report.write_ablation(bench.current_records(bench.records_of(bench.ABLATION_RESULT)), page)
    assert page.read_text() == text


def test_committed_points_keep_their_size_and_time(bench: ModuleType, records: ModuleType) -> None:
    found = committed_records(bench)
    for record in found:
        assert 0.98 * record["size_bytes"] <= record["bytes"] <= record["size_bytes"]
        assert record["seconds"]["total"] <= record["budget_seconds"]
    digests = {record["file"]: record["sha256"] for record in found}
    for path in bench.FILES.glob("*.inr"):
        assert digests[path.name] == records.sha256_of(path)
