"""The command line as a user meets it: outputs, exit statuses, one line an error."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from inrcodec.cli import main
from inrcodec.cli._parser import printable
from inrcodec.cli._play import player_options
from inrcodec.video import VideoReader

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_encode_prints_the_report(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(
        capsys, "encode", tiny_clip, tmp_path / "a.inr", "--epochs", 2, "--bpp", 8
    )
    size = (tmp_path / "a.inr").stat().st_size
    assert status == 0
    assert f"{size} bytes" in out
    assert "PSNR" in out
    assert "fit:" in err


def test_encode_json_has_what_the_contract_names(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--epochs", 2, "--size", "8k", "--model", "hnerv", "--seed", 3, "--json", "-q"]
    status, out, err = run(capsys, "encode", tiny_clip, tmp_path / "a.inr", *arguments)
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["bytes"] == (tmp_path / "a.inr").stat().st_size <= 8000
    assert report["model"] == "hnerv"
    assert report["seed"] == 3
    assert set(report["seconds"]) == {"read", "fit", "code", "verify", "total"}
    for key in ("bpp", "psnr_db", "ms_ssim", "frames", "parameters", "bits_per_parameter"):
        assert key in report
    for key in ("kmac_per_pixel", "device", "versions"):
        assert report[key]


def test_encode_takes_the_options_of_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "a.yuv"
    raw.write_bytes(bytes(range(256)) * (48 * 32 * 3 // 2 * 4 // 256))
    arguments = ["--video-size", "48x32", "--pix-fmt", "yuv420p", "--fps", "30000/1001"]
    arguments += ["--frames", "1:4", "--crop", "40x32", "--resize", "20x16"]
    arguments += ["--epochs", "1", "--bpp", "60", "--json", "-q"]
    status, out, _ = run(capsys, "encode", raw, tmp_path / "a.inr", *arguments)
    assert status == 0
    report = json.loads(out)
    assert (report["width"], report["height"], report["frames"]) == (20, 16, 3)
    status, out, _ = run(capsys, "info", tmp_path / "a.inr", "--json")
    assert json.loads(out)["average_fps"] == pytest.approx(30000 / 1001)


def test_overhead_of_one_segment_is_under_600_bytes(
    tiny_inr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "info", tiny_inr, "--json")
    sizes = json.loads(out)["sizes"]
    overhead = sum(size for name, size in sizes.items() if name not in ("decoder", "embeddings"))
    assert 100 < overhead < 600


@pytest.mark.parametrize("file", sorted((RESULTS / "files_1280").glob("*.inr")), ids=str)
def test_overhead_of_published_files_is_small(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """README says how many bytes they have, which is more than the 600 that were wished."""
    _, out, _ = run(capsys, "info", file, "--json")
    info = json.loads(out)
    sizes = info["sizes"]
    overhead = sum(size for name, size in sizes.items() if name not in ("decoder", "embeddings"))
    assert 500 < overhead < 800
    assert overhead < 0.01 * info["bytes"]


def test_info_says_where_every_byte_went(
    segmented_inr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "info", segmented_inr, "--json")
    info = json.loads(out)
    assert status == 0
    assert sum(info["sizes"].values()) == info["bytes"] == segmented_inr.stat().st_size
    assert info["audio"] == ["aac"]
    assert [s["frames"] for s in info["segments"]] == [4, 4, 4]
    payload = info["sizes"]["decoder"] + info["sizes"]["embeddings"]
    bits = sum(tensor["bits"] for tensor in info["tensors"].values())
    assert payload == pytest.approx(bits / 8, rel=0.01)
    assert sum(t["values"] for t in info["tensors"].values()) == info["parameters"]
    status, out, _ = run(capsys, "info", segmented_inr)
    assert f"{info['bytes']} bytes" in out
    assert "3 segment(s)" in out
    assert "side_information" in out


def test_decode_writes_the_frames_asked_for(
    segmented_inr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(
        capsys, "decode", segmented_inr, tmp_path / "f%03d.png", "--frames", "2:5"
    )
    assert (status, out) == (0, "")
    assert "3 frames" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f001.png", "f002.png", "f003.png"]


def test_decode_to_standard_output_is_y4m(segmented_inr: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inrcodec", "decode", str(segmented_inr), "-", "-q"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert done.stderr == b""
    (tmp_path / "out.y4m").write_bytes(done.stdout)
    with VideoReader(tmp_path / "out.y4m") as reader:
        assert sum(1 for _ in reader) == 12


def test_a_reader_that_leaves_early_is_one_line(segmented_inr: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m inrcodec decode {segmented_inr} - -q | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, cwd=tmp_path)
    assert done.stdout == b"YUV4MPEG2 "
    assert len(done.stderr.splitlines()) <= 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["encod", "a", "b"], 2, "invalid choice: 'encod'"),
        (["encode", "a.mp4"], 2, "required: OUT.inr"),
        (["encode", "a", "b", "--bpp", "x"], 2, "'x' is no number above 0"),
        (["encode", "a", "b", "--size", "1q"], 2, "'1q' is no size such as"),
        (["encode", "a", "b", "--time", "soon"], 2, "'soon' is no time such as"),
        (["encode", "a", "b", "--frames", "5:2"], 2, "'5:2' is empty"),
        (["encode", "a", "b", "--resize", "640"], 2, "'640' is no width and height"),
        (["encode", "a", "b", "--bpp", "1", "--size", "5k"], 2, "not allowed with"),
        (["encode", "a", "b", "--epochs", "5", "--time", "5s"], 2, "not allowed with"),
        (["encode", "a", "b", "--pix-fmt", "yuv420p"], 2, "goes with --video-size"),
        (["encode", "a", "b", "--preset", "turbo"], 2, "must be one of fast"),
        (["encode", "a", "b", "--model", "hnrv"], 2, "did you mean 'hnerv'"),
        (["encode", "no-such.mp4", "b.inr"], 1, "no-such.mp4"),
        (
            ["encode", "no-such.mp4", "b.inr", "--model-set", "heads=3"],
            2,
            "cannot override 'heads'",
        ),
        (["encode", "no-such.mp4", "b.inr", "--model-set", "motion=yes"], 2, "of type int"),
        (["encode", "no-such.mp4", "b.inr", "--fit-set", "qat_fraction=1"], 2, "and < 1"),
        (
            ["eval", "a.mp4", "--out", "o", "--codecs", "hnerv", "--tune-psnr"],
            2,
            "--tune-psnr is for",
        ),
        (["eval", "a.mp4", "--out", "o", "--codecs", "x264", "--time", "9s"], 2, "--time is for"),
        (["eval", "a.mp4", "--out", "o", "--codecs", "x264", "--recipe", "soap"], 2, "--recipe is"),
        (["compare", "a.mp4", "b.mp4", "--video-size", "64x48"], 2, "no source is one"),
        (["encode", "a.mp4", "b.inr", "--video-size", "64x48"], 2, "and a.mp4 is none"),
        (["decode", "no-such.inr", "b.mp4"], 1, "no-such.inr"),
        (["info", "/dev/null"], 1, "not an .inr file"),
        (["models", "nope"], 2, "unknown network 'nope'"),
        (["datasets", "buny"], 1, "bunny"),
    ],
)
def test_errors_are_one_line_with_the_right_status(
    arguments: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *arguments)
    assert found == status
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def describe(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("inrcodec._info.describe", describe)
    status, _, err = run(capsys, "info", "a.inr")
    assert (status, err) == (1, "inrcodec: [Errno 28] No space left on device\n")


def test_unknown_output_ending_lists_the_known(
    tiny_inr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "decode", tiny_inr, tmp_path / "a.gif")
    assert status == 1
    assert ".mp4" in err


def test_verbose_says_what_is_decided_and_where_errors_arise(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "inrcodec", "encode", str(tiny_clip), "a.inr", "-q", "-v"]
    command += ["--epochs", "1", "--bpp"]
    done = subprocess.run([*command, "8"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert "frames 0 to 5: hnervpp of" in done.stderr
    assert "bytes of at most" in done.stderr
    told = ["encode", tiny_clip, tmp_path / "b.inr", "-q", "-v", "--epochs", "1", "--bpp", "0.1"]
    status, _, err = run(capsys, *told)
    assert status == 1
    assert "Traceback" in err
    assert "too few" in err.splitlines()[-1]


def test_models_describes_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "models", "hnerv", "--json", "--no-speed")
    assert status == 0
    model = json.loads(out)
    assert model["arxiv"] == "2304.02633"
    assert model["parameters"] == pytest.approx(1_500_000, rel=0.02)


def test_datasets_lists_the_clips(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "datasets")
    assert status == 0
    assert "bunny" in out
    assert "1280x720" in out


def test_play_pipes_to_the_player_that_is_there(
    segmented_inr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = run(capsys, "play", segmented_inr)
    assert status == 1
    assert "install ffplay" in err

    player = tmp_path / "ffplay"
    player.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(tmp_path / 'played')!r}, 'wb').write(sys.stdin.buffer.read())\n"
        f"open({str(tmp_path / 'told')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
    )
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    status, _, err = run(capsys, "play", segmented_inr, "--frames", "0:3")
    assert (status, err) == (0, "")
    assert "-vf setparams=colorspace=bt470bg" in (tmp_path / "told").read_text()
    played = (tmp_path / "played").read_bytes()
    assert played.startswith(b"YUV4MPEG2 W64 H48")
    assert played.count(b"FRAME") == 3


@pytest.mark.parametrize(
    ("player", "matrix", "said"),
    [
        ("ffplay", 1, "setparams=colorspace=bt709"),
        ("ffplay", 2, "setparams=colorspace=bt470bg"),
        ("mpv", 1, "--vf=format:colormatrix=bt.709"),
        ("mpv", 0, "--vf=format:colormatrix=bt.601"),
        ("mpv", 9, "--vf=format:colormatrix=bt.2020-ncl"),
    ],
)
def test_players_are_told_the_matrix(player: str, matrix: int, said: str) -> None:
    options = player_options(player, matrix)
    assert said in options
    assert options[-1] == "-"


def _install_player(folder: Path, monkeypatch: pytest.MonkeyPatch, *, script: str) -> None:
    """Put a shell script where `play` finds it as ffplay."""
    player = folder / "ffplay"
    player.write_text(f"#!/bin/sh\n{script}\n")
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_play_refuses_ranges_outside(
    tiny_inr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _install_player(tmp_path, monkeypatch, script=f"touch {tmp_path / 'opened'}")
    status, _, err = run(capsys, "play", tiny_inr, "--frames", "100:200")
    assert status == 2
    assert err == "inrcodec: frames are 100:200, must be a range within 0:6\n"
    assert not (tmp_path / "opened").exists()


def test_a_player_that_is_quit_is_no_failure(
    tiny_inr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _install_player(tmp_path, monkeypatch, script="exec 0<&-; sleep 0.5; exit 0")
    assert run(capsys, "play", tiny_inr) == (0, "", "")


def test_a_player_that_stays_without_its_input_is_killed(
    tiny_inr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("inrcodec.cli._play._CLOSING_SECONDS", 0.2)
    script = f"exec 0<&-; echo $$ > {tmp_path / 'process'}; exec sleep 60"
    _install_player(tmp_path, monkeypatch, script=script)
    status, _, err = run(capsys, "play", tiny_inr)
    assert (status, err) == (1, "inrcodec: output: the reader closed the pipe\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


def test_play_does_not_read_the_audio(
    segmented_inr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = bytearray(segmented_inr.read_bytes())
    data[-20] ^= 1
    (tmp_path / "a.inr").write_bytes(data)
    _install_player(tmp_path, monkeypatch, script=f"cat > {tmp_path / 'played'}")
    assert run(capsys, "play", tmp_path / "a.inr") == (0, "", "")
    assert (tmp_path / "played").read_bytes().count(b"FRAME") == 12


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTry more"), "CUDA out of memory. ({gpu})"),
        (MemoryError(), "MemoryError ({cpu})"),
        (RuntimeError("[enforce fail] can't allocate memory: 9 bytes"), "9 bytes ({cpu})"),
        (RuntimeError("sizes differ\nin a long story"), "sizes differ (-v shows where)"),
    ],
)
def test_errors_of_memory_and_of_pytorch_are_one_line(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def encode(*told: object, **named: object) -> None:
        raise error

    monkeypatch.setattr("inrcodec.encode", encode)
    status, _, err = run(capsys, "encode", "a.mp4", "a.inr")
    assert status == 1
    cpu = "try a smaller --resize or a smaller --size"
    assert err.endswith(words.format(cpu=cpu, gpu=f"{cpu} or --device cpu") + "\n")
    assert len(err.splitlines()) == 1
    assert ("out of memory: " in err) == ("{" in words)
    status, _, err = run(capsys, "encode", "a.mp4", "a.inr", "-v")
    assert status == 1
    assert err.startswith("Traceback")


def test_verbose_shows_where_a_wrong_call_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    call = ("encode", "a.mp4", "a.inr", "--preset", "quick")
    assert run(capsys, *call)[2].startswith("inrcodec: preset is 'quick'")
    status, _, err = run(capsys, *call, "-v")
    assert status == 2
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("inrcodec: preset is 'quick'")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from inrcodec import __version__

    assert run(capsys, "--version")[:2] == (0, f"inrcodec {__version__}\n")


def test_play_opens_no_player_for_what_cannot_be_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    player = tmp_path / "ffplay"
    player.write_text(f"#!/bin/sh\ntouch {tmp_path / 'opened'}\n")
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    damaged = tmp_path / "damaged.inr"
    damaged.write_bytes(b"INR")
    status, _, err = run(capsys, "play", damaged)
    assert (status, len(err.splitlines())) == (1, 1)
    assert not (tmp_path / "opened").exists()


def test_sigterm_is_ctrl_c(
    tiny_inr: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def describe(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr("inrcodec._info.describe", describe)
    before = signal.getsignal(signal.SIGTERM)
    status, _, err = run(capsys, "info", tiny_inr)
    assert (status, err) == (130, "inrcodec: interrupted\n")
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_stdout_cannot_print_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"caf\xe9.inr")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert printable(f"{name}: ä") == "caf?.inr: ä"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert printable("ä.inr") == "?.inr"


def test_texts_of_files_do_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\x1b]0;owned\x07.inr"
    path.write_bytes(b"no video")
    status, _, err = run(capsys, "info", path)
    assert status == 1
    assert "a?]0;owned?.inr" in err
    assert err.rstrip("\n").isprintable()
