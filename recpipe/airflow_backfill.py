"""Airflow's own backfill of the nightly DAG, from its start to its end, with Airflow started for it if need be."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

from recpipe import airflow_service
from recpipe.airflow_api import Api, ApiError
from recpipe.airflow_service import Say, Service
from recpipe.airflow_setup import DAG_ID, paused_before
from recpipe.errors import UserError
from recpipe.job import parse_day
from recpipe.settings import Settings

_POLL_SECONDS = 2
_SILENT_SECONDS = 600
"""How long an Airflow that runs may leave calls unanswered: on a busy machine it does for minutes."""
_TOLD = ("running", "success", "failed", "up_for_retry", "skipped")
"""States of a task that progress tells; scheduled and queued are on the way to running."""
_ENDED = ("success", "failed")
_EXCEPTION = re.compile(r"[\w.]+(Error|Exception|Interrupt)\b")
"""How the last line of a Python traceback begins."""

Run = Mapping[str, Any]


def backfill(  # noqa: PLR0913 - each is an option
    settings: Settings,
    first: date,
    last: date,
    *,
    keep_up: bool = False,
    backwards: bool = False,
    full_refresh: bool = False,
    say: Say = print,
) -> int:
    """Run the nightly DAG for every day from ``first`` to ``last``, days that ran before too, and wait for the end.

    One day after the other, the last one first when ``backwards``; the rows are the same. Starts Airflow if it is not
    running, and then stops it at the end unless ``keep_up``. Ctrl-C cancels the days that have not begun and fails the
    one in progress, and so does a call that Airflow refuses. A day that fails does not stop the others, nor does an
    Airflow that gives no answer: the same command waits for the rest of them later.

    Returns:
        The exit code: 0 when every day succeeded, else 1.

    Raises:
        UserError: the days are not over or in the wrong order, or another backfill is in progress.
        ApiError: Airflow refuses a call, or gives no answer for too long or because it has ended.
    """
    parse_day(first.isoformat()), parse_day(last.isoformat())
    if first > last:
        raise UserError(f"expected the first day not to be after the last, found {first} after {last}; swap them")
    if first < settings.schedule_from:
        raise UserError(f"expected days from RECPIPE_SCHEDULE_FROM {settings.schedule_from} on, found {first}")
    clock = time.monotonic()
    with _airflow(settings, last, keep_up, say) as airflow:
        number = _create(airflow, first, last, backwards=backwards, full_refresh=full_refresh)
        say(f"Backfill {number} of {first} to {last}: {airflow.url}/dags/{DAG_ID}")
        try:
            with _unpaused(settings, airflow):
                runs = _watch(settings, airflow, first, last, say)
            _close(airflow, number)
        except (KeyboardInterrupt, ApiError) as error:
            if isinstance(error, KeyboardInterrupt) or error.is_refusal:
                _cancel(airflow, number, first, last)
                say(f"Backfill {number} is cancelled: the day in progress is failed, those after it will not run")
            else:
                say(f"Backfill {number} is not cancelled; run the same command again to go on with it")
            raise
    failed = sorted(_day(run) for run in runs if run["state"] != "success")
    say(f"{len(runs) - len(failed)} of {len(runs)} days succeeded in {time.monotonic() - clock:.0f} s")
    return 1 if failed or not runs else 0


@contextmanager
def _airflow(settings: Settings, last: date, keep_up: bool, say: Say) -> Iterator[Api]:
    """An Airflow in which a backfill up to ``last`` runs and, when the DAG was paused, nothing else does.

    A backfill of a paused DAG waits for ever, and unpausing starts the scheduled run of yesterday. On a lake that ends
    long ago that would seal every day since, empty. So a paused DAG gets its end date first, which only a start gives
    it; the Airflow that was there before is put back in the end.
    """
    before = airflow_service.find(settings)
    try:
        service = before if _is_whole(before) else None
        if service:
            service.require_same_variables()
        if service and _needs_another_end(airflow_service.api(settings, service), service, last):
            say(f"Restarting Airflow with {last} as the schedule's last day, so that nothing but the backfill runs")
            airflow_service.down(settings, say)
            service = None
        service = service or airflow_service.up(settings, until=last, say=say)
        yield airflow_service.api(settings, service)
    finally:
        now = airflow_service.find(settings)
        if now and before and now.token != before.token:
            say("Restarting Airflow as it was")
            airflow_service.down(settings, say)
            airflow_service.up(settings, until=before.until, say=say)
        elif now and not before and not keep_up:
            airflow_service.down(settings, say)


def _is_whole(service: Service | None) -> bool:
    return service is not None and service.is_whole()


def _needs_another_end(airflow: Api, service: Service, last: date) -> bool:
    ends_too_early = service.until is not None and service.until < last
    starts_others = service.until is None or service.until > last  # once it is not paused
    needed = ends_too_early or (starts_others and airflow.call("GET", "dags", DAG_ID)["is_paused"])
    if needed and (busy := list(airflow.pages("dags", DAG_ID, "dagRuns", key="dag_runs", state="running"))):
        raise UserError(
            f"expected no run in progress, since Airflow must start anew with {last} as its last day, found "
            f"{busy[0]['dag_run_id']}; wait for its end"
        )
    return needed


def _create(airflow: Api, first: date, last: date, *, backwards: bool, full_refresh: bool) -> int:
    """Create the backfill and give its number; one of the same days that is in progress is joined.

    Airflow does not tell in which order the days of one in progress come, so that is not compared.
    """
    conf = {"full_refresh": full_refresh}
    for other in airflow.pages("backfills", key="backfills", dag_id=DAG_ID):
        days = tuple(datetime.fromisoformat(other[name]).date() for name in ("from_date", "to_date"))
        if other["completed_at"]:
            continue
        if all(run["state"] in _ENDED for run in _runs(airflow, *days)):
            _close(airflow, other["id"])
        elif days == (first, last) and (other["dag_run_conf"] or {}).get("full_refresh", False) != full_refresh:
            raise UserError(
                f"expected a backfill with {conf}, found {other['id']} of the same days in progress with "
                f"{other['dag_run_conf']}; wait for its end, or cancel it at {airflow.url}/dags/{DAG_ID}/backfills"
            )
        elif days == (first, last):
            return other["id"]
        else:
            raise UserError(
                f"expected no backfill in progress, found {other['id']} of {days[0]} to {days[1]}; wait for its end, "
                f"or cancel it at {airflow.url}/dags/{DAG_ID}/backfills"
            )
    body = {
        "dag_id": DAG_ID,
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{last}T00:00:00Z",
        "max_active_runs": 1,
        "run_backwards": backwards,
        "reprocess_behavior": "completed",
        "dag_run_conf": conf,
    }
    try:
        return airflow.call("POST", "backfills", body=body)["id"]
    except ApiError as error:
        raise UserError(f"expected Airflow to take a backfill of {first} to {last}, found: {error}") from None


def _close(airflow: Api, number: int) -> None:
    """Tell Airflow that a backfill is over; it looks only twice a minute, and takes no other before it has seen it."""
    with suppress(ApiError):  # it has found out
        airflow.call("PUT", "backfills", str(number), "cancel")


@contextmanager
def _unpaused(settings: Settings, airflow: Api) -> Iterator[None]:
    """Let the DAG's runs start; after the backfill exists, so that a scheduled run finds its days taken."""
    paused = airflow.call("GET", "dags", DAG_ID)["is_paused"]
    if paused:
        paused_before(settings).touch()
        airflow.call("PATCH", "dags", DAG_ID, body={"is_paused": False})
    try:
        yield
    finally:
        if paused:
            with suppress(ApiError):  # Airflow was stopped; its next start sees to it
                airflow.call("PATCH", "dags", DAG_ID, body={"is_paused": True})
                paused_before(settings).unlink()


