from datetime import UTC, date, datetime, timedelta

import pytest

from recpipe import attempts, commits, delta
from recpipe.environments import JOBS
from recpipe.errors import UserError
from recpipe.job_lock import job_under_way
from recpipe.model.anchors import champion
from recpipe.settings import Settings, code_hash
from recpipe.status import SHOWN_DAYS, commands, status
from recpipe.tables import ARRIVALS, ERASED_USERS, ITEM_EMBEDDINGS, ITEM_FEATURES, MODEL_VERDICTS, REVIEWS, RUNS
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, attempt, erased, item_feature, review, verdict

THURSDAY, FRIDAY = WEDNESDAY + timedelta(days=1), WEDNESDAY + timedelta(days=2)


@pytest.fixture
def settings(tmp_path):
    settings = Settings(home=tmp_path)
    empty_lake(settings.lake)
    return settings


def ran(settings, *rows):
    hashes = {"code_hash": code_hash(), "settings_hash": settings.result_hash()}
    delta.append(settings.lake, RUNS, [hashes | {k: v for k, v in row.items() if v or k not in hashes} for row in rows])


def night(day, **of_jobs):
    """A successful attempt at every job; values for one job by its name."""
    return [attempt(day, job, **of_jobs.get(job, {})) for job in JOBS]


def arrived(settings, *rows):
    delta.append(settings.lake, ARRIVALS, rows)


def states(settings, first=None, last=None):
    return {day.ds: day.state for day in status(settings, first, last)}


def test_arrivals_are_told_day_by_day(settings):
    arrived(settings, arrival(), arrival(file="b.json"), arrival(arrived_on=WEDNESDAY, kind="none", file=""))
    days = status(settings, MONDAY, WEDNESDAY)
    assert [(day.ds, day.sealed, day.lines_read) for day in days] == [
        (MONDAY, True, 20),
        (TUESDAY, False, 0),
        (WEDNESDAY, True, 10),
    ]


def test_g03_a_day_that_nobody_ran_is_missing_and_one_that_ran_is_complete(settings):
    ran(settings, *night(MONDAY), *night(WEDNESDAY))
    assert states(settings) == {MONDAY: "complete", TUESDAY: "missing", WEDNESDAY: "complete"}
    assert states(settings, WEDNESDAY, THURSDAY) == {WEDNESDAY: "complete", THURSDAY: "missing"}


def test_the_newest_attempt_counts(settings):
    ran(settings, *night(MONDAY, embed={"status": "failed"}), *night(TUESDAY))
    assert states(settings)[MONDAY] == "failed in embed"
    ran(settings, attempt(MONDAY, "embed", attempt=2), attempt(TUESDAY, "embed", "failed", attempt=2))
    assert states(settings) == {MONDAY: "complete", TUESDAY: "failed in embed"}


def test_a_night_that_ended_half_way_names_the_jobs_it_lacks(settings):
    ran(settings, *night(MONDAY)[:5])
    assert states(settings) == {MONDAY: "incomplete, without recommend_top_k, publish"}


def test_an_attempt_without_an_end_is_running_as_far_as_anyone_knows(settings):
    ran(settings, attempt(MONDAY, "ingest_reviews", "running"))
    with job_under_way(settings.lake):
        assert states(settings) == {MONDAY: "running ingest_reviews since 2024-01-05 00:00, no end known"}
    assert states(settings) == {MONDAY: "killed in ingest_reviews"}


def test_a_fresh_lake_has_no_days_and_a_wrong_span_is_refused(settings):
    assert status(settings, None, None) == []
    assert states(settings, MONDAY, TUESDAY) == {MONDAY: "missing", TUESDAY: "missing"}
    with pytest.raises(UserError, match="--from before --to"):
        status(settings, TUESDAY, MONDAY)


def test_before_the_first_arrival_there_is_nothing_to_run(settings):
    arrived(settings, arrival(arrived_on=TUESDAY))
    delta.append(settings.lake, REVIEWS, [review("ann", "a", arrived_on=TUESDAY)])
    assert states(settings, MONDAY, TUESDAY) == {MONDAY: "before the first arrival", TUESDAY: "missing"}
    assert commands(status(settings, MONDAY, TUESDAY)) == [f"recpipe run night --ds {TUESDAY}"]


def test_a_day_up_to_which_no_user_did_anything_has_a_state_of_its_own_and_no_command(settings):
    arrived(settings, arrival(kind="items"), arrival(arrived_on=TUESDAY), arrival(arrived_on=WEDNESDAY))
    delta.append(settings.lake, REVIEWS, [review("gone", "a", arrived_on=TUESDAY)])
    ran(settings, attempt(MONDAY, "build_features", "failed"), *night(TUESDAY))
    bare = "nothing known yet: no review or event of a user up to it"
    assert states(settings) == {MONDAY: bare, TUESDAY: "complete", WEDNESDAY: "missing"}
    delta.append(settings.lake, ERASED_USERS, [erased("gone")])
    assert states(settings, MONDAY, THURSDAY) == {MONDAY: bare, TUESDAY: bare, WEDNESDAY: bare, THURSDAY: "missing"}
    assert commands(status(settings, MONDAY, WEDNESDAY)) == []


