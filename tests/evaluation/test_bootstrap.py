import math

import numpy as np
import pytest

from recpipe.evaluation.bootstrap import Interval


def plain(values, draws, seed):
    """The same by drawing users."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    return np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])


def test_the_interval_is_that_of_drawing_users_with_replacement():
    values = np.random.default_rng(0).choice([-0.5, 0, 0, 0, 0.3, 1], size=300)
    found = Interval.of(values, seed=1, draws=20_000)
    np.testing.assert_allclose([found.lower, found.upper], plain(values, 20_000, 2), atol=0.003)
    assert found.mean == pytest.approx(values.mean())


def test_19_of_20_intervals_hold_the_true_mean():
    draw = np.random.default_rng(3)
    held = 0
    for trial in range(400):
        values = draw.choice([-1, 0, 1], size=200, p=[0.2, 0.5, 0.3])
        interval = Interval.of(values, seed=trial)
        held += interval.lower <= 0.1 <= interval.upper
    assert 0.92 < held / 400 < 0.98


def test_one_seed_gives_one_interval_in_whatever_order_the_users_stand():
    values = np.random.default_rng(0).random(500)
    assert Interval.of(values, seed=4) == Interval.of(values[::-1], seed=4)
    assert Interval.of(values, seed=4).lower != Interval.of(values, seed=5).lower


def test_users_without_targets_count_as_none():
    with_nan = Interval.of(np.array([np.nan, 1.0, 0.0, np.nan]), seed=0)
    assert with_nan == Interval.of(np.array([1.0, 0.0]), seed=0)
    nobody = Interval.of(np.array([np.nan]), seed=0)
    assert math.isnan(nobody.mean)
    assert math.isnan(nobody.lower)


@pytest.mark.parametrize("users", [30, 1000])
def test_as_few_wins_as_chance_gives_one_model_in_sixteen_times_are_no_lead(users):
    values = np.zeros(users)
    values[:4] = 1
    assert Interval.of(values, seed=0).lower == 0  # 1 in 16
    values[:8] = 1
    assert Interval.of(values, seed=0).lower > 0  # 1 in 256


@pytest.mark.parametrize(("users", "hit_rate"), [(30, 0.1), (60, 0.05), (300, 0.02)])
def test_of_equally_good_models_few_seem_better_where_few_users_differ(users, hit_rate):
    draw = np.random.default_rng(5)
    hits = draw.random((2, 1000, users)) < hit_rate
    one, other = np.where(hits, 1 / np.log2(draw.integers(2, 12, hits.shape)), 0)
    better = sum(Interval.of(values, seed=trial, draws=1000).lower > 0 for trial, values in enumerate(one - other))
    assert better / 1000 < 0.025
