"""What the command line shows: tables in the terminal, or JSON."""

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.box import HEAVY_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from recpipe.intake import FATES
from recpipe.quality import Figures, Quality
from recpipe.quality_report import percent, trends
from recpipe.reader import UserPage
from recpipe.reject_reports import RejectReport
from recpipe.serving import Served
from recpipe.status import DayStatus, commands

LEAST_WIDTH = 12
"""Of a column on a terminal, with its frame: a table of more columns than fit is wider than the terminal."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
BARS = "▁▂▃▄▅▆▇█"


def print_json(value: Any) -> None:
    """What JSON knows no value for is null (a number that is not finite), hexadecimal (a BLOB), or as text."""
    print(json.dumps(_in_json(value), default=str, ensure_ascii=False, allow_nan=False))


def _in_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _in_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """No value is ever cut: a terminal shows long ones on several lines, a file or a pipe gets lines of any length."""
    title, head, cells = _plain(title), [*map(_plain, columns)], [[*map(_plain, row)] for row in rows]
    if not sys.stdout.isatty():
        print(*_in_lines(title, head, cells), sep="\n")
        return
    grid = Grid(title=Text(title) if title else None, title_justify="left")
    for column in head:
        grid.add_column(Text(column), overflow="fold")
    for row in cells:
        grid.add_row(*map(Text, row))
    width = max(Console().width, LEAST_WIDTH * len(columns))
    Console(highlight=False, width=width).print(grid, crop=False)


def _in_lines(title: str, head: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table as a terminal shows it that is wide enough, in a fiftieth of the time: nothing is to be folded."""
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    frame = [width + 2 for width in widths]

    def line(row: Sequence[str], edge: str) -> str:
        parts = [f" {set_cell_size(cell, width)} " for cell, width in zip(row, widths, strict=True)]
        return f"{edge}{edge.join(parts)}{edge}"

    yield from [title] if title else []
    yield HEAVY_HEAD.get_top(frame)
    yield line(head, HEAVY_HEAD.head_left)
    yield HEAVY_HEAD.get_row(frame, "head")
    yield from (line(row, HEAVY_HEAD.mid_left) for row in cells)
    yield HEAVY_HEAD.get_bottom(frame)


def _plain(value: Any) -> str:
    """What the shop wrote, without commands for the terminal."""
    return "" if value is None else _CONTROLS.sub(" ", str(value))


def print_user(page: UserPage) -> None:
    who = page.user_id or "a stranger"
    if page.history:
        rows = [(r["happened_on"], r["event_type"], r["rating"], r["title"] or r["item_id"]) for r in page.history]
        print_rows(f"History of {who}", ["day", "event", "stars", "item"], rows)
    rows = [(r["rank"], r["title"] or r["item_id"], f"{r['score']:.3f}", r["source"]) for r in page.recommendations]
    print_rows(f"Recommendations for {who}, as of {page.ds}", ["rank", "item", "score", "source"], rows)


def print_status(
    days: Sequence[DayStatus], served: Served, models: Iterable[Mapping[str, Any]], *, is_cut: bool
) -> None:
    columns = ["day", "arrived", "lines", *FATES, "night"]
    rows = [
        (d.ds, "sealed" if d.sealed else "open", d.lines_read, *(getattr(d, fate) for fate in FATES), d.state)
        for d in days
    ]
    print_rows("Days", columns, rows)
    if is_cut:
        print("These are the last days; --from and --to name others.")
    for day in days:
        for job in day.jobs_that("failed"):
            lines = day.jobs[job].message.strip().splitlines() or ["no reason is known"]
            print(f"{day.ds} {job}: {lines[-1]}")  # of a traceback, the exception
    print_rows("Models", ["anchor", "verdict", "reason"], [(m["anchor"], m["verdict"], m["reason"]) for m in models])
    pinned = f", since the lists up to {served.withdrawn} were withdrawn" if served.withdrawn else ""
    print(f"Served: {served.ds or 'nothing yet'}{pinned}")
    for command in commands(days):
        print(f"To mend: {command}")
    for day in days:
        if day.jobs_that("running"):
            print(f"If nothing works on {day.ds} any more, it was killed: recpipe run night --ds {day.ds}")


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ["from", "anchor", "decision", "model", "NDCG@10", "best baseline", "users", "in use"]
    print_rows(
        "Decisions about models",
        columns,
        [
            (
                row["effective_from"],
                row["anchor"],
                f"{row['verdict']}{' by hand' if row['sequence'] else ''}",
                row["model_version"],
                _figure(row["candidate"]),
                row["best_baseline"] and f"{row['best_baseline']} {_figure(row['baseline'])}",
                row["users"],
                ", ".join(row["in_use"]),
            )
            for row in rows
        ],
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def print_rejects(report: RejectReport) -> None:
    rows = [
        (f"{file.kind}/{file.file}", file.read, reason.lines, name, ", ".join(map(str, reason.first_lines)))
        for file in report.files
        for name, reason in file.reasons.items()
    ]
    title = f"{report.arrived_on}: {report.rejected} of {report.read} lines rejected"
    print_rows(title, ["file", "lines", "rejected", "reason", "first in lines"], rows)


def print_quality(report: Quality) -> None:
    days = list(report.days.items())
    shown = days[-report.trend_arrivals :]
    columns = ["day", "files", "read", "accepted", "rejected", "duplicates", "erased", "no metadata"]
    rows = [(day, *_figures(figures)) for day, figures in [*shown, ("in all", report.total)]]
    print_rows("Arrivals", columns, rows)
    if len(days) > len(shown):
        print(f"{len(days) - len(shown)} earlier days are counted in all; name them by --from and --to, or see --json")
    if report.total.reasons:
        rows = [(why.kind, why.reason, why.lines, ", ".join(why.places())) for why in report.total.reasons]
        print_rows("Rejected", ["kind", "reason", "lines", "such as"], rows)
    rows = [(t.name, bars(t.values), t.say(t.last), t.change, t.say(t.in_all)) for t in trends(report)]
    print_rows("Trend over the last arrivals", ["", "", "last", "", "in all"], rows)
    for kind, (first, last) in report.total.dates.items():
        print(f"{kind} are dated {first} to {last}")
    for repeat in report.total.repeats:
        place = f"{repeat['kind']}/{repeat['arrived_on']}/{repeat['file']}"
        print(f"{place} had arrived before as {repeat['same_as']}")
    for day, said in report.stopped.items():
        print(f"{day} is not taken in: {said}")


def _figures(figures: Figures) -> tuple[Any, ...]:
    rejected = f"{figures.rejected} ({percent(figures.rejected_share)})" if figures.rejected else 0
    counts = (figures.files, figures.read, figures.accepted, rejected, figures.duplicates, figures.erased)
    return (*counts, percent(figures.without_metadata_share))


def bars(values: Sequence[float | None]) -> str:
    """A bar a value, from 0 to the greatest; a dot where there was nothing to measure."""
    most = max((value for value in values if value), default=1)
    return "".join("·" if value is None else BARS[round(value / most * (len(BARS) - 1))] for value in values)
