"""A shop in a folder of its own, worked on by the real command line in processes of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from recpipe import delta
from recpipe.sample import Sample
from recpipe.settings import CHECKOUT
from recpipe.tables import TABLES

RECPIPE = CHECKOUT / ".venvs" / "reader" / "bin" / "recpipe"
FIRST, BUSY_DAY, EMPTY_DAY = date(2024, 3, 1), date(2024, 3, 9), date(2024, 3, 10)
"""Of the sample: the first arrival, the day of the first night, and a day on which nothing arrived."""
SAMPLE = Sample(users=800, items=600, last_day=EMPTY_DAY)
"""About as small as a shop may be whose models have a sure lead over the baselines, with the settings `SMALL`."""

SMALL = (
    ("RECPIPE_CARRY_FROM", "0"),  # so that a night carries features on, as a large shop's does
    ("RECPIPE_MODEL__EMBEDDING_SIZE", "64"),
    ("RECPIPE_MODEL__EPOCHS", "10"),
    ("RECPIPE_MODEL__LEARNING_RATE", "0.01"),
    ("RECPIPE_MODEL__DROPOUT", "0.1"),
    ("RECPIPE_MODEL__ITEM_DROPOUT", "0"),
)
"""Few steps and large ones: trainings take a third of the time, and the models still beat the baselines."""

ORDERS = """
[sources.orders]
user_id = "buyer"
item_id = "sku"
event_type = "purchase"
occurred_at = "paid_at"
"""
"""Of `settings.toml`: how files of orders are read."""

ANCHORS = (date(2024, 3, 1), date(2024, 3, 8))
ERASED = "U00003"
"""A user with reviews in the first arrival and later, erased before the first night."""
PRIVATE = {"runs", "erased_users", "list_rollbacks"}
"""Tables that tell of attempts, of what people asked for, and clocks, and so differ from run to run."""

SUPERSEDED = 3
"""Exit code of a job of which a newer attempt began."""

Digests = dict[str, dict[str, tuple[int, str]]]
"""Rows and a digest of them, by table and day."""


@dataclass(frozen=True)
class Shop:
    home: Path
    settings: tuple[tuple[str, str], ...] = ()
    printed: dict[str, str] = field(default_factory=dict)  # what a fixture wants its tests to see

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def variables(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RECPIPE_")}
        return {**clean, **dict(self.settings), "RECPIPE_HOME": str(self.home)}

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(RECPIPE), *arguments],
            env=self.variables,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def recpipe(self, *arguments: str) -> str:
        """What the command printed; it must succeed."""
        process = self.start(*arguments)
        printed, complained = process.communicate()
        assert process.returncode == 0, f"recpipe {' '.join(arguments)}\n{printed[-3000:]}\n{complained[-6000:]}"
        return printed

    def refused(self, *arguments: str) -> str:
        """The one line with which the command refused: its last, after what a JVM or a library may say of its own."""
        process = self.start(*arguments)
        _, complained = process.communicate()
        assert process.returncode == 2, complained
        told = [line for line in complained.splitlines() if line.startswith("recpipe")]
        assert told == complained.splitlines()[-1:], complained
        assert "Traceback" not in complained
        return told[0]

    def night(self, ds: date) -> None:
        self.recpipe("run", "night", "--ds", str(ds))

    def results(self, ds: date) -> dict[str, dict[str, Any]]:
        """What each job that succeeded said and counted, by job, in the order in which they ran."""
        told = self.rows(
            f"""select job, message, rows_in, rows_out from runs
                where ds = '{ds}' and status = 'success' order by ended_at"""
        )
        return {
            job: {"message": message, "rows_in": json.loads(rows_in), "rows_out": json.loads(rows_out)}
            for job, message, rows_in, rows_out in told
        }

    def nights_at_once(self, days: Sequence[date]) -> None:
        """Run the nights beside each other. Of two for one day, one may end as superseded by the other."""
        running = [self.start("run", "night", "--ds", str(day)) for day in days]
        said = [process.communicate() for process in running]
        for day in set(days):
            codes = sorted(process.returncode for process, ran in zip(running, days, strict=True) if ran == day)
            assert codes in ([0], [0, 0], [0, SUPERSEDED]), f"night {day} of {days}: {codes}\n{said}"[-9000:]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return delta.connect(self.lake).sql(sql).fetchall()

    def wipe(self) -> None:
        """An empty lake and registry, as `recpipe init` makes them; the landing stays."""
        for folder in (self.lake, self.home / "registry", self.home / "reports"):
            shutil.rmtree(folder, ignore_errors=True)
        self.recpipe("init")

    def digests(self, days: Iterable[date] = ()) -> Digests:
        """Rows and an order-free digest, by table and day, of every public table; of all days when none is named."""
        listed = ", ".join(f"'{day}'" for day in sorted(days))
        found = {}
        for table in TABLES:
            if table.name in PRIVATE:
                continue
            day = table.partition[0] if table.partition else "ds"
            rows = self.rows(
                f"""select {day}::varchar, count(*), md5(string_agg(md5(row), '' order by row))
                    from (select {day}, to_json({table.name})::varchar as row from {table.name})
                    where {f"{day}::varchar in ({listed})" if listed else "true"} group by 1"""
            )
            found[table.name] = {ds: (count, digest) for ds, count, digest in rows}
        return found

    def files(self, day: date) -> dict[str, bytes]:
        """Every data file of the day in the newest versions of the public tables, with its bytes."""
        named = (
            file
            for table in TABLES
            if table.partition and table.name not in PRIVATE
            for file in delta.snapshot_files(self.lake, table, {table.partition[0]: day})
        )
        return {file: Path(file).read_bytes() for file in named}