def _watch(settings: Settings, airflow: Api, first: date, last: date, say: Say) -> list[Run]:
    """Wait until every run of the days has ended, telling each change of a task once."""
    told: dict[tuple[str, str, int], str] = {}
    answered_at, is_silent = time.monotonic(), False
    while True:
        try:
            runs = _tell_changes(settings, airflow, _runs(airflow, first, last), told, say)
        except ApiError as error:
            is_too_long = time.monotonic() - answered_at > _SILENT_SECONDS
            if error.is_refusal or is_too_long or not _is_whole(airflow_service.find(settings)):
                raise
            if not is_silent:
                say(f"Airflow runs and gives no answer; asking again for {_SILENT_SECONDS // 60} minutes")
            is_silent = True
        else:
            if all(run["state"] in _ENDED for run in runs):
                return runs
            if not _is_whole(airflow_service.find(settings)):  # the part that answers is not the one that starts tasks
                raise ApiError(0, "expected all parts of Airflow to run, found that one has ended")
            answered_at, is_silent = time.monotonic(), False
        time.sleep(_POLL_SECONDS)


def _tell_changes(
    settings: Settings, airflow: Api, runs: list[Run], told: dict[tuple[str, str, int], str], say: Say
) -> list[Run]:
    """Tell each change of a task that is not yet in ``told``, and put it there."""
    for run in runs:
        if run["state"] == "queued" or told.get((run["dag_run_id"], "", 0)) == run["state"] != "running":
            continue
        for task in _tasks(airflow, run):
            key = (run["dag_run_id"], task["task_id"], task["try_number"])
            if task["state"] in _TOLD and told.get(key) != task["state"]:
                told[key] = task["state"]
                say(_progress(settings, run, task))
        told[run["dag_run_id"], "", 0] = run["state"]
    return runs