def test_without_a_span_the_last_days_are_told(settings):
    ran(settings, *night(date(2022, 1, 1)), *night(MONDAY))
    days = status(settings, None, None)
    assert (len(days), days[-1].ds) == (SHOWN_DAYS, MONDAY)


def test_a_day_is_stale_when_a_job_to_the_left_wrote_what_one_to_the_right_had_not_seen(settings):
    old, new = '{"item_features": 4, "user_features": 7}', '{"item_features": 4, "user_features": 8}'
    ran(settings, *night(MONDAY, build_features={"versions": old}, recommend_top_k={"inputs": old}))
    assert states(settings) == {MONDAY: "complete"}
    ran(settings, attempt(MONDAY, "build_features", attempt=2, versions=new))
    assert states(settings) == {MONDAY: "stale: build_features ran again after recommend_top_k"}
    ran(settings, attempt(MONDAY, "recommend_top_k", attempt=2, inputs=new))
    assert states(settings) == {MONDAY: "complete"}


def test_what_a_job_to_the_right_wrote_later_makes_nothing_stale(settings):
    ran(settings, *night(MONDAY, embed={"inputs": '{"a": 1}'}, publish={"versions": '{"a": 2}'}))
    assert states(settings) == {MONDAY: "complete"}


@pytest.mark.parametrize(
    ("job", "other", "said"),
    [
        ("build_features", {"code_hash": "old"}, "stale: code changed since build_features"),
        ("embed", {"settings_hash": "old"}, "stale: settings changed since embed"),
        ("ingest_reviews", {"code_hash": "old"}, "complete"),  # sealed, whatever code took it in
        ("promote_model", {"settings_hash": "old"}, "complete"),  # decided
    ],
)
def test_a_day_is_stale_when_rows_that_are_done_anew_came_of_other_code_or_settings(settings, job, other, said):
    ran(settings, *night(MONDAY, **{job: other}))
    assert states(settings) == {MONDAY: said}


def test_an_anchor_day_is_stale_when_a_later_run_of_other_settings_wrote_its_item_features(settings):
    ran(settings, *night(MONDAY), *night(TUESDAY), *night(WEDNESDAY))
    for by, its in ((WEDNESDAY, settings.model_copy(update={"text_length": 5})), (FRIDAY, settings)):
        with commits.made_by(attempts.begin(its, "build_features", by, "manual")):
            for day in (MONDAY, by):
                delta.overwrite_partition(settings.lake, ITEM_FEATURES, [item_feature("a", 0, ds=day)], day)
        if by == WEDNESDAY:
            said = f"stale: the run of {WEDNESDAY} wrote its item_features with other settings"
            assert states(settings, MONDAY, TUESDAY) == {MONDAY: said, TUESDAY: "complete"}
    assert states(settings, MONDAY, TUESDAY) == {MONDAY: "complete", TUESDAY: "complete"}


def vector(day, model_version):
    return {"ds": day, "item_id": "a", "item_index": 0, "embedding": [1.0], "model_version": model_version}


def test_a_day_is_stale_when_its_vectors_are_not_the_champions(settings):
    ran(settings, *night(MONDAY), *night(TUESDAY), *night(WEDNESDAY))
    delta.append(settings.lake, MODEL_VERDICTS, [verdict(model_version="m1")])
    wednesdays = {"ds": WEDNESDAY, "effective_from": WEDNESDAY}
    rows = [verdict(**wednesdays, verdict="rejected", model_version="m2")]
    rows += [verdict(**wednesdays, sequence=1, model_version="m4"), verdict(**wednesdays, model_version="m3")]
    delta.append(settings.lake, MODEL_VERDICTS, rows)
    delta.append(settings.lake, ITEM_EMBEDDINGS, [vector(TUESDAY, "m1"), vector(WEDNESDAY, "m3")])
    assert states(settings) == {
        MONDAY: "stale: scored by no model, the champion is m1",
        TUESDAY: "complete",
        WEDNESDAY: "stale: scored by m3, the champion is m4",
    }
    assert [champion(settings.lake, day).model_version for day in (MONDAY, TUESDAY, WEDNESDAY)] == ["m1", "m1", "m4"]


def test_each_stretch_of_days_has_one_command_that_mends_it(settings):
    ran(settings, *night(MONDAY, embed={"status": "failed"}), *night(WEDNESDAY), attempt(FRIDAY, "embed", "running"))
    saturday, sunday = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
    with job_under_way(settings.lake):
        days = status(settings, MONDAY, sunday, {saturday: "stopped: 52 of 400 rejected"})
    assert [day.wants_a_run for day in days] == [True, True, False, True, False, False, True]
    assert commands(days) == [
        f"make backfill FROM={MONDAY} TO={TUESDAY}",
        f"recpipe run night --ds {THURSDAY}",
        f"recpipe run night --ds {sunday}",
    ]


def test_a_day_that_the_reject_limit_stopped_is_named_until_it_is_sealed(settings):
    arrived(settings, arrival())
    delta.append(settings.lake, REVIEWS, [review("ann", "a")])
    ran(settings, attempt(WEDNESDAY, "ingest_reviews", "failed", started_at=datetime(2024, 1, 4, tzinfo=UTC)))
    days = status(settings, None, None, {MONDAY: "stopped: old", TUESDAY: "stopped: 52 of 400, see r.json"})
    assert [day.state for day in days] == ["missing", "stopped: 52 of 400, see r.json", "failed in ingest_reviews"]
