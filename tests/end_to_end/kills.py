"""Jobs that are killed at a chosen point, and what is to be compared afterwards."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recpipe.delta import SPARK_FILES
from recpipe.environments import JOBS, job_command, job_variables
from recpipe.processes import members
from recpipe.tables import TABLES
from tests.end_to_end.shop import Digests, Shop

WHOLE, DRIVER = "whole group", "driver alone"
_POLL_SECONDS = 0.003
_LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Point:
    """When to kill: after the ``commit``-th commit to any table, or ``after_seconds``; commit 0: a file is there, and
    no commit."""

    job: str
    whom: str
    commit: int = 0
    after_seconds: float | None = None

    def __str__(self) -> str:
        if self.after_seconds is not None:
            when = f"after {self.after_seconds:.1f} s"
        else:
            when = f"after commit {self.commit}" if self.commit else "at the first file, before a commit"
        return f"{self.job}: {self.whom} {when}"


@dataclass(frozen=True)
class Undisturbed:
    """A job that ran to its end: how often it committed, how long it took, and what the lake held afterwards."""

    before: Path  # a copy of the shop's home from before the job
    commits: int
    seconds: float
    digests: Digests


def begin(shop: Shop, job: str, ds: date) -> subprocess.Popen:
    """The job as Airflow starts it: alone, in a session of its own, with nobody to clean up behind it."""
    variables = job_variables(JOBS[job], shop.variables)
    return subprocess.Popen(
        job_command(job, ds, "manual"),
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_whole(shop: Shop, job: str, ds: date) -> None:
    process = begin(shop, job, ds)
    _, complained = process.communicate(timeout=_LONGEST_SECONDS)
    assert process.returncode == 0, f"{job} {ds}\n{complained[-6000:]}"


def checked(shop: Shop, job: str, ds: date) -> Digests:
    """Digests once a job ran; after one that writes no table the next one runs too, which reads what it left."""
    run_whole(shop, job, ds)
    if job == "train_two_tower":
        run_whole(shop, "promote_model", ds)
    return shop.digests()


def undisturbed(shop: Shop, ds: date, copies: Path) -> Mapping[str, Undisturbed]:
    """Run the night of ``ds`` job by job, and keep a copy of the shop from before each."""
    found = {}
    for job in JOBS:
        before = copies / job
        shutil.copytree(shop.home, before)
        commits, began = _commits(shop.lake), time.monotonic()
        run_whole(shop, job, ds)
        seconds, made = time.monotonic() - began, _commits(shop.lake) - commits
        found[job] = Undisturbed(before, made, seconds, shop.digests())
    train, promote = found["train_two_tower"], found["promote_model"]
    found["train_two_tower"] = Undisturbed(train.before, train.commits, train.seconds, promote.digests)
    return found


def points(found: Mapping[str, Undisturbed], seed: int, moments: int) -> Iterator[Point]:
    """Before the first commit of each job and after each one, in turns the whole group and the driver alone; and
    for either of them ``moments`` at random."""
    rng = random.Random(seed)
    for job, whole in found.items():
        for commit in range(whole.commits + 1):
            yield Point(job, (WHOLE, DRIVER)[commit % 2], commit)
        for whom in (WHOLE, DRIVER):
            for _ in range(moments):
                yield Point(job, whom, after_seconds=rng.uniform(0.05, 0.95) * whole.seconds)


def kill_at(shop: Shop, point: Point, ds: date) -> bool:
    """Run the job until the point and kill it; whether it was still running then."""
    commits, files = _commits(shop.lake), _files(shop.home)
    process, began = begin(shop, point.job, ds), time.monotonic()
    while process.poll() is None and not _is_reached(shop, point, commits, files, time.monotonic() - began):
        assert time.monotonic() - began < _LONGEST_SECONDS, f"{point} was not reached"
        time.sleep(_POLL_SECONDS)
    alive = process.poll() is None
    with suppress(ProcessLookupError):
        if point.whom == WHOLE:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    return alive


def _is_reached(shop: Shop, point: Point, commits: int, files: int, seconds: float) -> bool:
    if point.after_seconds is not None:
        return seconds >= point.after_seconds
    made = _commits(shop.lake) - commits
    return made >= point.commit if point.commit else bool(made) or _files(shop.home) > files


def leftovers(shop: Shop) -> list[str]:
    """Processes of the shop that live on for ten seconds, folders in the lake that are no table's, half-kept models."""
    deadline = time.monotonic() + 10
    while (alive := members([], f"RECPIPE_HOME={shop.home}")) and time.monotonic() < deadline:
        time.sleep(0.2)
    known = {table.name for table in TABLES} | {".locks", SPARK_FILES}
    strange = [path.name for path in shop.lake.iterdir() if path.name not in known]
    strange += [f"{path.parent.name}/{path.name}" for path in (shop.lake / SPARK_FILES).glob("*/")]
    registry = shop.home / "registry"
    staged = [path.name for path in (*registry.rglob(".staged-*"), *registry.glob("unfinished"))]
    return [*(f"process {process.pid}" for process in alive), *sorted(strange), *sorted(staged)]


def _commits(lake: Path) -> int:
    return sum(len(_named(lake / table.name / "_delta_log", ".json")) for table in TABLES)


def _files(home: Path) -> int:
    """Data files of the tables, committed or not, and of models."""
    return sum(1 for folder in ("lake", "registry") for path in (home / folder).rglob("*") if _is_data(path))


def _is_data(path: Path) -> bool:
    return path.suffix in (".parquet", ".safetensors", ".db")


def _named(folder: Path, ending: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.name.endswith(ending) and not entry.name.startswith(".")]
