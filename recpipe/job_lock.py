"""Jobs and what rewrites tables behind them shut each other out: a job writes rows of users whom it read before."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from recpipe.errors import UserError


@contextmanager
def job_under_way(lake: Path) -> Iterator[None]:
    """Held by every job, beside others; waits while somebody holds `no_job_under_way`. Ends with the process."""
    with _lock_file(lake) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def no_job_under_way(lake: Path) -> Iterator[None]:
    """Raises:
    UserError: a job is under way, or another holder of this lock.
    """
    with _lock_file(lake) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "expected no job under way, found one (see `recpipe status`, or Airflow); run again when it is over"
            ) from None
        yield


def nothing_under_way(lake: Path) -> bool:
    """Whether no job is under way on this machine. Changes nothing."""
    try:
        with _path(lake).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # no job ever ran
        return True
    return True


def _lock_file(lake: Path) -> IO[str]:
    path = _path(lake)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a")


def _path(lake: Path) -> Path:
    return lake / ".locks" / "jobs.lock"
