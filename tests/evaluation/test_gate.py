"""The gate on simulated users: who gets in, and who does not."""

import numpy as np
import pytest

from recpipe.evaluation.bootstrap import Interval
from recpipe.evaluation.gate import CHAMPION, compared, enough_users, finite, lists_hold, not_below_champion
from recpipe.evaluation.metrics import Lists
from recpipe.settings import GateSettings

SETTINGS = GateSettings()
USERS = 1500
WHOLE = "all"
PLACES = 1 / np.log2(np.arange(10) + 2)


def ndcg(draw, skill: float, users: int = USERS) -> np.ndarray:
    """Of one target a user, which is among the first ten with chance ``skill``."""
    return np.where(draw.random(users) < skill, PLACES[draw.integers(10, size=users)], 0.0)


def paired(draw, skill: float, lead: float, users: int = USERS) -> tuple[np.ndarray, np.ndarray]:
    """A model and one whose NDCG@10 is greater by ``lead`` in the mean: what is hard for one is hard for the other."""
    both = ndcg(draw, skill, users)
    moved = draw.random(users) < 0.2
    one, other = np.where(moved, ndcg(draw, skill, users), both), np.where(moved, ndcg(draw, skill, users), both)
    change = draw.random(users) < abs(lead)
    return (one, np.where(change, 1.0, other)) if lead > 0 else (np.where(change, 1.0, one), other)


def checked(candidate, others, segments=None):
    """Compared as a whole and in ``segments``, which are masks over the users."""
    of = {
        name: {WHOLE: values} | {part: np.where(mask, values, np.nan) for part, mask in (segments or {}).items()}
        for name, values in {"candidate": candidate, **others}.items()
    }
    return compared(of.pop("candidate"), of, WHOLE, SETTINGS, seed=1)


def passes(candidate, baseline, champion=None, segments=None) -> bool:
    others = {"popular": baseline} | ({} if champion is None else {CHAMPION: champion})
    return all(check.passed for check in checked(candidate, others, segments))


def test_a_truly_better_candidate_passes():
    draw = np.random.default_rng(0)
    baseline, candidate = paired(draw, 0.2, 0.05)
    champion, _ = paired(np.random.default_rng(0), 0.2, 0.05)
    assert passes(candidate, baseline)
    assert passes(candidate, baseline, champion)


@pytest.mark.parametrize("skill", [0.2, 0.1])
def test_a_candidate_of_shuffled_labels_or_constant_scores_does_not(skill):
    """Both rank at random, far below what anything learned does."""
    draw = np.random.default_rng(1)
    assert not passes(ndcg(draw, 0.01), ndcg(draw, skill))


def test_a_lead_that_chance_may_have_made_is_none():
    draw = np.random.default_rng(2)
    passed = sum(passes(*paired(draw, 0.2, 0.0)[::-1]) for _ in range(200))
    assert passed <= 10


def test_of_200_candidates_below_the_champion_by_more_than_the_margin_5_percent_pass_at_most():
    draw = np.random.default_rng(3)
    champions, passed = [], 0
    for _ in range(200):
        champion = np.clip(ndcg(draw, 0.3), 0, 1)
        worse = champion * (draw.random(USERS) > SETTINGS.margin)  # each hit lost with the margin's chance
        champions.append((champion.mean() - worse.mean()) / champion.mean())
        passed += not_below_champion(worse, champion, SETTINGS, seed=4).passed
    assert np.mean(champions) == pytest.approx(SETTINGS.margin, rel=0.1)
    assert passed <= 10


def test_a_stale_candidate_that_a_better_champion_has_overtaken_does_not_pass():
    draw = np.random.default_rng(5)
    stale, champion = paired(draw, 0.2, 0.05)
    baseline = ndcg(draw, 0.02)
    assert passes(stale, baseline)
    assert not passes(stale, baseline, champion)


def test_one_broken_segment_is_found_and_named_though_the_mean_has_grown():
    draw = np.random.default_rng(6)
    champion, candidate = paired(draw, 0.3, 0.15)
    few = np.arange(USERS) < 150
    candidate = np.where(few, 0.0, candidate)
    assert candidate.mean() > champion.mean()
    baseline = ndcg(draw, 0.02)
    segments = {"history of 1": few, "others": ~few}
    assert passes(candidate, baseline, champion)
    assert not passes(candidate, baseline, champion, segments)
    *_, said = checked(candidate, {"popular": baseline, CHAMPION: champion}, segments)
    assert said.said.startswith("segments fallen: history of 1 by -")
    assert "others" not in said.said


