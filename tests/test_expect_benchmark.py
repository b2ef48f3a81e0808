"""`benchmarks/expect.py`: what the README says of it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType


def test_the_readme_says_what_the_committed_records_say(
    benchmark_script: Callable[[str], ModuleType],
) -> None:
    expect = benchmark_script("expect")
    text = (expect.ROOT / "README.md").read_text()
    said = text.split(expect.BEGIN)[1].split(expect.END)[0].strip()
    assert said.count("\n") > 2
    assert said == expect.table()
