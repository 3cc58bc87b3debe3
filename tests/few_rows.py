"""How Spark plans for tables of a few rows."""

OF_FEW_ROWS = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
}
"""Compiling a plan, planning it anew at each stage and summing up a table's log take half of the JVM's time when a test
has a few rows, and change no result: of the end-to-end tests, one shop runs with it and one with what a job has."""
