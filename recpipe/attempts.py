"""Attempts at a job for a day: each a row of `runs` from its start on, and only the newest may write."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from deltalake.exceptions import CommitFailedError

from recpipe import delta
from recpipe.errors import Superseded
from recpipe.settings import Settings, code_hash
from recpipe.tables import RUNS

COMMIT_ATTEMPTS = 4
MESSAGE_LENGTH = 4000

Row = dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    root: Path
    ds: date
    job: str
    number: int
    run_id: str
    started_at: datetime
    code_hash: str
    settings_hash: str

    def require_newest(self) -> None:
        """Raises:
        Superseded: a newer attempt of the job for the day began, or the table forgot this one.
        """
        newest = _newest(_rows_of(self.root, self.ds), self.job)
        if newest != self.number:
            raise Superseded(
                f"expected attempt {self.number} for {self.ds} to be the newest, found {newest}; this one wrote "
                "nothing more, see `recpipe status`"
            )

    def as_metadata(self) -> Mapping[str, Any]:
        return {
            "ds": self.ds.isoformat(),
            "job": self.job,
            "attempt": self.number,
            "run_id": self.run_id,
            "code_hash": self.code_hash,
            "settings_hash": self.settings_hash,
        }

    def end(self, status: str, message: str, **figures: Mapping[str, int]) -> None:
        """Tell the attempt's end in its row; ``figures`` are its `rows_in`, `rows_out` and `versions`."""
        ended = {"ended_at": datetime.now(UTC), "status": status, "message": message[:MESSAGE_LENGTH]}
        ended |= {name: _json(figure) for name, figure in figures.items()}

        def change(rows: list[Row]) -> None:
            for row in rows:
                if (row["job"], row["attempt"]) == (self.job, self.number):
                    row.update(ended)
                    # All that it wrote was written before the newer one began, but it is not what counts for the day.
                    row["status"] = status if _newest(rows, self.job) == self.number else "superseded"

        _change_day(self.root, self.ds, change)


def begin(settings: Settings, job: str, ds: date, run_id: str) -> Attempt:
    """Give the attempt the next number of its job and day, and its row; older ones that still run are superseded."""
    root, started_at = settings.lake, datetime.now(UTC)
    hashes = {"code_hash": code_hash(), "settings_hash": settings.result_hash()}
    begun = {"ds": ds, "job": job, "run_id": run_id, "started_at": started_at, "ended_at": None, "status": "running"}
    begun |= {"message": "", "inputs": _json(delta.versions(root)), **hashes}
    begun |= dict.fromkeys(("rows_in", "rows_out", "versions"), "{}")

    def change(rows: list[Row]) -> None:
        begun["attempt"] = 1 + _newest(rows, job)
        for row in rows:
            if row["job"] == job and row["status"] == "running":
                row.update(status="superseded", message=f"attempt {begun['attempt']} began before its end")
        rows.append(begun)

    _change_day(root, ds, change)
    return Attempt(root, ds, job, begun["attempt"], run_id, started_at, **hashes)


def _newest(rows: list[Row], job: str) -> int:
    return max((row["attempt"] for row in rows if row["job"] == job), default=0)


def _rows_of(root: Path, ds: date) -> list[Row]:
    with delta.connect(root, [RUNS], between=(ds, ds)) as lake:
        found = lake.sql("select * from runs order by job, attempt")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def _change_day(root: Path, ds: date, change: Callable[[list[Row]], None]) -> None:
    """Replace the day's rows by changed ones in one commit, so that a day stays one small file.

    A writer on another host is not kept out by the lock. Then the rows are read again, since its row is among them now.
    """
    with delta.table_lock(root, RUNS):
        for attempt in range(1, COMMIT_ATTEMPTS + 1):
            known, rows = delta.open_table(root, RUNS), _rows_of(root, ds)
            change(rows)
            try:
                delta.overwrite_partition(root, RUNS, rows, ds, known)
                break
            except CommitFailedError:
                if attempt == COMMIT_ATTEMPTS:
                    raise
                time.sleep(attempt)


def _json(figures: Mapping[str, int]) -> str:
    return json.dumps(dict(figures), sort_keys=True)
