"""Progress on stderr: one tqdm bar a stage, none of them when quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from tqdm import tqdm

from inrcodec.fitting import FitProgress

T = TypeVar("T")

_FIT_FORMAT = "{desc}: {percentage:3.0f}%|{bar:20}| [{elapsed}<{remaining}{postfix}]"


class ProgressBars:
    """Makes the bars of an encode or decode."""

    def __init__(
        self, *, enabled: bool, on_fit: Callable[[FitProgress], None] | None = None
    ) -> None:
        self.enabled = enabled
        self.on_fit = on_fit  # told as often as the bar

    def wrap(self, items: Iterable[T], total: int | None, stage: str) -> Iterable[T]:
        """Return `items`, counted by a bar as they are taken."""
        return tqdm(items, desc=stage, total=total, unit="frame", disable=not self.enabled)

    def fit(self, stage: str, bpp: float) -> tuple[Callable[[FitProgress], None], tqdm[NoReturn]]:
        """Return what `fit` reports to, and its bar, to be closed by the caller."""
        bar: tqdm[NoReturn] = tqdm(
            desc=stage, total=1.0, bar_format=_FIT_FORMAT, disable=not self.enabled
        )

        def report(progress: FitProgress) -> None:
            phase = "quantised " if progress.quantized else ""
            small = " of small ones" if progress.coarse else ""
            seen = f"{progress.frames_seen} frames, {phase}{progress.psnr_db:.2f} dB{small}"
            bar.set_postfix_str(f"{seen}{_expected(progress)}, {bpp:.4f} bpp", refresh=False)
            bar.n = min(progress.progress, 1.0)
            bar.refresh()
            if self.on_fit is not None:
                self.on_fit(progress)

        return report, bar


def _expected(progress: FitProgress) -> str:
    end = progress.forecast
    return "" if end is None else f", ~{end.psnr_db:.1f}+-{end.error_db:.1f} dB at the end"
