"""`report.html` in a browser: no console errors, no requests, things that move."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

READY = "document.documentElement?.dataset.ready === 'true'"


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
        zoom_stays(page)
        slider_wipes(page, tmp_path)
        assert page.errors == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)


def curves_toggle(page: Any) -> None:
    dashes = "document.getElementById('{}').data.filter(t => t.visible).map(t => t.line.dash)"
    assert page.evaluate(dashes.format("rd-plot")) == ["dash", *["solid"] * 5]
    assert page.evaluate(dashes.format("frame-plot")) == ["solid"] * 5
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
    assert "NeRV: not drawn, other frames." in page.evaluate(
        "document.getElementById('published-note').textContent"
    )
    page.evaluate("document.getElementById('log-rate').click()")
    assert page.evaluate("document.getElementById('rd-plot').layout.xaxis.type") == "log"


def zoom_stays(page: Any) -> None:
    """When a curve is toggled; not when the axes mean something else."""
    plot = "document.getElementById('rd-plot')"
    page.evaluate("document.querySelector('[data-metric=\"psnr_rgb\"]').click()")
    page.evaluate(f"void Plotly.relayout({plot}, {{'yaxis.range[0]': 30, 'yaxis.range[1]': 31}})")
    page.wait_for(f"{plot}.layout.yaxis.range[0] === 30")
    page.evaluate("document.querySelector('[data-series=\"hnerv\"]').click()")
    assert page.evaluate(f"{plot}.layout.yaxis.range") == [30, 31]
    page.evaluate("document.querySelector('[data-series=\"hnerv\"]').click()")
    page.evaluate("document.querySelector('[data-metric=\"ms_ssim\"]').click()")
    assert page.evaluate(f"{plot}.layout.yaxis.range[1] - {plot}.layout.yaxis.range[0]") > 1.5


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
    # A finger that moves up or down scrolls the page.
    touch = page.evaluate("getComputedStyle(document.getElementById('stage')).touchAction")
    assert touch == "pan-y pinch-zoom"
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
