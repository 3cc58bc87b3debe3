import json
from datetime import UTC, date, datetime, timedelta

import pytest

from recpipe.airflow_backfill import backfill, last_error
from recpipe.errors import UserError
from recpipe.settings import Settings


def log_of(tmp_path, *entries):
    """A task's log as Airflow writes it: one JSON object a line."""
    file = tmp_path / "attempt=1.log"
    lines = [{"level": "info", "event": entry} if isinstance(entry, str) else entry for entry in entries]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


FAILED = {"level": "error", "event": "Task failed with exception"}
BY_AIRFLOW = FAILED | {"error_detail": [{"exc_type": "AirflowException", "exc_value": "Error code is: 1.\nLast lines"}]}


def test_the_jobs_own_line_comes_first(tmp_path):
    line = "recpipe ingest_reviews: expected gzip, found a cut file; land it again"
    log = log_of(tmp_path, "KeyError: 'a'", line, "ResourceWarning: unclosed", BY_AIRFLOW)
    assert last_error(log, "ingest_reviews") == line


def test_then_the_exception_of_the_job(tmp_path):
    log = log_of(tmp_path, "Traceback (most recent call last):", "py4j.protocol.Py4JError: gone", "Output:", BY_AIRFLOW)
    assert last_error(log, "ingest_reviews") == "py4j.protocol.Py4JError: gone"


def test_then_airflows_exception_and_then_its_words(tmp_path):
    assert last_error(log_of(tmp_path, "Output:", BY_AIRFLOW), "embed") == "Error code is: 1."
    assert (
        last_error(log_of(tmp_path, "Output:", {"level": "error", "event": "Task killed!"}), "embed") == "Task killed!"
    )
    assert last_error(log_of(tmp_path, "Output:"), "embed") == "it was killed"
    assert last_error(tmp_path / "absent", "embed") == "no log"


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2024, 1, 5), date(2024, 1, 3), "found 2024-01-05 after 2024-01-03; swap them"),
        (date(2023, 12, 31), date(2024, 1, 3), "expected days from RECPIPE_SCHEDULE_FROM 2024-01-01 on"),
        (date(2024, 1, 1), datetime.now(UTC).date() + timedelta(days=1), "expected a UTC day that is over"),
    ],
)
def test_days_that_cannot_be_run_are_refused_before_airflow_is_started(tmp_path, first, last, message):
    settings = Settings(home=tmp_path / "none", schedule_from=date(2024, 1, 1))
    with pytest.raises(UserError, match=message):
        backfill(settings, first, last, say=lambda _: None)
    assert not settings.home.exists()
