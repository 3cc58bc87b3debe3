"""Spark's settings as plain text, for the session of a job and for spark-submit alike; imports no Spark."""

import os
from pathlib import Path

from recpipe.environments import environment_folder
from recpipe.errors import UserError
from recpipe.settings import CHECKOUT, SparkSettings

DELTA_JARS = tuple(
    f"io.delta_{name}-4.4.0.jar"
    for name in ("delta-spark_4.2_2.13", "delta-storage", "delta-kernel-api", "delta-kernel-defaults")
)

LOG_CONF = CHECKOUT / "docker" / "spark" / "log4j2.properties"


def jar_folder() -> Path:
    return environment_folder("spark") / "jars"


def class_archive() -> Path:
    """Classes of Spark and Delta as a JVM keeps them in memory, see `class_archive.py`; sessions start without too."""
    return environment_folder("spark") / "classes.jsa"


def spark_conf(settings: SparkSettings) -> dict[str, str]:
    """Spark properties by name.

    Raises:
        UserError: a JAR of Delta Lake is missing.
    """
    jars = [jar_folder() / name for name in DELTA_JARS]
    if missing := [jar.name for jar in jars if not jar.exists()]:
        raise UserError(f"expected Delta's JARs in {jar_folder()}, found no {', '.join(missing)}; run `make setup`")
    is_local = settings.master.startswith("local")
    options = [settings.java_options, f"-Dlog4j2.configurationFile={LOG_CONF.as_uri()}"]
    if is_local and class_archive().exists():
        # An archive of another Java or other JARs is passed over; the JVM need not tell a user about it.
        options += [f'"-XX:SharedArchiveFile={class_archive()}"', "-Xlog:disable", "-Xlog:all=error:stderr"]
    conf = {
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": " ".join(filter(None, options)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.python.sql.dataFrameDebugging.enabled": "false",  # asks the JVM four times for each column that is made
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",  # errors reach the driver as exceptions; the log would only bury their one line
    }
    if is_local:
        # Else the driver announces itself under the host's name, which a laptop on another network cannot reach.
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        # On the class path, where archived classes may come from, and not copied for executors that there are not.
        return conf | {"spark.driver.extraClassPath": os.pathsep.join(map(str, jars))}
    return conf | {"spark.jars": ",".join(map(str, jars))}
