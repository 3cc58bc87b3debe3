"""The lake through Spark: a session, reads, and the one way to write. The side without a JVM is `delta.py`."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
)
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from recpipe import commits, delta
from recpipe.arrival_figures import sealed_figures
from recpipe.audit_log import keep
from recpipe.errors import UserError
from recpipe.files import empty_folder
from recpipe.java import find_java
from recpipe.locks import own_folder, thread_lock
from recpipe.settings import AuditSettings, Settings, code_hash
from recpipe.spark_conf import spark_conf
from recpipe.spark_errors import readable_errors
from recpipe.tables import ERASED_USERS, OF_USERS, Table
from recpipe.transforms.as_of import as_of

ROWS_PER_FILE = 500_000
COMMIT_ATTEMPTS = 4
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_DECIDING = ("code_hash", "settings_hash", "erased_hash")
_ROWS_A_GROUP = "parquet.block.row.count.limit"
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
    hashes["erased_hash"] = delta.erased_hash(settings.lake)
    builder = builder.config(_METADATA, json.dumps(hashes)).config("spark.sql.pyspark.jvmStacktrace.enabled", "true")
    # Not in /tmp, where the rows that a killed session left would stay past an erasure.
    with readable_errors(), own_folder(settings.lake / delta.SPARK_FILES) as folder:
        if settings.spark.master.startswith("local"):
            builder = builder.config("spark.local.dir", str(folder))
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()


def _prepare_process() -> None:
    """Workers start the Python named here, and both sides turn timestamps into datetimes by the process's zone."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "TZ": "UTC"}
    time.tzset()


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
        delta.open_table(self.root, table)  # refuses what is missing, or has rows that other readers would not see
        return self.spark.read.format("delta").load(delta.table_uri(self.root, table))

    def known(self, table: Table, ds: date, users: DataFrame | None = None) -> DataFrame:
        """What had arrived by the end of ``ds``, each key as its newest arrival tells it; see `as_of`.

        With ``users`` (user_id), theirs alone: rows of others are dropped before any are sorted.
        """
        rows = self._without_erased(table)
        rows = rows if users is None else rows.join(users, "user_id", "left_semi").select(*table.column_names)
        return as_of(rows, table, ds)

    def of_day(self, table: Table, ds: date) -> DataFrame:
        """The rows of ``ds``."""
        return self._without_erased(table).filter(F.col(table.day_column) == F.lit(ds))

    def erased_users(self) -> DataFrame:
        """Their ids, few enough to be sent to every task."""
        return F.broadcast(self.read(ERASED_USERS).select("user_id"))

    def _without_erased(self, table: Table) -> DataFrame:
        rows = self.read(table)
        if table not in OF_USERS or not delta.snapshot_files(self.root, ERASED_USERS):
            return rows
        return rows.join(self.erased_users(), "user_id", "left_anti").select(*table.column_names)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder for files that a job writes for itself and reads again; one job at a time."""
        with empty_folder(self.root / delta.STAGING) as folder:
            yield folder

    def has_rows(self, table: Table, first: date, last: date) -> bool:
        """Whether the table has rows of the days ``first`` to ``last``, both inclusive; asks its metadata alone."""
        return any(first <= day <= last for day in delta.days(self.root, table))

    def is_as_now(self, table: Table, day: date) -> bool:
        """Whether the rows of ``day`` were last written by the code, settings and erased users of this session."""
        written = delta.last_commit(self.root, table, day)
        now = json.loads(self.spark.conf.get(_METADATA, "{}"))
        return written is not None and all(written.get(name) == now.get(name) for name in _DECIDING)

    def overwrite_partition(self, table: Table, frame: DataFrame, day: date) -> Written:
        """Replace the rows of ``day`` by ``frame`` in one commit; see `overwrite_days`."""
        return self.overwrite_days(table, frame, day, day)

    def overwrite_days(
        self, table: Table, frame: DataFrame, first: date, last: date, *, is_staged: bool = False
    ) -> Written:
        """Replace the rows of the days ``first`` to ``last``, both inclusive, by ``frame`` in one commit.

        The frame is fitted to the contract, computed once (unless it ``is_staged``: made of persisted rows without
        much work) and audited before the commit. A frame without rows clears the days.

        A conflict with a writer on another host, where the file lock does not reach, is tried again a few times. Each
        time the frame is computed anew, and what it reads of the lake is then the newest version: rows that were
        numbered or counted by the table as it was before would be stale. Only rows that the job itself persisted stay;
        those come from files and from sealed arrivals, which no writer changes.

        Raises:
            UserError: columns do not fit the contract, or the audit failed; the table's version stays what it was.
            Superseded: a newer attempt of the job began.
        """
        fitted, write = conform(table, frame), partial(self._write, table, first, last, is_staged=is_staged)
        for attempt in range(1, COMMIT_ATTEMPTS):
            try:
                return write(fitted)
            except _CONFLICTS:
                time.sleep(attempt)
        return write(fitted)

    def _write(self, table: Table, first: date, last: date, fitted: DataFrame, *, is_staged: bool) -> Written:
        staged = fitted if is_staged else fitted.persist()
        try:
            rows = staged.count()
            met = self._audit(table, staged, rows, first, last)
            files = _sorted_into_files(table, staged, rows, several_days=first < last)
            with self._row_groups(table):
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

    @contextmanager
    def _row_groups(self, table: Table) -> Iterator[None]:
        """Files get row groups as the table wants them. By the session, as Delta passes no such option on."""
        if table.rows_a_group:
            self.spark.conf.set(_ROWS_A_GROUP, table.rows_a_group)
        try:
            yield
        finally:
            self.spark.conf.unset(_ROWS_A_GROUP)

    def _commit(self, table: Table, staged: DataFrame, first: date, last: date, met: int) -> int:
        day = table.day_column
        days = f"{day} >= DATE'{first.isoformat()}' AND {day} <= DATE'{last.isoformat()}'"  # Delta resolves no BETWEEN
        writer = staged.write.format("delta").mode("overwrite").option("replaceWhere", days)
        told = json.loads(self.spark.conf.get(_METADATA, "{}"))
        told |= commits.metadata(table, expectations_met=met, first_day=first.isoformat(), last_day=last.isoformat())
        writer = writer.option("userMetadata", json.dumps(told))
        with self._lock(table):
            commits.require_newest(table)
            writer.save(delta.table_uri(self.root, table))
            return delta.open_table(self.root, table).version()

    @contextmanager
    def _lock(self, table: Table) -> Iterator[None]:
        """Hold the table's file lock in the JVM: it is the JVM that commits, and it may outlive this process."""
        path = delta.lock_file(self.root, table)
        path.parent.mkdir(parents=True, exist_ok=True)
        with thread_lock(path):  # the JVM refuses to wait for a lock that another of its threads holds
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
