import json
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError

from recpipe import attempts, commits, delta
from recpipe.errors import Superseded
from recpipe.job import STOPPED, JobResult, run_job
from recpipe.job_lock import job_under_way, no_job_under_way
from recpipe.settings import Settings
from recpipe.status import commands, status
from recpipe.tables import MODEL_VERDICTS, RECOMMENDATIONS, RECOMMENDATIONS_CURRENT, RUNS
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, recommendation, verdict

WRITER = """
import sys, time
from datetime import UTC, date, datetime
from pathlib import Path
from recpipe import delta
from recpipe.job import JobResult, run_job
from recpipe.tables import MODEL_VERDICTS
from tests.rows import verdict

def main(ds, settings):
    begun, go = Path(sys.argv[1]), Path(sys.argv[2])
    begun.touch()
    while not go.exists():
        time.sleep(0.02)
    delta.overwrite_partition(settings.lake, MODEL_VERDICTS, [verdict(ds=ds, reason="the first")], ds)
    return JobResult("done")

run_job("promote_model", main, ["--ds", "2024-01-01", "--run-id", "first"])
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    empty_lake(settings.lake)
    return settings


@pytest.fixture
def first(settings, tmp_path):
    """A process that has begun an attempt for Monday and writes a verdict when file `go` is there."""
    files = [str(tmp_path / name) for name in ("begun", "go")]
    command = [sys.executable, "-c", WRITER, *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(tmp_path / "begun", process)
            yield process
        finally:
            process.kill()


def wait_for(file, process):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write_verdict(ds, settings):
    rows = [verdict(ds=ds, reason="the second")]
    version = delta.overwrite_partition(settings.lake, MODEL_VERDICTS, rows, ds)
    return JobResult("done", versions={MODEL_VERDICTS.name: version})


def runs(settings, columns="attempt, run_id, status"):
    return delta.connect(settings.lake).sql(f"select {columns} from runs order by ds, job, attempt").fetchall()


def reasons(settings):
    return delta.connect(settings.lake).sql("select ds, reason from model_verdicts order by ds").fetchall()


def last_commit(settings, table):
    return delta.open_table(settings.lake, table).history(1)[0]


def test_e08_an_attempt_that_wakes_after_a_newer_one_wrote_may_write_nothing(settings, first, tmp_path):
    run_job("promote_model", write_verdict, ["--ds", "2024-01-01", "--run-id", "second"])
    version = delta.open_table(settings.lake, MODEL_VERDICTS).version()
    (tmp_path / "go").touch()
    _, complained = first.communicate(timeout=60)
    assert first.returncode == 3
    assert complained.splitlines() == [
        "recpipe promote_model: expected attempt 1 for 2024-01-01 to be the newest, found 2; this one wrote nothing "
        "more, see `recpipe status`"
    ]
    assert delta.open_table(settings.lake, MODEL_VERDICTS).version() == version
    assert reasons(settings) == [(MONDAY, "the second")]
    assert runs(settings) == [(1, "first", "superseded"), (2, "second", "success")]


def test_an_attempt_is_seen_from_its_start_on_and_a_killed_one_stays(settings, first):
    assert runs(settings, "attempt, status, ended_at") == [(1, "running", None)]
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert runs(settings, "attempt, status, ended_at") == [(1, "running", None)]
    attempts.begin(settings, "promote_model", MONDAY, "second")
    assert runs(settings, "attempt, status, message") == [
        (1, "superseded", "attempt 2 began before its end"),
        (2, "running", ""),
    ]


def told(settings):
    return [day.state for day in status(settings, MONDAY, MONDAY)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_attempt_that_is_stopped_tells_its_end(settings, first, number):
    first.send_signal(number)
    _, complained = first.communicate(timeout=60)
    assert first.returncode == 130
    assert complained == f"recpipe promote_model: {STOPPED}\n"
    assert runs(settings, "status, message, ended_at is not null") == [("failed", STOPPED, True)]
    assert told(settings) == ["failed in promote_model"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_lets_its_job_tell_its_end(settings, number):
    delta.append(settings.lake, RECOMMENDATIONS, [recommendation("U1", 1, "a")])
    command = [sys.executable, "-c", "from recpipe.cli import main; main()", "run", "publish", "--ds", str(MONDAY)]
    with delta.table_lock(settings.lake, RECOMMENDATIONS_CURRENT), subprocess.Popen(command) as running:
        deadline = time.monotonic() + 60
        while not runs(settings):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)  # it waits for the lock
        running.send_signal(number)
        try:
            assert running.wait(30) != 0
        finally:
            running.kill()
    assert runs(settings, "status, message") == [("failed", STOPPED)]


def test_an_attempt_that_was_killed_runs_as_far_as_anyone_knows_until_no_job_is_under_way(settings, first):
    running = f"running promote_model since {datetime.now(UTC):%Y-%m-%d}"
    assert told(settings)[0].startswith(running)
    with job_under_way(settings.lake):
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert told(settings)[0].startswith(running)
        assert commands(status(settings, MONDAY, MONDAY)) == []
    assert told(settings) == ["killed in promote_model"]
    assert commands(status(settings, MONDAY, MONDAY)) == [f"recpipe run night --ds {MONDAY}"]
    with no_job_under_way(settings.lake):  # asking held nothing
        pass


def test_other_jobs_and_days_are_no_newer_attempts(settings):
    attempt = attempts.begin(settings, "promote_model", MONDAY, "a")
    for job, day in (("embed", MONDAY), ("promote_model", TUESDAY)):
        assert attempts.begin(settings, job, day, "b").number == 1
    with commits.made_by(attempt):
        write_verdict(MONDAY, settings)
    assert [status for (status,) in runs(settings, "status")] == ["running"] * 3


def test_an_attempt_that_ends_after_a_newer_one_began_is_superseded_whatever_it_says(settings):
    old, new = (attempts.begin(settings, "embed", MONDAY, name) for name in ("old", "new"))
    old.end("success", "all was written before")
    new.end("success", "done", rows_out={"a": 1})
    assert runs(settings, "status, message, rows_out") == [
        ("superseded", "all was written before", "{}"),
        ("success", "done", '{"a": 1}'),
    ]


def test_an_attempt_of_a_lake_that_was_made_anew_writes_nothing(settings):
    attempt = attempts.begin(settings, "embed", MONDAY, "a")
    delta.replace(settings.lake, RUNS, [])
    with commits.made_by(attempt), pytest.raises(Superseded):
        write_verdict(MONDAY, settings)
    assert reasons(settings) == []


def test_an_attempt_keeps_what_it_could_read_and_what_it_wrote(settings):
    before = delta.open_table(settings.lake, MODEL_VERDICTS).version()
    run_job("promote_model", write_verdict, ["--ds", "2024-01-01"])
    [(inputs, versions)] = runs(settings, "inputs, versions")
    assert json.loads(inputs)[MODEL_VERDICTS.name] == before
    assert RUNS.name not in json.loads(inputs)
    assert json.loads(versions) == {MODEL_VERDICTS.name: before + 1}


def test_a_commit_tells_what_made_it(settings):
    run_job("promote_model", write_verdict, ["--ds", "2024-01-01", "--run-id", "r1"])
    told = json.loads(last_commit(settings, MODEL_VERDICTS)["userMetadata"])
    expected = {"table": "model_verdicts", "job": "promote_model", "ds": "2024-01-01", "run_id": "r1", "attempt": 1}
    assert {name: told[name] for name in expected} == expected
    [(code_hash, settings_hash)] = runs(settings, "code_hash, settings_hash")
    assert (told["code_hash"], told["settings_hash"]) == (code_hash, settings_hash)
    assert settings_hash == settings.result_hash()


def test_a_day_stays_one_file_and_the_log_is_checkpointed(settings):
    for _ in range(51):  # of two commits each: with the hundredth there comes a checkpoint
        attempts.begin(settings, "embed", MONDAY, "a").end("success", "done")
    assert len(delta.snapshot_files(settings.lake, RUNS)) == 1
    assert len(runs(settings)) == 51
    assert list(Path(delta.table_uri(settings.lake, RUNS)).glob("_delta_log/*.checkpoint.parquet"))


def test_e04_a_row_that_another_host_wrote_meanwhile_is_read_again(settings, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    write, conflicts = delta.overwrite_partition, []

    def conflicted(root, table, rows, day, known):
        if len(conflicts) < 2:
            conflicts.append(rows)
            write(root, table, [{**row, "run_id": "there", "attempt": len(conflicts)} for row in rows[-1:]], day)
            raise CommitFailedError("a concurrent transaction added new data")
        return write(root, table, rows, day, known)

    monkeypatch.setattr(delta, "overwrite_partition", conflicted)
    assert attempts.begin(settings, "embed", MONDAY, "here").number == 3
    assert runs(settings, "attempt, run_id") == [(2, "there"), (3, "here")]


def test_e04_a_row_that_another_host_wrote_between_reading_and_writing_is_not_lost(settings, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    attempts.begin(settings, "ingest_reviews", MONDAY, "before")
    read, reads = attempts._rows_of, []

    def read_and_written_elsewhere(root, ds):
        rows = read(root, ds)
        if not reads:
            there = {**rows[0], "job": "embed", "run_id": "there"}
            delta.overwrite_partition(root, RUNS, [*rows, there], ds)
        reads.append(1)
        return rows

    monkeypatch.setattr(attempts, "_rows_of", read_and_written_elsewhere)
    assert attempts.begin(settings, "embed", MONDAY, "here").number == 2
    assert [run_id for (run_id,) in runs(settings, "run_id")] == ["there", "here", "before"]
    assert len(reads) == 2


def test_a_conflict_is_not_tried_for_ever(settings, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def conflicted(*_):
        raise CommitFailedError("a concurrent transaction added new data")

    monkeypatch.setattr(delta, "overwrite_partition", conflicted)
    with pytest.raises(CommitFailedError):
        attempts.begin(settings, "embed", date(2024, 1, 1), "a")
