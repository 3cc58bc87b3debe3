"""Table recommendations, and the job recommend_top_k on a real lake, but for the start of its own Spark session."""

import pytest

from jobs.recommend_top_k import main, said_of_lists, write_lists
from recpipe import delta
from recpipe.errors import UserError
from recpipe.settings import Settings
from recpipe.tables import (
    ITEM_EMBEDDINGS,
    ITEM_FEATURES,
    RECOMMENDATIONS,
    STRANGER,
    USER_EMBEDDINGS,
    USER_FEATURES,
)
from tests.rows import MONDAY, TUESDAY, item_feature, user_feature

MODEL = "2024-01-01-0123456789ab"


@pytest.fixture
def shop(lake):
    """Users U1 and U2, items a to e; U1 has seen a, U2 b; e is the most popular, then d."""
    items = [item_feature(item, n, popularity_30d=n) for n, item in enumerate("abcde")]
    users = [user_feature("U1", seen=[0]), user_feature("U2", seen=[1])]
    for table, rows in ((ITEM_FEATURES, items), (USER_FEATURES, users)):
        delta.replace(lake.root, table, rows)
    return lake


def embed(lake, users, items):
    for table, key, vectors in ((USER_EMBEDDINGS, "user_id", users), (ITEM_EMBEDDINGS, "item_id", items)):
        rows = [
            {"ds": MONDAY, key: name, "embedding": vector, "model_version": MODEL, "item_index": "abcde".find(name)}
            for name, vector in vectors.items()
        ]
        delta.overwrite_partition(lake.root, table, rows, MONDAY)


def lists(lake):
    with delta.connect(lake.root, [RECOMMENDATIONS]) as connection:
        rows = connection.sql(
            "select user_id, string_agg(item_id, '' order by rank), string_agg(source[1], '' order by rank), "
            "list_sort(list(distinct coalesce(model_version, 'none'))) from recommendations group by user_id"
        )
        return {user: tuple(rest) for user, *rest in rows.fetchall()}


def test_d04_d10_d11_without_a_model_all_get_popular_items_that_they_have_not_seen_and_a_shortfall_is_said(
    shop, unaudited
):
    assert write_lists(shop, MONDAY, 10, None).rows == 13
    expected = {"U1": "edcb", "U2": "edca", STRANGER: "edcba"}
    assert lists(shop) == {user: (items, "p" * len(items), ["none"]) for user, items in expected.items()}
    said = "0 of 2 users have a full list of 10, the others lack 12 items in all, having seen the rest"
    assert said_of_lists(shop.root, MONDAY, 10) == said


def test_a_users_vector_ranks_the_items_that_have_one_and_popular_ones_fill_up(shop):
    embed(shop, {"U1": [1.0, 0.0]}, {"a": [9.0, 0.0], "b": [1.0, 0.0], "c": [2.0, 0.0]})
    assert write_lists(shop, MONDAY, 4, MODEL).rows == 12
    assert lists(shop) == {
        "U1": ("cbed", "ttpp", [MODEL, "none"]),
        "U2": ("edca", "pppp", ["none"]),
        STRANGER: ("edcb", "pppp", ["none"]),
    }
    assert said_of_lists(shop.root, MONDAY, 4) == "2 of 2 users have a full list of 4"
    [file] = delta.snapshot_files(shop.root, RECOMMENDATIONS)
    rows = [(row.user_id, row.rank) for row in shop.spark.read.parquet(file).collect()]
    assert rows == [(user, rank) for user in (STRANGER, "U1", "U2") for rank in (1, 2, 3, 4)]  # quick to look up


def test_d08_a_users_vector_that_is_not_finite_stops_the_run_and_keeps_the_table(shop):
    embed(shop, {"U1": [float("nan"), 0.0]}, {"b": [1.0, 0.0]})
    before = delta.open_table(shop.root, RECOMMENDATIONS).version()
    with pytest.raises(Exception, match="UserError: expected finite vectors, found 1 that are not, such as that of U1"):
        write_lists(shop, MONDAY, 2, MODEL)
    assert delta.open_table(shop.root, RECOMMENDATIONS).version() == before


@pytest.mark.parametrize(("promoted", "found"), [("another", MODEL), (None, MODEL)])
def test_d03_vectors_of_another_model_than_the_promoted_one_are_refused(shop, promoted, found):
    embed(shop, {"U1": [1.0]}, {"b": [1.0]})
    with pytest.raises(UserError, match=f"found {found}; run embed for 2024-01-01"):
        write_lists(shop, MONDAY, 2, promoted)


def test_a_day_without_features_is_refused_before_spark_starts(shop):
    settings = Settings(home=shop.root.parent)
    with pytest.raises(UserError, match="expected features of 2024-01-02, found none; run build_features"):
        main(TUESDAY, settings)
