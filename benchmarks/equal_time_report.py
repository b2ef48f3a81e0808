"""Tables of `equal_time.py`'s records, put into docs/flagship.md.

PSNR is the mean over seeds of what decodes from the files; the spread is the largest minus the
smallest. Budgets are compared as measured, nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from equal_time_plot import draw
from equal_time_records import Record, complaint, cpu_share

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "flagship.md"
FLAGSHIP, BASELINE, GPU_BASELINE = "flagship", "hnerv-paper", "hnerv-paper-tf32"
GPU_CLIP = "bunny-1280"
LEAST_GOAL_DB = 20.0  # of time to quality
NOTHING = ["Not measured yet."]


def write_report(
    records: Sequence[Record],
    page: Path,
    *,
    named: Sequence[str],
    ablation: Sequence[str],
    budgets: Sequence[float],
) -> None:
    """Put the tables between the marks of the page, and draw the plot beside it.

    Args:
        records: current ones.
        page: docs/flagship.md; records of a GPU have a table of their own there.
        named: variants that come first, in this order, and whose fits are traced.
        ablation: variants that have a table of their own.
        budgets: the tables' columns.
    """
    of_gpu = any(not r["device"].startswith("cpu") for r in records)
    plot = page.parent / "images" / ("equal_time_gpu.png" if of_gpu else "equal_time.png")
    compared = [r for r in records if r["variant"] not in ablation]
    drawn = beside_baseline([r for r in compared if not has_avx2_alone(r)])
    if drawn:
        draw(drawn, plot, named=named)
    text = page.read_text()
    if of_gpu:
        found = {"gpu": gpu_rows(compared, named)}
    else:
        found = tables(records, named=named, ablation=ablation, budgets=budgets)
    for mark, rows in found.items():
        if mark in ("equal-time", "gpu") and drawn:
            rows = [*rows, "", f"![PSNR over seconds](images/{plot.name})"]
        text = between_marks(text, mark, rows)
    page.write_text(text)


def write_ablation(records: Sequence[Record], page: Path) -> None:
    """Put the ablation of one commit into the page, the flagship's own points with it."""
    budgets = sorted({r["budget_seconds"] for r in records})
    rows = equal_time_rows(of_clip(records, "bunny"), FLAGSHIP, [FLAGSHIP], budgets)
    page.write_text(between_marks(page.read_text(), "ablation-now", rows))


def between_marks(text: str, mark: str, rows: Iterable[str]) -> str:
    """Return the text with other rows between two marks."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, rest = text.split(begin)
    return before + "\n".join([begin, *rows, end]) + rest.split(end)[1]


def tables(
    records: Sequence[Record],
    *,
    named: Sequence[str],
    ablation: Sequence[str],
    budgets: Sequence[float],
) -> dict[str, list[str]]:
    """Return Markdown by mark."""
    of_avx2 = [r for r in records if has_avx2_alone(r)]
    records = [r for r in records if r not in of_avx2]
    compared = [r for r in records if r["variant"] not in ablation]
    ablated = [r for r in records if r["variant"] in ablation]
    processors = {r["processor"] for r in ablated}
    ablated += [r for r in records if r["variant"] == FLAGSHIP and r["processor"] in processors]
    main = beside_baseline(compared)
    elsewhere = [r for r in of_clip(compared, "bunny") if r not in main]
    return {
        "equal-time": equal_time_rows(of_clip(main, "bunny"), BASELINE, named, budgets),
        "elsewhere": equal_time_rows(elsewhere, FLAGSHIP, named, budgets),
        "avx2": equal_time_rows(of_clip(of_avx2, "bunny"), BASELINE, named, budgets),
        "bikes": equal_time_rows(of_clip(compared, "bikes"), BASELINE, named, budgets),
        "bikes-avx2": equal_time_rows(of_clip(of_avx2, "bikes"), BASELINE, named, budgets),
        "time-to-quality": time_rows(beside_baseline(records), named),
        "ablation": equal_time_rows(of_clip(ablated, "bunny"), FLAGSHIP, [FLAGSHIP], budgets),
    }


def gpu_rows(records: Sequence[Record], named: Sequence[str]) -> list[str]:
    """Return what was measured on a GPU, at whichever budgets."""
    records = of_clip(records, GPU_CLIP)
    budgets = sorted({r["budget_seconds"] for r in records})
    return equal_time_rows(records, GPU_BASELINE, named, budgets)


def has_avx2_alone(record: Record) -> bool:
    """Whether it is of a processor of shorter vectors, as `processor_name` calls them."""
    return str(record["processor"]).endswith(", AVX2")


def of_clip(records: Iterable[Record], clip: str) -> list[Record]:
    return [r for r in records if r["clip"] == clip]


def beside_baseline(records: Sequence[Record]) -> list[Record]:
    """Return those of the machines that a clip's baseline was fitted on; all, where it was not."""
    found = {(r["clip"], r["processor"]) for r in records if r["variant"] == BASELINE}
    clips = {clip for clip, _ in found}
    return [r for r in records if r["clip"] not in clips or (r["clip"], r["processor"]) in found]


