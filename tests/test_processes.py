import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recpipe import processes
from recpipe.processes import Process

MARK = "MARK_OF_THIS_TEST=5f2b"
PARENT = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def marked() -> list[Process]:
    return processes.members([], MARK)


@pytest.fixture
def log(tmp_path) -> Iterator[Path]:
    yield tmp_path / "log"
    for process in marked():
        os.kill(process.pid, signal.SIGKILL)


def started(code: str, log: Path, mark: str = MARK) -> Process:
    """A process that runs ``code`` and has said that it is ready."""
    name, _, value = mark.partition("=")
    process = processes.start([sys.executable, "-c", code], {**os.environ, name: value}, log)
    deadline = time.monotonic() + 20
    while "ready" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_process_is_found_with_what_it_started_in_another_session(log):
    parent = started(PARENT, log)
    assert parent in marked()
    assert len(marked()) == 2
    assert processes.members([parent]) == [parent]
    assert marked() == marked() != processes.members([], MARK + "-longer")


def test_the_end_of_all_leaves_nothing(log):
    parent = started(PARENT, log)
    assert processes.end(marked, signal.SIGTERM, seconds=20) == []
    assert not processes.is_alive(parent)


def test_one_that_does_not_heed_is_given_back(log):
    stubborn = started(STUBBORN, log)
    assert processes.end(marked, signal.SIGTERM, seconds=0.5) == [stubborn]
    assert processes.end(marked, signal.SIGKILL, seconds=20) == []


def test_a_number_that_went_to_a_stranger_is_not_taken_for_ours(log):
    """The stranger leads a session under the number that one of ours had, and even names Airflow in its command."""
    stranger = started("print('ready', flush=True); import time; time.sleep(60)  # airflow", log)
    gone = Process(stranger.pid, stranger.started - 1)
    assert not processes.is_alive(gone)
    assert processes.members([gone]) == []
    assert processes.members([stranger]) == [stranger]


def test_a_session_is_ours_after_its_leader_has_gone_only_when_airflow_runs_in_it(log):
    heir = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {heir!r}, NAME]); print('ready')"
    for name, found in (("airflow worker", 1), ("vim", 0)):
        leader = started(code.replace("NAME", repr(name)), log)
        os.waitpid(leader.pid, 0)
        assert len(processes.members([leader])) == found
        log.unlink()


def test_a_dead_process_that_nobody_waited_for_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{child.pid}/stat")
    deadline = time.monotonic() + 20
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started_at = int(stat.read_text().rpartition(")")[2].split()[19])
    assert not processes.is_alive(Process(child.pid, started_at))
    child.wait()
