import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from recpipe import delta
from recpipe import lake as lake_module
from recpipe.audit_log import kept_audits
from recpipe.errors import UserError
from recpipe.lake import Lake, conform
from recpipe.settings import AuditSettings
from recpipe.spark_errors import readable_errors
from recpipe.tables import ARRIVALS, ERASED_USERS, EVALUATION_EXAMPLES, REVIEWS, TRAINING_EXAMPLES, USER_FEATURES
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, erased, review

DAYS = (MONDAY, TUESDAY, WEDNESDAY)


def reviews(lake, *rows):
    return frame(lake.spark, REVIEWS, *rows)


def version(lake, table=REVIEWS):
    return delta.open_table(lake.root, table).version()


def files(lake, day=None, table=REVIEWS):
    return delta.snapshot_files(lake.root, table, {table.day_column: day} if day else None)


def users(lake):
    return sorted((row.arrived_on, row.user_id) for row in lake.read(REVIEWS).collect())


def on(day, user="U1"):
    return review(user, "a", arrived_on=day)


def test_e01_a_write_replaces_its_days_and_leaves_the_others_files_alone(lake, unaudited):
    days = (MONDAY - timedelta(days=1), *DAYS)
    delta.replace(lake.root, REVIEWS, list(map(on, days)))
    others = files(lake, days[0]) + files(lake, WEDNESDAY)
    # Monday has no rows in the frame, and is cleared all the same.
    written = lake.overwrite_days(REVIEWS, reviews(lake, on(TUESDAY, "U2"), on(TUESDAY, "U3")), MONDAY, TUESDAY)
    assert written.rows == 2
    assert users(lake) == [(days[0], "U1"), (TUESDAY, "U2"), (TUESDAY, "U3"), (WEDNESDAY, "U1")]
    assert files(lake, days[0]) + files(lake, WEDNESDAY) == others


def test_e03_a_write_is_one_commit_that_tells_what_made_it_and_names_no_erased_users(lake):
    before = version(lake)
    written = lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY)), MONDAY)
    assert written.version == version(lake) == before + 1
    told = json.loads(delta.open_table(lake.root, REVIEWS).history(1)[0]["userMetadata"])
    assert told["table"] == "reviews"
    assert told["expectations_met"] > 5
    assert len(told["code_hash"]) == len(told["settings_hash"]) == 12
    of_the_session = json.loads(lake.spark.conf.get(lake_module._METADATA))["erased_hash"]
    assert told["erased_hash"] == of_the_session == delta.erased_hash(lake.root)
    hashes = [told["erased_hash"]]
    for user in ("U2", "U1"):
        delta.append(lake.root, ERASED_USERS, [erased(user)])
        hashes.append(delta.erased_hash(lake.root))
    assert len(set(hashes)) == 3


def test_a_frame_without_rows_clears_its_days_only(lake, unaudited):
    delta.replace(lake.root, REVIEWS, list(map(on, DAYS)))
    assert lake.overwrite_days(REVIEWS, reviews(lake), MONDAY, TUESDAY).rows == 0
    assert users(lake) == [(WEDNESDAY, "U1")]


def test_a_failed_audit_leaves_the_version_as_it_was(lake):
    delta.replace(lake.root, REVIEWS, [on(MONDAY)])
    before = version(lake), users(lake)
    with pytest.raises(UserError, match="table reviews, 2024-01-01: the audit failed, nothing was written") as raised:
        lake.overwrite_partition(REVIEWS, reviews(lake, review("U1", "a", rating=9.0), on(TUESDAY)), MONDAY)
    for fault in ("column=rating", "column=arrived_on, min_value=2024-01-01, max_value=2024-01-01"):
        assert fault in str(raised.value)
    assert (version(lake), users(lake)) == before