def equal_time_rows(
    records: Sequence[Record], baseline: str, named: Sequence[str], budgets: Sequence[float]
) -> list[str]:
    """Return a row a variant, two columns a budget: PSNR, and the difference to the baseline."""
    records = [r for r in records if r["budget_seconds"] in budgets]
    if not records:
        return NOTHING
    heading = ["variant", "network, recipe", "kMAC/pixel"]
    for seconds in budgets:
        heading += [duration(seconds), f"to `{baseline}`"]
    rows = [row(heading), row(["---"] * len(heading))]
    for name in ranked(records, named):
        first = next(r for r in records if r["variant"] == name)
        told = f"`{first['model']}`, {first['recipe']}"
        cells = [f"`{name}`", told, kmac_cell([r for r in records if r["variant"] == name])]
        for seconds in budgets:
            found = measured(records, name, seconds)
            cells += [psnr_cell(found), difference(found, measured(records, baseline, seconds))]
        rows.append(row(cells))
    return [*rows, "", caption(records)]


def time_rows(records: Sequence[Record], named: Sequence[str]) -> list[str]:
    """Return when variants are as good as the baseline after its longest budget.

    Of clips on which that got off the ground: with less it draws hardly more than the mean frame.
    """
    rows = []
    for clip in sorted({r["clip"] for r in records}, reverse=True):
        ours = of_clip(records, clip)
        longest = max((r["budget_seconds"] for r in ours if r["variant"] == BASELINE), default=0)
        goal = measured(ours, BASELINE, longest)
        if not goal or mean_db(goal) < LEAST_GOAL_DB:
            continue
        for name in named:
            if name != BASELINE and any(r["variant"] == name for r in ours):
                first = [clip, f"{mean_db(goal):.2f} dB after {duration(longest)}", f"`{name}`"]
                rows.append(row(first + time_cells(ours, name, goal)))
    if not rows:
        return NOTHING
    heading = ["clip", f"`{BASELINE}`", "variant", "reaches it within", "with", "sooner"]
    return [row(heading), row(["---"] * len(heading)), *rows]


def time_cells(records: Sequence[Record], name: str, goal: Sequence[Record]) -> list[str]:
    """Return the smallest measured budget of a variant whose files are as good as the goal's."""
    budgets = sorted({r["budget_seconds"] for r in records if r["variant"] == name})
    for seconds in budgets:
        found = measured(records, name, seconds)
        if mean_db(found) >= mean_db(goal):
            factor = goal[0]["budget_seconds"] / seconds
            said = f"the shortest measured, {duration(seconds)}"
            within = said if seconds == budgets[0] else duration(seconds)
            sooner = f"{factor:.3g} times" if factor > 1 else "not measured"
            return [within, f"{mean_db(found):.2f} dB", sooner]
    best = mean_db(measured(records, name, budgets[-1]))
    return [f"not in {duration(budgets[-1])}", f"{best:.2f} dB", ""]


