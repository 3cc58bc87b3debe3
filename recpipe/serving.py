"""Which day's lists are served: the newest, unless people withdrew it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.guardrails import require_guardrails
from recpipe.reader import served_day
from recpipe.settings import Settings
from recpipe.tables import LIST_ROLLBACKS, RECOMMENDATIONS, RECOMMENDATIONS_CURRENT


@dataclass(frozen=True)
class Served:
    """What is up, and the newest day that people withdrew while nothing newer is up."""

    ds: date | None
    withdrawn: date | None = None

    def why_not(self, ds: date) -> str | None:
        """Why the lists of ``ds`` are not to be put up; None when they are. Those that are up may be put up again."""
        if self.ds is None or ds == self.ds:
            return None
        if self.withdrawn and ds <= self.withdrawn:
            return (
                f"{ds} is not newer than {self.withdrawn}, whose lists were withdrawn; {self.ds} is served until a "
                "newer day is, or `recpipe rollback --unpin`"
            )
        return f"{self.ds} is served and newer than {ds}" if ds < self.ds else None


def served(root: Path) -> Served:
    with delta.connect(root, [RECOMMENDATIONS_CURRENT, LIST_ROLLBACKS]) as lake:
        ds = served_day(lake)
        last = lake.sql("select withdrawn from list_rollbacks order by sequence desc limit 1").fetchall()
    withdrawn = last[0][0] if last else None
    return Served(ds, withdrawn if ds and withdrawn and ds <= withdrawn else None)


@contextmanager
def serving(root: Path) -> Iterator[Served]:
    """What is up, which nobody else changes meanwhile."""
    with delta.table_lock(root, RECOMMENDATIONS_CURRENT):
        yield served(root)


def no_lists(ds: date) -> UserError:
    return UserError(f"expected recommendations for {ds}, found none; run recommend_top_k for that day first")


def put_up(root: Path, ds: date) -> int:
    """Serve the lists of ``ds``, in one commit. Gives the version of `recommendations_current`.

    Raises:
        UserError: the day has none.
    """
    with delta.connect(root, [RECOMMENDATIONS]) as lake:
        lists = lake.sql("select * from recommendations where ds = $ds order by user_id, rank", params={"ds": ds})
        if not lists.limit(1).fetchall():
            raise no_lists(ds)
        return delta.replace(root, RECOMMENDATIONS_CURRENT, lists)


def withdraw_lists(settings: Settings, ds: date, reason: str) -> Served:
    """Serve an older day's lists, and no others until a newer day than those withdrawn is published.

    Raises:
        UserError: nothing newer than ``ds`` is served, or its lists are not there or break a guardrail.
    """
    root = settings.lake
    with serving(root) as now:
        if now.ds is None or now.ds <= ds:
            raise UserError(f"expected a day before the served one, found {ds}; served is {now.ds or 'nothing'}")
        if ds not in delta.days(root, RECOMMENDATIONS):
            raise UserError(
                f"expected a day that has recommendations, found {ds} without; `recpipe status` shows what ran"
            )
        require_guardrails(root, ds, settings.k, settings.gate)
        # The pin first: stopped between the two, the same command once more does the rest.
        _record(root, ds, now.withdrawn or now.ds, reason)
        put_up(root, ds)
        return served(root)


def unpin(settings: Settings, reason: str) -> Served:
    """Serve again what was withdrawn, as its day's lists are by now.

    Raises:
        UserError: nothing is pinned, or the lists break a guardrail: nobody asked when they were made again.
    """
    root = settings.lake
    with serving(root) as now:
        if now.withdrawn is None:
            raise UserError(f"expected lists that are pinned, found none; {now.ds or 'nothing'} is served")
        require_guardrails(root, now.withdrawn, settings.k, settings.gate)
        put_up(root, now.withdrawn)
        _record(root, now.withdrawn, None, reason)
        return served(root)


def _record(root: Path, ds: date, withdrawn: date | None, reason: str) -> None:
    with delta.connect(root, [LIST_ROLLBACKS]) as lake:
        [(last,)] = lake.sql("select coalesce(max(sequence), 0) from list_rollbacks").fetchall()
    delta.append(root, LIST_ROLLBACKS, [{"ds": ds, "sequence": last + 1, "withdrawn": withdrawn, "reason": reason}])
