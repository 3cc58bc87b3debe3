"""What the audit knows of an arrival as a whole: its rows, its newest one, how many rows are filled. No Spark."""

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from recpipe import delta
from recpipe.tables import ARRIVALS, Table

STANDARD_ERRORS = 3
"""A share of n rows varies by chance with a standard error of sqrt(p(1 - p) / n); so many are no reason to warn."""


class ArrivalFigures(NamedTuple):
    arrived_on: date
    rows: int
    newest: date | None  # day of the newest row, of tables that know when a row happened
    filled: tuple[int, ...]  # rows that are not null and not empty, for each of the table's columns `filled`


def sealed_figures(root: Path, table: Table, before: date, last: int) -> list[ArrivalFigures]:
    """Figures of the ``last`` sealed arrivals before a day that brought rows of ``table``, oldest first.

    They come from the lake's rows, not from what earlier runs noted: a run's verdict depends on sealed days alone.
    """
    if not table.filled or not last:
        return []
    with delta.connect(root, (ARRIVALS, table)) as lake:
        sealed = lake.execute(
            "select arrived_on from arrivals where kind = $kind and accepted > 0 and arrived_on < $before "
            "group by arrived_on order by arrived_on desc limit $last",
            {"kind": table.name, "before": before, "last": last},
        ).fetchall()
        if not sealed:
            return []
        filled = ", ".join(f"count(*) filter ({is_filled(table, name)})" for name in table.filled)
        rows = lake.execute(
            f"select arrived_on, count(*), {filled} from {table.name} "  # noqa: S608 - names come from the contract
            "where arrived_on between $first and $last group by arrived_on order by arrived_on",
            {"first": sealed[-1][0], "last": sealed[0][0]},
        ).fetchall()
    return [ArrivalFigures(day, count, None, tuple(filled)) for day, count, *filled in rows]


def is_filled(table: Table, name: str) -> str:
    type_ = table.column(name).type
    if type_.startswith("array<"):
        return f"len({name}) > 0"
    return f"{name} <> ''" if type_ == "string" else f"{name} is not null"


def least_share(earlier: Sequence[ArrivalFigures], column: int, rows: int, max_drop: float) -> float | None:
    """The smallest share of filled rows, from 0 to 1, that an arrival of ``rows`` rows may have.

    mean - max_drop - 3 sqrt(mean (1 - mean) / rows), where the mean is over all rows of the arrivals ``earlier``; None
    if there are none. So ten rows may differ by chance, and a million may not.
    """
    before = sum(figures.rows for figures in earlier)
    if not before or not rows:
        return None
    mean = sum(figures.filled[column] for figures in earlier) / before
    return max(0.0, mean - max_drop - STANDARD_ERRORS * math.sqrt(mean * (1 - mean) / rows))


def age_name(table: Table) -> str:
    return f"age of the newest {table.happened_at} in days"


def share_names(name: str) -> tuple[str, str]:
    return f"share of {name} filled", f"least share of {name} expected"


def checked_figures(
    table: Table, arrivals: Sequence[ArrivalFigures], sealed: Sequence[ArrivalFigures], last: int, max_drop: float
) -> list[dict[str, Any]]:
    """A row for each of the ``arrivals`` of one run, oldest first, with what is found beside what is expected.

    An arrival is compared with the ``last`` ones before it, be they ``sealed`` or of this run, which seals its days
    in order: so a run of many days says the same as many runs of one day.
    """
    known = [*sealed, *arrivals]
    rows = []
    for place, arrival in enumerate(arrivals, start=len(sealed)):
        row: dict[str, Any] = {"arrived_on": arrival.arrived_on.isoformat(), "rows": arrival.rows}
        if arrival.newest:
            row[age_name(table)] = (arrival.arrived_on - arrival.newest).days
        earlier = known[max(0, place - last) : place]
        for number, name in enumerate(table.filled):
            share, least = share_names(name)
            row[share] = arrival.filled[number] / arrival.rows
            row[least] = least_share(earlier, number, arrival.rows, max_drop)
        rows.append(row)
    return rows
