"""Spark's settings as plain text, for the session of a job and for spark-submit alike; imports no Spark."""

from pathlib import Path

from recpipe.environments import environment_folder
from recpipe.errors import UserError
from recpipe.settings import SparkSettings

DELTA_JARS = tuple(
    f"io.delta_{name}-4.4.0.jar"
    for name in ("delta-spark_4.2_2.13", "delta-storage", "delta-kernel-api", "delta-kernel-defaults")
)


def jar_folder() -> Path:
    return environment_folder("spark") / "jars"


def spark_conf(settings: SparkSettings) -> dict[str, str]:
    """Spark properties by name.

    Raises:
        UserError: a JAR of Delta Lake is missing.
    """
    jars = [jar_folder() / name for name in DELTA_JARS]
    if missing := [jar.name for jar in jars if not jar.exists()]:
        raise UserError(f"expected Delta's JARs in {jar_folder()}, found no {', '.join(missing)}; run `make setup`")
    conf = {
        "spark.jars": ",".join(map(str, jars)),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": settings.java_options,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",  # errors reach the driver as exceptions; the log would only bury their one line
    }
    if settings.master.startswith("local"):
        # Else the driver announces itself under the host's name, which a laptop on another network cannot reach.
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return conf
