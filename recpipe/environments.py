"""Which job runs in which environment, and how it is started there."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import MappingProxyType

from recpipe.errors import UserError
from recpipe.settings import CHECKOUT

JOBS: Mapping[str, str] = MappingProxyType(
    {
        "ingest_reviews": "spark",
        "build_features": "spark",
        "train_two_tower": "train",
        "promote_model": "train",
        "embed": "train",
        "recommend_top_k": "spark",
        "publish": "reader",
    }
)
"""The jobs of a night in the order of the flow, each with its environment."""

STOP_SECONDS = 15
"""That a job which is interrupted gets until it is killed."""

ENVIRONMENTS = ("reader", "spark", "train", "airflow")


def environment_folder(environment: str) -> Path:
    return CHECKOUT / ".venvs" / environment


def environment_python(environment: str) -> Path:
    """The environment's Python.

    Raises:
        UserError: the environment was not built.
    """
    python = environment_folder(environment) / "bin" / "python"
    if not python.exists():
        raise UserError(
            f"expected the environment {environment} at {python.parent.parent}, found none; run `make setup`"
        )
    return python


def job_file(job: str) -> Path:
    """The job's file under `jobs/`.

    Raises:
        UserError: there is no such job, or this is not a checkout.
    """
    if job not in JOBS:
        raise UserError(f"expected a job out of {', '.join(JOBS)}, found {job!r}")
    path = CHECKOUT / "jobs" / f"{job}.py"
    if not path.exists():
        raise UserError(f"expected {path}, found nothing; jobs run from a checkout of recpipe, not from its wheel")
    return path


def job_command(job: str, ds: date, run_id: str) -> list[str]:
    file = job_file(job)
    return [str(environment_python(JOBS[job])), str(file), "--ds", ds.isoformat(), "--run-id", run_id]


def run_job_process(job: str, ds: date, run_id: str, *, full_refresh: bool = False) -> int:
    """Run the job in its environment and give its exit code; ``full_refresh`` as the setting of this name.

    The job leads a process group of its own, which is gone when this returns or is interrupted: a job that is killed
    leaves no java and no worker behind. An interrupted one gets a while to tell its end in table runs.
    """
    command = job_command(job, ds, run_id)
    variables = job_variables(JOBS[job]) | ({"RECPIPE_FULL_REFRESH": "true"} if full_refresh else {})
    process = subprocess.Popen(command, env=variables, start_new_session=True)
    try:
        return process.wait()
    finally:
        try:
            process.terminate()  # the job alone: it ends what it started
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_module(environment: str, module: str, *arguments: str) -> int:
    """Run a module of recpipe in another environment and give its exit code."""
    command = [str(environment_python(environment)), "-m", module, *arguments]
    return subprocess.run(command, env=job_variables(environment), check=False).returncode


def job_variables(environment: str, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables of a job's process.

    Spark's workers start `PYSPARK_PYTHON`, else the system's Python, which has none of the packages. A foreign
    SPARK_HOME would bring another Spark's JARs.
    """
    folder = environment_folder(environment)
    ours = {"PATH": f"{folder / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}", "PYTHONPATH": str(CHECKOUT)}
    if environment == "spark":
        python = str(folder / "bin" / "python")
        ours |= {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
        ours |= {"SPARK_HOME": str(next(folder.glob("lib/python3.*/site-packages/pyspark"), folder))}
    return {**variables, **ours}
