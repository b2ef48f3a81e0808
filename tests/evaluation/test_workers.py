"""Worker processes: one that dies, Ctrl-C, SIGTERM, and what they leave."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import psutil
import pytest

from inrcodec.errors import VideoError
from inrcodec.evaluation import RawFrames, Reference
from inrcodec.evaluation._plan import EvalOptions, PointJob
from inrcodec.evaluation._workers import execute_in_processes
from inrcodec.models import _registry, names


@dataclass(frozen=True, kw_only=True)
class MadeJob(PointJob):
    """A job that does in its worker what `action` says, and then fails as `made`."""

    action: str = "fail"

    @property
    def stream_folder(self) -> Path:
        if "die" in self.action and (self.action == "die" or not self.mark("died").exists()):
            self.mark("died").touch()
            child = subprocess.Popen(["sleep", "100"])
            self.mark("child").write_text(str(child.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "wait":
            self.mark("begun").touch()
            try:
                time.sleep(100)
            except KeyboardInterrupt:
                self.mark("saved").touch()
                raise
        raise VideoError(" ".join(names()) if self.action == "names" else "made")

    def mark(self, name: str) -> Path:
        return self.out / f"{self.quality:g}.{name}"


@pytest.fixture(autouse=True)
def workers_find_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process unpickles `MadeJob` by the name of this module."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def make_job(out: Path, number: int, action: str) -> MadeJob:
    rgb, yuv = (RawFrames(out / "no", form, 2, 2, 1) for form in ("rgb24", "yuv420p"))
    return MadeJob(
        source="made",
        reference=Reference("made", rgb, yuv, Fraction(25), "bt709", "made"),
        out=out,
        codec="x264",
        kind="reference",
        detail="medium",
        quality=number,
        options=EvalOptions(codecs=("x264",)),
        settings={},
        action=action,
    )


def has_ended(process: int) -> bool:
    try:  # who inherits an orphan may take its time to reap it
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], object], *, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_that_dies_fails_its_own_point_only(tmp_path: Path) -> None:
    actions = ["die", "die once", "fail"]
    jobs = [make_job(tmp_path, i, action) for i, action in enumerate(actions)]
    outcomes = list(execute_in_processes(jobs, 2))
    errors = {jobs.index(outcome.job): outcome.error for outcome in outcomes}  # type: ignore[arg-type]
    assert len(outcomes) == 3
    assert "died twice" in (errors.pop(0) or "")
    assert errors == {1: "made", 2: "made"}
    for job in jobs[:2]:  # FFmpeg would go on for hours
        wait_for(partial(has_ended, int(job.mark("child").read_text())), seconds=20)


def test_workers_know_networks_that_others_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_registry, "_ENTRIES", dict(_registry._ENTRIES))
    (tmp_path / "blocky_net.py").write_text(
        "from inrcodec.models import NeRV, NeRVConfig, register\n"
        "class Config(NeRVConfig): pass\n"
        "@register('blocky')\n"
        "class Blocky(NeRV): config_class = Config\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "blocky_net", raising=False)
    importlib.import_module("blocky_net")
    (outcome,) = execute_in_processes([make_job(tmp_path, 0, "names")], 1)
    assert (outcome.error or "").split() == names()
    assert "blocky" in names()


def test_nothing_begins_after_ctrl_c(tmp_path: Path) -> None:
    actions = ["fail", "wait", "wait", "wait"]
    jobs = [make_job(tmp_path, i, action) for i, action in enumerate(actions)]
    outcomes = execute_in_processes(jobs, 2)
    assert next(outcomes).error == "made"
    wait_for(jobs[1].mark("begun").exists)
    outcomes.close()  # type: ignore[attr-defined]
    assert jobs[1].mark("saved").exists()
    assert not any(job.mark("begun").exists() for job in jobs[2:])


# Of every process of a call: it leaves a file where a fit begins to save what it has when killed.
NOTES_FITS = """
import os
from contextlib import contextmanager
from pathlib import Path
from inrcodec import _rounds

held = _rounds.hold_interrupts

@contextmanager
def noted():
    with held() as flag:
        Path(os.environ["FITS"], str(os.getpid())).touch()
        yield flag

_rounds.hold_interrupts = noted
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_killed_saves_its_fits_and_leaves_no_process(
    how: signal.Signals, tiny_clip: Path, tmp_path: Path
) -> None:
    site, fits, out = (tmp_path / name for name in ("site", "fits", "out"))
    site.mkdir()
    fits.mkdir()
    (site / "sitecustomize.py").write_text(NOTES_FITS)
    variables = {**os.environ, "PYTHONPATH": str(site), "FITS": str(fits)}
    command = [sys.executable, "-m", "inrcodec", "eval", str(tiny_clip), "--out", str(out)]
    command += ["--codecs", "hnervpp", "--points", "8,12", "--epochs", "1000000", "--workers", "2"]
    command += ["--device", "cpu", "-q"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=variables) as call:
        wait_for(lambda: len(list(fits.iterdir())) == 2)
        family = psutil.Process(call.pid).children(recursive=True)
        call.send_signal(how)
        _, err = call.communicate(timeout=90)
    wait_for(lambda: all(has_ended(process.pid) for process in family))
    assert len(list(out.glob("streams/*/*/*.ckpt"))) == 2
    if how == signal.SIGTERM:
        assert call.returncode == 130
        assert b"interrupted: 0 of 2 points are in" in err
        assert err.count(b"\n") == 1
