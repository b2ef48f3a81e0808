"""`report.html` as a reader meets it: no network, no console errors, things that move."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from inrcodec.evaluation._points import EvalPoint, load_points
from inrcodec.evaluation._published import PublishedCurve
from inrcodec.evaluation.report import write_report
from inrcodec.evaluation.report._viewer import nearest_points

LITERATURE = PublishedCurve(
    "HNeRV", "psnr_rgb", "another protocol", "a paper", ((0.03, 30.0), (0.1, 36.0))
)
READY = "document.documentElement?.dataset.ready === 'true'"


@pytest.fixture
def report(made_folder: Path) -> Path:
    path = made_folder / "report.html"
    points = load_points(made_folder)
    published = {"made": [LITERATURE]}
    write_report(points, path, out=made_folder, anchor="x265", published=published)
    return path


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


def test_its_data_are_the_records(report: Path, made_points: list[EvalPoint]) -> None:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', report.read_text(), re.DOTALL
    )
    assert found
    (clip,) = json.loads(found[1])["clips"]
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


@pytest.fixture
def comparison(made_points: list[EvalPoint], made_folder: Path) -> Path:
    """The page of `compare`: one point a video, of which only bytes and scores are known."""
    unknown = {"quality": None, "encode_seconds": None, "decode_seconds": None}
    unknown |= {"preset": None, "recipe": None, "parameters": None, "kmac_per_pixel": None}
    points = [
        replace(point, **unknown)  # type: ignore[arg-type]
        for point in made_points
        if point.codec in ("hnerv", "x265", "vvenc") and point.bpp < 0.03
    ]
    path = made_folder / "compare.html"
    write_report(points, path, out=made_folder, anchor="", kind="compare")
    return path


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


def test_a_comparison_says_nothing_that_is_not_known(
    comparison: Path, chromium: str, tmp_path: Path
) -> None:
    with load_cdp().Page(chromium, tmp_path / "profile") as page:
        page.open(comparison, ready=READY)
        page.wait_for("document.querySelectorAll('#rd-plot .scatterlayer .trace').length === 3")
        hover = "document.getElementById('rd-plot').data.map(t => t.customdata[0])"
        assert [re.fullmatch(r"[\d,]+ bytes", text) is None for text in page.evaluate(hover)] == [
            False
        ] * 3
        assert page.evaluate("document.getElementById('bd').hidden") is True
        head = "[...document.querySelectorAll('#points-table thead th')].map(c => c.textContent)"
        assert page.evaluate(head) == ["Codec", "Bytes", "bpp", "PSNR RGB (dB)", "MS-SSIM (dB)"]
        note = "document.getElementById('viewer-note').textContent"
        assert page.evaluate(note) == "Pictures are lossless."
        assert page.errors == []


def test_hovering_a_curve_says_how_its_point_was_made(
    report: Path, chromium: str, tmp_path: Path
) -> None:
    with load_cdp().Page(chromium, tmp_path / "profile") as page:
        page.open(report, ready=READY)
        page.wait_for("document.querySelectorAll('#rd-plot .scatterlayer .trace').length === 6")
        hover = "document.getElementById('rd-plot').data.slice(1).map(t => t.customdata[0])"
        texts = page.evaluate(hover)
        assert texts[0] == "1,728 bytes, wished 0.02 bpp<br>encoded in 60.0 s"
        assert re.fullmatch(r"[\d,]+ bytes, CRF/QP [\d.]+<br>encoded in 1.5 s", texts[2])


def load_cdp() -> ModuleType:
    path = Path(__file__).parent / "cdp.py"
    spec = importlib.util.spec_from_file_location("inr_cdp", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def keep(path: Path) -> None:
    """Leave a screenshot where the environment wishes, for people to look at."""
    if folder := os.environ.get("INRCODEC_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / path.name).write_bytes(path.read_bytes())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_moves_the_slider_and_toggles_curves(
    report: Path, chromium: str, tmp_path: Path, scheme: str
) -> None:
    with load_cdp().Page(chromium, tmp_path / "profile", dark=scheme == "dark") as page:
        page.open(report, ready=READY)
        page.wait_for("document.querySelectorAll('#rd-plot .scatterlayer .trace').length === 6")
        whole = tmp_path / f"report-{scheme}.png"
        page.screenshot(whole)
        keep(whole)
        curves_toggle(page)
        metric_switches(page)
        slider_wipes(page, tmp_path)
        assert page.errors == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)


def curves_toggle(page: Any) -> None:
    visible = "document.getElementById('rd-plot').data.filter(t => t.visible).map(t => t.name)"
    assert page.evaluate(visible).count("hnerv") == 1
    chip = "document.querySelector('[data-series=\"hnerv\"]')"
    page.evaluate(f"{chip}.click()")
    assert "hnerv" not in page.evaluate(visible)
    assert page.evaluate(f"{chip}.getAttribute('aria-pressed')") == "false"
    page.evaluate(f"{chip}.click()")
    assert "hnerv" in page.evaluate(visible)
    page.evaluate("document.getElementById('published').click()")
    assert "HNeRV (published: a paper)" not in page.evaluate(visible)
    page.evaluate("document.getElementById('log-rate').click()")
    assert page.evaluate("document.getElementById('rd-plot').layout.xaxis.type") == "log"


def metric_switches(page: Any) -> None:
    cells = "document.getElementById('bd-table').innerText"
    by_psnr = page.evaluate(cells)
    assert "vs x265 slow" in by_psnr
    page.evaluate("document.querySelector('[data-metric=\"ms_ssim\"]').click()")
    title = "document.getElementById('rd-plot').layout.yaxis.title.text"
    assert page.evaluate(title) == "MS-SSIM (dB)"
    assert page.evaluate(cells) != by_psnr
    assert page.evaluate("document.querySelectorAll('#points-table tbody tr').length") == 20


def slider_wipes(page: Any, folder: Path) -> None:
    page.evaluate("document.getElementById('viewer').scrollIntoView({behavior: 'instant'})")
    page.wait_for("document.getElementById('right-image').complete")
    box = page.evaluate(
        "(({left, top, width, height}) => [left, top, width, height])"
        "(document.getElementById('stage').getBoundingClientRect())"
    )
    x, y, width, height = box
    pictures = []
    for share in (0.25, 0.75):
        page.mouse("mousePressed", x + width / 2, y + height / 3)
        page.mouse("mouseMoved", x + share * width, y + height / 3)
        page.mouse("mouseReleased", x + share * width, y + height / 3)
        value = int(page.evaluate("document.getElementById('wipe').value"))
        assert value == pytest.approx(1000 * share, abs=5)
        path = folder / f"slider-{share}.png"
        page.screenshot(path, whole=False)
        keep(path)
        pictures.append(Image.open(path).convert("RGB"))
    # In the middle the left picture replaces the right one; at both edges nothing changes.
    middle = (int(x + width / 2), int(y + height / 8))
    edge = (int(x + width / 8), int(y + height / 8))
    assert pictures[0].getpixel(middle) != pictures[1].getpixel(middle)
    assert pictures[0].getpixel(edge) == pictures[1].getpixel(edge)
    page.evaluate(
        "wipe.value = 400, document.getElementById('wipe').dispatchEvent(new Event('input'))"
    )
    wiped = "document.getElementById('stage').style.getPropertyValue('--wipe')"
    assert page.evaluate(wiped) == "40.0%"
