import json
from datetime import date
from threading import Thread

import pytest
from typer.testing import CliRunner

from jobs import embed
from recpipe import delta
from recpipe.cli import app
from recpipe.decisions import Made, models, promote, withdraw_model
from recpipe.errors import UserError
from recpipe.model.anchors import champion
from recpipe.settings import Settings
from recpipe.tables import METRICS, MODEL_VERDICTS, RECOMMENDATIONS_CURRENT, RUNS, WARM
from tests.lakes import empty_lake
from tests.rows import attempt, recommendation, verdict

FIRST, SECOND, THIRD, NEWEST, NEXT = (date(2024, 1, day) for day in (1, 8, 15, 17, 18))


def metric(anchor, model, value, version):
    row = {"ds": anchor, "model": model, "model_version": version, "segment": WARM, "metric": "ndcg_at_10"}
    return {**row, "value": value, "lower": None, "upper": None, "users": 50}


@pytest.fixture
def settings(tmp_path):
    """Two models were promoted and a third rejected; the newest night was served by the second."""
    settings = Settings(home=tmp_path)
    empty_lake(settings.lake)
    rows = [
        verdict(ds=FIRST, effective_from=FIRST, model_version="m1"),
        verdict(ds=SECOND, effective_from=SECOND, model_version="m2"),
        verdict(ds=THIRD, effective_from=THIRD, verdict="rejected"),
    ]
    delta.append(settings.lake, MODEL_VERDICTS, rows)
    figures = [("two_tower", 0.2, "c3"), ("item_knn", 0.3, "k"), ("als", 0.1, "a"), ("champion", 0.4, "m2")]
    delta.append(settings.lake, METRICS, [metric(THIRD, *figure) for figure in figures])
    delta.append(settings.lake, RECOMMENDATIONS_CURRENT, [recommendation("ann", 1, "i", ds=NEWEST, model_version="m2")])
    delta.append(settings.lake, RUNS, [attempt(day, "embed") for day in (THIRD, NEWEST)])
    for version in ("m1", "m2", "c3"):
        folder = settings.registry / "artifacts" / version / "artifacts" / "checkpoint"
        folder.mkdir(parents=True)
        (folder / "checkpoint.json").write_text(json.dumps({"model_version": version}))
    return settings


def used(settings, day):
    found = champion(settings.lake, day)
    return found and found.model_version


def test_the_decisions_are_listed_with_figures_and_what_is_in_use(settings):
    rejected, second, first = models(settings)
    assert (rejected["model_version"], rejected["candidate"], rejected["users"]) == ("c3", 0.2, 50)
    assert (rejected["best_baseline"], rejected["baseline"]) == ("item_knn", 0.3)
    assert [row["in_use"] for row in (rejected, second, first)] == [[], ["served", "from the next night on"], []]
    promote(settings, "m1", "")
    assert [(row["model_version"], row["in_use"]) for row in models(settings)[:3:2]] == [
        ("m1", ["from the next night on"]),
        ("m2", ["served"]),
    ]


def test_a_promoted_model_counts_from_the_night_after_the_newest(settings):
    assert promote(settings, "m1", "m2 sells less") == Made("m1", "m2", NEXT)
    assert [used(settings, day) for day in (SECOND, NEWEST, NEXT)] == ["m2", "m2", "m1"]
    row = delta.connect(settings.lake).execute("from model_verdicts order by sequence desc limit 1").fetchone()
    assert row == (FIRST, "promoted", "promoted by hand, instead of m2: m2 sells less", "m1", NEXT, 1)


def test_a_rejected_candidate_can_be_promoted(settings):
    assert promote(settings, "c3", "") == Made("c3", "m2", NEXT)
    assert champion(settings.lake, NEXT).anchor == THIRD


def test_the_next_anchors_own_model_takes_the_place_of_one_promoted_by_hand(settings):
    promote(settings, "m1", "")
    later = date(2024, 1, 22)
    delta.append(settings.lake, MODEL_VERDICTS, [verdict(ds=later, effective_from=later, model_version="m4")])
    assert [used(settings, day) for day in (NEXT, later)] == ["m1", "m4"]


def test_of_two_decisions_for_one_night_the_later_counts(settings):
    promote(settings, "m1", "")
    promote(settings, "c3", "")
    promote(settings, "m2", "")
    assert used(settings, NEXT) == "m2"
    assert used(settings, NEWEST) == "m2"


def test_taking_a_model_back_goes_to_the_one_before_and_at_last_to_popular_items(settings):
    assert withdraw_model(settings, "") == Made("m1", "m2", NEXT)
    assert withdraw_model(settings, "") == Made(None, "m1", NEXT)
    assert [used(settings, day) for day in (NEWEST, NEXT)] == ["m2", None]
    assert [row["verdict"] for row in models(settings)[:2]] == ["withdrawn", "promoted"]
    with pytest.raises(UserError, match="expected a model in use, found none: popular items serve"):
        withdraw_model(settings, "")
    assert promote(settings, "m2", "") == Made("m2", None, NEXT)


def test_a_model_that_was_taken_back_never_comes_back_by_taking_back_a_later_one(settings):
    promote(settings, "c3", "")
    assert withdraw_model(settings, "") == Made("m2", "c3", NEXT)
    later, row = date(2024, 1, 22), {"verdict": "promoted", "model_version": "m4"}
    delta.append(settings.lake, MODEL_VERDICTS, [verdict(ds=later, effective_from=later, **row)])
    delta.append(settings.lake, RUNS, [attempt(later, "embed")])
    assert [withdraw_model(settings, "").model_version for _ in range(3)] == ["m2", "m1", None]