def test_a_warning_is_kept_and_stops_no_write_unless_the_settings_say_so(lake):
    delta.replace(lake.root, REVIEWS, [review(f"U{n}", "a", text="x") for n in range(9)])
    delta.replace(lake.root, ARRIVALS, [arrival()])
    bare = reviews(lake, on(TUESDAY))
    with kept_audits() as audits:
        assert lake.overwrite_partition(REVIEWS, bare, TUESDAY).rows == 1
    [audited] = audits
    assert audited.warnings == (
        "text is filled less often than in the arrivals before (2024-01-02: 0.0%, expected at least 90.0%)",
    )
    before = version(lake)
    strict = Lake(lake.spark, lake.root, AuditSettings(fill_rates="stop"))
    with kept_audits() as audits, pytest.raises(UserError, match="nothing was written: text is filled less often"):
        strict.overwrite_partition(REVIEWS, bare, TUESDAY)
    assert (len(audits), version(lake)) == (1, before)


def kept(lake):
    """Numbers of the frames that Spark keeps, but for those in which Delta keeps a table's state."""
    frames = lake.spark.sparkContext._jsc.getPersistentRDDs()
    return {number for number in frames if not str(frames[number].name()).startswith("Delta Table State")}


def test_a_staged_frame_is_computed_once_and_let_go(lake):
    before = kept(lake)
    calls = lake.spark.sparkContext.accumulator(0)

    def count(rows):
        for row in rows:
            calls.add(row.num_rows)
            yield row

    schema = reviews(lake).schema
    lake.overwrite_partition(REVIEWS, reviews(lake, on(MONDAY)).mapInArrow(count, schema), MONDAY)
    assert calls.value == 1
    assert kept(lake) == before


def test_e12_a_small_day_is_one_file_whatever_the_partitions(lake, unaudited):
    rows = [on(day, f"U{n:03}") for day in DAYS for n in range(40)]
    written = lake.overwrite_days(REVIEWS, reviews(lake, *rows).repartition(16), MONDAY, WEDNESDAY)
    assert [len(files(lake, day)) for day in DAYS] == [1, 1, 1]
    commit = Path(delta.table_uri(lake.root, REVIEWS)) / "_delta_log" / f"{written.version:020}.json"
    assert sum("add" in json.loads(line) for line in commit.read_text().splitlines()) == 3
    [file] = files(lake, TUESDAY)
    in_file = [row.user_id for row in lake.spark.read.parquet(file).collect()]
    assert in_file == sorted(in_file)
    assert len(in_file) == 40


def test_e12_a_large_day_is_split_into_files_in_the_order_of_the_key(lake, unaudited, monkeypatch):
    monkeypatch.setattr(lake_module, "ROWS_PER_FILE", 30)
    rows = [on(MONDAY, f"U{n:03}") for n in reversed(range(60))]
    lake.overwrite_partition(REVIEWS, reviews(lake, *rows).repartition(3), MONDAY)
    parts = [[row.user_id for row in lake.spark.read.parquet(file).collect()] for file in files(lake)]
    assert len(parts) == 2
    assert all(part == sorted(part) for part in parts)
    assert sorted(user for part in parts for user in part) == sorted(row["user_id"] for row in rows)


def test_training_examples_lie_in_shuffled_order_by_anchor_and_until(lake, unaudited):
    rows = [
        {
            "ds": WEDNESDAY,
            "until": until,
            "items": [0, 1],
            "days": [1, 2],
            "types": [4, 4],
            "length": 2,
            "attributes": [0],
            "shuffle_key": key,
        }
        for key in (5, -3, 1)
        for until in (TUESDAY, WEDNESDAY)
    ]
    lake.overwrite_partition(TRAINING_EXAMPLES, frame(lake.spark, TRAINING_EXAMPLES, *rows).repartition(3), WEDNESDAY)
    for until in (TUESDAY, WEDNESDAY):
        [file] = delta.snapshot_files(lake.root, TRAINING_EXAMPLES, {"ds": WEDNESDAY, "until": until})
        assert [row.shuffle_key for row in lake.spark.read.parquet(file).collect()] == [-3, 1, 5]


def test_e11_conform_names_every_fault_with_what_was_expected(lake):
    frame_ = reviews(lake).drop("vote").withColumns({"style": F.lit("x"), "rating": F.lit("5")})
    with pytest.raises(UserError) as raised:
        conform(REVIEWS, frame_)
    for fault in ("missing vote int", "unexpected style string", "rating: expected double, found string"):
        assert fault in str(raised.value)


