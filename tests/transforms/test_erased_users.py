"""An erased user through the jobs of a night on a real lake, but for the start of their own Spark sessions."""

from datetime import date

import pytest

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
    ERASED_USERS,
    EVALUATION_EXAMPLES,
    ITEM_FEATURES,
    ITEM_INDEX,
    OF_USERS,
    REVIEWS,
    TABLES,
    TRAINING_EXAMPLES,
    USER_FEATURES,
)
from tests.naming import naming
from tests.raw_lines import landed, review_2023, seconds
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, erased

GONE = "707070707"  # the first of a file, so that statistics of files name it


def line(user, item, day):
    return review_2023(user_id=user, parent_asin=item, timestamp=seconds(str(day)) * 1000)


@pytest.fixture
def home(tmp_path):
    """Three days of reviews; item I3 is named by the user alone."""
    landing = tmp_path / "landing"
    landed(landing, "reviews", "2024-01-01", "r.json", line("U1", "I1", MONDAY), line(GONE, "I1", MONDAY))
    tuesday = (("U1", "I2"), ("U2", "I1"), ("U2", "I4"), (GONE, "I2"))
    landed(landing, "reviews", "2024-01-02", "r.json", *(line(user, item, TUESDAY) for user, item in tuesday))
    landed(landing, "users", "2024-01-02", "u.user", f"{GONE}|24|M|technician|85711".encode())
    wednesday = (line(GONE, "I3", WEDNESDAY), line(GONE, "I3", WEDNESDAY), line("U2", "I2", WEDNESDAY))
    landed(landing, "reviews", "2024-01-03", "r.json", *wednesday)
    return tmp_path


def night(lake, home, ds):
    settings = Settings(home=home, history_length=3, validation_share=0.2)
    limit = RejectLimit(0, home / "reports", home / "landing")
    arriving = arriving_files(home / "landing", sealed_files(lake.root), ds)
    if arriving.first <= ds:
        with lake.staging() as staging:
            take_in(arriving, lake, staging, limit, Limits(1000, 100))
    build_features(lake, ds, settings)
    build_examples(lake, None, ds, settings)
    write_lists(lake, ds, 2, None)


def rows(lake, table, columns="*"):
    with delta.connect_with_erased(lake.root, [table]) as connection:
        return connection.sql(f"select {columns} from {table.name} order by all").fetchall()


def test_an_erased_user_is_in_no_table_of_later_runs(lake, home):
    delta.append(lake.root, ERASED_USERS, [erased(GONE)])
    night(lake, home, WEDNESDAY)
    assert naming(lake.root, GONE) == {"erased_users"}
    for table in TABLES:
        if table in OF_USERS and table.writer == "spark" and table.name not in ("events", "users"):
            assert rows(lake, table), table.name
    counts = "kind, arrived_on, lines_read, accepted, rejected, duplicates, erased"
    assert rows(lake, ARRIVALS, counts) == [
        ("reviews", MONDAY, 2, 1, 0, 0, 1),
        ("reviews", TUESDAY, 4, 3, 0, 0, 1),
        ("reviews", WEDNESDAY, 3, 1, 0, 0, 2),
        ("users", TUESDAY, 1, 0, 0, 0, 1),
    ]
    assert rows(lake, ITEM_INDEX, "item_index, item_id") == [(0, "I1"), (1, "I2"), (2, "I4"), (3, "I3")]


def test_e14_a_forgotten_user_is_in_no_batch_no_file_and_not_in_the_night_run_again(lake, home):
    for table in (REVIEWS, USER_FEATURES):  # so that Spark's checkpoints are there, too, and name the user
        delta.open_table(lake.root, table).alter.set_table_properties({"delta.checkpointInterval": "1"})
    night(lake, home, TUESDAY)
    for name in ("reviews", "user_features"):
        assert list(lake.root.glob(f"{name}/_delta_log/*.checkpoint.parquet")), name
    before = {table: rows(lake, table) for table in (TRAINING_EXAMPLES, ITEM_FEATURES, EVALUATION_EXAMPLES)}
    assert {"reviews", "users", "user_features", "evaluation_examples", "recommendations"} <= naming(lake.root, GONE)
    forget.erase(lake.root, GONE, date(2024, 1, 4))
    assert naming(lake.root, GONE) == {"erased_users"}
    assert rows(lake, TRAINING_EXAMPLES) == []
    night(lake, home, TUESDAY)
    assert naming(lake.root, GONE) == {"erased_users"}
    again = rows(lake, TRAINING_EXAMPLES)
    # The user's two are gone: the sequence up to the cut, and the one up to the anchor.
    assert (len(before[TRAINING_EXAMPLES]), len(again)) == (5, 3)
    counted = ITEM_FEATURES.column_names.index("review_count")
    assert [row[counted] for row in before[ITEM_FEATURES]] == [3, 2, 1]
    assert rows(lake, ITEM_FEATURES, "ds, item_id, review_count") == [
        (TUESDAY, "I1", 2),
        (TUESDAY, "I2", 1),
        (TUESDAY, "I4", 1),
    ]
