from datetime import UTC, datetime

import pytest

from recpipe import delta, reader
from recpipe.errors import UserError
from recpipe.tables import (
    EVENTS,
    ITEMS,
    METRICS,
    MODEL_VERDICTS,
    RECOMMENDATIONS,
    RECOMMENDATIONS_CURRENT,
    REVIEWS,
    STRANGER,
    WARM,
)
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, event, item, recommendation, review, verdict


@pytest.fixture
def lake(tmp_path):
    empty_lake(tmp_path)
    lists = [recommendation("ann", 2, "i2"), recommendation("ann", 1, "i1"), recommendation(STRANGER, 1, "i3")]
    delta.append(tmp_path, RECOMMENDATIONS, lists)
    delta.append(tmp_path, RECOMMENDATIONS_CURRENT, lists)
    delta.append(tmp_path, ITEMS, [item("i1", "Old name"), item("i1", "Mug", arrived_on=TUESDAY), item("i4", "Pot")])
    return tmp_path


def titles(rows):
    return [row["title"] for row in rows]


def test_a_user_is_shown_with_titles_best_first(lake):
    page = reader.show(lake, "ann")
    assert page.ds == MONDAY
    assert [(row["rank"], row["item_id"]) for row in page.recommendations] == [(1, "i1"), (2, "i2")]


def test_a_title_is_the_newest_one_known_on_the_day(lake):
    assert titles(reader.show(lake, "ann").recommendations) == ["Old name", None]
    delta.overwrite_partition(lake, RECOMMENDATIONS, [recommendation("ann", 1, "i1", ds=TUESDAY)], TUESDAY)
    assert titles(reader.show(lake, "ann", TUESDAY).recommendations) == ["Mug"]
    delta.append(lake, ITEMS, [item("i1", None, arrived_on=WEDNESDAY)])
    delta.overwrite_partition(lake, RECOMMENDATIONS, [recommendation("ann", 1, "i1", ds=WEDNESDAY)], WEDNESDAY)
    assert titles(reader.show(lake, "ann", WEDNESDAY).recommendations) == [None]


def test_history_is_newest_first_and_holds_nothing_that_arrived_later(lake):
    noon, evening = datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 20, tzinfo=UTC)
    delta.append(
        lake,
        REVIEWS,
        [
            review("ann", "i4", reviewed_at=noon, rating=2.0),
            review("ann", "i5", reviewed_at=evening),
            review("ann", "i4", reviewed_at=noon, rating=4.0, arrived_on=TUESDAY),
            review("bob", "i6"),
        ],
    )
    assert [(r["item_id"], r["title"], r["rating"]) for r in reader.show(lake, "ann").history] == [
        ("i5", None, 5.0),
        ("i4", "Pot", 2.0),
    ]


def test_history_holds_what_a_user_bought_viewed_and_reviewed(lake):
    def at(hour: int, **values) -> dict:
        return event("ann", "i4", occurred_at=datetime(2024, 1, 1, hour, tzinfo=UTC), **values)

    delta.append(lake, EVENTS, [at(8, event_type="view"), at(9), at(9), at(23, arrived_on=TUESDAY)])
    delta.append(lake, REVIEWS, [review("ann", "i4", reviewed_at=datetime(2024, 1, 1, 12, tzinfo=UTC), rating=2.0)])
    assert [(r["event_type"], r["title"], r["rating"]) for r in reader.show(lake, "ann").history] == [
        ("review", "Pot", 2.0),
        ("purchase", "Pot", None),
        ("view", "Pot", None),
    ]


def test_a_stranger_has_a_list(lake):
    page = reader.show(lake, STRANGER)
    assert [row["item_id"] for row in page.recommendations] == ["i3"]


def test_an_unknown_user_is_refused_in_one_line(lake):
    with pytest.raises(UserError, match="found 'zoe'; visitors without a history") as refusal:
        reader.show(lake, "zoe")
    assert "\n" not in str(refusal.value)


