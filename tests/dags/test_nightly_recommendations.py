import subprocess
import sys
from datetime import UTC, datetime

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo
from airflow.utils.db import initdb
from pendulum import instance

from recpipe.environments import JOBS
from recpipe.settings import CHECKOUT

DAGS = CHECKOUT / "dags"


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=DAGS)


@pytest.fixture(scope="module")
def dag(bag) -> DAG:
    return bag.dags["nightly_recommendations"]


@pytest.fixture(scope="module")
def database() -> None:
    initdb()


def as_scheduled(dag: DAG) -> SerializedDAG:
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def backfill_runs(dag: DAG, first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """The logical date of each run that a backfill would make, and the moment from which it may run."""
    runs = as_scheduled(dag).iter_dagrun_infos_between(instance(first), instance(last))
    return [(run.logical_date, run.run_after) for run in runs]


def next_night(dag: DAG) -> DagRunInfo | None:
    """The run that the scheduler would start when the DAG is unpaused."""
    return as_scheduled(dag).next_dagrun_info(last_automated_run_info=None)


def day(number: int) -> datetime:
    return datetime(2024, 2, number, tzinfo=UTC)


def test_the_bag_holds_the_expected_dags_and_nothing_that_cannot_be_read(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {"nightly_recommendations"}


def test_the_tasks_are_the_jobs_one_after_the_other(dag):
    assert len(JOBS) == 7
    assert [task.task_id for task in dag.topological_sort()] == list(JOBS)
    following = [*list(JOBS)[1:], None]
    for task, next_job in zip(dag.topological_sort(), following, strict=True):
        assert task.downstream_task_ids == ({next_job} if next_job else set())


def test_a_backfill_of_three_days_makes_exactly_those_and_each_runs_when_its_day_is_over(dag):
    expected = [(day(27), day(28)), (day(28), day(29)), (day(29), datetime(2024, 3, 1, tzinfo=UTC))]
    assert backfill_runs(dag, day(27), day(29)) == expected


def test_unpausing_starts_no_run_for_today_once_the_schedule_has_ended(monkeypatch, dag):
    assert next_night(dag) is not None
    monkeypatch.setenv("RECPIPE_SCHEDULE_UNTIL", "2024-02-28")
    assert next_night(DagBag(dag_folder=DAGS).dags["nightly_recommendations"]) is None


def test_nights_never_overlap_and_none_is_caught_up_unasked(dag):
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert {task.pool for task in dag.tasks} == {"recpipe_lake"}


def test_the_file_adds_little_to_importing_airflow_and_brings_no_spark_no_torch_no_pandas():
    """Airflow's processor has imported Airflow before it reads a file, so that is not the file's time."""
    code = (
        "import sys, time, airflow.sdk as sdk; sdk.DAG; start = time.process_time(); import nightly_recommendations; "
        "took = time.process_time() - start; heavy = {'pyspark', 'torch', 'pandas', 'numpy'} & set(sys.modules); "
        "print(took, *heavy)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=DAGS, capture_output=True, text=True, check=True)
    seconds, *heavy = result.stdout.splitlines()[-1].split()
    assert float(seconds) < 2
    assert heavy == []


def test_g01_a_run_without_a_date_fails_at_its_first_task_and_no_job_starts(dag, database, capfd):
    run = dag.test(logical_date=None)
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert states == {"ingest_reviews": "failed"} | dict.fromkeys(list(JOBS)[1:], "upstream_failed")
    output = "".join(capfd.readouterr())
    assert "expected a logical date or run_date, found neither" in output
    assert "Spark-Submit cmd" not in output


@pytest.mark.parametrize("text", ["2024-01-01; touch evil", "$(touch evil)", "yesterday", "2024-02-30"])
def test_a_run_date_that_is_no_date_is_refused_before_the_run(dag, database, text):
    with pytest.raises(ParamValidationError, match="run_date"):
        dag.test(logical_date=None, run_conf={"run_date": text})
