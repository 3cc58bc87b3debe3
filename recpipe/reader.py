"""What people ask of the lake: a user's recommendations, a query, what ran. Reads only; no JVM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from recpipe import delta, tables
from recpipe.environments import JOBS
from recpipe.errors import UserError
from recpipe.intake import FATES

Row = Mapping[str, Any]

HISTORY_SHOWN = 10

_TITLES = """
    (select item_id, arg_max(title, arrived_on) as title from items where arrived_on <= $ds group by item_id)
"""


@dataclass(frozen=True)
class UserPage:
    """A user's latest reviews, newest first, beside the user's recommendations, best first, as of ds."""

    user_id: str
    ds: date
    history: Sequence[Row]
    recommendations: Sequence[Row]


@dataclass(frozen=True)
class DayStatus:
    """What is known of one day: its seal, and the last attempt of each job by job name."""

    ds: date
    sealed: bool
    lines_read: int
    accepted: int
    rejected: int
    duplicates: int
    erased: int
    jobs: Mapping[str, str]
    stopped: str | None = None  # what the reject limit says of it, until it is sealed

    @property
    def state(self) -> str:
        if self.stopped:
            return self.stopped
        if all(self.jobs.get(job) == "success" for job in JOBS):
            return "complete"
        if failed := [job for job in JOBS if self.jobs.get(job) == "failed"]:
            return f"failed in {failed[0]}"
        return "incomplete" if self.jobs else "not run"


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    relation = connection.sql(sql, params=parameters)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def query(root: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of ``sql`` over the lake's tables.

    Raises:
        UserError: DuckDB refuses the statement.
    """
    try:
        result = delta.connect(root).sql(sql)
        return ([], []) if result is None else (result.columns, result.fetchall())
    except duckdb.Error as error:
        raise UserError(f"the query was refused: {_one_line(error)}") from None


def _one_line(error: duckdb.Error) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip() and "^" not in line)


def served_day(connection: duckdb.DuckDBPyConnection) -> date | None:
    [(day,)] = connection.sql("select max(ds) from recommendations_current").fetchall()
    return day


def sealed_days(root: Path) -> set[date]:
    days = delta.connect(root, (tables.ARRIVALS,)).sql("select distinct arrived_on from arrivals").fetchall()
    return {day for (day,) in days}


def show(root: Path, user_id: str, ds: date | None = None) -> UserPage:
    """A user as served now, or as of ``ds``; `tables.STRANGER` shows the list for visitors nobody knows.

    Raises:
        UserError: nothing is served, that day has no recommendations, or nobody knows the user.
    """
    wanted = (tables.ITEMS, tables.REVIEWS, tables.RECOMMENDATIONS, tables.RECOMMENDATIONS_CURRENT)
    connection = delta.connect(root, wanted)
    lists = "recommendations" if ds else "recommendations_current"
    day = ds or served_day(connection)
    if day is None:
        raise UserError(
            "expected recommendations, found none served yet; run a night first: `make backfill FROM=… TO=…`"
        )
    recommendations = rows_of(
        connection,
        f"""select rank, item_id, title, score, source, model_version
            from {lists} left join {_TITLES} titles using (item_id)
            where user_id = $user and ds = $ds order by rank""",
        user=user_id,
        ds=day,
    )
    history = rows_of(
        connection,
        f"""select reviewed_at::date as reviewed_on, item_id, titles.title as title, rating
            from (select * from reviews where user_id = $user and arrived_on <= $ds
                  qualify row_number() over (partition by item_id, reviewed_at order by arrived_on desc) = 1)
            left join {_TITLES} titles using (item_id)
            order by reviewed_at desc, item_id limit {HISTORY_SHOWN}""",
        user=user_id,
        ds=day,
    )
    if not recommendations and not history:
        _explain_nothing(connection, lists, user_id, day)
    return UserPage(user_id, day, history, recommendations)


def _explain_nothing(connection: duckdb.DuckDBPyConnection, lists: str, user_id: str, day: date) -> None:
    days = [row[0] for row in connection.sql(f"select distinct ds from {lists} order by ds").fetchall()]
    if day not in days:
        found = f"{days[0]} to {days[-1]}" if days else "none"
        raise UserError(f"expected recommendations for {day}, found {found}; run `make backfill FROM={day} TO={day}`")
    raise UserError(
        f"expected a user who is known on {day}, found {user_id!r}; "
        "visitors without a history get the default list: `recpipe show --stranger`"
    )


def status(
    root: Path, first: date | None, last: date | None, stopped: Mapping[date, str] | None = None
) -> list[DayStatus]:
    """Each day from ``first`` to ``last`` (default: the days that ran or arrived), with what ran for it.

    ``stopped`` tells of the days that the reject limit stopped; of a day that was sealed since, it is passed over.

    Raises:
        UserError: ``first`` is after ``last``.
    """
    connection = delta.connect(root, (tables.ARRIVALS, tables.RUNS))
    arrived = {
        row["arrived_on"]: row
        for row in rows_of(
            connection,
            """select arrived_on, sum(lines_read)::bigint as lines_read, sum(accepted)::bigint as accepted,
                      sum(rejected)::bigint as rejected, sum(duplicates)::bigint as duplicates,
                      sum(erased)::bigint as erased
               from arrivals group by arrived_on""",
        )
    }
    jobs: dict[date, dict[str, str]] = {}
    attempts = connection.sql("select ds, job, arg_max(status, ended_at) from runs group by ds, job").fetchall()
    for ds, job, state in attempts:
        jobs.setdefault(ds, {})[job] = state
    stopped = {day: said for day, said in (stopped or {}).items() if day not in arrived}
    known = sorted({*jobs, *stopped} | ({max(arrived)} if arrived else set()))
    if first is None and last is None and not known:
        return []
    first, last = first or min(last or known[0], *known), last or max(first or known[-1], *known)
    if first > last:
        raise UserError(f"expected --from before --to, found {first} after {last}")
    nothing = dict.fromkeys(("lines_read", *FATES), 0)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [
        DayStatus(
            ds=day,
            sealed=day in arrived,
            jobs=jobs.get(day, {}),
            stopped=stopped.get(day),
            **{name: arrived.get(day, nothing)[name] for name in nothing},
        )
        for day in days
    ]


def model_figures(root: Path) -> list[dict[str, Any]]:
    """The decided anchors with their figures, newest first: verdict, reason, and Recall@10 and NDCG@10 by model."""
    connection = delta.connect(root, (tables.MODEL_VERDICTS, tables.METRICS))
    verdicts = rows_of(
        connection, "select ds as anchor, verdict, reason, model_version from model_verdicts order by ds desc"
    )
    for verdict in verdicts:
        verdict["metrics"] = {}
        figures = connection.sql(
            "select model, metric, value, users from metrics where ds = $ds order by model, metric",
            params={"ds": verdict["anchor"]},
        ).fetchall()
        for model, metric, value, users in figures:
            verdict["metrics"].setdefault(model, {})[metric] = value
            if metric == "ndcg_at_10":
                verdict["users"] = users
    return verdicts
