"""Four nights give the same rows in whatever order they run, again, and two at a time. Prints the digest of each table.

Run by `make test-slow`: twenty nights, two shops at a time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pytest

from recpipe.processes import members
from tests.end_to_end.shop import Digests, Shop
from tests.slow.shops import DAY_TO_COME, DAYS, SETTINGS, differing, land_day_to_come, new_shop, row_of

FIRST, SECOND, THIRD, FOURTH = DAYS
Order = Sequence[Sequence[date]]
"""Nights that run at once, group after group."""

FORWARD: Order = [[day] for day in DAYS]
ORDERS: Mapping[str, Order] = {
    "backwards": FORWARD[::-1],
    "shuffled": [[THIRD], [FIRST], [FOURTH], [SECOND]],
    "two at once": [[THIRD, THIRD], [FOURTH, SECOND], [FIRST, FIRST]],
}
ELSEWHERE = {
    "TZ": "America/Los_Angeles",
    "PYTHONHASHSEED": "7",
    "RECPIPE_SPARK__MASTER": "local[3]",
    "RECPIPE_SPARK__SHUFFLE_PARTITIONS": "7",
}
"""Of the shuffled shop: another zone, hash seed, number of threads and of parts of a shuffle."""


@dataclass(frozen=True)
class Found:
    shop: Shop
    forward: Digests
    by_order: Mapping[str, Future[Digests]]
    contents: Sequence[Mapping[date, Sequence[str]]]  # of files: after the nights, after a day to come


def run(shop: Shop, order: Order) -> Digests:
    for group in order:
        shop.nights_at_once(group)
    return shop.digests()


def contents(shop: Shop, day: date) -> list[str]:
    """A hash of every data file of the day, in order."""
    return sorted(hashlib.sha256(found).hexdigest() for found in shop.files(day).values())


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Found:
    root = tmp_path_factory.mktemp("orders")
    shop = new_shop(root / "forward")
    others = {name: new_shop(root / name.replace(" ", "_"), shop.home) for name in ORDERS}
    others["shuffled"] = Shop(others["shuffled"].home, (*SETTINGS, *ELSEWHERE.items()))
    land_day_to_come(others["shuffled"].home)
    with ThreadPoolExecutor(max_workers=2) as two_at_a_time:
        forward = two_at_a_time.submit(run, shop, FORWARD)
        by_order = {name: two_at_a_time.submit(run, others[name], order) for name, order in ORDERS.items()}
        forward = forward.result()
        by_order["run again"] = two_at_a_time.submit(run, shop, [[SECOND]])
        again = by_order["run again"].result()
        files = [{day: contents(shop, day) for day in DAYS}]
        land_day_to_come(shop.home)
        two_at_a_time.submit(run, shop, [[DAY_TO_COME]]).result()
        files.append({day: contents(shop, day) for day in DAYS})
        by_order["after a day to come"] = two_at_a_time.submit(run_again_after_it, shop, again)
    return Found(shop, forward, by_order, files)


def run_again_after_it(shop: Shop, before: Digests) -> Digests:
    return without_to_come(run(shop, [[FOURTH]]), before)


def without_to_come(digests: Digests, before: Digests) -> Digests:
    """Without the rows of the day to come; what is served is that day's, so that table is as it was ``before``."""
    kept = {name: {day: rows for day, rows in days.items() if day <= str(FOURTH)} for name, days in digests.items()}
    return kept | {"recommendations_current": before["recommendations_current"]}


def test_every_table_has_rows_to_compare(found):
    assert [name for name, days in found.forward.items() if not days] == []
    assert len(found.forward["recommendations"]) == len(DAYS)
    assert found.shop.rows("select count(*) > 0 from model_verdicts where verdict = 'promoted'") == [(True,)]


@pytest.mark.parametrize("order", ["run again", "after a day to come", *ORDERS])
def test_rows_are_those_of_the_forward_run(found, order):
    assert differing(found.forward, found.by_order[order].result()) == []


def test_c06_a_day_to_come_changes_no_byte_of_the_files_of_the_days_before(found):
    after_nights, after_a_day_to_come = found.contents
    assert min(len(files) for files in after_nights.values()) > 5
    # A file that is written again holds the same rows, but not the same bytes: a JVM names the encodings of a column in
    # an order of its own.
    assert after_a_day_to_come == after_nights


def test_nothing_is_left_behind(found):
    for home in found.shop.home.parent.iterdir():
        assert members([], f"RECPIPE_HOME={home}") == []
        assert not (home / "lake" / ".staging").exists()


def test_the_digests_for_the_eye(found, capsys):
    columns = {"forward": found.forward}
    columns |= {name: run.result() for name, run in found.by_order.items() if not run.exception()}
    with capsys.disabled():
        print("\n{:24} {:>6} ".format("table", "rows") + " ".join(f"{name:>22}" for name in columns))
        for name in found.forward:
            rows = [row_of(name, digests) for digests in columns.values()]
            print(f"{name:24} {rows[0][0]:>6} " + " ".join(f"{digest:>22}" for _, digest in rows))
