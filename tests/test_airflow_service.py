import json
import socket
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from recpipe import airflow_service, processes
from recpipe.airflow_setup import airflow_variables, free_port, passwords_file, write_password
from recpipe.errors import UserError
from recpipe.processes import Process
from recpipe.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(home=tmp_path)
    settings.airflow_home.mkdir()
    return settings


@pytest.fixture
def stranger(tmp_path) -> Iterator[Process]:
    """A process of nobody's service."""
    code = "import time; time.sleep(60)  # airflow"
    process = processes.start([sys.executable, "-c", code], {}, tmp_path / "log")
    yield process
    processes.end(lambda: [process] if processes.is_alive(process) else [], 9, seconds=20)


def write_state(settings: Settings, process: Process, boot: str) -> Path:
    file = settings.airflow_home / "service.json"
    component = {"pid": process.pid, "started": process.started}
    state = {"port": 8080, "until": "2024-01-31", "token": "a-token", "boot": boot}
    file.write_text(json.dumps(state | {"components": {"scheduler": component}}))
    return file


def test_stopping_what_does_not_run_is_no_error_and_leaves_no_folder(tmp_path):
    said = []
    airflow_service.down(Settings(home=tmp_path / "none"), said.append)
    assert said == [f"Airflow is not running for {tmp_path / 'none'}"]
    assert not (tmp_path / "none").exists()


def test_a_service_is_found_by_its_scheduler_with_its_last_day(settings, stranger):
    write_state(settings, stranger, processes.boot_id())
    service = airflow_service.find(settings)
    assert service.living() == [stranger]
    assert service.until == date(2024, 1, 31)


@pytest.mark.parametrize("stale", ["another start of the machine", "a number used again"])
def test_a_stale_state_kills_no_stranger(settings, stranger, stale):
    boot = "another" if stale == "another start of the machine" else processes.boot_id()
    written = Process(stranger.pid, stranger.started - (stale == "a number used again"))
    write_state(settings, written, boot)
    assert airflow_service.find(settings) is None
    said = []
    airflow_service.down(settings, said.append)
    assert said == [f"Airflow is not running for {settings.home}"]
    assert processes.is_alive(stranger)


ENDS_ON = date(2024, 1, 31)


@pytest.mark.parametrize(
    ("asked", "setting", "found"),
    [
        (None, None, "expected Airflow with a schedule for ever, found it running with one up to 2024-01-31"),
        (
            date(2024, 3, 1),
            ENDS_ON,
            "expected Airflow with a schedule up to 2024-03-01, found it running with one up to",
        ),
        (None, date(2024, 3, 1), "expected Airflow with a schedule up to 2024-03-01, found it running with one up to"),
    ],
)
def test_another_schedule_than_that_of_the_airflow_that_runs_is_refused(settings, stranger, asked, setting, found):
    write_state(settings, stranger, processes.boot_id())
    with pytest.raises(UserError, match=f"{found}.*; run `recpipe down` first") as refusal:
        airflow_service.up(settings.model_copy(update={"schedule_until": setting}), asked, say=lambda _: None)
    assert "\n" not in str(refusal.value)
    assert processes.is_alive(stranger)


@pytest.mark.parametrize(("asked", "setting"), [(ENDS_ON, None), (None, ENDS_ON), (ENDS_ON, date(2024, 3, 1))])
def test_an_airflow_that_runs_with_the_same_schedule_is_left_alone(settings, stranger, asked, setting):
    write_state(settings, stranger, processes.boot_id())
    said = []
    airflow_service.up(settings.model_copy(update={"schedule_until": setting}), asked, said.append)
    assert said == ["Airflow runs already: http://127.0.0.1:8080"]


def test_settings_in_the_environment_that_its_tasks_would_not_see_are_refused(settings, stranger, monkeypatch):
    file = write_state(settings, stranger, processes.boot_id())
    monkeypatch.setenv("RECPIPE_K", "20")
    with pytest.raises(UserError, match=r"found RECPIPE_K changed since, .*; run `recpipe down` first"):
        airflow_service.up(settings, ENDS_ON)
    started = json.loads(file.read_text()) | {"variables": airflow_service._variables()}
    file.write_text(json.dumps(started))
    assert "20" not in started["variables"].values()
    airflow_service.up(settings, ENDS_ON, lambda _: None)
    monkeypatch.delenv("RECPIPE_K")
    with pytest.raises(UserError, match="found RECPIPE_K changed since"):
        airflow_service.up(settings, ENDS_ON)


def test_stopping_ends_the_service_and_forgets_it(settings, stranger):
    file = write_state(settings, stranger, processes.boot_id())
    airflow_service.down(settings, lambda _: None)
    assert not processes.is_alive(stranger)
    assert not file.exists()


def test_the_password_is_random_kept_and_for_the_user_alone(settings):
    write_password(passwords_file(settings))
    first = passwords_file(settings).read_text()
    write_password(passwords_file(settings))
    assert passwords_file(settings).read_text() == first
    assert passwords_file(settings).stat().st_mode & 0o777 == 0o600
    assert len(json.loads(first)["admin"]) >= 16


def test_the_next_free_port_is_taken():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert port < free_port(port) < port + 100


def test_all_of_airflow_lies_under_home_and_listens_on_this_machine_alone(settings, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    variables = airflow_variables(settings, 8123, date(2024, 1, 31))
    assert variables["RECPIPE_HOME"] == str(settings.home)
    assert variables["RECPIPE_SCHEDULE_UNTIL"] == "2024-01-31"
    assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{settings.home}/airflow/airflow.db"
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert variables["NO_PROXY"] == "example.org,127.0.0.1"
    assert json.loads(variables["AIRFLOW_CONN_RECPIPE_SPARK"])["host"] == settings.spark.master


def test_a_part_that_ends_at_once_is_named_with_its_last_words_and_nothing_stays(settings, monkeypatch, tmp_path):
    broken = tmp_path / "program"
    broken.write_text("#!/bin/sh\n[ $1 = scheduler ] && echo 'no such table: job' && exit 1\nexec sleep 60\n")
    broken.chmod(0o755)
    monkeypatch.setattr(airflow_service, "airflow_program", lambda: broken)
    monkeypatch.setattr(airflow_service, "migrate", lambda *_: None)
    with pytest.raises(
        UserError, match=r"scheduler to run, found that it ended; .*scheduler\.log ends with: no such table"
    ):
        airflow_service.up(settings, say=lambda _: None)
    assert airflow_service.find(settings) is None
    assert not (settings.airflow_home / "service.json").exists()
    assert processes.members([], f"AIRFLOW_HOME={settings.airflow_home}") == []
