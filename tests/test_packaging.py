"""What is installed, what importing it costs, and what must not be in the repository."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = [
    "models",
    "entropy",
    "datasets",
]  # at the top of the repository, imported as inrcodec.<room>
HEAVY = ["av", "compressai", "msgpack", "numpy", "skimage", "torch", "tqdm"]


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python as a user starts it from some other folder."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def version() -> str:
    match = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert match
    return match[1]


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_not_importable_bare(room: str, tmp_path: Path) -> None:
    program = f"import importlib.util as u; s = u.find_spec({room!r}); print(s and s.origin)"
    run = run_python("-I", "-c", program, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert str(ROOT) not in run.stdout  # somebody else's package of that name may be installed


@pytest.mark.parametrize("cwd", ["elsewhere", "root"])
@pytest.mark.parametrize("room", ROOMS)
def test_room_is_importable_in_inrcodec(room: str, cwd: str, tmp_path: Path) -> None:
    folder = ROOT if cwd == "root" else tmp_path
    program = f"import inrcodec.{room} as room; print(room.__name__)"
    run = run_python("-c", program, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == f"inrcodec.{room}"


def test_version_is_that_of_pyproject(tmp_path: Path) -> None:
    run = run_python("-I", "-c", "import inrcodec; print(inrcodec.__version__)", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == version()


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_know_nothing_of_the_codec_but_its_errors(room: str) -> None:
    known = ("inrcodec.errors", f"inrcodec.{room}")
    for file in (ROOT / room).rglob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= len(file.relative_to(ROOT).parts) - 1, file  # in the room
                found |= {node.module or ""} if node.level == 0 else set()
        ours = {name for name in found if name.split(".")[0] == "inrcodec"}
        assert {name for name in ours if ".".join(name.split(".")[:2]) not in known} == set(), file


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    program = f"""
import json, sys
from inrcodec.cli import main
try:
    main(["--help"])
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))
"""
    run = run_python("-I", "-c", program, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    text, modules = run.stdout.rstrip().rsplit("\n", 1)
    assert json.loads(modules) == []
    assert "encode" in text
    assert "decode" in text


def test_help_answers_at_once(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        run = run_python("-m", "inrcodec", "--help", cwd=tmp_path)
        after = os.times()  # of a core: other tests run meanwhile
        seconds.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
        assert run.returncode == 0, run.stderr
        assert "usage" in run.stdout.lower()
    assert min(seconds) < 0.3, seconds


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the sources, without the network."""
    pytest.importorskip("setuptools", minversion="77", reason="builds a wheel with setuptools")
    source = tmp_path_factory.mktemp("source") / "tree"
    caches = shutil.ignore_patterns("__pycache__")
    for room in ["inrcodec", *ROOMS]:
        shutil.copytree(ROOT / room, source / room, ignore=caches)
    for name in ["pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, source / name)
    program = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    run = run_python("-c", program, cwd=source)
    assert run.returncode == 0, run.stderr
    (file,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(file)


def test_wheel_has_every_module_of_the_repository(wheel: zipfile.ZipFile) -> None:
    expected = {
        (Path("inrcodec") / file.relative_to(ROOT)).as_posix()
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
    }
    expected |= {file.relative_to(ROOT).as_posix() for file in (ROOT / "inrcodec").rglob("*.py")}
    assert expected <= set(wheel.namelist())


def test_wheel_has_the_data_of_its_packages(wheel: zipfile.ZipFile) -> None:
    expected = {
        f"inrcodec/{f.relative_to(ROOT).as_posix()}" for f in ROOT.glob("datasets/**/*.json")
    }
    report = ROOT / "inrcodec" / "evaluation" / "report"
    expected |= {f.relative_to(ROOT).as_posix() for f in report.iterdir() if f.suffix != ".py"}
    expected = {name for name in expected if "__pycache__" not in name}
    assert len(expected) >= 6
    assert expected <= set(wheel.namelist())


def test_wheel_has_nothing_beside_inrcodec(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"inrcodec", f"inrcodec-{version()}.dist-info"}


def test_wheel_is_typed_and_has_its_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "inrcodec/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_no_file_has_a_path_of_somebodys_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    folders = "|".join(["home", "root", "work", "Users", "opt"])
    private = re.compile(rf"(?<![\w.:/~-])/({folders})/\w".encode())
    found = []
    for name in map(os.fsdecode, filter(None, listing.stdout.split(b"\0"))):
        file = ROOT / name
        if file.is_file() and (match := private.search(file.read_bytes())):
            found.append(f"{name}: {match[0]!r}")
    assert found == []
