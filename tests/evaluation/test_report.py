"""`report.html`: refers to nothing outside, and holds what its script shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from inrcodec.evaluation import report as report_package
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation.report import write_report
from inrcodec.evaluation.report._viewer import nearest_points


class Resources(HTMLParser):
    """What a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found += [str(values[n]) for n in ("src", "href", "srcset", "action") if values.get(n)]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(values["content"])


def test_it_refers_to_nothing_outside(report: Path) -> None:
    page = Resources()
    page.feed(report.read_text())
    assert [found for found in page.found if not found.startswith("#")] == []
    assert page.policy.startswith("default-src 'none'")
    style = re.search(r"<style>(.*?)</style>", report.read_text(), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def data_of(report: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', report.read_text(), re.DOTALL
    )
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_its_data_are_the_records(report: Path, made_points: list[EvalPoint]) -> None:
    (clip,) = data_of(report)["clips"]
    assert [s["name"] for s in clip["series"]][:2] == ["hnerv", "nervpp"]
    assert sum(len(s["points"]) for s in clip["series"]) == len(made_points)
    assert clip["anchor"] == "x265 slow"
    # A codec that is 1.5 dB worse at every rate takes more bytes.
    assert clip["bd"]["psnr_rgb"]["x264 slow"]["x265 slow"] == pytest.approx(18.9, abs=0.5)
    assert clip["viewer"]["frames"] == [3, 9]
    assert clip["published"][0]["source"] == "a paper"
    images = [uri for entry in clip["viewer"]["entries"] for uri in entry["images"]]
    assert len(images) == 12
    assert all(uri.startswith("data:image/webp;base64,") for uri in images)
    assert clip["series"][0]["points"][0]["budget"] == "30 epochs"


def test_it_has_per_frame_values_of_the_shown_points_only(report: Path) -> None:
    (clip,) = data_of(report)["clips"]
    for series in clip["series"]:
        assert len(series["perFrame"]["psnr_rgb"]) == 12
        assert all("perFrame" not in point for point in series["points"])


def test_it_states_cut_and_budget(made_points: list[EvalPoint], made_folder: Path) -> None:
    settings = {"crop": [64, 48], "resize": [320, 180], "time_seconds": 90.0}
    point = replace(made_points[0], settings=settings)
    path = made_folder / "one.html"
    write_report([point], path, out=made_folder, anchor="x265")
    said = data_of(path)["provenance"]
    assert said[:3] == ["crop: 64x48", "resize: 320x180", "budget of a fit: 90 s"]


def test_metrics_have_their_digits_and_directions(report: Path) -> None:
    metrics = data_of(report)["metrics"]
    assert metrics["lpips"] == {
        "name": "LPIPS",
        "label": "LPIPS",
        "axis": "LPIPS (lower is better)",
        "digits": 4,
    }
    assert (metrics["psnr_rgb"]["name"], metrics["psnr_rgb"]["digits"]) == ("PSNR RGB", 2)


def members(of: Any) -> set[str]:
    """The names of all members, those of maps whose keys are data left out."""
    if isinstance(of, list):
        return {name for item in of for name in members(item)}
    if not isinstance(of, dict):
        return set()
    keyed = {"bd", "perFrame", "metrics"}
    return {*of, *(name for k, v in of.items() if k not in keyed for name in members(v))}


def test_the_script_reads_all_data(report: Path) -> None:
    """And the template has no attributes that nobody asks for."""
    folder = Path(report_package.__file__).parent
    script = (folder / "report.js").read_text()
    data = data_of(report)
    names = members(data) | set(data["metrics"]["lpips"])
    unread = {name for name in names if not re.search(rf"\b{name}\b", script)}
    assert unread == set()
    attributes = set(re.findall(r"\bdata-[a-z]+", (folder / "template.html").read_text()))
    assert attributes == {"data-of"}
    assert "[data-of=" in script


def test_a_record_without_pictures_is_left_out_of_the_viewer(
    made_points: list[EvalPoint], made_folder: Path
) -> None:
    points = [
        replace(p, snapshots={} if p.codec == "x264" else p.snapshots)
        for p in made_points
        if p.codec != "vvenc"
    ]
    shown = nearest_points(points)["x265 slow"]
    (made_folder / shown.snapshots["3"]).unlink()
    path = made_folder / "without.html"
    write_report(points, path, out=made_folder, anchor="x265")
    (clip,) = data_of(path)["clips"]
    assert clip["viewer"]["frames"] == [9]  # which all others have
    names = [entry["name"] for entry in clip["viewer"]["entries"]]
    assert names == ["source", "hnerv", "nervpp", "x265 slow"]
    assert clip["viewer"]["note"].endswith("Without pictures of these frames: x264 slow.")
    point = next(entry for entry in clip["viewer"]["entries"] if entry["name"] == "x265 slow")
    assert point["psnr"] == [shown.per_frame["psnr_rgb"][9]]


def test_several_clips_have_a_mean(
    made_points: list[EvalPoint], made_folder: Path, make_point: Callable[..., EvalPoint]
) -> None:
    more = [replace(p, clip="more", label="more") for p in made_points if p.codec != "x264"]
    path = made_folder / "several.html"
    write_report([*made_points, *more], path, out=made_folder, anchor="x265")
    made, other, mean = data_of(path)["clips"]
    assert (mean["label"], mean["viewer"]["entries"]) == ("mean over 2 clips", [])
    assert [s["name"] for s in mean["series"]] == ["hnerv", "nervpp", "vvenc slow", "x265 slow"]
    assert mean["bd"]["psnr_rgb"]["x264 slow"]["x265 slow"] is None
    assert mean["bd"]["psnr_rgb"]["vvenc slow"] == pytest.approx(
        {**made["bd"]["psnr_rgb"]["vvenc slow"], "x264 slow": None}
    )
    colors = [{s["name"]: s["color"] for s in clip["series"]} for clip in (made, other, mean)]
    assert colors[0] == colors[0] | colors[1] | colors[2]


def test_names_cannot_break_out_of_the_page(
    made_points: list[EvalPoint], made_folder: Path
) -> None:
    evil = replace(made_points[0], label="</script><script>alert(1)</script> %%PLOTLY%%")
    path = made_folder / "evil.html"
    write_report([evil], path, out=made_folder, anchor="x265", title="<b>&")
    assert "<script>alert" not in path.read_text()
    assert "<title>&lt;b&gt;&amp;</title>" in path.read_text()


def test_viewer_takes_the_points_nearest_in_bytes(made_points: list[EvalPoint]) -> None:
    sizes = [point.bytes for point in nearest_points(made_points).values()]
    assert max(sizes) / min(sizes) < 1.2


def test_a_comparison_has_no_bd_rates_and_claims_no_equal_bytes(comparison: Path) -> None:
    page = comparison.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data = json.loads(found[1])
    (clip,) = data["clips"]
    assert (data["kind"], clip["bd"], len(clip["series"])) == ("compare", {}, 3)
    assert {point["quality"] for s in clip["series"] for point in s["points"]} == {None}
    assert "<h2>Frames side by side</h2>" in page
    assert "Frames at equal bytes" not in page
