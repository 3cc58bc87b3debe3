import itertools
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from recpipe import airflow_backfill, airflow_service, processes
from recpipe.airflow_api import ApiError
from recpipe.airflow_backfill import backfill, last_error
from recpipe.airflow_service import Service
from recpipe.errors import UserError
from recpipe.processes import Process
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


DAY = date(2024, 3, 10)
SILENT = ApiError(0, "expected Airflow at http://127.0.0.1:8080, found: ReadTimeout('timed out')")
LOCKED = ApiError(503, "dags is still locked after 30 tries")
REFUSED = ApiError(403, "Forbidden")


class Airflow:
    """Takes one backfill and gives the runs of its days from look to look; an error among the looks is raised."""

    url = "http://127.0.0.1:8080"

    def __init__(self, *looks, backfills=()):
        self.looks = list(looks)
        self.backfills = backfills
        self.called = []

    def call(self, method, *path, body=None):
        self.called.append((method, *path[-2:], body))
        return {"id": 7, "is_paused": False}

    def pages(self, *_path, key, **_query):
        if key != "dag_runs":
            yield from self.backfills if key == "backfills" else ()
            return
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        yield from look

    def failed(self):
        """Names of the runs that were set to failed."""
        return [path[1] for method, *path, body in self.called if method == "PATCH" and body == {"state": "failed"}]


def run_of(state, moment="2024-03-10T00:00:00Z", name="backfill__2024-03-11"):
    return {"dag_run_id": name, "state": state, "logical_date": moment}


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """Backfills DAY in an Airflow that runs already, and gives the exit code."""
    service = Service(8080, DAY, "a-token", processes.boot_id(), {"api-server": Process(1, 1)})
    monkeypatch.setattr(processes, "is_alive", lambda _: True)
    monkeypatch.setattr(airflow_backfill.time, "sleep", lambda _: None)
    monkeypatch.setattr(airflow_service, "find", lambda _: service)

    def fill(airflow, said, **options):
        monkeypatch.setattr(airflow_service, "api", lambda *_: airflow)
        return backfill(Settings(home=tmp_path), DAY, DAY, say=said.append, **options)

    return fill


@pytest.mark.parametrize("error", [SILENT, LOCKED], ids=["silent", "locked"])
def test_an_airflow_that_runs_may_leave_looks_unanswered(filled, error):
    airflow, said = Airflow([run_of("running")], error, error, [run_of("running")], error, [run_of("success")]), []
    assert filled(airflow, said) == 0
    assert said.count("Airflow runs and gives no answer; asking again for 10 minutes") == 2
    assert airflow.failed() == []


def test_a_look_that_is_never_answered_ends_the_wait_and_not_the_backfill(filled, monkeypatch):
    clock = itertools.count(step=100)
    monkeypatch.setattr(airflow_backfill.time, "monotonic", lambda: next(clock))
    airflow, said = Airflow([run_of("running")], SILENT), []
    with pytest.raises(ApiError, match="ReadTimeout"):
        filled(airflow, said)
    assert said[-1] == "Backfill 7 is not cancelled; run the same command again to go on with it"
    assert [method for method, *_ in airflow.called if method in ("PUT", "PATCH")] == []


def test_an_airflow_that_has_ended_is_not_waited_for(filled, monkeypatch):
    airflow, said = Airflow([run_of("running")], SILENT, [run_of("success")]), []
    dies_while_waited_for(monkeypatch)
    with pytest.raises(ApiError, match="ReadTimeout"):
        filled(airflow, said)
    assert said[-1] == "Backfill 7 is not cancelled; run the same command again to go on with it"


def dies_while_waited_for(monkeypatch):
    dies = lambda _: monkeypatch.setattr(processes, "is_alive", lambda _: False)  # noqa: E731
    monkeypatch.setattr(airflow_backfill.time, "sleep", dies)


