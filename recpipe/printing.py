"""What the command line shows: tables in the terminal, or JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from recpipe.reader import UserPage
from recpipe.reject_reports import RejectReport

out = Console(highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, default=str, ensure_ascii=False))


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    grid = Grid(*columns, title=title or None, title_justify="left")
    for row in rows:
        # Text, not str: a title of the shop may hold what rich would take for markup.
        grid.add_row(*(Text("" if value is None else str(value)) for value in row))
    out.print(grid)


def print_user(page: UserPage) -> None:
    who = page.user_id or "a stranger"
    if page.history:
        rows = [(r["reviewed_on"], r["rating"], r["title"] or r["item_id"]) for r in page.history]
        print_rows(f"Latest reviews of {who}", ["day", "stars", "item"], rows)
    rows = [(r["rank"], r["title"] or r["item_id"], f"{r['score']:.3f}", r["source"]) for r in page.recommendations]
    print_rows(f"Recommendations for {who}, as of {page.ds}", ["rank", "item", "score", "source"], rows)


def print_rejects(report: RejectReport) -> None:
    rows = [
        (f"{file.kind}/{file.file}", file.read, reason.lines, name, ", ".join(map(str, reason.first_lines)))
        for file in report.files
        for name, reason in file.reasons.items()
    ]
    title = f"{report.arrived_on}: {report.rejected} of {report.read} lines rejected"
    print_rows(title, ["file", "lines", "rejected", "reason", "first in lines"], rows)
