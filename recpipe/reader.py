"""What people ask of the lake: a user's recommendations, a query, figures of models. Reads only; no JVM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from recpipe import delta, tables
from recpipe.errors import UserError

Row = Mapping[str, Any]

HISTORY_SHOWN = 10

_TITLES = """
    (select item_id, arg_max_null(title, arrived_on) as title from items where arrived_on <= $ds group by item_id)
"""
_REVIEWS_OF_USER = """
    (select item_id, reviewed_at as happened_at, 'review' as event_type, rating
     from reviews where user_id = $user and arrived_on <= $ds
     qualify row_number() over (partition by item_id, reviewed_at order by arrived_on desc) = 1)
"""
_EVENTS_OF_USER = """
    (select distinct item_id, occurred_at as happened_at, event_type, null as rating
     from events where user_id = $user and arrived_on <= $ds)
"""


@dataclass(frozen=True)
class UserPage:
    """A user's latest reviews and events, newest first, beside the user's recommendations, best first, as of ds."""

    user_id: str
    ds: date
    history: Sequence[Row]
    recommendations: Sequence[Row]


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    relation = connection.sql(sql, params=parameters)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def query(root: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of ``sql``, which asks the lake's tables and changes nothing.

    Raises:
        UserError: DuckDB refuses the statement, or it is none that asks.
    """
    lake = delta.connect(root)
    try:
        # describe, show and summarize are selects; what explain analyze runs may be anything
        statements = lake.extract_statements(sql)
        if {statement.type for statement in statements} - {duckdb.StatementType.SELECT}:
            said = "expected select, describe, show or summarize, found another statement; nothing was done"
            raise UserError(said)
        for statement in statements:
            # A select may copy into a file from its with clause, but not where it is a part of another one.
            lake.execute("explain from query($sql)", {"sql": statement.query})
        result = lake.sql(sql)
        return ([], []) if result is None else (result.columns, result.fetchall())
    except duckdb.Error as error:
        raise UserError(f"the query was refused: {_one_line(error)}") from None


def _one_line(error: duckdb.Error) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip() and "^" not in line)


def served_day(connection: duckdb.DuckDBPyConnection) -> date | None:
    [(day,)] = connection.sql("select max(ds) from recommendations_current").fetchall()
    return day


def show(root: Path, user_id: str, ds: date | None = None) -> UserPage:
    """A user as served now, or as of ``ds``; `tables.STRANGER` shows the list for visitors nobody knows.

    Raises:
        UserError: nothing is served, that day has no recommendations, or nobody knows the user.
    """
    wanted = (tables.ITEMS, tables.REVIEWS, tables.EVENTS, tables.RECOMMENDATIONS, tables.RECOMMENDATIONS_CURRENT)
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
        f"""select happened_at::date as happened_on, event_type, item_id, titles.title as title, rating
            from (from {_REVIEWS_OF_USER} union all from {_EVENTS_OF_USER})
            left join {_TITLES} titles using (item_id)
            order by happened_at desc, item_id, event_type limit {HISTORY_SHOWN}""",
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


def model_figures(root: Path) -> list[dict[str, Any]]:
    """The decided anchors with their figures, newest first: verdict, reason, and Recall@10 and NDCG@10 by model."""
    connection = delta.connect(root, (tables.MODEL_VERDICTS, tables.METRICS))
    verdicts = rows_of(
        connection,
        "select ds as anchor, verdict, reason, model_version, effective_from from model_verdicts "
        "order by effective_from desc, sequence desc",
    )
    for verdict in verdicts:
        verdict["metrics"] = {}
        figures = connection.sql(
            "select model, metric, value, users from metrics where ds = $ds and segment = $segment "
            "order by model, metric",
            params={"ds": verdict["anchor"], "segment": tables.WARM},
        ).fetchall()
        for model, metric, value, users in figures:
            verdict["metrics"].setdefault(model, {})[metric] = value
            if metric == "ndcg_at_10":
                verdict["users"] = users
    return verdicts
