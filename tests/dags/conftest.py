"""An Airflow of its own for these tests; it reads its environment when it is first imported, which is after this."""

import os
import tempfile

from recpipe.settings import CHECKOUT

_HOME = tempfile.TemporaryDirectory(prefix="recpipe-airflow-")
os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME.name}/airflow.db",
    "RECPIPE_HOME": f"{_HOME.name}/recpipe",
}
for _name in ("RECPIPE_SCHEDULE_FROM", "RECPIPE_SCHEDULE_UNTIL"):
    os.environ.pop(_name, None)
