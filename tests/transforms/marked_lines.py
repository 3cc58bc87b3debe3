"""Frames of lines as `sources.spark_reader` reads them, with everything filled in that a test does not speak of."""

from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from recpipe.sources.spark_reader import LINE_COLUMNS
from recpipe.tables import ITEMS, REVIEWS, Table
from recpipe.transforms.lines import duplicates, with_fate
from tests.rows import MONDAY, item, review


def _lines(
    spark: SparkSession, table: Table, kind: str, record: dict[str, Any], lines: tuple[dict[str, Any], ...]
) -> DataFrame:
    columns = (*LINE_COLUMNS, *((column.name, column.type) for column in table.columns if column.name != "arrived_on"))
    place = {
        "arrived_on": MONDAY,
        "kind": kind,
        "file": "a.json",
        "line_number": 1,
        "origin": "a.json",
        "origin_line": 1,
    }
    rows = []
    for line in lines:
        row = {**dict.fromkeys(name for name, _ in columns), **record, **place, **line}
        if isinstance(row["arrived_on"], str):
            row["arrived_on"] = date.fromisoformat(row["arrived_on"])
        if isinstance(row.get("reviewed_at"), int):
            row["reviewed_at"] = datetime(2024, 1, 1, row["reviewed_at"], tzinfo=UTC)
        rows.append(tuple(row[name] for name, _ in columns))
    return spark.createDataFrame(rows, ", ".join(f"{name} {type_}" for name, type_ in columns))


def mark(lines: DataFrame, table: Table, *erased: str) -> DataFrame:
    users = lines.sparkSession.createDataFrame([(user_id,) for user_id in erased], "user_id string")
    return with_fate(lines, duplicates(lines, table), users)


def review_lines(spark: SparkSession, *lines: dict[str, Any]) -> DataFrame:
    """``reviewed_at`` may be an hour of 2024-01-01, ``arrived_on`` a text."""
    return _lines(spark, REVIEWS, "reviews", review("U1", "I1"), lines)


def item_lines(spark: SparkSession, *lines: dict[str, Any]) -> DataFrame:
    return _lines(spark, ITEMS, "items", item("I1", "Mug"), lines)
