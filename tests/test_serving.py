import json

import pytest
from typer.testing import CliRunner

from jobs import publish
from recpipe import delta
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.serving import Served, served, unpin, withdraw_lists
from recpipe.settings import Settings
from recpipe.tables import LIST_ROLLBACKS, RECOMMENDATIONS
from tests.lakes import empty_lake
from tests.nights import write_lists, write_night
from tests.rows import MONDAY, TUESDAY, WEDNESDAY


@pytest.fixture
def settings(tmp_path):
    """Monday to Wednesday have lists, and Tuesday's are served."""
    settings = Settings(home=tmp_path, k=1)
    empty_lake(settings.lake)
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        write_night(settings.lake, day, {"ann": [f"of {day}"]}, source="popular")
    publish.main(TUESDAY, settings)
    return settings


def items(settings):
    [(ds, item_id)] = delta.connect(settings.lake).sql("select ds, item_id from recommendations_current").fetchall()
    assert item_id == f"of {ds}"
    return ds


def test_withdrawn_lists_give_way_to_an_older_days_until_a_newer_day_is_published(settings):
    assert withdraw_lists(settings, MONDAY, "wrong prices") == Served(MONDAY, TUESDAY)
    assert items(settings) == MONDAY
    again = publish.main(TUESDAY, settings)
    assert "whose lists were withdrawn" in again.message
    assert (again.rows_out, again.versions) == ({}, {})
    assert items(settings) == MONDAY
    publish.main(WEDNESDAY, settings)
    assert served(settings.lake) == Served(WEDNESDAY)
    assert items(settings) == WEDNESDAY


def test_the_older_day_may_be_published_again_while_it_is_pinned(settings):
    withdraw_lists(settings, MONDAY, "")
    write_lists(settings.lake, MONDAY, {"ann": [f"of {MONDAY}"]}, source="popular")
    assert publish.main(MONDAY, settings).versions
    assert served(settings.lake) == Served(MONDAY, TUESDAY)


def test_a_second_withdrawal_keeps_the_newest_day_withdrawn(settings):
    publish.main(WEDNESDAY, settings)
    withdraw_lists(settings, TUESDAY, "")
    assert withdraw_lists(settings, MONDAY, "") == Served(MONDAY, WEDNESDAY)
    assert "nothing published" in publish.main(WEDNESDAY, settings).message


def test_unpinned_lists_are_served_again(settings):
    withdraw_lists(settings, MONDAY, "")
    assert unpin(settings, "the prices were right") == Served(TUESDAY)
    assert items(settings) == TUESDAY
    publish.main(WEDNESDAY, settings)
    with pytest.raises(UserError, match=f"expected lists that are pinned, found none; {WEDNESDAY} is served"):
        unpin(settings, "")


def test_every_withdrawal_is_kept_with_its_reason(settings):
    withdraw_lists(settings, MONDAY, "wrong prices")
    unpin(settings, "they were right")
    rows = delta.connect(settings.lake).sql("from list_rollbacks select * exclude ds order by sequence").fetchall()
    assert rows == [(1, TUESDAY, "wrong prices"), (2, None, "they were right")]


def test_a_withdrawal_that_was_stopped_half_way_is_finished_by_the_same_command(settings, monkeypatch):
    monkeypatch.setattr(delta, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        withdraw_lists(settings, MONDAY, "")
    monkeypatch.undo()
    assert items(settings) == TUESDAY
    assert withdraw_lists(settings, MONDAY, "") == Served(MONDAY, TUESDAY)


@pytest.mark.parametrize("day", [TUESDAY, WEDNESDAY])
def test_only_an_older_day_can_take_the_place(settings, day):
    with pytest.raises(UserError, match=f"expected a day before the served one, found {day}; served is {TUESDAY}"):
        withdraw_lists(settings, day, "")
    assert delta.days(settings.lake, LIST_ROLLBACKS) == set()


def test_a_day_without_lists_cannot_take_the_place(settings):
    delta.overwrite_partition(settings.lake, RECOMMENDATIONS, [], MONDAY)
    with pytest.raises(UserError, match=f"expected a day that has recommendations, found {MONDAY} without"):
        withdraw_lists(settings, MONDAY, "")
    assert served(settings.lake) == Served(TUESDAY)


def test_lists_that_break_a_guardrail_are_put_up_by_no_command(settings):
    """Such as those of a day that was made again while it was withdrawn: `publish` leaves them down unasked."""
    everybody = {user: [f"of {TUESDAY}"] for user in ("ann", "bob", "cem")}
    write_night(settings.lake, TUESDAY, everybody, source="popular")
    withdraw_lists(settings, MONDAY, "")
    write_lists(settings.lake, TUESDAY, {"ann": [f"of {TUESDAY}"]}, source="popular")
    assert "nothing published" in publish.main(TUESDAY, settings).message
    with pytest.raises(
        UserError, match=rf"expected lists of {TUESDAY} that hold the guardrails, found users served 0\.3"
    ):
        unpin(settings, "")
    assert (served(settings.lake), items(settings)) == (Served(MONDAY, TUESDAY), MONDAY)
    publish.main(WEDNESDAY, settings)
    with pytest.raises(UserError, match=f"expected lists of {TUESDAY} that hold the guardrails"):
        withdraw_lists(settings, TUESDAY, "")
    assert served(settings.lake) == Served(WEDNESDAY)


def test_lists_are_taken_back_and_put_up_again_by_commands_that_say_until_when(settings):
    def rollback(*options):
        variables = {"RECPIPE_HOME": str(settings.home), "RECPIPE_K": str(settings.k)}
        return CliRunner().invoke(app, ["rollback", *options], env=variables, catch_exceptions=False).output

    told = rollback("--lists", str(MONDAY), "--because", "wrong prices")
    assert told == (
        f"{MONDAY} is served until a newer day than {TUESDAY} is published, or `recpipe rollback --unpin`.\n"
    )
    assert items(settings) == MONDAY
    assert rollback("--unpin") == f"{TUESDAY} is served again.\n"
    assert items(settings) == TUESDAY
    assert json.loads(rollback("--lists", str(MONDAY), "--json")) == {"ds": str(MONDAY), "withdrawn": str(TUESDAY)}
