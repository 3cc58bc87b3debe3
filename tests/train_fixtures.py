"""Fixtures of the train environment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.db import utils
from sqlalchemy import Engine


@pytest.fixture(scope="session", autouse=True)
def mlflow_tables_are_copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow takes more than a second to make its tables: it does so once, and other registries start with a copy."""
    made, make = tmp_path_factory.mktemp("mlflow") / "mlflow.db", utils._initialize_tables

    def make_or_copy(engine: Engine) -> None:
        database = Path(engine.url.database)
        if made.exists():
            engine.dispose()
            shutil.copyfile(made, database)
        else:
            make(engine)
            engine.dispose()
            shutil.copyfile(database, made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_initialize_tables", make_or_copy)
        yield
