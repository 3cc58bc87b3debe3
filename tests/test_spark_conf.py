import pytest

from recpipe import spark_conf as module
from recpipe.errors import UserError
from recpipe.settings import SparkSettings
from recpipe.spark_conf import DELTA_JARS, spark_conf


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A Spark environment with JARs and a class archive, in a folder with a space."""
    folder = tmp_path / "a shop" / "spark"
    (folder / "jars").mkdir(parents=True)
    for name in (*(f"jars/{jar}" for jar in DELTA_JARS), "classes.jsa"):
        (folder / name).touch()
    monkeypatch.setattr(module, "environment_folder", lambda _: folder)
    return folder


def test_a_local_session_maps_archived_classes_and_has_the_jars_on_its_class_path(environment):
    conf = spark_conf(SparkSettings())
    assert f'"-XX:SharedArchiveFile={environment / "classes.jsa"}"' in conf["spark.driver.extraJavaOptions"]
    assert conf["spark.driver.extraClassPath"].split(":") == [str(environment / "jars" / jar) for jar in DELTA_JARS]
    assert "spark.jars" not in conf


def test_a_cluster_gets_the_jars_and_no_archive(environment):
    conf = spark_conf(SparkSettings(master="yarn"))
    assert "SharedArchiveFile" not in conf["spark.driver.extraJavaOptions"]
    assert conf["spark.jars"].split(",") == [str(environment / "jars" / jar) for jar in DELTA_JARS]


def test_a_session_starts_without_an_archive_but_not_without_a_jar(environment):
    (environment / "classes.jsa").unlink()
    assert "SharedArchiveFile" not in spark_conf(SparkSettings())["spark.driver.extraJavaOptions"]
    (environment / "jars" / DELTA_JARS[0]).unlink()
    with pytest.raises(UserError, match="run `make setup`"):
        spark_conf(SparkSettings())
