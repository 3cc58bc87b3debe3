from datetime import date
from threading import Event, Thread

import pytest

from jobs import publish
from recpipe import delta, reader
from recpipe.errors import UserError
from recpipe.job import run_job
from recpipe.serving import withdraw_lists
from recpipe.settings import DriftSettings, Settings
from recpipe.tables import ITEM_FEATURES, RECOMMENDATIONS, RECOMMENDATIONS_CURRENT, USER_FEATURES
from tests.lakes import empty_lake
from tests.nights import ITEMS, lists, write_lists, write_night
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, item_feature, user_feature

SETTINGS = {"k": 2, "drift": DriftSettings(least_rows=1)}


@pytest.fixture
def settings(tmp_path):
    """Monday and Tuesday have lists, half of whose items are the same."""
    settings = Settings(home=tmp_path, **SETTINGS)
    empty_lake(settings.lake)
    write_night(settings.lake, MONDAY, lists())
    write_night(settings.lake, TUESDAY, lists(first=1))
    return settings


def served(settings):
    current = "select ds, item_id from recommendations_current where user_id = 'user 0' order by rank"
    return delta.connect(settings.lake).sql(current).fetchall()


MONDAYS, TUESDAYS = ([(day, ITEMS[first]), (day, ITEMS[first + 1])] for first, day in enumerate((MONDAY, TUESDAY)))


def version(settings):
    return delta.open_table(settings.lake, RECOMMENDATIONS_CURRENT).version()


def refused(settings, day):
    """Why the day is not published; what is served stays as it was."""
    before = version(settings), served(settings)
    with pytest.raises(UserError) as refusal:
        publish.main(day, settings)
    assert (version(settings), served(settings)) == before
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_newer_day_replaces_an_older_one_in_one_commit(settings):
    first = publish.main(MONDAY, settings)
    second = publish.main(TUESDAY, settings)
    assert served(settings) == TUESDAYS
    assert second.versions["recommendations_current"] == first.versions["recommendations_current"] + 1


def test_an_older_day_changes_nothing(settings):
    publish.main(TUESDAY, settings)
    before = version(settings)
    assert "nothing published" in publish.main(MONDAY, settings).message
    assert version(settings) == before
    assert served(settings) == TUESDAYS


def test_the_served_day_may_be_published_again(settings):
    publish.main(TUESDAY, settings)
    write_lists(settings.lake, TUESDAY, lists(first=5))
    publish.main(TUESDAY, settings)
    assert served(settings) == [(TUESDAY, ITEMS[5]), (TUESDAY, ITEMS[6])]


def test_a_day_without_lists_keeps_the_served_ones(settings):
    publish.main(MONDAY, settings)
    with pytest.raises(UserError, match="found none; run recommend_top_k"):
        publish.main(WEDNESDAY, settings)
    assert reader.served_day(delta.connect(settings.lake)) == date(2024, 1, 1)


def test_the_day_that_is_served_is_decided_under_the_lock(settings, monkeypatch):
    asked, take = Event(), delta.table_lock

    def lock(root, table):
        asked.set()
        return take(root, table)

    with take(settings.lake, RECOMMENDATIONS_CURRENT):
        monkeypatch.setattr(delta, "table_lock", lock)
        older = Thread(target=publish.main, args=(MONDAY, settings))
        older.start()
        assert asked.wait(30)  # it has read its lists and waits
        publish.main(TUESDAY, settings)
    older.join()
    assert served(settings) == TUESDAYS


def test_a_whole_night_is_told_with_what_drifted(settings):
    assert publish.main(MONDAY, settings).message == f"{MONDAY} is served: 20 recommendations in 10 lists"
    told = publish.main(TUESDAY, settings).message.split("; ")
    assert told[0] == f"{TUESDAY} is served: 20 recommendations in 10 lists"
    assert f"churn of recommendations since {MONDAY}: 0.500 (warns from 0.5)" in told[1:]