def test_a_segment_of_few_users_tells_nothing():
    draw = np.random.default_rng(7)
    champion, candidate = paired(draw, 0.3, 0.15)
    few = np.arange(USERS) < SETTINGS.least_users - 1
    assert passes(np.where(few, 0.0, candidate), ndcg(draw, 0.02), champion, {"few": few})


def test_the_best_baseline_counts_and_not_the_first():
    draw = np.random.default_rng(8)
    weak, candidate, strong = ndcg(draw, 0.02), ndcg(draw, 0.1), ndcg(draw, 0.3)
    checks = checked(candidate, {"popular": weak, "item_knn": strong})
    assert not checks[0].passed
    assert f"item_knn {strong.mean():.4f}" in checks[0].said
    assert str(Interval.of(candidate - strong, 1)) in checks[0].said


def test_vectors_that_are_not_finite_are_refused():
    whole = np.ones((3, 2))
    assert finite([whole, whole]).passed
    for broken in (np.nan, np.inf):
        found = finite([whole, np.array([[1.0, broken], [1.0, 1.0]])])
        assert not found.passed
        assert "not finite: 1" in found.said


def test_too_few_users_are_no_ground_for_a_promotion():
    assert not enough_users(29, SETTINGS).passed
    assert enough_users(30, SETTINGS).passed


def lists(users: int = 1000, items: int = 500) -> np.ndarray:
    return np.random.default_rng(9).integers(items, size=(users, 10))


OWNERS = np.arange(500)[::-1]
NOTHING_HAD = Lists.of([[]] * 1000)


def test_lists_of_all_kinds_of_items_for_everybody_hold():
    assert lists_hold(lists(), NOTHING_HAD, OWNERS, SETTINGS).passed


def test_30_percent_of_the_users_missing_are_refused():
    found = lists()
    found[:300] = -1
    assert "users served 0.700 (least 0.95)" in lists_hold(found, NOTHING_HAD, OWNERS, SETTINGS).said
    assert not lists_hold(found, NOTHING_HAD, OWNERS, SETTINGS).passed


def test_half_empty_lists_are_refused():
    found = lists()
    found[:, 4:] = -1
    assert not lists_hold(found, NOTHING_HAD, OWNERS, SETTINGS).passed


def test_the_same_few_most_owned_items_for_everybody_are_refused():
    found = lists() % 5
    assert "share of the most owned hundredth 1.000 (most 0.9)" in lists_hold(found, NOTHING_HAD, OWNERS, SETTINGS).said
    assert not lists_hold(found, NOTHING_HAD, OWNERS, SETTINGS).passed


def test_one_list_for_everybody_covers_too_little():
    same = np.tile(np.arange(40, 50), (1000, 1))
    strict = GateSettings(least_coverage=0.05)
    assert not lists_hold(same, NOTHING_HAD, OWNERS, strict).passed
    assert lists_hold(lists(), NOTHING_HAD, OWNERS, strict).passed


@pytest.mark.parametrize(("users", "items", "had"), [(200, 5, 1), (200, 2, 1), (40, 30_000, 3)])
def test_d10_lists_as_whole_as_a_tiny_or_a_huge_shop_allows_hold(users, items, had):
    """Of different items as many as there are places or items for."""
    length = min(10, items - had)
    whole = np.full((users, 10), -1)
    whole[:, :length] = had + (np.arange(users * length) % (items - had)).reshape(users, length)
    whole[0] = -1  # has all there is
    seen = Lists.of([list(range(items)), *[list(range(had))] * (users - 1)])
    strict = GateSettings(least_served=1, least_fill=1, least_coverage=0.9 if items > users else 0.5)
    check = lists_hold(whole, seen, np.arange(items)[::-1], strict)
    assert check.passed, check.said


def test_d10_lists_that_lack_what_a_small_shop_has_do_not_hold():
    found = np.full((200, 10), -1)
    found[:, 0] = 1
    check = lists_hold(found, Lists.of([[0]] * 200), np.array([5, 4, 3, 2, 1]), SETTINGS)
    assert "list fill 0.250 (least 0.5)" in check.said
    assert not check.passed
