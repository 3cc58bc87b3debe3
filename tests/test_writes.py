"""Writes through Spark beside other writers and readers: locks, conflicts, newer attempts, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from delta.exceptions import ConcurrentAppendException
from pyspark.sql import functions as F

from recpipe import attempts, commits, delta, features
from recpipe import lake as lake_module
from recpipe.errors import Superseded, UserError
from recpipe.features import write_anchor
from recpipe.lake import Lake
from recpipe.locks import own_folder
from recpipe.settings import Settings
from recpipe.tables import ITEMS, REVIEWS, USERS, VOCABULARY
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, item, review


def on(day, user="U1"):
    return review(user, "a", arrived_on=day)


def reviews(lake, *rows):
    return frame(lake.spark, REVIEWS, *rows)


def users(lake):
    return sorted((row.arrived_on, row.user_id) for row in lake.read(REVIEWS).collect())


def version(lake):
    return delta.open_table(lake.root, REVIEWS).version()


def test_a_commit_waits_for_the_lock_that_delta_rs_holds(lake, unaudited, tmp_path, monkeypatch):
    held, asked, gone = (tmp_path / name for name in ("held", "asked", "gone"))
    code = (
        "import sys, time; from pathlib import Path; from recpipe import delta; from recpipe.tables import REVIEWS\n"
        "root, held, asked, gone = map(Path, sys.argv[1:])\n"
        "with delta.table_lock(root, REVIEWS):\n"
        "    held.touch()\n"
        "    while not asked.exists(): time.sleep(0.05)\n"
        "    time.sleep(5); gone.touch()"
    )
    lake.overwrite_partition(REVIEWS, reviews(lake), MONDAY)  # the first commit of a session takes long by itself
    arrange = lake_module._sorted_into_files

    def arranged(*arguments, **named):  # the last step before the commit
        asked.touch()
        return arrange(*arguments, **named)

    monkeypatch.setattr(lake_module, "_sorted_into_files", arranged)
    with subprocess.Popen([sys.executable, "-c", code, *map(str, (lake.root, held, asked, gone))]) as holder:
        try:
            while not held.exists():
                assert holder.poll() is None
                time.sleep(0.05)
            written = lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY)), MONDAY)
        finally:
            asked.touch()  # else a fault above would wait for the holder for ever
    commit = Path(delta.table_uri(lake.root, REVIEWS)) / "_delta_log" / f"{written.version:020}.json"
    assert commit.stat().st_mtime > gone.stat().st_mtime


@pytest.fixture
def conflicting(monkeypatch, lake, unaudited):
    """Makes the next commits fail as if a writer on another host had been there; gives what is done meanwhile."""
    without_waiting = SimpleNamespace(sleep=lambda seconds: None)  # of the lake alone: other threads would not rest
    monkeypatch.setattr(lake_module, "time", without_waiting)
    writer = type(lake.spark.range(1).write)
    save, meanwhile = writer.save, []

    def conflicted(self, path):
        if meanwhile:
            meanwhile.pop()()
            raise ConcurrentAppendException("a file was added", "")
        save(self, path)

    monkeypatch.setattr(writer, "save", conflicted)
    return meanwhile


def test_e04_a_conflict_is_tried_again_and_not_for_ever(lake, conflicting):
    conflicting += [lambda: None] * 3
    lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY)), MONDAY)
    assert (conflicting, users(lake)) == ([], [(MONDAY, "U1")])
    conflicting += [lambda: None] * 100
    with pytest.raises(ConcurrentAppendException):
        lake.overwrite_partition(REVIEWS, reviews(lake), MONDAY)
    assert len(conflicting) == 100 - lake_module.COMMIT_ATTEMPTS


def test_e04_after_a_conflict_the_frame_is_read_again_and_not_sent_as_it_was(lake, conflicting, monkeypatch):
    delta.overwrite_partition(lake.root, REVIEWS, [on(MONDAY, "old")], MONDAY)
    copied = lake.of_day(REVIEWS, MONDAY).withColumn("arrived_on", F.lit(TUESDAY))
    monkeypatch.setattr(delta, "table_lock", lambda *_: nullcontext())  # on another host it is another lock
    conflicting.append(lambda: delta.overwrite_partition(lake.root, REVIEWS, [on(MONDAY, "new")], MONDAY))
    lake.overwrite_partition(REVIEWS, copied, TUESDAY)
    assert users(lake) == [(MONDAY, "new"), (TUESDAY, "new")]


def tokens(lake):
    with delta.connect(lake.root, [VOCABULARY]) as tables:
        return tables.sql("select ds, token, token_id from vocabulary order by all").fetchall()


@pytest.fixture
def numbering(lake, tmp_path):
    """Numbers the words of Monday, as any night does for which that anchor is due."""
    delta.append(lake.root, ITEMS, [item("a", "red mug"), item("b", "red tea mug")])
    return lambda: write_anchor(lake, MONDAY, MONDAY, Settings(home=tmp_path))


NUMBERED = [(MONDAY, "mug", 1), (MONDAY, "red", 2)]


def test_e04_an_anchor_that_two_nights_number_at_once_has_its_numbers(lake, unaudited, numbering, monkeypatch):
    counted = features.token_counts

    def meanwhile(items):
        monkeypatch.setattr(features, "token_counts", counted)
        numbering()
        assert tokens(lake) == NUMBERED
        return counted(items)

    monkeypatch.setattr(features, "token_counts", meanwhile)
    numbering()
    assert tokens(lake) == NUMBERED


def test_e04_an_anchor_that_another_host_numbered_before_this_commit_has_its_numbers(
    lake, conflicting, numbering, monkeypatch
):
    monkeypatch.setattr(Lake, "_lock", lambda *_: nullcontext())  # on another host it is another lock
    conflicting.append(numbering)
    numbering()
    assert (conflicting, tokens(lake)) == ([], NUMBERED)


def test_e08_a_superseded_attempt_commits_nothing(lake, unaudited, tmp_path):
    settings = Settings(home=tmp_path)
    first, second = (attempts.begin(settings, "ingest_reviews", MONDAY, name) for name in ("first", "second"))
    with commits.made_by(second):
        lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY, "second")), MONDAY)
    before = version(lake)
    with commits.made_by(first), pytest.raises(Superseded, match="attempt 1 for 2024-01-01 to be the newest, found 2"):
        lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY, "first")), MONDAY)
    assert (version(lake), users(lake)) == (before, [(MONDAY, "second")])
    told = json.loads(delta.open_table(lake.root, REVIEWS).history(1)[0]["userMetadata"])
    expected = {"table": "reviews", "job": "ingest_reviews", "ds": "2024-01-01", "run_id": "second", "attempt": 2}
    assert {name: told[name] for name in expected} == expected


def test_spark_reads_what_an_attempt_wrote_through_delta_rs(lake, tmp_path):
    with commits.made_by(attempts.begin(Settings(home=tmp_path), "embed", MONDAY, "a")):
        delta.overwrite_partition(lake.root, REVIEWS, [on(MONDAY)], MONDAY)
    assert users(lake) == [(MONDAY, "U1")]


WRITER = """
import sys
from datetime import date
from pathlib import Path
from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings, SparkSettings
from recpipe.tables import REVIEWS
from tests.frames import frame
from tests.rows import review
from tests.spark_fixtures import OF_FEW_ROWS

