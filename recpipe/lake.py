"""The lake through Spark: a session, reads, and the one way to write. The side without a JVM is `delta.py`."""

import errno
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
)
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from recpipe import delta
from recpipe.arrival_figures import sealed_figures
from recpipe.audit_log import keep
from recpipe.errors import UserError
from recpipe.java import find_java
from recpipe.settings import AuditSettings, Settings, code_hash
from recpipe.spark_conf import spark_conf
from recpipe.tables import Table
from recpipe.transforms.as_of import as_of

ROWS_PER_FILE = 500_000
COMMIT_ATTEMPTS = 4
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
)


@contextmanager
def spark_session(settings: Settings) -> Iterator[SparkSession]:
    """A Spark session for one job, started here or taken from spark-submit, and stopped at the end.

    Raises:
        UserError: no fitting Java, no JARs, no memory, or what a Python worker raised as a `UserError`.
        OSError: the disk is full or a file may not be read or written.
    """
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not submitted:
        find_java()
    _prepare_process()
    builder = SparkSession.builder.appName("recpipe")
    if not submitted:
        builder = builder.master(settings.spark.master)
    for name, value in spark_conf(settings.spark).items():
        builder = builder.config(name, value)
    hashes = {"code_hash": code_hash(), "settings_hash": settings.result_hash()}
    builder = builder.config(_METADATA, json.dumps(hashes)).config("spark.sql.pyspark.jvmStacktrace.enabled", "true")
    with readable_errors():
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()


def _prepare_process() -> None:
    """Workers start the Python named here, and both sides turn timestamps into datetimes by the process's zone."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "TZ": "UTC"}
    time.tzset()


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what Spark raises into one line where a user can mend it, and cut the JVM's stack from the rest."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if raised := re.search(r"recpipe\.errors\.UserError: (.+)", text):
            raise UserError(raised[1].strip()) from None
        if "No space left on device" in text:
            raise OSError(errno.ENOSPC, "expected room on the disk, found none; free some and run again") from None
        if denied := re.search(r"(?:AccessDeniedException: |FileNotFoundException: |Permission denied: ?)(.+)", text):
            raise UserError(
                f"expected files that may be read and written, found {denied[1]}; mend the rights"
            ) from None
        if "OutOfMemoryError" in text:
            raise UserError("expected the job to fit in Spark's memory; raise RECPIPE_SPARK__DRIVER_MEMORY") from None
        if "JAVA_GATEWAY_EXITED" in text:
            raise UserError("expected Java to start, found it ended (see above); check RECPIPE_SPARK__*") from None
        raise RuntimeError(f"Spark failed: {_without_stack(text)}").with_traceback(error.__traceback__) from None


def _without_stack(text: str) -> str:
    lines = (line for line in text.splitlines() if not re.match(r"\s*$|\s+(at |\.\.\. \d+ more)|JVM stack", line))
    return "\n".join(list(dict.fromkeys(lines))[:20])


@dataclass(frozen=True)
class Written:
    rows: int
    version: int


class Lake:
    """The tables under ``root`` as frames. ``spark`` must be in UTC, else a day's rows would depend on the machine."""

    def __init__(self, spark: SparkSession, root: Path, audit: AuditSettings | None = None) -> None:
        zone = spark.conf.get("spark.sql.session.timeZone")
        if zone != "UTC":
            raise UserError(
                f"expected Spark's session time zone to be UTC, found {zone}; unset spark.sql.session.timeZone"
            )
        self.spark = spark
        self.root = root
        self._audit_settings = audit or AuditSettings()

    def read(self, table: Table) -> DataFrame:
        try:
            return self.spark.read.format("delta").load(delta.table_uri(self.root, table))
        except AnalysisException as error:
            if "DELTA_" not in str(error) and "PATH_NOT_FOUND" not in str(error):
                raise
            raise UserError(f"expected table {table.name} at {self.root}, found none; run `recpipe init`") from None

    def known(self, table: Table, ds: date) -> DataFrame:
        """What had arrived by the end of ``ds``, each key as its newest arrival tells it; see `as_of`."""
        return as_of(self.read(table), table, ds)

    def of_day(self, table: Table, ds: date) -> DataFrame:
        """The rows of ``ds``."""
        return self.read(table).filter(F.col(table.day_column) == F.lit(ds))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder for files that a job writes for itself and reads again; one job at a time."""
        folder = self.root / delta.STAGING
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def has_rows(self, table: Table, first: date, last: date) -> bool:
        """Whether the table has rows of the days ``first`` to ``last``, both inclusive; asks its metadata alone."""
        return any(first <= day <= last for day in delta.days(self.root, table))

    def overwrite_partition(self, table: Table, frame: DataFrame, day: date) -> Written:
        """Replace the rows of ``day`` by ``frame`` in one commit; see `overwrite_days`."""
        return self.overwrite_days(table, frame, day, day)

    def overwrite_days(
        self, table: Table, frame: DataFrame, first: date, last: date, *, is_staged: bool = False
    ) -> Written:
        """Replace the rows of the days ``first`` to ``last``, both inclusive, by ``frame`` in one commit.

        The frame is fitted to the contract, computed once (unless it ``is_staged``: made of persisted rows without
        much work) and audited before the commit. A frame without rows clears the days.

        Raises:
            UserError: columns do not fit the contract, or the audit failed; the table's version stays what it was.
        """
        staged = conform(table, frame)
        staged = staged if is_staged else staged.persist()
        try:
            rows = staged.count()
            met = self._audit(table, staged, rows, first, last)
            files = _sorted_into_files(table, staged, rows, several_days=first < last)
            return Written(rows, self._commit(table, files, first, last, met))
        finally:
            if not is_staged:
                staged.unpersist()

    def _audit(self, table: Table, staged: DataFrame, rows: int, first: date, last: date) -> int:
        """Audit the frame and keep the outcome for the job's report; gives the number of expectations met."""
        from recpipe.audit import audit  # noqa: PLC0415 - two seconds that a job with nothing to write need not spend

        sealed = sealed_figures(self.root, table, first, self._audit_settings.compared_arrivals)
        audited = audit(table, staged, rows, first, last, settings=self._audit_settings, sealed=sealed)
        keep(audited)
        audited.require()
        return audited.met

    def _commit(self, table: Table, staged: DataFrame, first: date, last: date, met: int) -> int:
        day = table.day_column
        days = f"{day} >= DATE'{first.isoformat()}' AND {day} <= DATE'{last.isoformat()}'"  # Delta resolves no BETWEEN
        writer = staged.write.format("delta").mode("overwrite").option("replaceWhere", days)
        metadata = json.loads(self.spark.conf.get(_METADATA, "{}")) | {"recpipe": table.name, "expectations_met": met}
        writer = writer.option("userMetadata", json.dumps(metadata))
        with self._lock(table):
            for attempt in range(1, COMMIT_ATTEMPTS + 1):
                try:
                    writer.save(delta.table_uri(self.root, table))
                    break
                except _CONFLICTS:  # a writer on another host, where the file lock does not reach
                    if attempt == COMMIT_ATTEMPTS:
                        raise
                    time.sleep(attempt)
            return delta.open_table(self.root, table).version()

    @contextmanager
    def _lock(self, table: Table) -> Iterator[None]:
        """Hold the table's file lock in the JVM: it is the JVM that commits, and it may outlive this process."""
        path = delta.lock_file(self.root, table)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = self.spark._jvm.java.io.RandomAccessFile(str(path), "rw")
        try:
            file.getChannel().lock()
            yield
        finally:
            file.close()


