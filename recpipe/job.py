"""What every job shares: its arguments, its row in `runs`, its last line, its way to fail."""

import argparse
import json
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from recpipe import attempts, commits, delta
from recpipe.attempts import Attempt
from recpipe.audit_log import Audited, kept_audits, warnings_of, write_audits
from recpipe.errors import Superseded, UserError
from recpipe.job_lock import job_under_way
from recpipe.settings import Settings, read_settings
from recpipe.tables import MIN_DAY


@dataclass(frozen=True)
class JobResult:
    """What a job did: a sentence for people, and rows and table versions by table name."""

    message: str
    rows_in: Mapping[str, int] = field(default_factory=dict)
    rows_out: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)


Main = Callable[[date, Settings], JobResult]

ONE_LINE = (UserError, OSError, Superseded)
"""What is told without a traceback. An OSError here is a full disk or a missing right: its text names the file."""

STOPPED = "stopped before its end, by Ctrl-C or SIGTERM"


def parse_day(text: str) -> date:
    """A UTC day that is over, from text such as 2024-01-31.

    Raises:
        UserError: the text is no such day, or the day is not over. The clock only guards here: no result depends on it.
    """
    day, today = _day(text), datetime.now(UTC).date()
    if day >= today:
        raise UserError(f"expected a UTC day that is over (before {today}), found {day}; run it tomorrow")
    return day


def parse_arrival_day(text: str) -> date:
    """A UTC day on which files may arrive: up to tomorrow, since the night seals a day as soon as it is over.

    Raises:
        UserError: the text is no such day. The clock only guards here, as in `parse_day`.
    """
    day, last = _day(text), datetime.now(UTC).date() + timedelta(days=1)
    if day > last:
        raise UserError(
            f"expected a UTC day up to tomorrow ({last}), found {day}; name the day on which the files arrive"
        )
    return day


def _day(text: str) -> date:
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise UserError(f"expected a day such as 2024-01-31, found {text!r}") from None
    if day < MIN_DAY:
        raise UserError(f"expected a day from {MIN_DAY} on, found {day}")
    return day


def parse_run_id(text: str) -> str:
    if not re.fullmatch(r"[\w.:+-]{1,250}", text):
        raise UserError(f"expected a run id of letters, digits and . : + - _, found {text!r}")
    return text


def run_job(job: str, main: Main, argv: list[str] | None = None) -> None:
    """Run ``main`` for the day that the command line names, record the attempt, print the result as one JSON line.

    Exits 2 with one line on standard error for what a user can mend, 3 with one line when a newer attempt took over,
    130 with one line when it was stopped by Ctrl-C or SIGTERM, 1 with a traceback for what a developer must mend.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog=job)
    parser.add_argument("--ds", required=True, help="UTC day, such as 2024-01-31")
    parser.add_argument("--run-id", default="manual", help="name of the run, for table runs")
    arguments = parser.parse_args(argv)
    try:
        ds, run_id, settings = parse_day(arguments.ds), parse_run_id(arguments.run_id), read_settings()
        delta.require_lake(settings.lake)
        with job_under_way(settings.lake):
            _run(job, main, ds, run_id, settings)
    except ONE_LINE as error:
        print(f"recpipe {job}: {error}", file=sys.stderr, flush=True)
        sys.exit(3 if isinstance(error, Superseded) else 2)
    except KeyboardInterrupt:
        print(f"recpipe {job}: {STOPPED}", file=sys.stderr, flush=True)
        sys.exit(130)


def _run(job: str, main: Main, ds: date, run_id: str, settings: Settings) -> None:
    attempt = attempts.begin(settings, job, ds, run_id)
    with kept_audits() as audits:
        try:
            with commits.made_by(attempt), delta.readable_errors():
                result = main(ds, settings)
        except BaseException as error:
            told = str(error) if isinstance(error, ONE_LINE) else traceback.format_exc(limit=-3)
            told = STOPPED if isinstance(error, KeyboardInterrupt) else told
            with suppress(Exception):  # the job's own error counts, as below
                _keep_audits(settings, attempt, audits)
            with suppress(Exception):  # a disk that is full for the job is full for its row
                attempt.end("superseded" if isinstance(error, Superseded) else "failed", told)
            raise
    said = [result.message, *warnings_of(audits)]
    try:
        _keep_audits(settings, attempt, audits)
    except OSError as error:  # what was audited is committed, and the commit says that it was
        said.append(f"the results of the audit could not be kept: {error}")
    message = "; ".join(said)
    figures = {"rows_in": result.rows_in, "rows_out": result.rows_out, "versions": result.versions}
    attempt.end("success", message, **figures)
    line = {"job": job, "ds": ds.isoformat(), "run_id": run_id, "attempt": attempt.number, "message": message}
    print(json.dumps(line | figures), flush=True)


def _keep_audits(settings: Settings, attempt: Attempt, audits: Sequence[Audited]) -> None:
    folder = settings.reports / "audit" / attempt.ds.isoformat()
    run = f"{attempt.job}-{attempt.run_id}"
    write_audits(audits, folder, run, attempt.started_at, settings.audit.kept_runs)
