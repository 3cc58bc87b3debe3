"""The Airflow side: how a job becomes a task, and which day a run is for. Nothing else in recpipe imports Airflow."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, AssetAlias, BaseOperator, Param, RetryDecision, RetryPolicy

from recpipe.airflow_setup import POOL, SPARK_CONNECTION
from recpipe.environments import JOBS, environment_python, job_file, job_variables
from recpipe.errors import UserError
from recpipe.settings import Settings
from recpipe.spark_conf import spark_conf

SERVED = Asset(name="recommendations_current", uri="recpipe://lake/recommendations_current")
"""Updated whenever other recommendations are served; the event's extra is `{"ds": "2024-01-31", "version": 7}`."""

_SERVED_IF_NEWER = AssetAlias("recommendations_current_if_newer")

PARAMS = {
    "run_date": Param(
        None,
        type=["null", "string"],
        format="date",
        description="UTC day to run for, such as 2024-01-31. Empty: the run's logical date. Not for backfills.",
    ),
    "full_refresh": Param(
        False,
        type="boolean",
        description="Compute the features from all that was known, not from those of the day before; rows are equal.",
    ),
}


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def processing_date(params: Mapping[str, Any], dag_run: Any) -> str:
    """The UTC day that a run is for, such as 2024-01-31: the parameter run_date, else the run's logical date.

    Never the clock, and never the data interval, which is today's when the command line triggers a run for a past day.

    Raises:
        UserError: the run has neither, run_date is no date, or a backfill has one, which would run one day many times.
    """
    given = params.get("run_date")
    if given is not None:
        if dag_run.run_type == "backfill":
            raise UserError(f"expected no run_date in a backfill, found {given!r}; a backfill's days are its dates")
        try:
            return date.fromisoformat(given).isoformat()
        except (TypeError, ValueError):
            raise UserError(f"expected run_date to be a day such as 2024-01-31, found {given!r}") from None
    if dag_run.logical_date is None:
        raise UserError("expected a logical date or run_date, found neither; trigger the run again with one of them")
    return dag_run.logical_date.astimezone(UTC).date().isoformat()


class RetryUnlessUserError(RetryPolicy):
    """Retry what may pass by itself, which is neither what a user must mend nor what a newer attempt took over.

    A job ends with exit code 2 for the former and 3 for the latter.
    """

    _IN_VAIN: ClassVar = {
        "2": "a user must mend this; see the last line that starts with `recpipe`",
        "3": "a newer attempt of this job took over",
    }
    _EXIT_CODE = re.compile(r"(?:exit code|Error code is:) (\d+)\b")  # as BashOperator and SparkSubmitOperator say it

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        told = self._EXIT_CODE.search(str(exception).partition("\n")[0])
        code = "2" if isinstance(exception, UserError) else told and told[1]
        return RetryDecision.fail(self._IN_VAIN[code]) if code in self._IN_VAIN else RetryDecision.default()


TASK_DEFAULTS = {
    "pool": POOL,
    "retries": 1,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RetryUnlessUserError(),
    "do_xcom_push": False,
}


def job_task(job: str, settings: Settings, **options: Any) -> BaseOperator:
    """The task that runs ``job`` in its environment for the run's processing date; ``options`` go to the operator.

    The date and the run's name reach the job as list items or environment variables, so that no text of a run is
    ever read by a shell.

    Raises:
        UserError: the job, its environment or a JAR is missing.
    """
    environment = JOBS[job]
    variables = job_variables(environment, {"PATH": os.environ.get("PATH", os.defpath)})
    variables["RECPIPE_HOME"] = str(settings.home)
    if job == "build_features":
        variables["RECPIPE_FULL_REFRESH"] = str(settings.full_refresh or "{{ params.full_refresh }}")
    if environment == "spark":
        return SparkSubmitOperator(
            task_id=job,
            name=job,
            application=str(job_file(job)),
            application_args=["--ds", "{{ processing_date(params, dag_run) }}", "--run-id", "{{ run_id }}"],
            conn_id=SPARK_CONNECTION,
            conf=spark_conf(settings.spark),
            env_vars=variables,
            **options,
        )
    command = shlex.join([str(environment_python(environment)), str(job_file(job))])
    return BashOperator(
        task_id=job,
        bash_command=f'exec {command} --ds "$JOB_DS" --run-id "$JOB_RUN_ID"',
        env=variables | {"JOB_DS": "{{ processing_date(params, dag_run) }}", "JOB_RUN_ID": "{{ run_id }}"},
        append_env=True,
        **options,
    )


def _announce(context: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    version = result["versions"].get(SERVED.name)
    if version is not None:
        context["outlet_events"][_SERVED_IF_NEWER].add(SERVED, extra={"ds": result["ds"], "version": version})


ANNOUNCE_SERVED = {"outlets": [_SERVED_IF_NEWER], "output_processor": json.loads, "post_execute": _announce}
"""Options of the task that publishes: updates `SERVED` when the job's result line says that it wrote the table.

By an alias, since a plain outlet would also wake the asset's readers when a backfill of old days published nothing.
"""