def few_users(settings):
    write_night(settings.lake, TUESDAY, lists(), users=["zoe"])


def short_lists(settings):
    write_lists(settings.lake, TUESDAY, {user: items[:1] for user, items in lists().items()})


def few_items(settings):
    write_lists(settings.lake, TUESDAY, dict.fromkeys(lists(), ITEMS[:2]))


def the_most_popular(settings):
    write_lists(settings.lake, TUESDAY, {**dict.fromkeys(lists(), ITEMS[:1]), "user 9": ITEMS[5:6]})


def broken_scores(settings):
    delta.open_table(settings.lake, RECOMMENDATIONS).alter.drop_constraint("score_in_range")
    write_lists(settings.lake, TUESDAY, lists(first=2), score=float("nan"))


@pytest.mark.parametrize(
    ("broken", "limits", "said"),
    [
        (few_users, {}, "users served 0.9091 (least 0.95, RECPIPE_GATE__LEAST_SERVED)"),
        (short_lists, {"least_fill": 0.51}, "list fill 0.5000 (least 0.51, RECPIPE_GATE__LEAST_FILL)"),
        (few_items, {"least_coverage": 0.11}, "coverage 0.1000 (least 0.11, RECPIPE_GATE__LEAST_COVERAGE)"),
        (
            the_most_popular,
            {"most_popular": 0.89},
            "share of the most owned hundredth 0.9000 (most 0.89, RECPIPE_GATE__MOST_POPULAR)",
        ),
        (broken_scores, {}, "scores that are not finite 20 (most 0)"),
    ],
)
def test_lists_that_break_a_guardrail_are_not_put_up(settings, broken, limits, said):
    publish.main(MONDAY, settings)
    broken(settings)
    message = refused(with_gate(settings, **limits), TUESDAY)
    assert message.startswith(
        f"expected lists of {TUESDAY} that hold the guardrails, found {said}. What is served stays."
    )
    assert "`recpipe rollback --model`" in message


def with_gate(settings, **limits):
    return settings.model_copy(update={"gate": settings.gate.model_copy(update=limits)})


@pytest.mark.parametrize(
    ("held", "limits"),
    [
        (few_users, {"least_served": 10 / 11}),
        (short_lists, {"least_fill": 0.5}),
        (few_items, {"least_coverage": 0.1}),
        (the_most_popular, {"most_popular": 0.9}),
    ],
)
def test_lists_at_the_limit_are_put_up(settings, held, limits):
    held(settings)
    assert publish.main(TUESDAY, with_gate(settings, **limits)).versions


def of_shop(settings, users, items, had, listed):
    """Tuesday of a shop whose users have its first ``had`` items each, and get ``listed`` others, as different ones as
    there can be."""
    ids = [f"i{n:03}" for n in range(items)]
    people = [f"u{n:03}" for n in range(users)]
    features = [user_feature(user, ds=TUESDAY, seen=list(range(had))) for user in people]
    delta.overwrite_partition(settings.lake, USER_FEATURES, features, TUESDAY)
    features = [item_feature(item, n, ds=TUESDAY, popularity=items - n) for n, item in enumerate(ids)]
    delta.overwrite_partition(settings.lake, ITEM_FEATURES, features, TUESDAY)
    starts = [had + n * listed % (items - had - listed + 1) for n in range(users)]
    write_lists(settings.lake, TUESDAY, {u: ids[at : at + listed] for u, at in zip(people, starts, strict=True)})


WHOLE = {"least_served": 1, "least_fill": 1, "least_coverage": 0.5}


@pytest.mark.parametrize(
    ("users", "items", "had", "k"),
    [(200, 5, 1, 10), (200, 2, 1, 10), (200, 300, 5, 1000), (2, 800, 1, 10)],
    ids=["five items", "two items", "long lists", "more items than places"],
)
def test_d10_lists_as_whole_as_a_shop_allows_are_put_up(settings, users, items, had, k):
    of_shop(settings, users, items, had, listed=min(k, items - had))
    assert publish.main(TUESDAY, with_gate(settings, **WHOLE).model_copy(update={"k": k})).versions


