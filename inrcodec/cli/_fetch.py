"""`inrcodec datasets NAME --fetch`: clips downloaded one after the other, with progress bars."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


def fetch_all(
    names: Sequence[str], *, root: str | None, keep_archive: bool, quiet: bool
) -> list[str]:
    """Download what is absent, and return one line for each clip of several that failed.

    Raises:
        InrcodecError, OSError: the only clip failed.
    """
    from inrcodec import datasets
    from inrcodec.errors import InrcodecError

    failures = []
    bars = _Bars(enabled=not quiet)
    try:
        for name in names:
            try:
                datasets.fetch(name, root=root, keep_archive=keep_archive, progress=bars.report)
            except (InrcodecError, OSError) as exc:
                if len(names) == 1:
                    raise
                failures.append(f"{name}: {' '.join(str(exc).split())}")
                bars.close()
                if not quiet:
                    print(f"inrcodec: {name} failed, see below", file=sys.stderr)
    finally:
        bars.close()
    if not quiet and len(failures) < len(names):
        _tell_where_others_look(root)
    return failures


def _tell_where_others_look(root: str | None) -> None:
    """Say how the other commands, which have no `--root`, find the clips."""
    from inrcodec import datasets

    folder = datasets.data_folder(root).resolve()
    if folder != datasets.data_folder().resolve():
        print(
            f"inrcodec: encode and eval find what is in {folder} "
            f"where the environment variable INRCODEC_DATA is {folder}",
            file=sys.stderr,
        )


class _Bars:
    """A progress bar on stderr for each thing that is being done."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._task = ""
        self._bar: tqdm[NoReturn] | None = None

    def report(self, task: str, num_bytes: int, total: int) -> None:
        """Show how far a task is."""
        if self._bar is None or task != self._task:
            self.close()
            self._task, self._bar = task, self._new_bar(task, num_bytes, total)
        self._bar.update(num_bytes - self._bar.n)

    def _new_bar(self, task: str, num_bytes: int, total: int) -> tqdm[NoReturn]:
        from tqdm import tqdm

        return tqdm(
            desc=task,
            total=total,
            initial=num_bytes,
            unit="B",
            unit_scale=True,
            disable=not self.enabled,
        )

    def close(self) -> None:
        """Leave the last bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
