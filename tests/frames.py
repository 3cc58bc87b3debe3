"""Frames of rows as `tests.rows` builds them."""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from recpipe.settings import Settings
from recpipe.tables import EVENTS, REVIEWS, Table
from recpipe.transforms.interactions import interactions, meetings


def frame(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], columns)


def numbered(spark: SparkSession, *item_ids: str) -> DataFrame:
    """An item_index that numbers the items from 0 as they are named."""
    return spark.createDataFrame(
        [(item_id, number) for number, item_id in enumerate(item_ids)], "item_id string, item_index int"
    )


def attributes(spark: SparkSession, **of: list[int]) -> DataFrame:
    """The attributes of users, by their ids."""
    return spark.createDataFrame(list(of.items()), "user_id string, attributes array<int>")


def happened(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Interactions of rows of reviews and events."""
    of = {table: [row for row in rows if table.happened_at in row] for table in (REVIEWS, EVENTS)}
    return interactions(*(frame(spark, table, *its) for table, its in of.items()))


def met(spark: SparkSession, *rows: dict[str, Any], items: Sequence[str] = "abcdefgh", seed: int = 7) -> DataFrame:
    """Meetings of rows of reviews and events, with the items numbered as they are named."""
    targets = Settings.model_fields["target_events"].default
    return meetings(happened(spark, *rows), numbered(spark, *items), targets, seed)
