from datetime import date
from threading import Event, Thread

import pytest

from jobs import publish
from recpipe import delta, reader
from recpipe.errors import UserError
from recpipe.settings import Settings
from recpipe.tables import RECOMMENDATIONS, RECOMMENDATIONS_CURRENT
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, recommendation


@pytest.fixture
def settings(tmp_path):
    settings = Settings(home=tmp_path)
    delta.create_tables(settings.lake)
    for day, item_id in ((MONDAY, "monday's"), (TUESDAY, "tuesday's")):
        delta.append(settings.lake, RECOMMENDATIONS, [recommendation("ann", 1, item_id, ds=day)])
    return settings


def served(settings):
    return delta.connect(settings.lake).sql("select ds, item_id from recommendations_current").fetchall()


def test_a_newer_day_replaces_an_older_one_in_one_commit(settings):
    first = publish.main(MONDAY, settings)
    second = publish.main(TUESDAY, settings)
    assert served(settings) == [(TUESDAY, "tuesday's")]
    assert second.versions["recommendations_current"] == first.versions["recommendations_current"] + 1


def test_an_older_day_changes_nothing(settings):
    publish.main(TUESDAY, settings)
    version = delta.open_table(settings.lake, RECOMMENDATIONS_CURRENT).version()
    assert "nothing published" in publish.main(MONDAY, settings).message
    assert delta.open_table(settings.lake, RECOMMENDATIONS_CURRENT).version() == version
    assert served(settings) == [(TUESDAY, "tuesday's")]


def test_the_served_day_may_be_published_again(settings):
    publish.main(TUESDAY, settings)
    delta.overwrite_partition(settings.lake, RECOMMENDATIONS, [recommendation("ann", 1, "new", ds=TUESDAY)], TUESDAY)
    publish.main(TUESDAY, settings)
    assert served(settings) == [(TUESDAY, "new")]


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
    assert served(settings) == [(TUESDAY, "tuesday's")]
