"""Nights of a small sample shop by Airflow, and by `recpipe run night`: real Spark, Delta, Petastorm and PyTorch."""

import json
from datetime import timedelta

from recpipe.environments import JOBS
from recpipe.processes import members
from recpipe.tables import OF_KINDS, STRANGER, TABLES
from tests.end_to_end.kills import leftovers
from tests.end_to_end.shop import ANCHORS, BUSY_DAY, EMPTY_DAY, ERASED, FIRST, PRIVATE
from tests.naming import naming

K = 10


def test_every_job_of_a_night_succeeds_and_says_what_it_did(nights):
    for shop in (nights.forward, nights.late):
        for day in (BUSY_DAY, EMPTY_DAY):
            results = shop.results(day)
            assert list(results) == list(JOBS)
            assert all(result["message"] for result in results.values())


def test_airflow_ran_each_night_once_and_in_order(nights):
    assert "2 of 2 days succeeded" in nights.forward.printed["backfill"]
    ran = nights.forward.rows(
        "select ds, count(*), count(distinct run_id), bool_and(run_id like 'backfill%') from runs group by 1 "
        "order by min(started_at)"
    )
    assert ran == [(day, len(JOBS), 1, True) for day in (BUSY_DAY, EMPTY_DAY)]


def test_lines_read_are_accepted_rejected_duplicates_or_erased(nights):
    [(read, accepted, rejected, duplicates, erased)] = nights.forward.rows(
        "select sum(lines_read), sum(accepted), sum(rejected), sum(duplicates), sum(erased) from arrivals"
    )
    assert read == accepted + rejected + duplicates + erased
    assert min(accepted, rejected, duplicates, erased) > 0
    counts = {table.name: nights.forward.rows(f"select count(*) from {table.name}")[0][0] for table in OF_KINDS}
    assert min(counts.values()) > 0
    assert sum(counts.values()) == accepted
    assert nights.forward.rows("select count(*) from rejected_rows") == [(rejected,)]


def test_every_day_from_the_first_arrival_is_sealed_and_an_empty_one_is_said_to_be(nights):
    sealed = [day for (day,) in nights.forward.rows("select distinct arrived_on from arrivals order by 1")]
    assert sealed == [FIRST + timedelta(days=offset) for offset in range((EMPTY_DAY - FIRST).days + 1)]
    assert nights.forward.rows(f"select kind, lines_read from arrivals where arrived_on = '{EMPTY_DAY}'") == [
        ("none", 0)
    ]
    assert "nothing arrived" in nights.forward.results(EMPTY_DAY)["ingest_reviews"]["message"]
    assert "nothing arrived" not in nights.forward.results(BUSY_DAY)["ingest_reviews"]["message"]


def test_every_known_user_and_a_stranger_has_a_full_list_of_unseen_items(nights):
    lists = nights.forward.rows(
        f"""select user_id, count(*), min(rank), max(rank), count(distinct item_id)
            from recommendations where ds = '{BUSY_DAY}' group by 1"""
    )
    assert all(row[1:] == (K, 1, K, K) for row in lists)
    users = nights.forward.rows(f"select user_id from user_features where ds = '{BUSY_DAY}'")
    assert {row[0] for row in lists} == {row[0] for row in users} | {STRANGER}
    seen = f"""select count(*) from recommendations join reviews using (user_id, item_id)
               where ds = '{BUSY_DAY}' and arrived_on <= ds"""
    assert nights.forward.rows(seen) == [(0,)]


def test_models_of_both_anchors_are_decided_and_the_newest_promoted_one_scores(nights):
    verdicts = nights.forward.rows("select ds, verdict, model_version from model_verdicts order by ds")
    assert [row[0] for row in verdicts] == list(ANCHORS)
    promoted = [version for _, verdict, version in verdicts if verdict == "promoted"]
    assert promoted, nights.forward.rows("select reason from model_verdicts")
    used = nights.forward.rows("select distinct model_version from recommendations where source = 'two_tower'")
    assert used == [(promoted[-1],)]


def test_petastorm_fed_as_many_rows_as_the_table_holds(nights):
    rows = dict(nights.forward.rows("select ds, count(*) from training_examples group by 1"))
    assert set(rows) == set(ANCHORS)
    trained = nights.forward.results(BUSY_DAY)["train_two_tower"]["rows_in"]["training_examples"]
    of_first = f"from training_examples where ds = '{ANCHORS[0]}'"  # both candidates are trained on what it knew
    inner_cut = f"select min(until) {of_first}"
    assert [(trained,)] == nights.forward.rows(f"select count(*) {of_first} and until > ({inner_cut})")


def test_c02_c06_c07_nights_backwards_killed_elsewhere_with_days_to_come_give_the_rows_of_the_forward_run(nights):
    forward, late = nights.forward.digests(), nights.late.digests()
    assert set(forward) == set(late) == {table.name for table in TABLES} - PRIVATE
    for table in forward:
        assert forward[table], f"{table} holds nothing to compare"
        assert forward[table] == late[table], table


def test_c10_e07_a_night_killed_and_run_again_leaves_nothing_and_other_days_files_alone(nights):
    assert len(nights.last_files) > 5
    assert nights.late.files(EMPTY_DAY) == nights.last_files
    assert leftovers(nights.late) == []
    killed = "select count(*) from runs where job = 'build_features' and status = 'superseded'"
    assert nights.late.rows(killed) == [(1,)]
    assert "nothing published" in nights.late.results(BUSY_DAY)["publish"]["message"]
    assert nights.late.rows("select distinct ds from recommendations_current") == [(EMPTY_DAY,)]


def test_a_job_never_reads_what_a_job_to_its_right_wrote(nights):
    late = nights.late.results(EMPTY_DAY)
    written = {name: job for job, result in late.items() for name in result["rows_out"]}
    order = list(JOBS)
    looked_at = 0
    for job, result in late.items():
        for name in result["rows_in"]:
            looked_at += 1
            assert order.index(written.get(name, job)) <= order.index(job), f"{job} reads {name}"
    assert looked_at >= len(JOBS) - 1


def test_an_erased_user_is_in_no_file_of_any_later_night(nights):
    assert naming(nights.forward.lake, ERASED) == {"erased_users"}
    assert f"found '{ERASED}'" in nights.forward.refused("show", ERASED)


def test_a_night_leaves_no_process_behind(nights):
    for shop in (nights.forward, nights.late):
        assert members([], f"RECPIPE_HOME={shop.home}") == []


def test_people_can_read_the_result(nights):
    shop = nights.forward
    [(user_id,)] = shop.rows("select min(user_id) from user_features")
    page = json.loads(shop.recpipe("show", user_id, "--json"))
    assert len(page["recommendations"]) == K
    assert page["history"]
    assert sum(bool(row["title"]) for row in page["recommendations"]) > K / 2  # a few items have no metadata
    assert user_id in shop.recpipe("show", user_id, "--ds", str(BUSY_DAY))
    answer = shop.recpipe("query", "select count(*) as n from recommendations_current", "--json")
    assert json.loads(answer)[0]["n"] > K
    state = json.loads(shop.recpipe("status", "--json"))
    assert [day["state"] for day in state["days"]] == ["complete", "complete"]
    assert state["served"] == str(EMPTY_DAY)
    assert json.loads(shop.recpipe("show", "--stranger", "--json"))["recommendations"]
    assert "found 'nobody'" in shop.refused("show", "nobody")
