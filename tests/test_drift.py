import math
import random
from datetime import timedelta

import pytest

from recpipe import delta
from recpipe.drift import FEATURES, LEAST_SHARE, OF_A_MODEL, Drift, Figure, bin_ends, drift, psi
from recpipe.settings import DriftSettings
from recpipe.tables import ITEM_EMBEDDINGS, ITEM_FEATURES, RECOMMENDATIONS, USER_EMBEDDINGS
from tests.lakes import empty_lake
from tests.nights import lists, write_lists, write_night
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, item_feature, recommendation

ANY = DriftSettings(least_rows=1)
PRICE = "item_features.price"
CHURN, POPULARITY, SOURCE = "recommendations", "recommendations.popularity", "recommendations.source"
VERSION = "2024-01-01-0123456789ab"


@pytest.fixture
def lake(tmp_path):
    empty_lake(tmp_path)
    return tmp_path


def figures(lake, ds=TUESDAY, settings=ANY, served=None):
    return {figure.name: figure.value for figure in drift(lake, ds, settings, served).figures}


def write_items(lake, ds, column, values):
    rows = [item_feature(f"item {n}", n, ds=ds, **{column: value}) for n, value in enumerate(values)]
    delta.overwrite_partition(lake, ITEM_FEATURES, rows, ds)


def of_items(lake, column, earlier, later):
    """What drifted in a column of item_features, from one night to the next."""
    for ds, values in ((MONDAY, earlier), (TUESDAY, later)):
        write_items(lake, ds, column, values)
        write_lists(lake, ds, {"ann": ["item 0"]})
    return figures(lake)[f"item_features.{column}"]


def write_vectors(lake, ds, length):
    row = {"ds": ds, "embedding": [0.6 * length, 0.8 * length], "model_version": VERSION}
    delta.overwrite_partition(lake, USER_EMBEDDINGS, [row | {"user_id": "ann"}], ds)
    delta.overwrite_partition(lake, ITEM_EMBEDDINGS, [row | {"item_id": "x", "item_index": 0}], ds)


def slow_psi(earlier, later):
    """Value by value, in bins between the deciles of ``earlier``; a decile that comes twice is a bin of its own."""
    ordered = sorted(value for value in earlier if value is not None)
    deciles = [ordered[math.ceil(len(ordered) * tenth / 10) - 1] for tenth in range(1, 10)]

    def bin_of(value):
        if value is None:
            return None
        return sum(decile < value for decile in deciles), value in deciles and deciles.count(value) > 1

    total = 0.0
    for bin_ in {bin_of(value) for value in (*earlier, *later)}:
        p, q = (max(sum(bin_of(v) == bin_ for v in side) / len(side), LEAST_SHARE) for side in (earlier, later))
        total += (q - p) * math.log(q / p)
    return total


def test_the_index_of_two_bins_by_hand():
    assert psi([50, 50], [9, 1]) == pytest.approx(0.4 * math.log(0.9 / 0.5) - 0.4 * math.log(0.1 / 0.5))
    assert psi([50, 50], [9, 1]) == pytest.approx(0.8789, abs=1e-4)


def test_a_bin_that_emptied_counts_as_a_small_share_and_not_as_infinite():
    assert psi([1, 1], [2, 0]) == pytest.approx(0.5 * math.log(2) + (LEAST_SHARE - 0.5) * math.log(LEAST_SHARE / 0.5))