root, day = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
with spark_session(Settings(home=root.parent, spark=SparkSettings(shuffle_partitions=2, driver_memory="1g"))) as spark:
    for name, value in OF_FEW_ROWS.items():
        spark.conf.set(name, value)
    lake = Lake(spark, root)
    Lake._audit = lambda *_: 0
    for turn in range(1000):
        rows = [review(f"U{n}", f"turn {turn}", arrived_on=day) for n in range(turn % 2 * 50 + 50)]
        lake.overwrite_partition(REVIEWS, frame(spark, REVIEWS, *rows), day)
        print(turn, flush=True)
"""


def writer(lake, day):
    """Another process with a JVM of its own that overwrites the day again and again, by 50 rows and 100 in turn."""
    command = [sys.executable, "-c", WRITER, str(lake.root), str(day)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


@contextmanager
def reading_beside(lake):
    """Gives how many rows of Monday and of Tuesday readers see, again and again, as long as the block runs."""
    days = (f"count(*) filter (arrived_on = '{day}')" for day in (MONDAY, TUESDAY))
    query = f"select {', '.join(days)} from reviews"
    done, seen = Event(), []

    def read():
        while not done.wait(0.1):  # else the readers take the writers' time
            seen.extend(delta.connect(lake.root, [REVIEWS]).sql(query).fetchall())

    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(read)
        try:
            yield seen
        finally:
            done.set()
        reading.result()


class Overwritten(NamedTuple):
    lake: Lake
    commits: int
    turns: list[str]  # that the other process told of
    monday: list[tuple[str, int]]  # items and their rows
    tuesday: list[tuple[str, int]]
    wednesday: list[tuple[str, bytes]]  # file and content, before and after
    seen: list[tuple[int, int]]  # rows of Monday and of Tuesday


@pytest.fixture(scope="module")
def overwritten(spark, tmp_path_factory):
    """A table of which another process overwrote Monday until it was killed, while this one overwrote Tuesday."""
    lake = Lake(spark, tmp_path_factory.mktemp("overwritten") / "lake")
    delta.create_tables(lake.root)
    few, many = ([on(TUESDAY, f"U{n}") for n in range(count)] for count in (50, 100))
    delta.replace(lake.root, REVIEWS, [*few, on(WEDNESDAY)])
    [kept] = delta.snapshot_files(lake.root, REVIEWS, {"arrived_on": WEDNESDAY})
    wednesday, before = [(kept, Path(kept).read_bytes())], version(lake)
    with pytest.MonkeyPatch.context() as patch, writer(lake, MONDAY) as other:
        patch.setattr(Lake, "_audit", lambda *_: 0)
        try:
            turns = [other.stdout.readline()]  # from here on both write
            with reading_beside(lake) as seen:
                for rows in (few, many, few, many):
                    lake.overwrite_partition(REVIEWS, reviews(lake, *rows), TUESDAY)
                turns += [other.stdout.readline() for _ in range(2)]
            time.sleep(0.5)  # in the midst of the next
        finally:
            os.killpg(other.pid, signal.SIGKILL)  # the JVM too
        turns += other.stdout.readlines()
    assert other.returncode == -signal.SIGKILL
    query = "select item_id, count(*) from reviews where arrived_on = $day group by 1"
    connection = delta.connect(lake.root)
    monday, tuesday = (connection.execute(query, {"day": day}).fetchall() for day in (MONDAY, TUESDAY))
    [kept] = delta.snapshot_files(lake.root, REVIEWS, {"arrived_on": WEDNESDAY})
    wednesday.append((kept, Path(kept).read_bytes()))
    return Overwritten(lake, version(lake) - before, turns, monday, tuesday, wednesday, seen)


def test_e04_two_processes_overwrite_two_days_of_one_table_at_once(overwritten):
    [(item, _)] = overwritten.monday
    assert overwritten.commits == 4 + int(item.removeprefix("turn ")) + 1
    assert overwritten.tuesday == [("a", 100)]
    assert overwritten.wednesday[0] == overwritten.wednesday[1]


def test_e07_what_spark_set_aside_of_a_killed_write_lies_in_the_lake_until_the_next_session(overwritten):
    aside = overwritten.lake.root / delta.SPARK_FILES
    [left] = aside.glob("*/")
    assert list(left.glob("blockmgr-*"))
    with own_folder(aside) as mine:
        assert list(aside.glob("*/")) == [mine]


def test_e07_a_write_that_is_killed_leaves_the_old_rows_or_the_new_ones(overwritten, unaudited):
    lake, told = overwritten.lake, len(overwritten.turns)
    assert told >= 3
    assert overwritten.turns == [f"{turn}\n" for turn in range(told)]
    old_or_new = [[(f"turn {turn}", turn % 2 * 50 + 50)] for turn in (told - 1, told)]
    assert overwritten.monday in old_or_new
    lake.overwrite_partition(REVIEWS, reviews(lake, *(on(MONDAY, f"U{n}") for n in range(3))), MONDAY)
    assert [user for day, user in users(lake) if day == MONDAY] == [f"U{n}" for n in range(3)]
    assert len(delta.snapshot_files(lake.root, REVIEWS, {"arrived_on": MONDAY})) == 1


def test_readers_see_whole_states_while_spark_overwrites_a_day(overwritten):
    assert len(overwritten.seen) > 20
    for of_one_day in zip(*overwritten.seen, strict=True):
        assert set(of_one_day) == {50, 100}


@pytest.mark.parametrize(
    ("properties", "feature"),
    [
        ("'delta.enableDeletionVectors' = 'true'", "deletionVectors"),
        ("'delta.columnMapping.mode' = 'name'", "columnMapping"),
    ],
)
def test_e14_a_table_with_a_reader_feature_is_refused_in_one_line(lake, properties, feature):
    delta.overwrite_partition(lake.root, REVIEWS, [on(MONDAY)], MONDAY)
    path = f"delta.`{delta.table_uri(lake.root, REVIEWS)}`"
    lake.spark.sql(f"alter table {path} set tblproperties ({properties})")
    for read in (lambda: delta.connect(lake.root), lambda: lake.read(REVIEWS), lambda: delta.require_lake(lake.root)):
        with pytest.raises(
            UserError, match=f"table reviews at .* without reader features, found .*{feature}"
        ) as raised:
            read()
        assert "\n" not in str(raised.value)
    assert lake.read(USERS).count() == 0