def conform(table: Table, frame: DataFrame) -> DataFrame:
    """The frame's columns in the contract's order.

    Raises:
        UserError: columns are missing, unexpected or of another type; names all of them.
    """
    found = {field.name: field.dataType.simpleString() for field in frame.schema}
    expected = {column.name: column.type for column in table.columns}
    faults = [f"missing {name} {type_}" for name, type_ in expected.items() if name not in found]
    faults += [f"unexpected {name} {type_}" for name, type_ in found.items() if name not in expected]
    faults += [
        f"{name}: expected {type_}, found {found[name]}"
        for name, type_ in expected.items()
        if name in found and found[name] != type_
    ]
    if faults:
        raise UserError(f"table {table.name}: columns do not fit the contract: {'; '.join(faults)}; mend its transform")
    return frame.select(*table.column_names)


def _sorted_into_files(table: Table, staged: DataFrame, rows: int, several_days: bool) -> DataFrame:
    """In the order of partition and key, in few parts: a part writes at most one file a day.

    Rows of one day are gathered as they lie, since a part holds some of its rows in order either way; those of several
    days are moved, so that not every part writes a file of every day.
    """
    order = list(dict.fromkeys((*table.partition, *table.key)))
    parts = max(1, math.ceil(rows / ROWS_PER_FILE))
    is_moved = parts > 1 and several_days
    gathered = staged.repartitionByRange(parts, *order) if is_moved else staged.coalesce(parts)
    return gathered.sortWithinPartitions(*order)
