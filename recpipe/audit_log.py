"""The audits of a job's run: collected while it writes, then kept as JSON and pages in a folder of the run's own.

Imports no Great Expectations: every job passes here, and only those that wrote through Spark have audits.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Protocol

from recpipe.pages import page, template


class Audited(Protocol):
    """What is kept of one table's audit, see `audit.Audit`."""

    table: str
    days: str
    faults: Sequence[str]
    warnings: Sequence[str]
    expected: int
    met: int

    def as_json(self) -> str: ...
    def as_html(self, run: str) -> str: ...


_audits: ContextVar[list[Audited] | None] = ContextVar("audits", default=None)


@contextmanager
def kept_audits() -> Iterator[list[Audited]]:
    """The list that gets every audit made within the block, failed ones too."""
    audits: list[Audited] = []
    token = _audits.set(audits)
    try:
        yield audits
    finally:
        _audits.reset(token)


def keep(audited: Audited) -> None:
    """Add an audit to the run's; outside of a run, as in a test or a notebook, there is nothing to add to."""
    if (audits := _audits.get()) is not None:
        audits.append(audited)


def warnings_of(audits: Iterable[Audited]) -> list[str]:
    """A phrase for each table that the audit warns of."""
    return [f"warning, table {one.table}: {'; '.join(one.warnings)}" for one in audits if one.warnings]


def write_audits(audits: Sequence[Audited], reports: Path, run: str, started_at: datetime, kept_runs: int) -> None:
    """Write a run's audits to a new folder under ``reports``, and remove the oldest folders beyond ``kept_runs``.

    ``reports`` has a folder a day, and that has one a run. Nothing is written for a run without audits.

    Raises:
        OSError: the disk is full or may not be written.
    """
    if not audits:
        return
    folder = reports / f"{_plain(run)}-{started_at:%Y%m%dT%H%M%S%f}"
    folder.mkdir(parents=True)
    names = [f"{number:02}-{one.table}" for number, one in enumerate(audits, start=1)]
    for name, one in zip(names, audits, strict=True):
        (folder / f"{name}.json").write_text(one.as_json())
        (folder / f"{name}.html").write_text(one.as_html(run))
    (folder / "index.html").write_text(_index(run, names, audits))
    _remove_oldest(reports.parent, kept_runs)


def _plain(run: str) -> str:
    """A folder name of at most 150 letters; a run's name may hold colons, which not every file system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", run)[:150]


def _index(run: str, names: Sequence[str], audits: Sequence[Audited]) -> str:
    outcomes = ["failed" if one.faults else "warns" if one.warnings else "passed" for one in audits]
    rows = list(zip(names, audits, outcomes, strict=True))
    return page(f"Audit of {run}", template("audit_section.html").render(run=run, rows=rows))


def _remove_oldest(reports: Path, kept_runs: int) -> None:
    """Another job may remove the same folders at the same time."""
    made = []
    for folder in reports.glob("*/*/"):
        with suppress(FileNotFoundError):
            made.append((folder.stat().st_mtime_ns, folder))
    for _, folder in sorted(made)[:-kept_runs]:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # the day has other runs
            folder.parent.rmdir()
