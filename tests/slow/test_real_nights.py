"""Three nights of real reviews through a real Airflow; see `tests/end_to_end/test_real_reviews.py`."""

import pytest

from tests.end_to_end.test_real_reviews import (  # noqa: F401 - the tests, and the shop that they look at
    shop,
    test_a_query_answers_from_the_served_day,
    test_airflow_ran_each_night_once_and_the_last_one_first,
    test_every_known_user_has_a_full_list_or_a_stated_shortfall,
    test_every_line_that_arrived_is_accepted_rejected_or_a_duplicate,
    test_nothing_runs_on_after_the_backfill,
)


@pytest.fixture(scope="module")
def nights() -> list[str]:
    return ["2018-04-10", "2018-04-11", "2018-04-12"]