def test_a_day_without_lists_is_refused_with_the_days_that_have_some(lake):
    with pytest.raises(UserError, match="found 2024-01-01 to 2024-01-01"):
        reader.show(lake, "ann", TUESDAY)


def test_nothing_served_yet_is_said(tmp_path):
    empty_lake(tmp_path)
    with pytest.raises(UserError, match="none served yet"):
        reader.show(tmp_path, "ann")


def test_a_query_gives_columns_and_rows(lake):
    assert reader.query(lake, "select user_id, count(*) as n from recommendations group by 1 order by 1") == (
        ["user_id", "n"],
        [("", 1), ("ann", 2)],
    )


@pytest.mark.parametrize("sql", ["select * from", "select nothing from reviews", "from '/etc/passwd'"])
def test_a_refused_query_is_one_line(lake, sql):
    with pytest.raises(UserError, match="the query was refused") as refusal:
        reader.query(lake, sql)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{file}' (format csv)",
        "select 1; copy (select 1) to '{file}' (format csv)",
        "export database '{lake}/out'",
        "attach '{lake}/new.db'",
        "create table mine as select 1",
        "explain analyze copy (select 1) to '{file}' (format csv)",
        "explain analyze create table mine as select 1",
        "with a as (copy (select 1) to '{file}' (format parquet, use_tmp_file false)) from a",
        "with b as (select 1), a as (copy (from b) to '{file}' (format csv, use_tmp_file false)) select 1",
        "select 1; with a as materialized (copy (select 1) to '{file}' (use_tmp_file false)) from a",
        "with recursive a as (copy (select 1) to '{file}' (use_tmp_file false)) from a",
        "from (with a as (copy (select 1) to '{file}' (use_tmp_file false)) from a)",
        "describe with a as (copy (select 1) to '{file}' (use_tmp_file false)) from a",
        "summarize with a as (copy (select 1) to '{file}' (use_tmp_file false)) from a",
    ],
)
def test_a_query_that_may_write_is_refused_and_changes_nothing(lake, sql):
    [file] = delta.snapshot_files(lake, RECOMMENDATIONS_CURRENT)
    before = {path: path.read_bytes() for path in sorted(lake.rglob("*")) if path.is_file()}
    with pytest.raises(UserError, match=r"expected select, describe, show or summarize|the query was refused"):
        reader.query(lake, sql.format(file=file, lake=lake))
    assert {path: path.read_bytes() for path in sorted(lake.rglob("*")) if path.is_file()} == before


def test_a_query_that_only_asks_may_take_any_shape(lake):
    for sql in ("describe recommendations", "show tables", "summarize items", "with a as (select 1 as x) from a"):
        assert reader.query(lake, sql)[1]


def test_a_query_reads_no_file_behind_the_views(lake):
    with pytest.raises(UserError, match="query was refused: Permission Error"):
        reader.query(lake, f"from read_parquet('{lake}/recommendations/*/*.parquet')")
    delta.overwrite_partition(lake, RECOMMENDATIONS, [], MONDAY)
    [older, *_] = (lake / "recommendations").rglob("*.parquet")
    with pytest.raises(UserError, match="query was refused: Permission Error"):
        reader.query(lake, f"from read_parquet('{older}')")


def test_models_are_shown_with_their_figures(lake):
    delta.append(lake, MODEL_VERDICTS, [verdict()])
    figure = {
        "ds": MONDAY,
        "model": "two_tower",
        "model_version": "v",
        "segment": WARM,
        "lower": None,
        "upper": None,
        "metric": "ndcg_at_10",
        "value": 0.5,
        "users": 9,
    }
    delta.append(lake, METRICS, [figure, {**figure, "model": "popular_recent", "value": 0.1}])
    [model] = reader.model_figures(lake)
    assert model["metrics"] == {"two_tower": {"ndcg_at_10": 0.5}, "popular_recent": {"ndcg_at_10": 0.1}}
    assert model["users"] == 9
