"""Fixtures of the spark environment: one session for all tests, and a lake of empty tables for each that asks, or for a
module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings, SparkSettings
from tests.few_rows import OF_FEW_ROWS
from tests.lakes import empty_lake


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    home = tmp_path_factory.mktemp("spark_home")
    settings = Settings(home=home, spark=SparkSettings(driver_memory="1g"))
    empty_lake(settings.lake)
    with spark_session(settings) as session:
        for name, value in OF_FEW_ROWS.items():
            session.conf.set(name, value)
        yield session


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return lake_of(spark, tmp_path)


@pytest.fixture(scope="module")
def shared_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """For fixtures that write it once, and tests that read what they wrote."""
    return lake_of(spark, tmp_path_factory.mktemp("shared"))


def lake_of(spark: SparkSession, home: Path) -> Lake:
    empty_lake(home / "lake")
    return Lake(spark, home / "lake")


@contextmanager
def without_audits() -> Iterator[None]:
    """Writes without their audit, which takes a third of their time and is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "_audit", lambda *_: 0)
        yield


@pytest.fixture
def unaudited() -> Iterator[None]:
    with without_audits():
        yield


@pytest.fixture(scope="module")
def all_unaudited() -> Iterator[None]:
    """`unaudited` for a module whose fixtures write, too."""
    with without_audits():
        yield
