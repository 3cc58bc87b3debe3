"""How good the data is that arrived: counts, reasons, fill rates, dates, trend. Read off the lake; never a line's text.

Every figure is there for each day of arrival and, under the day None, for all of them together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import duckdb

from recpipe import delta
from recpipe.arrival_figures import is_filled
from recpipe.errors import UserError
from recpipe.intake import EXAMPLES, FATES
from recpipe.reader import Row, rows_of
from recpipe.tables import ARRIVALS, EVENTS, ITEMS, REJECTED_ROWS, REVIEWS, USERS

TREND_ARRIVALS = 14

FILLABLE = {
    "reviews": ("title", "text", "vote", "verified"),
    "items": ("title", "brand", "categories", "price", "description", "image_url"),
    "users": ("age", "gender", "occupation"),
}
"""Columns that a shop may leave empty, by kind."""

_BY_DAY = "group by grouping sets ((arrived_on), ())"


class Reason(NamedTuple):
    """Rejected lines of one kind with one reason."""

    kind: str
    reason: str
    lines: int
    examples: Sequence[Row]  # arrived_on, file, line_number of the first few

    def places(self) -> list[str]:
        """The examples as DAY/FILE:LINE,LINE."""
        files = groupby(self.examples, lambda line: f"{line['arrived_on']}/{line['file']}")
        return [f"{file}:{','.join(str(line['line_number']) for line in lines)}" for file, lines in files]


@dataclass
class Figures:
    """What arrived on one day, or on all days of a span."""

    files: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    erased: int = 0
    repeats: list[Row] = field(
        default_factory=list
    )  # arrived_on, kind, file, same_as: files whose bytes had arrived before
    reasons: list[Reason] = field(default_factory=list)  # most lines first
    rows: dict[str, int] = field(default_factory=dict)  # of each kind that has some
    filled: dict[str, dict[str, int]] = field(default_factory=dict)  # rows with a value, by kind and column
    dates: dict[str, tuple[date, date]] = field(default_factory=dict)  # UTC days of the first and last row, by kind
    items_reviewed: int = 0
    items_without_metadata: int = 0  # of those

    @property
    def rejected_share(self) -> float | None:
        return share(self.rejected, self.read)

    @property
    def duplicate_share(self) -> float | None:
        return share(self.duplicates, self.read)

    @property
    def without_metadata_share(self) -> float | None:
        return share(self.items_without_metadata, self.items_reviewed)

    def fill_rate(self, kind: str, column: str) -> float | None:
        return share(self.filled.get(kind, {}).get(column, 0), self.rows.get(kind, 0))

    def fill_rates(self) -> dict[str, dict[str, float | None]]:
        return {
            kind: {column: self.fill_rate(kind, column) for column in columns}
            for kind, columns in FILLABLE.items()
            if self.rows.get(kind)
        }


@dataclass(frozen=True)
class Quality:
    first: date
    last: date
    days: Mapping[date, Figures]  # sealed ones, ascending
    total: Figures
    stopped: Mapping[date, str]  # what the reject limit says of days that are not sealed
    trend_arrivals: int  # that a trend shows


def share(part: int, whole: int) -> float | None:
    """None where there is no whole."""
    return part / whole if whole else None


def quality(
    lake: Path,
    first: date | None = None,
    last: date | None = None,
    stopped: Mapping[date, str] | None = None,
    trend_arrivals: int = TREND_ARRIVALS,
) -> Quality:
    """The quality of what arrived from ``first`` to ``last``; by default, of everything.

    Raises:
        UserError: nothing was taken in on these days, or ``first`` is after ``last``.
    """
    if first and last and first > last:
        raise UserError(f"expected --from before --to, found {first} after {last}")
    connection = delta.connect(lake, (ARRIVALS, REVIEWS, EVENTS, ITEMS, USERS, REJECTED_ROWS))
    sealed = sorted(delta.days(lake, ARRIVALS))
    days = [day for day in sealed if (first or day) <= day <= (last or day)]
    stopped = {
        day: said for day, said in (stopped or {}).items() if (first or day) <= day <= (last or day) and day not in days
    }
    if not days:
        told = "; ".join(f"{day} {said}" for day, said in stopped.items())
        found = told or (f"{sealed[0]} to {sealed[-1]}" if sealed else "none")
        raise UserError(f"expected sealed days to report on, found {found}; run ingest_reviews, or name other days")
    found: dict[date | None, Figures] = {day: Figures() for day in (*days, None)}
    for measure in (_counts, _repeats, _reasons, _fills, _undescribed):
        measure(connection, found, {"first": days[0], "last": days[-1]})
    total = found.pop(None)
    return Quality(days[0], days[-1], found, total, stopped, trend_arrivals)


Found = Mapping[date | None, Figures]
Span = Mapping[str, date]


def _of_span(
    connection: duckdb.DuckDBPyConnection, found: Found, sql: str, span: Span
) -> Iterator[tuple[Figures, Row]]:
    """Rows of a query by day, each with the figures of its day."""
    for row in rows_of(connection, sql, **span):
        if row["arrived_on"] in found:
            yield found[row["arrived_on"]], row


def _counts(connection: duckdb.DuckDBPyConnection, found: Found, span: Span) -> None:
    counts = {"read": "lines_read", **{fate: fate for fate in FATES}}
    sums = ", ".join(f"sum({column})::bigint as {name}" for name, column in counts.items())
    sql = f"""select arrived_on, count(*) filter (kind <> 'none') as files, {sums}
              from arrivals where arrived_on between $first and $last {_BY_DAY}"""  # noqa: S608 - names of ours
    for figures, row in _of_span(connection, found, sql, span):
        for name in ("files", *counts):
            setattr(figures, name, row[name])


def _repeats(connection: duckdb.DuckDBPyConnection, found: Found, span: Span) -> None:
    sql = """select arrived_on, kind, file, same_as from arrivals
             where same_as is not null and arrived_on between $first and $last order by all"""
    for row in rows_of(connection, sql, **span):
        for figures in (found[row["arrived_on"]], found[None]):
            figures.repeats.append(row)


def _reasons(connection: duckdb.DuckDBPyConnection, found: Found, span: Span) -> None:
    place = "{'arrived_on': arrived_on, 'file': file, 'line_number': line_number}"
    sql = f"""select arrived_on, kind, reason, count(*) as lines, min({place}, {EXAMPLES}) as examples
              from rejected_rows where arrived_on between $first and $last
              group by grouping sets ((arrived_on, kind, reason), (kind, reason))
              order by lines desc, kind, reason"""  # noqa: S608 - as above
    for figures, row in _of_span(connection, found, sql, span):
        figures.reasons.append(Reason(row["kind"], row["reason"], row["lines"], row["examples"]))


def _fills(connection: duckdb.DuckDBPyConnection, found: Found, span: Span) -> None:
    for table in (REVIEWS, EVENTS, ITEMS, USERS):
        kind, at = table.name, table.happened_at
        columns = FILLABLE.get(kind, ())
        counts = "".join(f", count(*) filter ({is_filled(table, column)}) as {column}" for column in columns)
        dates = f", min({at})::date as first_date, max({at})::date as last_date" if at else ""
        sql = f"""select arrived_on, count(*) as rows{counts}{dates}
                  from {kind} where arrived_on between $first and $last {_BY_DAY}"""  # noqa: S608 - as above
        for figures, row in _of_span(connection, found, sql, span):
            if row["rows"]:
                figures.rows[kind] = row["rows"]
                figures.filled[kind] = {column: row[column] for column in columns}
                if at:
                    figures.dates[kind] = (row["first_date"], row["last_date"])


def _undescribed(connection: duckdb.DuckDBPyConnection, found: Found, span: Span) -> None:
    """Items with reviews and, up to the day of the reviews' arrival, or the last day in all, no metadata."""
    sql = """with described as (select item_id, min(arrived_on) as since from items
                                where arrived_on <= $last group by item_id),
                  reviewed as (select distinct arrived_on, item_id from reviews
                               where arrived_on between $first and $last)
             select arrived_on, count(distinct item_id) as items,
                    count(distinct item_id) filter (since is null) as never,
                    count(distinct item_id) filter (since is null or since > arrived_on) as not_yet
             from reviewed left join described using (item_id) """
    for figures, row in _of_span(connection, found, sql + _BY_DAY, span):
        figures.items_reviewed = row["items"]
        figures.items_without_metadata = row["not_yet" if row["arrived_on"] else "never"]