def _progress(settings: Settings, run: Run, task: Mapping[str, Any]) -> str:
    line = f"{_day(run)}  {task['task_id']:<16} {task['state']}"
    if task["duration"] and task["state"] != "running":
        line += f" {task['duration']:.0f} s"
    if task["state"] in ("failed", "up_for_retry"):
        log = task_log(settings, run["dag_run_id"], task["task_id"], task["try_number"])
        line += f": {last_error(log, task['task_id'])}\n{' ' * 12}{log}"
    return line


def _moment(run: Run) -> datetime:
    return datetime.fromisoformat(run["logical_date"]).astimezone(UTC)


def _day(run: Run) -> date:
    return _moment(run).date()


def _runs(airflow: Api, first: date, last: date) -> list[Run]:
    """The runs of the days, oldest first; a logical date has at most one.

    The schedule dates a night by its midnight. A run of another moment was triggered by hand and is no day's.
    """
    after_last = last + timedelta(days=1)
    bounds = {"logical_date_gte": f"{first}T00:00:00Z", "logical_date_lt": f"{after_last}T00:00:00Z"}
    runs = airflow.pages("dags", DAG_ID, "dagRuns", key="dag_runs", order_by="logical_date", **bounds)
    return [run for run in runs if _moment(run).time() == time_of_day.min]


def _tasks(airflow: Api, run: Run) -> list[Mapping[str, Any]]:
    tasks = airflow.pages("dags", DAG_ID, "dagRuns", run["dag_run_id"], "taskInstances", key="task_instances")
    return sorted(tasks, key=lambda task: task["start_date"] or "9")


def _cancel(airflow: Api, number: int, first: date, last: date) -> None:
    _close(airflow, number)
    with suppress(ApiError):  # Airflow was stopped: nothing runs
        for run in _runs(airflow, first, last):
            if run["state"] == "running":
                airflow.call("PATCH", "dags", DAG_ID, "dagRuns", run["dag_run_id"], body={"state": "failed"})


def task_log(settings: Settings, run_id: str, task: str, attempt: int) -> Path:
    """Where Airflow keeps what a task wrote."""
    folder = settings.airflow_home / "logs" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task}"
    return folder / f"attempt={attempt}.log"


def last_error(log: Path, task: str) -> str:
    """The line that says why a task failed: the job's own line to its user, else its exception, else Airflow's."""
    try:
        entries = [json.loads(line) for line in log.read_text(errors="replace").splitlines()]
    except (OSError, ValueError):
        return "no log"
    events = [entry.get("event", "") for entry in entries]
    told = [event for event in events if event.startswith(f"recpipe {task}:")]
    raised = [event for event in events if _EXCEPTION.match(event)]
    failed = [detail["exc_value"].partition("\n")[0] for entry in entries for detail in entry.get("error_detail", [])]
    killed = [entry["event"] for entry in entries if entry.get("level") == "error"]
    return next((lines[-1] for lines in (told, raised, failed, killed) if lines), "it was killed")
