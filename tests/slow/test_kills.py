"""A job that is killed anywhere and run again gives the rows of an undisturbed one. Prints the matrix of points.

The night is one of an anchor day, run job by job; each point starts from a copy of the shop from before its job.
Run by `make test-slow`. `KILL_MOMENTS` says how many random moments a job and way to kill are tried, usually
one, and `KILL_SEED` which.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import pytest

from recpipe.environments import JOBS
from tests.end_to_end.kills import Point, Undisturbed, checked, kill_at, leftovers, points, undisturbed
from tests.end_to_end.shop import Shop
from tests.slow.shops import DAYS, SETTINGS, differing, new_shop

NIGHT = DAYS[2]
SEED = int(os.environ.get("KILL_SEED", "7"))
MOMENTS = int(os.environ.get("KILL_MOMENTS", "1"))


@dataclass(frozen=True)
class Outcome:
    was_running: bool
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "; ".join(self.faults) or "equal"
        return said if self.was_running else f"{said} (it had ended by itself)"


def outcome(point: Point, whole: Undisturbed, home: Path) -> Outcome:
    """Kill the job at the point, run it again, and compare."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(whole.before, home)
    shop = Shop(home, SETTINGS)
    was_running = kill_at(shop, point, NIGHT)
    try:
        digests = checked(shop, point.job, NIGHT)
    except AssertionError as error:
        return Outcome(was_running, [f"the rerun failed: {str(error).splitlines()[-1]}"])
    different = [table for table in digests if digests[table] != whole.digests[table]]
    faults = [f"other rows in {', '.join(different)}"] if different else []
    return Outcome(was_running, [*faults, *(f"{name} is left" for name in leftovers(shop))])


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Mapping[str, Undisturbed]:
    root = tmp_path_factory.mktemp("kills")
    shop = new_shop(root / "shop")
    shop.night(DAYS[0])
    return undisturbed(shop, NIGHT, root / "before")


@pytest.fixture(scope="module")
def matrix(night, tmp_path_factory) -> Mapping[Point, Outcome]:
    homes: Queue[Path] = Queue()
    for number in range(2):
        homes.put(tmp_path_factory.mktemp("killed") / str(number))

    def tried(point: Point) -> Outcome:
        home = homes.get()
        try:
            found = outcome(point, night[point.job], home)
        finally:
            homes.put(home)
        print(f"{point}: {found}", flush=True)
        return found

    wanted = list(points(night, SEED, MOMENTS))
    with ThreadPoolExecutor(max_workers=homes.qsize()) as two_at_a_time:
        return dict(zip(wanted, two_at_a_time.map(tried, wanted), strict=True))


def test_the_undisturbed_night_writes_every_table(night):
    assert differing(night["publish"].digests, night["publish"].digests) == []
    assert all(whole.commits > 0 for whole in night.values())


def test_e07_a_killed_job_that_runs_again_gives_the_rows_of_an_undisturbed_one(matrix, capsys):
    tried = Counter((point.job, point.whom) for point in matrix)
    equal = Counter((point.job, point.whom) for point, outcome in matrix.items() if not outcome.faults)
    with capsys.disabled():
        print("\n{:18} {:14} {:>6} {:>6}".format("job", "killed", "tried", "equal"))
        for (job, whom), count in tried.items():
            print(f"{job:18} {whom:14} {count:>6} {equal[job, whom]:>6}")
        print(f"{'all':33} {tried.total():>6} {equal.total():>6}")
    assert {job for job, _ in tried} == set(JOBS)
    assert {str(point): str(outcome) for point, outcome in matrix.items() if outcome.faults} == {}


def test_most_points_found_the_job_at_work(matrix):
    assert sum(outcome.was_running for outcome in matrix.values()) > 0.8 * len(matrix)