@pytest.mark.parametrize(("earlier", "later"), [([], []), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_the_index_of_an_empty_side_is_unknown(earlier, later):
    assert psi(earlier, later) is None


def test_a_value_on_which_deciles_fall_together_has_a_bin_of_its_own():
    assert bin_ends([1.0, 2.0, 2.0, 2.0, 5.0]) == [1.0, math.nextafter(2.0, 0.0), 2.0, 5.0]
    assert bin_ends([]) == []


@pytest.mark.parametrize("kind", ["continuous", "discrete", "skewed"])
def test_a_column_drifts_as_a_slow_reference_says(lake, kind):
    draw = random.Random(kind)
    made = {
        "continuous": lambda shift: draw.gauss(50 + shift, 10),
        "discrete": lambda shift: float(draw.randint(1, 4) + shift),
        "skewed": lambda shift: float(draw.choice([1] * 6 + [2, 3, 4]) + shift),
    }[kind]
    earlier, later = (
        [None if draw.random() < missing else made(shift) for _ in range(150)]
        for missing, shift in ((0.1, 0), (0.3, 1))
    )
    expected = slow_psi(earlier, later)
    assert expected > 0.1
    assert of_items(lake, "price", earlier, later) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("column", "earlier", "later"),
    [
        ("price", [5.0] * 4, [4.0] * 4),
        ("price", [5.0] * 4, [6.0] * 4),
        ("price", [5.0] * 4, [None] * 4),
        ("price", [None] * 4, [5.0] * 4),
        ("has_image", [True] * 4, [False] * 4),
    ],
)
def test_what_moves_off_a_constant_is_a_shift_whichever_way_it_moves(lake, column, earlier, later):
    whole = (1 - LEAST_SHARE) * math.log(1 / LEAST_SHARE) * 2
    assert of_items(lake, column, earlier, later) == pytest.approx(whole)


def test_nights_alike_have_not_drifted(lake):
    for ds in (MONDAY, TUESDAY):
        write_night(lake, ds, lists())
        write_vectors(lake, ds, 2)
    found = figures(lake)
    assert set(found) == {*FEATURES, *OF_A_MODEL, CHURN, POPULARITY, SOURCE}
    days_ago = found.pop("user_features.last_on (days ago)")  # the day after, everybody's last day is one day older
    assert days_ago > 1
    assert found == dict.fromkeys(found, 0.0)


def test_nothing_is_told_of_tables_that_are_empty(lake):
    for ds in (MONDAY, TUESDAY):
        delta.overwrite_partition(lake, RECOMMENDATIONS, [recommendation("ann", 1, "x", ds=ds)], ds)
    told = {name for name, value in figures(lake).items() if value is not None}
    assert told == {"recommendations.score", "recommendations.score (rank 1)", CHURN, SOURCE}


def test_nothing_is_told_of_fewer_rows_than_are_enough(lake):
    for ds in (MONDAY, TUESDAY):
        write_night(lake, ds, lists())
    assert set(figures(lake, settings=DriftSettings(least_rows=101)).values()) == {None}
    found = figures(lake, settings=DriftSettings(least_rows=100))
    assert {name for name, value in found.items() if value is not None} == {n for n in FEATURES if "item" in n}


def test_a_first_night_has_nothing_to_be_compared_with(lake):
    write_night(lake, MONDAY, lists())
    write_night(lake, TUESDAY, lists())
    assert drift(lake, MONDAY, ANY) == Drift(None)


def test_only_the_last_earlier_night_is_read(lake):
    write_night(lake, MONDAY, lists())
    write_night(lake, TUESDAY, lists())
    before = figures(lake)
    for other in (MONDAY - timedelta(days=1), WEDNESDAY):
        write_night(lake, other, lists(first=60), source="popular")
        write_items(lake, other, "price", [99.0] * 50)
    assert drift(lake, TUESDAY, ANY).compared_with == MONDAY
    assert figures(lake) == before


def test_the_served_night_is_compared_with_if_it_is_an_earlier_one(lake):
    write_night(lake, MONDAY, lists())
    write_night(lake, TUESDAY, lists(first=20))
    write_night(lake, WEDNESDAY, lists(first=20))
    found = drift(lake, WEDNESDAY, ANY, served=MONDAY)
    assert (found.compared_with, figures(lake, WEDNESDAY, served=MONDAY)[CHURN]) == (MONDAY, 1.0)
    for served in (WEDNESDAY, WEDNESDAY + timedelta(days=1), MONDAY - timedelta(days=1)):
        assert drift(lake, WEDNESDAY, ANY, served).compared_with == TUESDAY


def test_a_night_too_long_ago_is_not_compared_with(lake):
    write_night(lake, MONDAY, lists())
    for days, expected in ((9, None), (10, MONDAY)):
        settings = DriftSettings(compared_days=days)
        assert drift(lake, MONDAY + timedelta(days=10), settings).compared_with == expected


def test_the_served_night_is_compared_with_however_old_it_is(lake):
    """Else a night that was stopped, and is like those after it, would let them pass."""
    write_night(lake, MONDAY, lists())
    for later in (9, 10):
        write_night(lake, MONDAY + timedelta(days=later), lists(first=20))
    found = drift(lake, MONDAY + timedelta(days=10), DriftSettings(compared_days=2), served=MONDAY)
    assert found.compared_with == MONDAY


def test_churn_is_the_share_of_new_items_in_a_users_list(lake):
    monday = {"ann": "abcd", "bob": "ab", "cid": "ab", "": "xyz"}
    write_lists(lake, MONDAY, monday)
    write_lists(lake, TUESDAY, {"ann": "dxyc", "bob": "abcd", "dan": "ab", "": "uvw"})
    assert figures(lake)[CHURN] == (2 / 4 + 2 / 4) / 2  # the others have no list in both, or are strangers


def test_popularity_shifts_by_the_ratio_of_the_items_shares_of_interactions(lake):
    for ds, counts in ((MONDAY, [6, 3, 1]), (TUESDAY, [60, 30, 10])):
        write_items(lake, ds, "popularity", counts)
        write_lists(lake, ds, {"ann": ["item 0", "item 1"]})
    assert figures(lake)[POPULARITY] == pytest.approx(0.0)  # all grew alike
    write_lists(lake, TUESDAY, {"ann": ["item 1"], "": ["item 0"]})
    assert figures(lake)[POPULARITY] == pytest.approx(0.45 / 0.3 - 1)
    write_lists(lake, MONDAY, {"ann": ["item 1"]})
    write_lists(lake, TUESDAY, {"ann": ["item 0", "item 1"]})
    assert figures(lake)[POPULARITY] == pytest.approx(0.45 / 0.3 - 1)  # the other way


def test_nothing_is_told_of_popularity_that_nothing_has(lake):
    for ds in (MONDAY, TUESDAY):
        write_items(lake, ds, "popularity", [0, 0])
        write_lists(lake, ds, {"ann": ["item 0"]})
    assert figures(lake)[POPULARITY] is None


def test_the_sources_shift_is_the_share_of_places_that_another_one_fills(lake):
    sources = {MONDAY: ["two_tower"] * 4, TUESDAY: ["two_tower", "popular", "popular", "popular"]}
    for ds, of_ranks in sources.items():
        rows = [recommendation("ann", n, str(n), ds=ds, source=of_ranks[n - 1]) for n in range(1, 5)]
        rows += [recommendation("", 1, "a", ds=ds, source="popular")]  # strangers' list, which always is
        delta.overwrite_partition(lake, RECOMMENDATIONS, rows, ds)
    assert figures(lake)[SOURCE] == 0.75


def test_scores_and_vectors_are_compared_where_one_model_made_both_nights(lake):
    for ds, length in ((MONDAY, 1), (TUESDAY, 2)):
        write_vectors(lake, ds, length)
        write_lists(lake, ds, {"ann": "ab"}, score=float(length))
    assert all(figures(lake)[name] > 1 for name in OF_A_MODEL)
    write_lists(lake, TUESDAY, {"ann": "ab"}, score=2.0, model_version="2024-01-02-0123456789ab")
    assert {figures(lake)[name] for name in OF_A_MODEL} == {None}


def test_rounding_errors_of_vectors_all_of_one_length_are_no_drift(lake):
    for ds, length in ((MONDAY, 20), (TUESDAY, 20.000002)):
        write_vectors(lake, ds, length)
        write_lists(lake, ds, {"ann": "a"})
    assert figures(lake)["user_embeddings (norm)"] == 0


def test_popular_items_scores_are_counts_and_left_out(lake):
    for ds, score in ((MONDAY, 1.0), (TUESDAY, 99.0)):
        rows = [recommendation("ann", 1, "a", ds=ds)]
        rows += [recommendation("ann", 2, "b", ds=ds, source="popular", model_version=None, score=score)]
        delta.overwrite_partition(lake, RECOMMENDATIONS, rows, ds)
    assert figures(lake)["recommendations.score"] == 0


@pytest.mark.parametrize(
    ("value", "stops_from", "level"),
    [
        (None, 0.3, ""),
        (0.19, 0.3, ""),
        (0.2, 0.3, "warns"),
        (0.3, 0.3, "stops"),
        (9.0, None, "warns"),
        (0.15, 0.1, "stops"),
    ],
)
def test_a_level_is_reached_by_the_value_itself(value, stops_from, level):
    assert Figure(PRICE, "PSI", value, warns_from=0.2, stops_from=stops_from).level == level


def test_warnings_and_stops_tell_what_how_much_since_when_and_the_limit(lake):
    write_night(lake, MONDAY, lists())
    write_night(lake, TUESDAY, lists(first=1))
    found = drift(lake, TUESDAY, DriftSettings(least_rows=1, popularity_warns_from=0.01, churn_stops_from=0.25))
    assert found.stops == (f"churn of recommendations since {MONDAY}: 0.500 (stops from 0.25)",)
    [of_popularity] = [said for said in found.warnings if "popularity" in said]
    assert of_popularity == f"shift of recommendations.popularity since {MONDAY}: 0.011 (warns from 0.01)"
    assert drift(lake, TUESDAY, DriftSettings(least_rows=1)).stops == ()