def test_d11_a_user_who_has_all_there_is_is_not_missed(settings):
    of_shop(settings, users=3, items=4, had=1, listed=3)
    has_all = user_feature("zoe", ds=TUESDAY, seen=[0, 1, 2, 3])
    delta.append(settings.lake, USER_FEATURES, [has_all])
    assert publish.main(TUESDAY, with_gate(settings, **WHOLE).model_copy(update={"k": 10})).versions


def test_d10_lists_that_lack_what_a_small_shop_has_are_not_put_up(settings):
    of_shop(settings, users=200, items=5, had=1, listed=1)
    assert "list fill 0.2500 (least 0.5," in refused(settings.model_copy(update={"k": 10}), TUESDAY)


def test_every_guardrail_that_is_broken_is_named(settings):
    write_night(settings.lake, TUESDAY, {"user 0": ITEMS[:1]}, users=["zoe"])
    message = refused(settings, TUESDAY)
    assert all(said in message for said in ("users served 0.5000", "list fill 0.2500", "hundredth 1.0000"))


def test_lists_of_popular_items_may_all_be_the_same(settings):
    same = dict.fromkeys(lists(), ITEMS[:1])
    write_lists(settings.lake, TUESDAY, same, source="popular", model_version=None)
    strict = with_gate(settings, least_coverage=0.5, most_popular=0.1)
    assert publish.main(TUESDAY, strict).versions
    write_lists(settings.lake, TUESDAY, same)
    assert "coverage 0.1000" in refused(strict, TUESDAY)


@pytest.mark.parametrize("table", [USER_FEATURES, ITEM_FEATURES], ids=lambda table: table.name)
def test_a_night_without_features_cannot_be_judged(settings, table):
    delta.overwrite_partition(settings.lake, table, [], TUESDAY)
    assert f"expected features of {TUESDAY}" in refused(settings, TUESDAY)


def test_a_night_that_drifted_to_a_stop_level_is_not_put_up_nor_the_next_one_like_it(settings):
    strict = settings.model_copy(update={"drift": DriftSettings(least_rows=1, churn_stops_from=0.5)})
    publish.main(MONDAY, strict)  # has nothing to differ from
    write_night(settings.lake, WEDNESDAY, lists(first=1))
    for day in (TUESDAY, WEDNESDAY):
        message = refused(strict, day)
        assert message.startswith(f"expected {day} to differ less from {MONDAY}, found churn of recommendations since")
        assert "RECPIPE_DRIFT__…_STOPS_FROM" in message
    looser = settings.model_copy(update={"drift": DriftSettings(least_rows=1, churn_stops_from=0.51)})
    assert publish.main(WEDNESDAY, looser).versions


def test_a_day_that_would_not_be_put_up_anyway_is_not_judged(settings):
    write_night(settings.lake, WEDNESDAY, lists())
    publish.main(TUESDAY, settings)
    publish.main(WEDNESDAY, settings)
    withdraw_lists(settings, TUESDAY, "")
    for day in (MONDAY, WEDNESDAY):
        write_lists(settings.lake, day, {"user 0": ITEMS[:1]})
        before = version(settings)
        assert "nothing published" in publish.main(day, settings).message
        assert version(settings) == before


def test_a_refusal_ends_the_job_in_one_line(settings, monkeypatch, capfd):
    monkeypatch.setenv("RECPIPE_HOME", str(settings.home))
    write_lists(settings.lake, TUESDAY, {"user 0": ITEMS[:2]})
    with pytest.raises(SystemExit) as end:
        run_job("publish", publish.main, ["--ds", str(TUESDAY)])
    assert end.value.code == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("recpipe publish: expected lists of ")