def measured(records: Iterable[Record], name: str, seconds: float) -> list[Record]:
    """Return the records of all seeds."""
    return [r for r in records if (r["variant"], r["budget_seconds"]) == (name, seconds)]


def mean_db(records: Sequence[Record]) -> float:
    return float(sum(r["psnr_db"] for r in records) / len(records))


def ranked(records: Sequence[Record], named: Sequence[str]) -> Iterator[str]:
    """Names of variants: the named ones, then the others, the best at the longest budget first."""
    found = {r["variant"] for r in records}
    yield from (name for name in named if name in found)

    def quality(name: str) -> tuple[float, float]:
        longest = max(r["budget_seconds"] for r in records if r["variant"] == name)
        return longest, mean_db(measured(records, name, longest))

    yield from sorted(sorted(found - set(named)), key=quality, reverse=True)


def psnr_cell(records: Sequence[Record]) -> str:
    if not records:
        return ""
    values = [r["psnr_db"] for r in records]
    if len(values) == 1:
        return f"{values[0]:.2f} dB"
    spread = max(values) - min(values)
    return f"{mean_db(records):.2f} dB ({spread:.2f}, {len(values)} seeds)"


def kmac_cell(records: Sequence[Record]) -> str:
    """Return what decoding costs, from the least to the most: shapes may depend on the budget.

    >>> kmac_cell([{"kmac_per_pixel": 3.31}, {"kmac_per_pixel": 3.29}])
    '3.3'
    >>> kmac_cell([{"kmac_per_pixel": 3.3}, {"kmac_per_pixel": 5.5}])
    '3.3 to 5.5'
    """
    values = sorted(r["kmac_per_pixel"] for r in records)
    return " to ".join(dict.fromkeys(f"{value:.1f}" for value in (values[0], values[-1])))


def difference(records: Sequence[Record], baseline: Sequence[Record]) -> str:
    """Return what the records are ahead of the baseline, over the seeds that both have."""
    seeds = {r["seed"] for r in records} & {r["seed"] for r in baseline}
    if not seeds or records[0]["variant"] == baseline[0]["variant"]:
        return ""
    ours, theirs = ([r for r in found if r["seed"] in seeds] for found in (records, baseline))
    return f"{mean_db(ours) - mean_db(theirs):+.2f}"


def duration(seconds: float) -> str:
    """Say seconds as people do.

    >>> duration(90), duration(1800)
    ('90 s', '30 min')
    """
    return f"{seconds / 60:.0f} min" if seconds % 60 == 0 else f"{seconds:g} s"


def caption(records: Sequence[Record]) -> str:
    """Return what a published figure must say of itself."""
    first = records[0]
    size = f"{first['width']}x{first['height']}"
    crop = f", crop {'x'.join(map(str, first['crop']))}" if first["crop"] else ""
    crop += " resized" if first["resize"] else ""
    days = sorted(r["date"][:10] for r in records)
    parts = [
        f"{first['clip']} {size}{crop}, {first['frames']} frames",
        f"files of at most {first['size_bytes']} bytes",
        f"{', '.join(distinct(records, 'processor'))}; {', '.join(distinct(records, 'device'))}",
        f"seed {', '.join(distinct(records, 'seed'))}",
        f"torch {', '.join(sorted({r['versions']['torch'] for r in records}))}",
        f"commit {', '.join(distinct(records, 'commit'))}",
        f"measured {days[0]} to {days[-1]}",
    ]
    if first["device"].startswith("cpu"):
        parts.append(
            f"each fit had {100 * min(map(cpu_share, records)):.0f} % of its cores or more"
        )
    disturbed = sum(1 for r in records if complaint(r))
    parts.append(f"{disturbed} of {len(records)} points disturbed")
    return f"*{'; '.join(parts)}.*"


def distinct(records: Iterable[Record], name: str) -> list[str]:
    return sorted({str(r[name]) for r in records})


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