def test_taking_back_an_older_model_that_was_promoted_by_hand_goes_to_the_one_whose_place_it_took(settings):
    promote(settings, "m1", "")
    assert withdraw_model(settings, "") == Made("m2", "m1", NEXT)
    assert withdraw_model(settings, "") == Made(None, "m2", NEXT)  # m1, whose place m2 took, was taken back before


def test_a_model_that_was_taken_back_and_promoted_again_can_be_taken_back_again(settings):
    withdraw_model(settings, "")
    promote(settings, "m2", "")
    promote(settings, "c3", "")
    assert [withdraw_model(settings, "").model_version for _ in range(3)] == ["m2", "m1", None]


def test_reasons_that_sound_like_another_decision_change_nothing(settings):
    promote(settings, "m1", "by hand, instead of m1: ")
    assert withdraw_model(settings, "promoted by hand, instead of m1: ") == Made("m2", "m1", NEXT)
    assert withdraw_model(settings, "") == Made(None, "m2", NEXT)


@pytest.mark.parametrize(
    "decide", [lambda settings: promote(settings, "m4", ""), lambda settings: withdraw_model(settings, "")]
)
def test_no_model_counts_from_days_before_its_anchor_though_no_night_since_then_was_good(settings, decide):
    """Of three anchors that a night decided at once, after a gap, before it failed."""
    anchors = [date(2024, 1, day) for day in (22, 29)]
    rows = [verdict(ds=day, effective_from=day, model_version=f"m{4 + at}") for at, day in enumerate(anchors)]
    delta.append(settings.lake, MODEL_VERDICTS, rows)
    folder = settings.registry / "artifacts" / "m4" / "artifacts" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text(json.dumps({"model_version": "m4"}))
    assert decide(settings) == Made("m4", "m5", anchors[1])
    assert [used(settings, day) for day in (NEXT, *anchors)] == ["m2", "m4", "m4"]


def test_a_job_that_failed_for_a_day_to_come_moves_no_decision(settings):
    for status in ("failed", "superseded"):
        delta.append(settings.lake, RUNS, [attempt(date(2030, 1, 1), "embed", status=status)])
    delta.append(settings.lake, RUNS, [attempt(date(2030, 1, 1), "publish")])
    assert promote(settings, "m1", "") == Made("m1", "m2", NEXT)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("m9", "expected a model that `recpipe models` lists, found 'm9'"),
        ("m2", "expected a model that is not in use, found m2, which is"),
    ],
)
def test_what_cannot_be_promoted_changes_nothing(settings, version, said):
    with pytest.raises(UserError, match=said):
        promote(settings, version, "")
    assert used(settings, NEXT) == "m2"


def test_a_model_whose_files_are_gone_cannot_be_promoted(settings):
    (settings.registry / "artifacts" / "m1" / "artifacts" / "checkpoint" / "checkpoint.json").unlink()
    with pytest.raises(UserError, match=r"expected model m1 in .*, found none; restore the registry"):
        promote(settings, "m1", "")


@pytest.mark.parametrize("text", ["", '{"model_version": "m1', "[]", "{}"])
def test_a_model_s_file_that_is_broken_is_named(settings, text):
    (settings.registry / "artifacts" / "m1" / "artifacts" / "checkpoint" / "checkpoint.json").write_text(text)
    with pytest.raises(UserError, match=r"expected a model's settings in .*checkpoint.json, found others; restore"):
        promote(settings, "m1", "")


def test_the_night_whose_model_is_chosen_beside_a_decision_sees_it_or_is_seen_by_it(settings, monkeypatch):
    asked = []
    monkeypatch.setattr(embed, "champion", lambda *_: asked.append(True))  # and gives no model
    night = Thread(target=embed.main, args=(NEXT, settings))
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        night.start()
        night.join(0.5)
        assert asked == []
    night.join()
    assert asked == [True]


def test_before_any_night_there_is_nothing_to_decide(tmp_path):
    settings = Settings(home=tmp_path)
    empty_lake(settings.lake)
    assert models(settings) == []
    with pytest.raises(UserError, match="expected nights that ran, found none"):
        withdraw_model(settings, "")


def recpipe(settings, *arguments):
    variables = {"RECPIPE_HOME": str(settings.home)}
    return CliRunner().invoke(app, arguments, env=variables, catch_exceptions=False, terminal_width=200).output


def test_people_decide_by_commands_that_say_what_is_used_from_when(settings):
    told = recpipe(settings, "promote", "m1", "--because", "m2 sells less")
    assert told.startswith(f"From {NEXT} on m1 is used, instead of m2. Nights that ran keep theirs;")
    taken_back = json.loads(recpipe(settings, "rollback", "--model", "--json"))
    assert taken_back["instead_of"] == "m1"
    reasons = [row["reason"] for row in json.loads(recpipe(settings, "models", "--json"))]
    assert "promoted by hand, instead of m2: m2 sells less" in reasons
    assert "Decisions about models" in recpipe(settings, "models")


@pytest.mark.parametrize("options", [(), ("--model", "--unpin"), ("--lists", "2024-01-01", "--model")])
def test_a_rollback_takes_back_one_thing(settings, options):
    with pytest.raises(UserError, match="expected one of --lists DAY, --model and --unpin"):
        recpipe(settings, "rollback", *options)


@pytest.mark.parametrize("because", ["two\nlines", "x" * 1001])
def test_a_reason_is_one_line(settings, because):
    with pytest.raises(UserError, match="expected --because to be one line of at most 1000 characters"):
        recpipe(settings, "promote", "m1", "--because", because)
    assert used(settings, NEXT) == "m2"
