import sys
import xml.etree.ElementTree as ET
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from recpipe import delta, forget, quality
from recpipe.errors import UserError
from recpipe.evaluation import plots
from recpipe.evaluation import report as report_module
from recpipe.evaluation.plots import Bar
from recpipe.evaluation.report import sample_users, write_report
from recpipe.model import report
from recpipe.settings import Settings
from recpipe.tables import (
    ARRIVALS,
    COLD,
    IMAGES,
    ITEM_FEATURES,
    METRICS,
    MODEL_VERDICTS,
    RUNS,
    USER_FEATURES,
    WARM,
)
from tests.lakes import empty_lake
from tests.nights import ITEMS, lists, write_night
from tests.pictures import png
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, attempt, item_feature, picture, user_feature, verdict

CURVES = {"loss": [(1, 3.0), (2, 2.0)], "ndcg_at_10": [(1, 0.1), (2, 0.2)]}
FIGURES = {"two_tower": 0.3177, "champion": 0.3, "item_knn": 0.2308, "popular_recent": 0.018}


def figure(model, value, **values):
    row = {"ds": MONDAY, "model": model, "model_version": "c1", "segment": WARM, "metric": "ndcg_at_10"}
    return {**row, "value": value, "lower": value - 0.01, "upper": value + 0.01, "users": 928, **values}


@pytest.fixture
def settings(tmp_path):
    """A night on Tuesday by the model of Monday, with all that a page can tell."""
    settings = Settings(home=tmp_path)
    lake = settings.lake
    empty_lake(lake)
    write_night(lake, TUESDAY, lists(), model_version="m1")
    rows = [figure(model, value) for model, value in FIGURES.items()]
    rows += [figure(model, value / 2, segment="category <Awls>") for model, value in FIGURES.items()]
    rows += [figure("two_tower", 0.01, segment=COLD), figure("two_tower", 0.25, metric="coverage")]
    delta.append(lake, METRICS, rows)
    delta.append(lake, MODEL_VERDICTS, [verdict(reason="lead +0.0870; segments fallen: none", model_version="m1")])
    delta.append(lake, ARRIVALS, [arrival(), arrival(arrived_on=TUESDAY)])
    delta.append(lake, RUNS, [attempt(TUESDAY, "publish", versions='{"recommendations_current": 7}')])
    return settings


def page(settings, ds=TUESDAY, curves=lambda version: CURVES if version == "c1" else {}):
    file = settings.reports / f"{ds}.html"
    write_report(settings, ds, file, curves)
    return file.read_text()


def test_a_night_is_one_page_with_the_model_its_figures_its_lists_and_its_lineage(settings):
    html = page(settings)
    for said in ("Night of 2024-01-02", "model <b>m1</b>", "<b>promoted</b>", "<li>lead +0.0870</li>", "0.3177", "928"):
        assert said in html
    assert "10 of 10" in html  # users with a list
    assert all(name in html for name in ("NDCG@10", "item_knn", "Learning curves", "category &lt;Awls&gt;"))
    assert "{&#34;recommendations_current&#34;: 7}" in html
    assert "Data quality" in html
    assert html.count("<svg") == html.count("</svg>") >= 5


def test_the_model_of_the_lists_is_the_one_that_made_them_whatever_counts_now(settings):
    write_night(settings.lake, TUESDAY, lists(), model_version="m0")
    html = page(settings)
    assert "made by model <b>m0</b>" in html
    assert "model <b>m1</b> counts on this day" in html
    delta.replace(settings.lake, MODEL_VERDICTS, [])
    html = page(settings)
    assert "made by model <b>m0</b>" in html
    assert "no model counts on this day" in html
    write_night(settings.lake, TUESDAY, lists(), source="popular", model_version="m0")
    assert "No model was in use" in page(settings)


def test_what_people_decided_about_the_model_is_on_the_page_with_their_reason(settings):
    assert "people decide" not in page(settings)
    rejected = verdict(verdict="rejected", reason="lead -0.1")
    by_hand = verdict(effective_from=TUESDAY, sequence=1, model_version="m1", reason="by hand: <b>it reads better</b>")
    delta.replace(settings.lake, MODEL_VERDICTS, [rejected, by_hand])
    html = page(settings)
    assert "<b>rejected</b>" in html
    assert "From 2024-01-02 on people decide otherwise: by hand: &lt;b&gt;it reads better&lt;/b&gt;" in html


