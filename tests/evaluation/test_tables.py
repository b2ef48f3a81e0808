"""Tables that other programs read: golden CSV and CompressAI JSON."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._tables import compressai_json, csv_text

MakePoint = Callable[..., EvalPoint]


def parse_json_file(path: Path, metric: str) -> dict[str, Any]:
    """CompressAI's own reader, without its package, whose import takes half a minute."""
    package = importlib.util.find_spec("compressai")
    assert package
    assert package.submodule_search_locations
    file = Path(package.submodule_search_locations[0], "utils", "plot", "__main__.py")
    spec = importlib.util.spec_from_file_location("compressai_plot", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parsed: dict[str, Any] = module.parse_json_file(path, metric)
    return parsed


def test_csv(make_point: MakePoint) -> None:
    settings = {"crop": [1280, 640], "resize": None, "epochs": None, "time_seconds": 120.0}
    point = replace(
        make_point("hnerv", 0.05, kind="inr"), metrics={"psnr_rgb": 30.25}, settings=settings
    )
    other = replace(make_point("x265", 0.1), metrics={"vmaf": 80.0})
    assert csv_text([point, other]) == (
        "clip,width,height,frames,fps,codec,kind,preset,model,recipe,"
        "crop,resize,epochs,time_seconds,quality,bytes,bpp,"
        "encode_seconds,decode_seconds,parameters,kmac_per_pixel,device,seed,commit,psnr_rgb,vmaf\n"
        "made,320,180,12,25.0,hnerv,inr,medium,hnerv,default,1280x640,,,120.0,0.05,4320,0.05,"
        '60.0,0.25,120000,21.5,"cpu, 2 threads",0,abc1234,30.25,\n'
        "made,320,180,12,25.0,x265,reference,slow,,,,,,,26.7,8640,0.1,"
        '1.5,0.25,,,"cpu, 2 threads",,abc1234,,80.0\n'
    )
    rows = list(csv.DictReader(io.StringIO(csv_text([point, other]))))
    assert rows[0]["device"] == "cpu, 2 threads"


def test_compressai_json(make_point: MakePoint, tmp_path: Path) -> None:
    points = [
        replace(make_point("x265", bpp), metrics={"psnr_rgb": psnr, "ms_ssim": 0.99})
        for bpp, psnr in ((0.05, 30.0), (0.1, 33.0))
    ]
    path = tmp_path / "x265.json"
    path.write_text(compressai_json("x265 slow", points))
    assert json.loads(path.read_text()) == {
        "name": "x265 slow",
        "description": "made 320x180, frames 0:12; cpu, 2 threads; commit abc1234; bpp of the file",
        "results": {
            "bpp": [0.05, 0.1],
            "psnr-rgb": [30.0, 33.0],
            "ms-ssim-rgb": [0.99, 0.99],
            "encoding_time": [1.5, 1.5],
            "decoding_time": [0.25, 0.25],
        },
    }
    # CompressAI's own plot tool takes it, and turns MS-SSIM into dB.
    assert parse_json_file(path, "psnr") == {"name": "x265 slow", "xs": [0.05, 0.1], "ys": [30, 33]}
    assert parse_json_file(path, "ms-ssim")["ys"] == pytest.approx([20, 20])
