"""One run of pytest in the reader environment runs the tests of every environment and prints one summary.

The environments cannot share a process (see pyproject.toml), so for each of the others a second pytest runs there and
hands its reports over, pickle-free, by pytest's own serialisation. In another environment's Python, plain `pytest` runs
only the tests that belong there. Three run at once on two cores: the end-to-end tests mostly wait for other processes,
and a Spark session waits for itself half of the time, so that its tests run in two halves; those of training do too,
else the last of them run alone.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recpipe.environments import environment_python, job_variables

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background, by what tests start, too

TESTS = Path(__file__).parent
ELSEWHERE = {
    "spark": ("transforms", "test_lake.py", "test_writes.py", "test_expectations.py"),
    "train": ("model", "evaluation"),
    "airflow": ("dags",),
}
BY_HAND = ("benchmarks", "slow")
BESIDE = "end_to_end"
HALF = {
    "spark": (
        "transforms/test_build_features.py",
        "transforms/test_ingest_reviews.py",
        "transforms/test_carried_features.py",
    ),
    "train": ("model/test_jobs.py", "model/test_warm_nights.py"),
}
"""Of an environment's tests, by the time that they take."""


def halves(environment: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    half = HALF[environment]
    others = tuple(f"--ignore=tests/{file}" for file in half)
    return {environment: (environment, others), f"{environment}_half": (environment, half)}


PARTS = {
    BESIDE: ("reader", (BESIDE,)),
    **halves("spark"),
    **halves("train"),
    "airflow": ("airflow", ()),
}
"""What else a whole run runs, the longest first: the environment and pytest's arguments, paths under `tests/`."""
HERE = Path(sys.prefix).name if Path(sys.prefix).name in ELSEWHERE else "reader"
pytest_plugins = [f"tests.{HERE}_fixtures"] if HERE in ("spark", "train") else []


def environment_of(path: Path) -> str:
    top = path.relative_to(TESTS).parts[0]
    return next((name for name, tops in ELSEWHERE.items() if top in tops), "reader")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reports-to", help="File that gets each test report as a line of JSON.")


def is_the_whole_run(config: pytest.Config) -> bool:
    return HERE == "reader" and config.args_source is not config.ArgsSource.ARGS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == TESTS or not collection_path.is_relative_to(TESTS):
        return None
    top = collection_path.relative_to(TESTS).parts[0]
    if top in BY_HAND or (top == BESIDE and is_the_whole_run(config)):
        return True
    if collection_path.suffix == ".py" or any(collection_path.name in tops for tops in ELSEWHERE.values()):
        return True if environment_of(collection_path) != HERE else None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    config = session.config
    if not is_the_whole_run(config) or config.option.collectonly:
        return (yield)
    with ThreadPoolExecutor(max_workers=3) as three_at_a_time:
        runs = {part: three_at_a_time.submit(run_there, part, config.rootpath) for part in PARTS}
        try:
            result = yield
        except BaseException:
            three_at_a_time.shutdown(cancel_futures=True)
            raise
        for part, run in runs.items():
            done = run.result()
            config.get_terminal_writer().write(f"\n{part}: ", flush=True)
            for report in reports_of(part, done, config):
                config.hook.pytest_runtest_logreport(report=report)
    return result


def reports_file(part: str, root: Path) -> Path:
    return root / ".pytest_cache" / f"reports-{part}.jsonl"


def run_there(part: str, root: Path) -> subprocess.CompletedProcess:
    """Run a part's tests and wait for them."""
    file = reports_file(part, root)
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    environment, arguments = PARTS[part]
    named = [name if name[0] == "-" else str(TESTS / name) for name in arguments]
    command = [str(environment_python(environment)), "-m", "pytest", "-p", "no:cacheprovider", *named]
    command.append(f"--reports-to={file}")
    variables = job_variables(environment)
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


def reports_of(part: str, done: subprocess.CompletedProcess, config: pytest.Config) -> Iterator[pytest.TestReport]:
    """Reports of the tests that ran there; a failed one that speaks for the whole if none came."""
    file = reports_file(part, config.rootpath)
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
        if report.skipped and isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # JSON knows no tuples, and the summary wants one
        yield report
    if done.returncode not in (0, 1) or not lines:
        yield pytest.TestReport(
            nodeid=f"tests[{part}]",
            location=("tests", None, f"pytest of {part}"),
            keywords={},
            outcome="failed",
            longrepr=f"exit code {done.returncode}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}",
            when="call",
        )


class ReportWriter:
    def __init__(self, path: str, config: pytest.Config) -> None:
        self.path, self.config = Path(path), config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        line = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.reports_to:
        config.pluginmanager.register(ReportWriter(config.option.reports_to, config))
