"""Three nights of real reviews through a real Airflow, the last one first: every line is accounted for, every known
user is served."""

import json

import pytest

from recpipe.processes import members
from recpipe.settings import CHECKOUT
from tests.end_to_end.shop import Shop

DUMP = CHECKOUT.parent / "shared" / "data" / "amazon2018_raw" / "All_Beauty_5.json.gz"
NIGHTS = ("2018-04-10", "2018-04-11", "2018-04-12")
LAST_NIGHT = NIGHTS[-1]
LINES = 5050  # of the dump's 5,269 are dated up to the last night, 15 on each night
K = 10


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    if not DUMP.exists():
        pytest.skip(f"real reviews are not here: {DUMP}")
    shop = Shop(tmp_path_factory.mktemp("beauty"))
    shop.recpipe("init")
    shop.recpipe("land", str(DUMP), "--format", "amazon-2018", "--replay-from", "2018-04-09")
    shop.printed["backfill"] = shop.recpipe("backfill", "--from", NIGHTS[0], "--to", LAST_NIGHT, "--backwards")
    return shop


def test_airflow_ran_each_night_once_and_the_last_one_first(shop):
    assert f"{len(NIGHTS)} of {len(NIGHTS)} days succeeded" in shop.printed["backfill"]
    runs = shop.rows(
        "select ds::varchar, count(*), count(distinct job), count(distinct run_id) from runs group by 1 "
        "order by min(started_at)"
    )
    assert runs == [(day, 7, 7, 1) for day in reversed(NIGHTS)]
    assert all("backfill" in run_id for (run_id,) in shop.rows("select distinct run_id from runs"))


def test_every_line_that_arrived_is_accepted_rejected_or_a_duplicate(shop):
    [(read, accepted, rejected, duplicates)] = shop.rows(
        "select sum(lines_read), sum(accepted), sum(rejected), sum(duplicates) from arrivals"
    )
    assert read == LINES
    assert accepted + rejected + duplicates == LINES
    assert shop.rows("select (select count(*) from reviews), (select count(*) from rejected_rows)") == [
        (accepted, rejected)
    ]
    assert (
        shop.rows("select lines_read from arrivals where arrived_on > '2018-04-09' order by arrived_on") == [(15,)] * 3
    )


def test_every_known_user_has_a_full_list_or_a_stated_shortfall(shop):
    users = shop.rows(f"select count(*) from user_features where ds = '{LAST_NIGHT}'")
    lists = shop.rows(
        f"""select count(*) from (select user_id, count(*) as n from recommendations
            where ds = '{LAST_NIGHT}' and user_id <> '' group by user_id) where n = {K}"""
    )
    [(said,)] = shop.rows(f"select message from runs where job = 'recommend_top_k' and ds = '{LAST_NIGHT}'")
    assert f"{lists[0][0]:,} of {users[0][0]:,} users have a full list of {K}" in said
    assert users == shop.rows(
        f"select count(distinct user_id) from recommendations where ds = '{LAST_NIGHT}' and user_id <> ''"
    )


def test_a_query_answers_from_the_served_day(shop):
    answer = json.loads(shop.recpipe("query", "select distinct ds from recommendations_current", "--json"))
    assert answer == [{"ds": LAST_NIGHT}]


def test_nothing_runs_on_after_the_backfill(shop):
    assert members([], f"RECPIPE_HOME={shop.home}") == []
