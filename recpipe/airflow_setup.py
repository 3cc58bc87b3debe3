"""How Airflow is set up on this machine: by environment variables alone, everything under RECPIPE_HOME."""

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

from recpipe.environments import environment_folder, environment_python, job_variables
from recpipe.errors import UserError
from recpipe.settings import CHECKOUT, Settings

DAG_ID = "nightly_recommendations"
POOL = "recpipe_lake"
"""One slot: a scheduled run and a backfill take turns at the lake, and one task at a time fits a small machine."""

SPARK_CONNECTION = "recpipe_spark"
"""Says where Spark runs; `recpipe up` gives it from the settings, another Airflow defines it itself."""

USER = "admin"


def airflow_program() -> Path:
    """Raises:
    UserError: the environment was not built.
    """
    return environment_python("airflow").with_name("airflow")


def passwords_file(settings: Settings) -> Path:
    return settings.airflow_home / "passwords.json"


def airflow_variables(settings: Settings, port: int, until: date | None) -> dict[str, str]:
    """The environment of Airflow's processes, which its tasks inherit. Nothing is set in airflow.cfg."""
    home, url = settings.airflow_home, f"http://127.0.0.1:{port}"
    spark = {"conn_type": "spark", "host": settings.spark.master, "extra": {"spark-binary": "spark-submit"}}
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY", os.environ.get("no_proxy")), "127.0.0.1"]))
    ours = {
        "RECPIPE_HOME": str(settings.home),
        "AIRFLOW_HOME": str(home),
        f"AIRFLOW_CONN_{SPARK_CONNECTION.upper()}": json.dumps(spark),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",  # Airflow starts that many processes at once, also when idle
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # a new end date counts from the first parse on
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(settings)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",  # each reading costs a second of CPU
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }
    if until:
        ours["RECPIPE_SCHEDULE_UNTIL"] = until.isoformat()
    return job_variables("airflow") | ours


def free_port(first: int) -> int:
    for port in range(first, min(first + 100, 65_536)):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise UserError(f"expected a free port from {first} on, found none of 100; set RECPIPE_AIRFLOW__PORT")


def write_password(file: Path) -> None:
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            json.dump({USER: secrets.token_urlsafe(12)}, opened)


def migrate(settings: Settings, variables: Mapping[str, str]) -> None:
    """Create Airflow's database, or bring it to this version; only once, since asking Airflow takes it seconds.

    Raises:
        UserError: Airflow cannot.
    """
    versions = environment_folder("airflow").glob("lib/python3.*/site-packages/apache_airflow-*.dist-info")
    version, done = ",".join(sorted(path.name for path in versions)), settings.airflow_home / "migrated"
    if not done.exists() or done.read_text() != version:
        _airflow(settings, variables, "db", "migrate")
        done.write_text(version)


def paused_before(settings: Settings) -> Path:
    """A file that stands while a backfill has unpaused a DAG that was paused before."""
    return settings.airflow_home / "paused_before_backfill"


def pause_as_before(settings: Settings, variables: Mapping[str, str]) -> None:
    """Pause the DAG before Airflow starts, if a backfill was killed before it could; else yesterday's run would start.

    Raises:
        UserError: Airflow cannot.
    """
    if paused_before(settings).exists():
        _airflow(settings, variables, "dags", "pause", "--yes", DAG_ID)
        paused_before(settings).unlink()


def _airflow(settings: Settings, variables: Mapping[str, str], *command: str) -> None:
    log = settings.airflow_home / "logs" / "setup.log"
    with log.open("ab") as output:
        whole = [str(airflow_program()), *command]
        code = subprocess.run(whole, env=variables, stdout=output, stderr=output, check=False).returncode
    if code:
        raise UserError(f"expected `airflow {' '.join(command)}` to end well, found exit code {code}; see {log}")
