"""Fixtures of the spark environment: one session for all tests, and a lake of empty tables for each that asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from recpipe import delta
from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings, SparkSettings


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    home = tmp_path_factory.mktemp("spark_home")
    settings = Settings(home=home, spark=SparkSettings(shuffle_partitions=2, driver_memory="1g"))
    delta.create_tables(settings.lake)
    with spark_session(settings) as session:
        # Of a few rows, compiling each plan anew costs a third of all the JVM's time. The end-to-end tests compile.
        session.conf.set("spark.sql.codegen.wholeStage", "false")
        session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        yield session


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    root = tmp_path / "lake"
    delta.create_tables(root)
    return Lake(spark, root)
