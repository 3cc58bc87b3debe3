"""Airflow on this machine: an API server, a scheduler and a DAG processor, started, watched and stopped.

Airflow's own `standalone` needs half as much memory again, and ending it leaves children behind.
"""

import hashlib
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from recpipe import processes
from recpipe.airflow_api import Api, create_pool, is_healthy, require_dag
from recpipe.airflow_setup import (
    USER,
    airflow_program,
    airflow_variables,
    free_port,
    migrate,
    passwords_file,
    pause_as_before,
    write_password,
)
from recpipe.errors import UserError
from recpipe.files import whole
from recpipe.locks import file_lock
from recpipe.processes import Process
from recpipe.setting_variables import PREFIX
from recpipe.settings import Settings

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),  # the API server reads the same log files itself
    "dag-processor": (),
}
_MARK = "AIRFLOW_STARTED_BY_RECPIPE"
_START_SECONDS, _STOP_SECONDS = 180, 30

Say = Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """A running Airflow; ``until`` is the last day of its schedule, ``token`` the mark of its processes."""

    port: int
    until: date | None
    token: str
    boot: str
    components: Mapping[str, Process]
    variables: Mapping[str, str] = field(default_factory=dict)  # a hash of each RECPIPE_* of its start, by name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_whole(self) -> bool:
        """Whether each of its parts runs."""
        return self.boot == processes.boot_id() and all(map(processes.is_alive, self.components.values()))

    def require_same_variables(self) -> None:
        """Raises:
        UserError: a setting stands otherwise in the environment now, where the tasks of this Airflow do not see it.
        """
        now = _variables()
        if changed := sorted(name for name in {*now, *self.variables} if now.get(name) != self.variables.get(name)):
            raise UserError(
                f"expected the variables with which Airflow was started, found {', '.join(changed)} changed since, "
                "which its tasks would not see; run `recpipe down` first"
            )

    def living(self) -> list[Process]:
        leaders = tuple(self.components.values()) if self.boot == processes.boot_id() else ()
        return processes.members(leaders, f"{_MARK}={self.token}")

    def scheduler_and_tasks(self) -> list[Process]:
        return processes.members([self.components["scheduler"]] if self.boot == processes.boot_id() else [])


def find(settings: Settings) -> Service | None:
    """The Airflow of this RECPIPE_HOME, when at least one of its processes lives."""
    with suppress(FileNotFoundError):
        state = json.loads(_state_file(settings).read_text())
        state["until"] = date.fromisoformat(state["until"]) if state["until"] else None
        state["components"] = {name: Process(**process) for name, process in state["components"].items()}
        service = Service(**state)
        return service if service.living() else None
    return None


def api(settings: Settings, service: Service) -> Api:
    return Api(service.port, USER, json.loads(passwords_file(settings).read_text())[USER])


def up(settings: Settings, until: date | None = None, say: Say = print) -> Service:
    """Start Airflow and wait until it schedules; when it runs already, say so.

    Args:
        until: last day of the nightly schedule, instead of the setting's.

    Raises:
        UserError: a part of it does not start, or the DAG cannot be read; the latter leaves Airflow running. Or one
            runs already whose schedule ends on another day, as a backfill or the demo leaves it with `--keep-up`, or
            that was started with other settings in the environment.
    """
    until = until or settings.schedule_until
    with _lock(settings):
        service = find(settings)
        if service and service.is_whole():
            if service.until != until:
                raise UserError(
                    f"expected Airflow with a schedule {_end(until)}, found it running with one {_end(service.until)}: "
                    f"{service.url}; run `recpipe down` first"
                )
            service.require_same_variables()
            say(f"Airflow runs already: {service.url}")
            return service
        if service:
            say("A part of Airflow has died; starting it anew")
            _stop(settings, service)
        started_at, clock = datetime.now(UTC), time.monotonic()
        try:
            service = _start(settings, until)
            _wait_until_healthy(settings, service, started_at, say)
        except BaseException:
            if half := find(settings):
                _stop(settings, half)
            raise
    airflow = api(settings, service)
    create_pool(airflow)
    say(f"Airflow is up after {time.monotonic() - clock:.0f} s: {service.url}")
    say(f"Log in as {USER} with the password in {passwords_file(settings)}")
    require_dag(airflow, started_at)
    return service


