"""Make the class archive of Spark's JVM, which `make setup` calls once: `python -m recpipe.class_archive`.

A session of a small shop is mostly the JVM loading and checking some 20,000 classes. Kept in an archive (class data
sharing, JEP 350), they are mapped into memory instead: 10 instead of 15 seconds of CPU for a session that
writes one small table.
"""

import os
import tempfile
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.environments import job_variables
from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings, SparkSettings
from recpipe.spark_conf import class_archive
from recpipe.tables import ITEM_INDEX

DAY = date(2024, 1, 1)


def main() -> None:
    class_archive().unlink(missing_ok=True)
    os.environ |= {
        name: value for name, value in job_variables("spark").items() if name.startswith(("SPARK", "PYSPARK"))
    }
    archive_at_exit = f'{SparkSettings().java_options} "-XX:ArchiveClassesAtExit={class_archive()}"'
    with tempfile.TemporaryDirectory() as home:
        # The archive's path is none that the setting allows, and comes from no one's input.
        spark_settings = SparkSettings().model_copy(update={"java_options": f"{archive_at_exit} -Xlog:disable"})
        settings = Settings(home=Path(home)).model_copy(update={"spark": spark_settings})
        delta.create_tables(settings.lake)
        with spark_session(settings) as spark:
            jvm = spark.sparkContext._gateway.proc
            work(Lake(spark, settings.lake))
        spark.sparkContext._gateway.shutdown()
        jvm.stdin.close()
        jvm.wait(timeout=120)


def work(lake: Lake) -> None:
    """What every job of a night does: read, go through Python, audit, commit."""
    rows = lake.spark.range(100).selectExpr(
        f"date'{DAY}' as first_arrived_on", "'item ' || id as item_id", "cast(id as int) as item_index"
    )
    through_python = rows.mapInArrow(lambda batches: batches, rows.schema)
    lake.overwrite_partition(ITEM_INDEX, through_python.join(rows.select("item_id"), "item_id"), DAY)
    lake.read(ITEM_INDEX).groupBy("first_arrived_on").count().collect()


if __name__ == "__main__":
    main()
