"""Frames of rows as `tests.rows` builds them."""

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from recpipe.tables import Table


def frame(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], columns)


def numbered(spark: SparkSession, *item_ids: str) -> DataFrame:
    """An item_index that numbers the items from 0 as they are named."""
    return spark.createDataFrame(
        [(item_id, number) for number, item_id in enumerate(item_ids)], "item_id string, item_index int"
    )
