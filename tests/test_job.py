import json
from datetime import UTC, date, datetime, timedelta

import pytest

from recpipe import delta, job
from recpipe.errors import UserError
from recpipe.job import JobResult, parse_arrival_day, parse_day, parse_run_id, run_job
from recpipe.job_lock import no_job_under_way
from tests.lakes import empty_lake


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    empty_lake(tmp_path / "lake")
    return tmp_path / "lake"


def attempts(lake):
    return delta.connect(lake).sql("select job, ds, run_id, status, message from runs").fetchall()


def test_a_job_prints_one_json_line_and_leaves_a_row(lake, capsys):
    run_job("embed", lambda ds, settings: JobResult("done", {"a": 1}, {"b": 2}, {"b": 3}), ["--ds", "2024-01-31"])
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1])["rows_out"] == {"b": 2}
    assert attempts(lake) == [("embed", date(2024, 1, 31), "manual", "success", "done")]


def test_while_a_job_runs_nobody_holds_the_lock_that_shuts_jobs_out(lake):
    def look(ds, settings):
        with pytest.raises(UserError, match="no job under way"), no_job_under_way(settings.lake):
            pass
        return JobResult("done")

    run_job("embed", look, ["--ds", "2024-01-31"])
    with no_job_under_way(lake):
        pass


def test_what_a_user_can_mend_is_one_line_and_exit_code_2(lake, capsys):
    def refuse(ds, settings):
        raise UserError("expected x, found y; do z")

    with pytest.raises(SystemExit) as stop:
        run_job("embed", refuse, ["--ds", "2024-01-31", "--run-id", "r1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "recpipe embed: expected x, found y; do z\n"
    assert attempts(lake) == [("embed", date(2024, 1, 31), "r1", "failed", "expected x, found y; do z")]


def test_a_fault_of_ours_keeps_its_traceback(lake):
    def fall(ds, settings):
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        run_job("embed", fall, ["--ds", "2024-01-31"])
    [(_, _, _, status, message)] = attempts(lake)
    assert status == "failed"
    assert "ZeroDivisionError" in message


def test_a_missing_lake_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        run_job("embed", lambda ds, settings: JobResult(""), ["--ds", "2024-01-31"])
    assert stop.value.code == 2
    assert "recpipe init" in capsys.readouterr().err


def test_a_full_disk_is_one_line(lake, capsys):
    def fill(ds, settings):
        raise OSError(28, "No space left on device", "/lake/reviews")

    with pytest.raises(SystemExit) as stop:
        run_job("embed", fill, ["--ds", "2024-01-31"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "recpipe embed: [Errno 28] No space left on device: '/lake/reviews'"
    ]


@pytest.mark.parametrize(
    "text", ["2024-02-30", "20240131", "yesterday", "", "2024-01-31'; drop table reviews", "1990-01-01"]
)
@pytest.mark.parametrize("parse", [parse_day, parse_arrival_day])
def test_a_wrong_day_is_refused(parse, text):
    with pytest.raises(UserError, match="expected a day"):
        parse(text)


def test_a_day_that_is_not_over_is_refused():
    today = datetime.now(UTC).date()
    assert parse_day(str(today - timedelta(days=1))) == today - timedelta(days=1)
    with pytest.raises(UserError, match="that is over"):
        parse_day(str(today))


def test_files_may_arrive_up_to_tomorrow():
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert parse_arrival_day(str(tomorrow)) == tomorrow
    with pytest.raises(UserError, match="expected a UTC day up to tomorrow"):
        parse_arrival_day("2099-01-01")


@pytest.mark.parametrize("text", ["", "a b", "x;y", "$(id)", "r" * 251])
def test_a_run_id_is_a_plain_word(text):
    with pytest.raises(UserError):
        parse_run_id(text)
    assert job.parse_run_id("scheduled__2024-01-31T00:00:00+00:00")
