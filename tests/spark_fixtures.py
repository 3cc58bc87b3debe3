"""Fixtures of the spark environment: one session for all tests, and a lake of empty tables for each that asks, or for a
module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from recpipe import delta
from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings, SparkSettings

OF_FEW_ROWS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
}
"""Compiling a plan, planning it anew at each stage and summing up a table's log take half of the JVM's time when a test
has a few rows, and change no result. The end-to-end tests run with what a job runs with."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    home = tmp_path_factory.mktemp("spark_home")
    settings = Settings(home=home, spark=SparkSettings(driver_memory="1g"))
    delta.create_tables(settings.lake)
    with spark_session(settings) as session:
        for name, value in OF_FEW_ROWS.items():
            session.conf.set(name, value)
        yield session


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return empty_lake(spark, tmp_path)


@pytest.fixture(scope="module")
def shared_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """For fixtures that write it once, and tests that read what they wrote."""
    return empty_lake(spark, tmp_path_factory.mktemp("shared"))


def empty_lake(spark: SparkSession, home: Path) -> Lake:
    delta.create_tables(home / "lake")
    return Lake(spark, home / "lake")


@pytest.fixture
def unaudited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes without their audit, which takes most of their time and is tested elsewhere."""
    monkeypatch.setattr(Lake, "_audit", lambda *_: 0)