def test_runs_that_wait_for_a_scheduler_that_has_ended_are_not_waited_for(filled, monkeypatch):
    airflow, said = Airflow([run_of("queued")]), []
    dies_while_waited_for(monkeypatch)
    with pytest.raises(ApiError, match="expected all parts of Airflow to run, found that one has ended"):
        filled(airflow, said)
    assert said[-1] == "Backfill 7 is not cancelled; run the same command again to go on with it"


def test_an_airflow_of_which_a_part_has_ended_is_started_anew_before_anything_is_asked_of_it(filled, monkeypatch):
    service, started = airflow_service.find(None), []
    monkeypatch.setattr(processes, "is_alive", lambda _: bool(started))
    monkeypatch.setattr(airflow_service, "up", lambda *_, until, **__: started.append(until) or service)
    assert filled(Airflow([run_of("success")]), []) == 0
    assert started == [DAY]


@pytest.mark.parametrize(
    ("until", "is_paused", "expected"),
    [
        (None, True, True),
        (None, False, False),
        (DAY + timedelta(days=9), True, True),  # unpausing would start yesterday's night
        (DAY + timedelta(days=9), False, False),
        (DAY, True, False),
        (DAY - timedelta(days=1), True, True),
        (DAY - timedelta(days=1), False, True),
    ],
)
def test_an_airflow_starts_anew_where_the_backfill_would_not_be_all_that_runs(monkeypatch, until, is_paused, expected):
    airflow = Airflow([])
    monkeypatch.setattr(airflow, "call", lambda *_: {"is_paused": is_paused})
    service = Service(8080, until, "a-token", processes.boot_id(), {})
    assert airflow_backfill._needs_another_end(airflow, service, DAY) is expected


@pytest.mark.parametrize("end", [REFUSED, KeyboardInterrupt()], ids=["refused", "Ctrl-C"])
def test_ctrl_c_and_a_refusal_cancel_the_backfill_and_fail_the_day_in_progress(filled, end):
    airflow, said = Airflow(end, [run_of("running")]), []
    with pytest.raises(type(end)):
        filled(airflow, said)
    assert ("PUT", "7", "cancel", None) in airflow.called
    assert airflow.failed() == ["backfill__2024-03-11"]
    assert said[-1].startswith("Backfill 7 is cancelled: ")


BY_HAND = {"moment": "2024-03-10T14:00:00Z", "name": "manual__2024-03-10T14:00"}


def test_a_run_by_hand_at_another_time_of_the_day_is_no_day_of_the_backfill(filled):
    said = []
    assert filled(Airflow([run_of("success"), run_of("failed", **BY_HAND)]), said) == 0
    assert said[-1].startswith("1 of 1 days succeeded")


def test_ctrl_c_leaves_a_run_by_hand_alone(filled):
    airflow = Airflow(KeyboardInterrupt(), [run_of("running"), run_of("running", **BY_HAND)])
    with pytest.raises(KeyboardInterrupt):
        filled(airflow, [])
    assert airflow.failed() == ["backfill__2024-03-11"]


def in_progress(full_refresh):
    days = dict.fromkeys(("from_date", "to_date"), f"{DAY}T00:00:00Z")
    return {"id": 3, "completed_at": None, "dag_run_conf": {"full_refresh": full_refresh}, **days}


def test_a_backfill_of_the_same_days_is_joined(filled):
    said = []
    joined = Airflow([run_of("running")], [run_of("success")], backfills=[in_progress(full_refresh=True)])
    assert filled(joined, said, full_refresh=True) == 0
    assert said[0].startswith("Backfill 3 of 2024-03-10 to 2024-03-10")


@pytest.mark.parametrize("wanted", [True, False])
def test_one_that_computes_its_features_otherwise_is_not_joined(filled, wanted):
    other = Airflow([run_of("running")], [run_of("success")], backfills=[in_progress(full_refresh=not wanted)])
    with pytest.raises(
        UserError, match=rf"{wanted}.*, found 3 of the same days in progress with .*{not wanted}"
    ) as refusal:
        filled(other, [], full_refresh=wanted)
    assert "wait for its end, or cancel it" in str(refusal.value)
    assert other.called == []
