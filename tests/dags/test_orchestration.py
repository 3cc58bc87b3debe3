from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.execution_time.context import OutletEventAccessors

from recpipe.environments import JOBS
from recpipe.errors import UserError
from recpipe.orchestration import (
    ANNOUNCE_SERVED,
    SERVED,
    RetryUnlessUserError,
    job_task,
    midnight,
    processing_date,
)
from recpipe.settings import Settings

DAY = datetime(2024, 1, 31, tzinfo=UTC)
LATER = datetime(2024, 6, 1, tzinfo=UTC)


def dag_run(**given: Any) -> DagRun:
    """A run as a task sees it: of 2024-01-31 by its logical date, whose data interval is another day's."""
    fields = {"dag_id": "nightly_recommendations", "run_id": "manual__2024-01-31T00:00:00+00:00", "run_type": "manual"}
    fields |= {"logical_date": DAY, "data_interval_start": LATER, "data_interval_end": LATER, "run_after": LATER}
    fields |= {"start_date": LATER, "end_date": None, "clear_number": 0, "state": "running", "conf": {}}
    fields |= {"consumed_asset_events": [], "partition_key": None}
    return DagRun.model_validate(fields | given)


def rendered(job: str, run: DagRun, params: dict[str, Any], **settings: Any) -> Any:
    """The task of ``job`` as it would run, with the processing date filled in."""
    with DAG("a_dag", schedule=None, user_defined_macros={"processing_date": processing_date}) as dag:
        task = job_task(job, Settings(home="/shop", **settings))
    context = {"params": params, "dag_run": run, "run_id": run.run_id}
    task.render_template_fields(context, dag.get_template_env())
    return task


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_the_date_is_the_logical_date(run_type):
    assert processing_date({"run_date": None}, dag_run(run_type=run_type)) == "2024-01-31"


def test_run_date_comes_before_the_logical_date():
    assert processing_date({"run_date": "2024-01-15"}, dag_run()) == "2024-01-15"
    assert processing_date({"run_date": "2024-01-15"}, dag_run(logical_date=None)) == "2024-01-15"


def test_a_logical_date_of_another_time_zone_counts_by_its_utc_day():
    tokyo = timezone(timedelta(hours=9))
    assert processing_date({}, dag_run(logical_date=datetime(2024, 2, 1, 8, tzinfo=tokyo))) == "2024-01-31"


def test_neither_date_is_an_error_and_never_the_clock():
    with pytest.raises(UserError, match="found neither"):
        processing_date({"run_date": None}, dag_run(logical_date=None))


def test_run_date_is_refused_in_a_backfill():
    with pytest.raises(UserError, match="expected no run_date in a backfill, found '2024-01-15'"):
        processing_date({"run_date": "2024-01-15"}, dag_run(run_type="backfill"))


@pytest.mark.parametrize("text", ["2024-01-31; rm -rf /", "$(reboot)", "", "2024-02-30", "31.1.2024", 20240131, True])
def test_nothing_but_a_date_passes(text):
    with pytest.raises(UserError, match="expected run_date to be a day"):
        processing_date({"run_date": text}, dag_run())


@pytest.mark.parametrize("job", [job for job, environment in JOBS.items() if environment == "spark"])
def test_a_spark_task_gets_the_date_and_the_run_as_list_items(job):
    task = rendered(job, dag_run(), {"run_date": "2024-01-15", "full_refresh": False})
    assert task.application_args == ["--ds", "2024-01-15", "--run-id", "manual__2024-01-31T00:00:00+00:00"]
    assert task.application.endswith(f"jobs/{job}.py")
    assert task.env_vars["RECPIPE_HOME"] == "/shop"
    assert task.env_vars["PYSPARK_PYTHON"].endswith("spark/bin/python")


@pytest.mark.parametrize("job", [job for job, environment in JOBS.items() if environment != "spark"])
def test_another_task_gets_them_as_variables_that_no_shell_reads(job):
    task = rendered(job, dag_run(run_id="$(reboot)"), {})
    assert (task.env["JOB_DS"], task.env["JOB_RUN_ID"]) == ("2024-01-31", "$(reboot)")
    assert task.bash_command.endswith(f'jobs/{job}.py --ds "$JOB_DS" --run-id "$JOB_RUN_ID"')
    assert f"/{JOBS[job]}/bin/python" in task.bash_command
    assert task.append_env


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_full_refresh_reaches_the_job_that_makes_features_in_any_run(run_type, wanted):
    params = {"run_date": None, "full_refresh": wanted}
    task = rendered("build_features", dag_run(run_type=run_type), params)
    assert task.env_vars["RECPIPE_FULL_REFRESH"] == str(wanted)
    assert "RECPIPE_FULL_REFRESH" not in rendered("ingest_reviews", dag_run(run_type=run_type), params).env_vars


def test_a_full_refresh_that_is_set_counts_whatever_a_run_says():
    params = {"run_date": None, "full_refresh": False}
    task = rendered("build_features", dag_run(), params, full_refresh=True)
    assert task.env_vars["RECPIPE_FULL_REFRESH"] == "True"


def test_the_environment_of_the_scheduler_does_not_go_into_the_dag(monkeypatch):
    monkeypatch.setenv("A_SECRET", "hush")
    shown = rendered("ingest_reviews", dag_run(), {}).env_vars | rendered("publish", dag_run(), {}).env
    assert "A_SECRET" not in shown


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (UserError("expected a date"), "fail"),
        (AirflowException("Bash command failed. The command returned a non-zero exit code 2."), "fail"),
        (AirflowException("Cannot execute: spark-submit job.py. Error code is: 2.\nLast spark-submit output:"), "fail"),
        (AirflowException("Bash command failed. The command returned a non-zero exit code 3."), "fail"),
        (AirflowException("Cannot execute: spark-submit job.py. Error code is: 3."), "fail"),
        (AirflowException("Bash command failed. The command returned a non-zero exit code 20."), "default"),
        (AirflowException("Cannot execute: spark-submit job.py. Error code is: 1.\nexit code 2"), "default"),
        (OSError("a broken pipe"), "default"),
    ],
)
def test_what_a_user_must_mend_or_a_newer_attempt_took_over_is_not_retried(error, action):
    assert RetryUnlessUserError().evaluate(error, try_number=1, max_tries=1).action.value == action


@pytest.mark.parametrize(
    ("versions", "expected"),
    [({"recommendations_current": 0}, [(SERVED, {"ds": "2024-01-31", "version": 0})]), ({}, [])],
)
def test_the_asset_is_updated_only_when_its_table_was_written(versions, expected):
    [alias] = ANNOUNCE_SERVED["outlets"]
    events = OutletEventAccessors()
    ANNOUNCE_SERVED["post_execute"]({"outlet_events": events}, {"ds": "2024-01-31", "versions": versions})
    assert [(event.dest_asset_key.to_asset(), event.extra) for event in events[alias].asset_alias_events] == expected


def test_midnight_is_utc():
    assert midnight(date(2024, 1, 31)) == DAY