def _variables() -> dict[str, str]:
    """Of each setting in the environment a hash, since it may be a secret."""
    told_apart = ("RECPIPE_HOME", "RECPIPE_SCHEDULE_UNTIL")
    values = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in told_apart}
    return {name: hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest() for name, value in values.items()}


def _end(until: date | None) -> str:
    return f"up to {until}" if until else "for ever"


def down(settings: Settings, say: Say = print) -> None:
    """Stop Airflow with everything it runs. A task in progress fails, and is retried at the next start.

    Raises:
        UserError: a process does not end.
    """
    if find(settings) is None:
        say(f"Airflow is not running for {settings.home}")
        return
    with _lock(settings):
        clock = time.monotonic()
        if service := find(settings):
            _stop(settings, service)
        say(f"Airflow is down after {time.monotonic() - clock:.0f} s")


def _state_file(settings: Settings) -> Path:
    return settings.airflow_home / "service.json"


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """One start or stop at a time."""
    settings.airflow_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(settings.airflow_home / "service.lock"):
        yield


def _start(settings: Settings, until: date | None) -> Service:
    boot, token, port = processes.boot_id(), secrets.token_urlsafe(16), free_port(settings.airflow.port)
    variables = airflow_variables(settings, port, until) | {_MARK: token}
    logs = settings.airflow_home / "logs"
    logs.mkdir(exist_ok=True)
    write_password(passwords_file(settings))
    migrate(settings, variables)
    pause_as_before(settings, variables)
    components = {}
    for name, options in COMPONENTS.items():
        command = [str(airflow_program()), name, *options]
        components[name] = processes.start(command, variables, logs / f"{name}.log")
        _write_state(settings, service := Service(port, until, token, boot, components, _variables()))
    return service


def _write_state(settings: Settings, service: Service) -> None:
    state = asdict(service) | {"until": service.until.isoformat() if service.until else None}
    with whole(_state_file(settings)) as file:
        file.write_text(json.dumps(state, indent=1))


def _wait_until_healthy(settings: Settings, service: Service, since: datetime, say: Say) -> None:
    """Wait for each part's first sign of life after ``since``; an old heartbeat is a dead predecessor's."""
    airflow, waiting, clock = api(settings, service), list(COMPONENTS), time.monotonic()
    while waiting:
        for name, process in service.components.items():
            if not processes.is_alive(process):
                raise UserError(f"expected Airflow's {name} to run, found that it ended; {_last_words(settings, name)}")
        seconds = time.monotonic() - clock
        for name in [name for name in waiting if is_healthy(airflow, name, since)]:
            waiting.remove(name)
            say(f"  {name} is up ({seconds:.0f} s)")
        if seconds > _START_SECONDS:
            words = _last_words(settings, waiting[0])
            raise UserError(f"expected Airflow's {waiting[0]} within {_START_SECONDS} s, found none; {words}")
        time.sleep(0.5)


def _last_words(settings: Settings, name: str) -> str:
    log = settings.airflow_home / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").split("\n")
    return f"{log} ends with: {next((line.strip() for line in reversed(lines) if line.strip()), 'nothing')}"


def _stop(settings: Settings, service: Service) -> None:
    """The scheduler first, while the API server still takes in how its tasks end; then whatever is left.

    SIGTERM lets a task end its Spark driver or its shell; a killed one would leave them behind, so SIGKILL comes last.
    """
    processes.end(service.scheduler_and_tasks, signal.SIGTERM, _STOP_SECONDS)
    processes.end(service.living, signal.SIGTERM, _STOP_SECONDS)
    left = processes.end(service.living, signal.SIGKILL, _STOP_SECONDS)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise UserError(f"expected no process of Airflow after {_STOP_SECONDS} s, found {pids}; see to them yourself")
    _state_file(settings).unlink(missing_ok=True)
