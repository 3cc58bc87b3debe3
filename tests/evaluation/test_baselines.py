from datetime import date, timedelta

import numpy as np

from recpipe.evaluation.baselines import EPOCH, popular_all_time, popular_recent

UNTIL = date(2024, 3, 31)


def days_before(*days: int) -> np.ndarray:
    return np.array([(UNTIL - timedelta(days=number) - EPOCH).days for number in days])


def test_all_time_counts_every_interaction_and_no_padding():
    items = np.array([[-1, 0, 2], [3, 2, 2]])  # 3 is the padding of three candidates
    assert popular_all_time(items, 3).tolist() == [1, 0, 3]


def test_recent_counts_the_last_thirty_days_only():
    items = np.array([0, 0, 1, 1])
    days = days_before(30, 29, 0, 31)
    assert popular_recent(items, days, 2, UNTIL).tolist() == [1, 1]
