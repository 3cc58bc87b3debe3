"""Four days through a real Airflow scheduler, forward and, on a wiped lake and registry, backwards: the same rows.

`make check-backfill` prints one line a table and order, and exits 0 only when all are equal.
"""

import sys
import tempfile
from pathlib import Path

from tests.end_to_end.shop import Digests, Shop
from tests.slow.shops import DAYS, differing, new_shop, row_of

ORDERS = {"forward": (), "backwards": ("--backwards",)}


def backfilled(shop: Shop, *options: str) -> Digests:
    """Digests after a backfill of all days by the Airflow that is up.

    Raises:
        AssertionError: a day failed, or the days did not run in the wanted order.
    """
    print(shop.recpipe("backfill", "--from", str(DAYS[0]), "--to", str(DAYS[-1]), *options), flush=True)
    ran = [day for (day,) in shop.rows("select ds from runs where job = 'ingest_reviews' order by started_at")]
    wanted = list(DAYS[::-1] if options else DAYS)
    assert ran == wanted, f"expected the days in the order {wanted}, found {ran}"
    return shop.digests()


def check(folder: Path) -> int:
    """The exit code: 0 when every table has the same rows in both orders."""
    shop = new_shop(folder)
    found: dict[str, Digests] = {}
    shop.recpipe("up", "--until", str(DAYS[-1]))
    try:
        for order, options in ORDERS.items():
            shop.wipe()
            found[order] = backfilled(shop, *options)
    finally:
        shop.recpipe("down")
    return report(found)


def report(found: dict[str, Digests]) -> int:
    forward, different = found["forward"], set()
    for order, digests in found.items():
        different |= set(differing(forward, digests))
        for table in forward:
            rows, digest = row_of(table, digests)
            verdict = "equal" if digests[table] == forward[table] else "DIFFERENT"
            print(f"{table:24} {order:10} {rows:>7} rows  {digest}  {verdict}")
    empty = [table for table, days in forward.items() if not days]
    print(f"{len(forward) - len(different)} of {len(forward)} tables equal in both orders{_said(different, empty)}")
    return 1 if different else 0


def _said(different: set[str], empty: list[str]) -> str:
    said = f"; not so: {', '.join(sorted(different))}" if different else ""
    return said + (f"; nothing to compare in {', '.join(empty)}" if empty else "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        sys.exit(check(Path(home)))