class Fetched(HTMLParser):
    """Addresses that a page asks for or leads to."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name.rpartition(":")[2] in ("src", "href", "srcset")]


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(settings):
    delta.append(settings.lake, IMAGES, [picture(item_id) for item_id in ITEMS])
    folder = settings.landing / "images" / f"arrived_on={MONDAY}"
    folder.mkdir(parents=True)
    for item_id in ITEMS:
        (folder / f"{item_id}.png").write_bytes(png())
    html = page(settings)
    assert "default-src 'none'" in html
    assert "<script" not in html
    fetched = Fetched()
    fetched.feed(html)
    assert any(address.startswith("data:image/png") for address in fetched.addresses)
    assert [address for address in fetched.addresses if not address.startswith(("data:", "#"))] == []


def test_what_a_shop_named_its_items_is_text_and_not_markup(settings):
    named = [item_feature(ITEMS[0], 0, ds=TUESDAY, title="<script>alert(1)</script>")]
    named += [item_feature(item_id, n, ds=TUESDAY) for n, item_id in enumerate(ITEMS) if n]
    delta.overwrite_partition(settings.lake, ITEM_FEATURES, named, TUESDAY)
    html = page(settings)
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_numbers_in_what_a_shop_named_its_categories_move_none(settings):
    named = ["category Area in m²", "category Bolts 10 mm", "category Bolts 9 mm", "category ① first"]
    delta.append(settings.lake, METRICS, [figure("two_tower", 0.1, segment=name) for name in reversed(named)])
    html = page(settings)
    assert sorted(named, key=html.rindex) == named  # in the table, which follows the plot


def test_nothing_that_came_after_the_night_is_on_its_page(settings):
    before = page(settings)
    write_night(settings.lake, WEDNESDAY, lists(40), model_version="m2")
    delta.append(settings.lake, MODEL_VERDICTS, [verdict(ds=WEDNESDAY, effective_from=WEDNESDAY, model_version="m2")])
    delta.append(settings.lake, METRICS, [figure("two_tower", 0.9, ds=WEDNESDAY)])
    delta.append(settings.lake, ARRIVALS, [arrival(arrived_on=WEDNESDAY, lines_read=999, accepted=996)])
    assert page(settings) == before
    assert page(settings, WEDNESDAY) != before


def test_a_night_before_any_model_has_a_page_too(settings):
    for table in (METRICS, MODEL_VERDICTS):
        delta.replace(settings.lake, table, [])
    write_night(settings.lake, TUESDAY, lists(), source="popular", model_version=None)
    html = page(settings)
    assert "No model was in use" in html
    assert "counts on this day" not in html
    assert "No anchor day was decided" in html


def test_a_day_without_lists_has_no_page(settings):
    with pytest.raises(UserError, match="expected recommendations for 2024-01-03, found none; run the night first"):
        page(settings, WEDNESDAY)
    assert not settings.reports.exists()


def test_a_model_that_the_registry_does_not_know_has_no_curves(settings):
    assert "Learning curves" not in page(settings, curves=lambda version: {})


def test_users_of_a_page_have_their_newest_items_first_and_pictures_where_there_are_some(settings):
    history = {"history": [3, 1, 2], "history_days": [1, 2, 3], "history_types": [4, 4, 4]}
    users = [user_feature(user_id, ds=TUESDAY, **history) for user_id in lists()]
    delta.overwrite_partition(settings.lake, USER_FEATURES, users, TUESDAY)
    shown = [picture(ITEMS[2], arrived_on=MONDAY, file="a.png"), picture(ITEMS[1], arrived_on=MONDAY, file="gone.png")]
    delta.append(settings.lake, IMAGES, shown)
    folder = settings.landing / "images" / f"arrived_on={MONDAY}"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png())
    with delta.connect(settings.lake) as lake:
        found = sample_users(lake, TUESDAY, settings.landing)
        assert found == sample_users(lake, TUESDAY, settings.landing)
    assert [row["item_id"] for row in found[0].history] == [ITEMS[2], ITEMS[1], ITEMS[3]]
    first, second, _ = (row["picture"] for row in found[0].history)
    assert first.startswith("data:image/png;base64,iVBOR")
    assert second is None
    assert {user.user_id: tuple(row["item_id"] for row in user.list) for user in found} == lists()
    assert "data:image/png" in page(settings)


BARS = [Bar("two_tower", 0.3, 0.28, 0.32), Bar("<als> & $x$", 0.2, None, None)]
DAYS = (MONDAY - MONDAY.replace(year=1970)) // timedelta(days=1)


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: plots.bars(BARS, "NDCG@10"),
        lambda: plots.bars([Bar("nothing", 0.0, None, None)], "NDCG@10"),
        lambda: plots.segments(["<a>", "b" * 90], {"two_tower": BARS, "als": [None, BARS[0]]}, "NDCG@10"),
        lambda: plots.curves({"two_tower": [(1, 0.2), (2, 0.3)]}, "epoch", "loss"),
        lambda: plots.curves(
            {"two_tower": [(DAYS, 0.2), (DAYS + 7, 0.3)], "als": [(DAYS, 0.1)]}, "day", "x", days=True
        ),
    ],
)
def test_a_plot_is_whole_markup_and_the_same_every_time(drawn):
    assert ET.fromstring(drawn()).tag.endswith("svg")
    assert drawn() == drawn()


def test_the_page_is_written_by_a_command_of_the_training_s_environment(settings, monkeypatch, capsys):
    file = settings.home / "night.html"
    monkeypatch.setenv("RECPIPE_HOME", str(settings.home))
    monkeypatch.setattr(sys, "argv", ["report", "--ds", str(TUESDAY), "--html", str(file)])
    report.main()
    assert "Night of 2024-01-02" in file.read_text()
    monkeypatch.setattr(sys, "argv", ["report", "--ds", "2031-01-01", "--html", str(file)])
    with pytest.raises(SystemExit, match="2"):
        report.main()
    assert capsys.readouterr().err.startswith("recpipe: expected ")
    monkeypatch.setattr(sys, "argv", ["report", "--ds", str(TUESDAY), "--html", "."])
    with pytest.raises(SystemExit, match="2"):
        report.main()
    assert capsys.readouterr().err.startswith("recpipe: expected a file to write, found the folder .")


def test_nobody_is_erased_while_a_page_is_made_which_would_name_the_user_afterwards(settings, monkeypatch):
    def erased_meanwhile(*_, **__):
        with pytest.raises(UserError, match="expected no job under way"):
            forget.erase(settings, next(iter(lists())), WEDNESDAY)
        refused.append(True)
        return quality.quality(settings.lake)

    refused = []
    monkeypatch.setattr(report_module, "quality", erased_meanwhile)
    monkeypatch.setenv("RECPIPE_HOME", str(settings.home))
    monkeypatch.setattr(sys, "argv", ["report", "--ds", str(TUESDAY), "--html", str(settings.home / "night.html")])
    report.main()
    assert refused == [True]
