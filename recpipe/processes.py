"""The processes of a service: started apart from the terminal, found again for certain, ended with all they started.

A process is known by a mark in its environment, which all that it starts inherit, in whatever session or group. Some
overwrite their environment when they set their title; those are known by their session. A bare number is never
trusted, since numbers are used again.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recpipe.errors import UserError


@dataclass(frozen=True)
class Process:
    pid: int
    started: int
    """Clock ticks since the machine's start; with the pid, unlike any other process until the machine restarts."""


def boot_id() -> str:
    """Another one whenever the machine was restarted.

    Raises:
        UserError: this is no Linux.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        raise UserError("expected Linux, where /proc shows what runs, found none; run recpipe on Linux") from None


def start(command: Sequence[str], variables: Mapping[str, str], log: Path) -> Process:
    """Start ``command`` in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it."""
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        redirect = [
            (os.POSIX_SPAWN_DUP2, source.fileno(), to) for source, to in ((nothing, 0), (output, 1), (output, 2))
        ]
        pid = os.posix_spawn(command[0], list(command), dict(variables), file_actions=redirect, setsid=True)
    return Process(pid, _stat(pid).started)


@dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    started: int


def _stat(pid: int) -> _Stat:
    # The command's name, in brackets, may hold anything, brackets too; what follows it is fixed: see proc(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[3]), int(fields[19]))


def is_alive(process: Process) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        stat = _stat(process.pid)
        return stat.started == process.started and stat.state not in "ZX"
    return False


def members(leaders: Sequence[Process], mark: str | None = None) -> list[Process]:
    """What lives in the session of one of ``leaders`` or has ``mark`` (NAME=value) in its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        # Another user's process, or one that ended in the meantime, is none of ours.
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            stat, command = _stat(int(folder.name)), (folder / "cmdline").read_bytes()
            ours = any(_leads(leader, stat, command) for leader in leaders)
            ours = ours or (mark and mark.encode() in (folder / "environ").read_bytes().split(b"\0"))
            if ours and stat.state not in "ZX":
                found.append(Process(int(folder.name), stat.started))
    return found


def _leads(leader: Process, stat: _Stat, command: bytes) -> bool:
    """Whether ``leader`` opened the session. When it is gone, its number may have gone to a stranger's session."""
    if stat.session != leader.pid:
        return False
    try:
        return _stat(leader.pid).started == leader.started
    except (FileNotFoundError, ProcessLookupError):
        return b"airflow" in command


def end(find: Callable[[], list[Process]], number: signal.Signals, seconds: float) -> list[Process]:
    """Send signal ``number`` once to each process that ``find`` gives; gives those left after at most ``seconds``."""
    asked: set[Process] = set()
    deadline = time.monotonic() + seconds
    while left := find():
        for process in set(left) - asked:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
            asked.add(process)
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return left
