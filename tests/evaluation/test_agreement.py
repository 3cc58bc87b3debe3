"""Of what compares the metrics with those of peers: whether it sees a difference, and has the cases that show one."""

import numpy as np
import pytest

from recpipe.evaluation.metrics import METRICS
from tests.benchmarks.agreement import compare
from tests.benchmarks.peer_definitions import EXPECTED
from tests.benchmarks.ranking_cases import Cases, corners, drawn_cases

OURS = np.array([0.5, 0.0, np.nan, 1.0])
SHORT = np.array([False, True, False, False])


def fault(theirs: list[float], where=True, mean: float | None = None) -> str:
    return compare(OURS, {"users": theirs, "mean": np.nanmean(theirs) if mean is None else mean}, where).fault


@pytest.fixture(scope="module")
def cases() -> Cases:
    return drawn_cases(seed=0)


def test_the_drawn_cases_have_every_corner(cases):
    counts = {corner: int(of.sum()) for corner, of in corners(cases).items()}
    assert len(counts) == 12
    assert min(counts.values()) >= 10, counts


def test_a_drawn_list_has_an_item_once_and_none_of_the_history(cases):
    for user, row in enumerate(cases.lists.tolist()):
        listed = [item for item in row if item >= 0]
        known = cases.histories.values[slice(*cases.histories.offsets[user : user + 2])].tolist()
        assert row == listed + [-1] * (len(row) - len(listed))
        assert len({*listed, *known}) == len(listed) + len(known)


def test_every_metric_has_a_peer_and_every_difference_a_reason(cases):
    assert {*METRICS, "coverage", "novelty", "diversity", "popularity"} <= set(EXPECTED) <= set(cases.figures())
    for metric, peers in EXPECTED.items():
        assert peers
        for expected in peers.values():
            assert bool(expected.why) is not bool(np.all(expected.where(cases))), metric


def test_equal_values_agree_and_undefined_is_equal_to_undefined_alone():
    assert fault([0.5, 0.0, np.nan, 1.0 + 5e-10]) == ""
    assert fault([0.5, 0.0, 0.0, 1.0]) == "user 2: expected nan, found 0"
    assert fault([0.5, 0.0, np.nan, 1.0 + 5e-9]).startswith("user 3: expected 1, found 1.000000005")


def test_a_difference_is_allowed_where_there_is_a_reason_and_must_be_there():
    assert fault([0.5, 0.7, np.nan, 1.0], ~SHORT) == ""
    assert fault([0.5, 0.7, np.nan, 0.9], ~SHORT) == "user 3: expected 1, found 0.9"
    assert fault(OURS.tolist(), ~SHORT) == "expected a difference, found none"


def test_a_mean_is_over_those_whom_the_peer_counts():
    left_out = [0.5, np.nan, np.nan, 1.0]
    assert fault(left_out, ~SHORT, mean=0.75) == ""
    assert fault(left_out, ~SHORT, mean=0.5) == "mean: expected 0.75, found 0.5"


def test_a_peer_may_tell_a_mean_alone():
    assert compare(OURS, {"mean": 0.5}, True).fault == ""
    assert compare(OURS, {"mean": 0.6}, True).fault == "mean: expected 0.5, found 0.6"
    assert compare(np.array([0.5]), {"mean": 0.6}, False).fault == ""
    assert compare(np.array([0.5]), {"mean": 0.5}, False).fault == "expected a difference, found none"
