"""An erased user through the jobs of a night on a real lake, but for the start of their own Spark sessions."""

from datetime import UTC, date, datetime

from jobs.build_features import build_features
from jobs.ingest_reviews import take_in
from jobs.recommend_top_k import write_lists
from recpipe import delta, forget
from recpipe.arriving import arriving_files, sealed_files
from recpipe.examples import build_examples
from recpipe.rejects import RejectLimit
from recpipe.settings import Settings
from recpipe.sources.pictures import Limits
from recpipe.tables import (
    ARRIVALS,
    EVALUATION_EXAMPLES,
    ITEM_FEATURES,
    ITEM_INDEX,
    OF_USERS,
    REVIEWS,
    TABLES,
    TRAINING_EXAMPLES,
    USER_FEATURES,
    USERS,
)
from tests.frames import frame
from tests.naming import naming
from tests.raw_lines import landed, review_2023, seconds
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, review, user

GONE = "707070707"  # the first of a file, so that statistics of files name it


def on(day, user_id, item_id):
    return review(user_id, item_id, arrived_on=day, reviewed_at=datetime(2024, 1, day.day, tzinfo=UTC))


def known(lake):
    """Reviews of Monday and Tuesday, written by Spark as ingest does; the user also told of themselves."""
    monday = [on(MONDAY, user_id, "I1") for user_id in ("U1", GONE)]
    pairs = (("U1", "I2"), ("U2", "I1"), ("U2", "I4"), (GONE, "I2"))
    tuesday = [on(TUESDAY, user_id, item_id) for user_id, item_id in pairs]
    lake.overwrite_days(REVIEWS, frame(lake.spark, REVIEWS, *monday, *tuesday), MONDAY, TUESDAY)
    index = [(MONDAY, "I1", 0), (TUESDAY, "I2", 1), (TUESDAY, "I4", 2)]
    delta.replace(lake.root, ITEM_INDEX, [dict(zip(ITEM_INDEX.column_names, row, strict=True)) for row in index])
    delta.replace(lake.root, USERS, [user(GONE, arrived_on=TUESDAY, age=24)])
    delta.replace(lake.root, ARRIVALS, [arrival(arrived_on=day) for day in (MONDAY, TUESDAY)])


def ingest_wednesday(lake, home):
    """Lines of the user, who alone names item I3, and one of another."""

    def line(user_id, item_id):
        return review_2023(user_id=user_id, parent_asin=item_id, timestamp=seconds("2024-01-03") * 1000)

    landing, gone = home / "landing", line(GONE, "I3")
    landed(landing, "reviews", "2024-01-03", "r.json", gone, gone, line("U2", "I2"))
    landed(landing, "users", "2024-01-03", "u.user", f"{GONE}|25|M|technician|85711".encode())
    arriving = arriving_files(landing, sealed_files(lake.root), WEDNESDAY)
    with lake.staging() as staging:
        take_in(arriving, lake, staging, RejectLimit(0, home / "reports", landing), Limits(1000, 100))


def features_examples_and_lists(lake, home, ds):
    settings = Settings(home=home, history_length=3, validation_share=0.2)
    build_features(lake, ds, settings)
    build_examples(lake, None, ds, settings)
    write_lists(lake, ds, 2, None)


def rows(lake, table, columns="*"):
    with delta.connect_with_erased(lake.root, [table]) as connection:
        return connection.sql(f"select {columns} from {table.name} order by all").fetchall()


def test_e14_a_forgotten_user_is_in_no_batch_no_file_and_no_table_of_later_runs(lake, tmp_path, unaudited):
    for table in (REVIEWS, USER_FEATURES):  # so that Spark's checkpoints are there, too, and name the user
        delta.open_table(lake.root, table).alter.set_table_properties({"delta.checkpointInterval": "1"})
    known(lake)
    features_examples_and_lists(lake, tmp_path, TUESDAY)
    for name in ("reviews", "user_features"):
        assert list(lake.root.glob(f"{name}/_delta_log/*.checkpoint.parquet")), name
    before = {table: rows(lake, table) for table in (TRAINING_EXAMPLES, ITEM_FEATURES, EVALUATION_EXAMPLES)}
    assert {"reviews", "users", "user_features", "evaluation_examples", "recommendations"} <= naming(lake.root, GONE)
    forget.erase(Settings(home=tmp_path), GONE, date(2024, 1, 4))
    assert naming(lake.root, GONE) == {"erased_users"}
    assert rows(lake, TRAINING_EXAMPLES) == []
    ingest_wednesday(lake, tmp_path)
    features_examples_and_lists(lake, tmp_path, TUESDAY)
    assert naming(lake.root, GONE) == {"erased_users"}
    for table in TABLES:
        if table in OF_USERS and table.name not in ("events", "users", "user_embeddings", "recommendations_current"):
            assert rows(lake, table), table.name
    counts = "arrived_on, kind, lines_read, accepted, rejected, duplicates, erased"
    assert rows(lake, ARRIVALS, counts)[2:] == [
        (WEDNESDAY, "reviews", 3, 1, 0, 0, 2),
        (WEDNESDAY, "users", 1, 0, 0, 0, 1),
    ]
    assert rows(lake, ITEM_INDEX, "item_index, item_id") == [(0, "I1"), (1, "I2"), (2, "I4"), (3, "I3")]
    # The user's two are gone: the sequence up to the cut, and the one up to the anchor.
    assert (len(before[TRAINING_EXAMPLES]), len(rows(lake, TRAINING_EXAMPLES))) == (5, 3)
    counted = ITEM_FEATURES.column_names.index("review_count")
    assert [row[counted] for row in before[ITEM_FEATURES]] == [3, 2, 1]
    assert rows(lake, ITEM_FEATURES, "ds, item_id, review_count") == [
        (TUESDAY, "I1", 2),
        (TUESDAY, "I2", 1),
        (TUESDAY, "I4", 1),
    ]