def test_conform_puts_columns_in_order(lake):
    backwards = reviews(lake).select(*reversed(REVIEWS.column_names))
    assert conform(REVIEWS, backwards).columns == list(REVIEWS.column_names)


def test_arrays_with_zero_rows_and_empty_arrays_are_written(lake):
    row = {
        "ds": MONDAY,
        "cut": MONDAY,
        "until": MONDAY,
        "cut_by": "happened_at",
        "user_id": "U1",
        "items": [],
        "days": [],
        "types": [],
        "length": 0,
        "attributes": [],
        "seen": [],
        "targets": [],
    }
    assert lake.overwrite_partition(EVALUATION_EXAMPLES, frame(lake.spark, EVALUATION_EXAMPLES, row), MONDAY).rows == 1
    assert lake.overwrite_partition(EVALUATION_EXAMPLES, frame(lake.spark, EVALUATION_EXAMPLES), MONDAY).rows == 0


def test_rows_of_erased_users_are_neither_known_nor_of_the_day(lake):
    delta.replace(lake.root, REVIEWS, [on(MONDAY, "U1"), on(MONDAY, "U2"), on(TUESDAY, "U2")])
    delta.append(lake.root, ERASED_USERS, [erased("U2"), erased("U9")])
    for found in (lake.known(REVIEWS, TUESDAY), lake.of_day(REVIEWS, MONDAY)):
        assert found.columns == list(REVIEWS.column_names)
        assert [row.user_id for row in found.collect()] == ["U1"]
    assert len(users(lake)) == 3


def test_c02_another_time_zone_is_refused(spark, tmp_path):
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        with pytest.raises(UserError, match="time zone to be UTC, found Asia/Tokyo"):
            Lake(spark, tmp_path)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_e06_a_table_that_was_not_created_is_named(spark, tmp_path):
    with pytest.raises(UserError, match=r"expected table reviews at .*, found none; run `recpipe init`"):
        Lake(spark, tmp_path).read(REVIEWS)


def test_what_a_worker_tells_the_user_arrives_as_one_line(spark):
    def refuse(batches):
        raise UserError("expected a, found b; do c")
        yield from batches

    with pytest.raises(UserError) as raised, readable_errors():
        spark.range(1).mapInArrow(refuse, "id long").collect()
    assert str(raised.value) == "expected a, found b; do c"


def test_another_error_comes_without_the_stack_of_the_jvm(spark):
    with pytest.raises(RuntimeError) as raised, readable_errors():
        spark.range(1).select(F.expr("1 div (id - id)")).collect()
    assert "DIVIDE_BY_ZERO" in str(raised.value)
    assert "\tat " not in str(raised.value)


def test_a_full_disk_is_one_line():
    with pytest.raises(OSError, match="expected room on the disk, found none"), readable_errors():
        raise PySparkException("Caused by: java.io.IOException: No space left on device")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_one_line(lake):
    (Path(delta.table_uri(lake.root, USER_FEATURES)) / "_delta_log").chmod(0o500)
    with pytest.raises(UserError, match="expected files that may be read and written"), readable_errors():
        lake.overwrite_partition(USER_FEATURES, frame(lake.spark, USER_FEATURES), MONDAY)


def test_the_newest_commit_that_replaced_a_day_is_told_by_its_metadata(lake, unaudited):
    lake.overwrite_days(REVIEWS, reviews(lake, review("U1", "a")), MONDAY, TUESDAY)
    assert lake.is_as_now(REVIEWS, TUESDAY)
    lake.spark.sql(f"optimize delta.`{delta.table_uri(lake.root, REVIEWS)}`")
    lake.overwrite_partition(REVIEWS, reviews(lake, review("U2", "a", arrived_on=WEDNESDAY)), WEDNESDAY)
    told = delta.last_commit(lake.root, REVIEWS, MONDAY)
    assert (told["first_day"], told["last_day"]) == ("2024-01-01", "2024-01-02")
    assert delta.last_commit(lake.root, REVIEWS, WEDNESDAY)["first_day"] == "2024-01-03"
    assert delta.last_commit(lake.root, REVIEWS, MONDAY - timedelta(days=1)) is None
    assert not lake.is_as_now(REVIEWS, MONDAY - timedelta(days=1))
