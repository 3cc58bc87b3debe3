"""Every model is judged by the lists that it would serve."""

from datetime import date

import numpy as np

from jobs import train_two_tower
from recpipe.evaluation.baselines import Known
from recpipe.evaluation.gate import CHAMPION
from recpipe.evaluation.metrics import Lists
from recpipe.model.anchors import Plan, Rows, plan_of
from recpipe.model.contest import Contest
from recpipe.model.judgement import MODEL, judge, segments_of
from recpipe.tables import TYPE_CODES
from tests.model.conftest import Interaction, candidate_of, day, planted_chains
from tests.model.small_models import nothing_known, of_strangers


def test_where_the_champion_says_nothing_it_is_judged_by_what_is_popular_now_as_it_would_serve(shop, settings):
    """Users who have but an item that came after the champion, as does what they want: two items that are popular."""
    walks = planted_chains(users=100, items=60, days=30)
    new = [
        Interaction(f"new{user:02}", 60 + (user + later) % 2, when)
        for user in range(40)
        for later, when in enumerate((21, 26))
    ]
    shop.number_items(62)
    shop.anchor([one for one in walks if one.day <= 22] + new[::2], anchor=22, cut=18)
    shop.anchor([*walks, *new], anchor=29, cut=25, before=22)
    train_two_tower.main(day(29), settings(epochs=2))
    champion, candidate = (candidate_of(settings(epochs=2), day(anchor)) for anchor in (22, 29))
    assert {60, 61} <= set(candidate.known) - set(champion.known)
    found = judge(settings(), plan_of(settings(), day(29)), candidate, champion)
    popular, of_champion = (
        {one.segment: one.value for one in found.figures if (one.model, one.metric) == (model, "recall_at_10")}
        for model in ("popular_recent", CHAMPION)
    )
    assert popular["history 1"] > 0.5
    assert of_champion["history 1"] > 0.5
    assert found.of(CHAMPION)["list_fill"] == found.of(MODEL)["list_fill"] == 1


def test_a_user_who_only_viewed_has_a_history_and_what_nobody_had_is_cold(shop, settings):
    """Another viewed one item, and had one longer ago than the model reads."""
    items = np.array([[0, 1, 2], [-1, -1, 1]], np.int32)
    days, types = (np.where(items < 0, 0, value).astype(np.int32) for value in (5, TYPE_CODES["view"]))
    targets = Lists.of([[3], [2]])
    contest = Contest(nothing_known(range(4)), of_strangers(items, days, types), Lists.of([[], [0]]), targets, targets)
    known = Known(items, days, np.zeros_like(items, bool), date(1970, 1, 6), contest.ranked.content.categories)
    segments = segments_of(settings(), Plan(*[Rows(day(0), day(0))] * 5), contest, known)
    assert segments["history 2-4"].tolist() == segments["cold items"].tolist() == [True, True]
