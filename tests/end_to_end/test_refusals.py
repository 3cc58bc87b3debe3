"""What a user does wrong ends in one line, exit code 2 and nothing half done."""

import signal
import subprocess
import time
from contextlib import suppress

import pytest

from recpipe.arriving import ingest_lock
from recpipe.processes import members
from recpipe.sample import Sample, write_sample
from tests.end_to_end.shop import Shop


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "ingest_reviews", "--ds", "2024-02-30"], "expected a day such as 2024-01-31, found '2024-02-30'"),
        (["run", "ingest_reviews", "--ds", "2999-01-01"], "expected a UTC day that is over"),
        (["run", "ingest_everything", "--ds", "2024-01-01"], "expected a job out of ingest_reviews"),
        (["run", "publish", "--ds", "2024-01-01"], "run `recpipe init`"),
        (["show", "ann"], "run `recpipe init`"),
        (["show"], "expected a USER or --stranger"),
        (["query", "select 1"], "run `recpipe init`"),
        (["backfill", "--from", "2024-01-02", "--to", "2024-01-01"], "2024-01-02"),
    ],
)
def test_a_mistake_is_one_line(shop, arguments, told):
    assert told in shop.refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.json", "--format", "amazon-2018", "--arrived-on", "2024-01-01"], "nowhere.json"),
        (["README.md", "--format", "amazon-2018", "--arrived-on", "2024-01-01"], "README.md"),
        (["README.md", "--format", "netflix", "--arrived-on", "2024-01-01"], "expected a format out of amazon-2018"),
        (["README.md", "--format", "amazon-2018"], "expected either --arrived-on DAY or --replay-from DAY"),
    ],
)
def test_what_cannot_land_leaves_nothing_in_the_landing(shop, arguments, told):
    shop.recpipe("init")
    assert told in shop.refused("land", *arguments)
    assert [path for path in shop.home.glob("landing/*/*/*") if path.is_file()] == []


def test_a_night_without_anything_landed_says_how_to_land(shop):
    shop.recpipe("init")
    assert "recpipe land" in shop.refused("run", "ingest_reviews", "--ds", "2024-01-01")


def test_a_missing_java_is_one_line(tmp_path):
    shop = Shop(tmp_path, (("JAVA_HOME", "/nowhere"),))
    shop.recpipe("init")
    landing = shop.home / "landing" / "reviews" / "arrived_on=2024-01-01"
    landing.mkdir(parents=True)
    (landing / "reviews.jsonl").write_text(
        '{"user_id": "u", "parent_asin": "i", "rating": 5, "timestamp": 1700000000000}\n'
    )
    assert "expected Java 17 or 21" in shop.refused("run", "ingest_reviews", "--ds", "2024-01-01")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB; only root may make one."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("expected to be root, to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk_is_one_line_and_seals_nothing(small_disk):
    shop = Shop(small_disk)
    shop.recpipe("init")
    write_sample(small_disk / "landing", Sample(users=300, items=100, days=1))
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with filler.open("rb+") as file:
        file.truncate(filler.stat().st_size - 20 * 4096)  # room to begin, not to end
    said = shop.refused("run", "ingest_reviews", "--ds", "2024-03-10")
    assert "expected room on the disk" in said
    filler.unlink()
    assert shop.rows("select count(*) from arrivals") == [(0,)]  # not sealed: the next run replaces what was written
    shop.recpipe("run", "ingest_reviews", "--ds", "2024-03-10")
    [(reviews, accepted)] = shop.rows(
        "select (select count(*) from reviews), (select sum(accepted) from arrivals where kind = 'reviews')"
    )
    assert reviews == accepted > 0


def test_doctor_names_what_is_missing_and_the_command_that_mends_it(shop):
    process = shop.start("doctor")
    printed, _ = process.communicate()
    assert process.returncode == 2
    assert "recpipe init" in printed
    shop.recpipe("init")
    assert "MISSING" not in shop.recpipe("doctor")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_g05_a_killed_job_leaves_no_process_behind(shop, ending):
    shop.recpipe("init")
    mark = f"RECPIPE_HOME={shop.home}"
    with ingest_lock(shop.lake):  # for which the job waits for ever
        running = shop.start("run", "ingest_reviews", "--ds", "2024-01-01")
        wait_until(lambda: len(members([], mark)) > 1, 30)
        time.sleep(3)
        assert len(members([], mark)) > 1
        running.send_signal(ending)
        running.communicate(timeout=20)
        wait_until(lambda: not members([], mark), 10)


def wait_until(happened, seconds):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
