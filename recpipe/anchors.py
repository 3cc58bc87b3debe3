"""Anchor days, on which a model is trained: which they are, which lack examples, where to cut. No Spark."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.tables import ARRIVALS, EVENTS, MODEL_VERDICTS, REVIEWS


class Known(NamedTuple):
    """What had been taken in by the end of a day."""

    first_arrival: date
    reviews: int
    events: int
    arrived: int  # lines accepted on the day itself


def require_known(root: Path, ds: date) -> Known:
    """Raises:
    UserError: arrivals up to ``ds`` are not taken in yet, or held no review or event of a user who is not erased.
    """
    with delta.connect(root, [ARRIVALS]) as lake:
        first, is_sealed, reviews, events, arrived = lake.execute(
            "select min(arrived_on), bool_or(arrived_on = $ds), "
            "coalesce(sum(accepted) filter (kind = 'reviews'), 0), "
            "coalesce(sum(accepted) filter (kind = 'events'), 0), "
            "sum(accepted) filter (arrived_on = $ds) from arrivals where arrived_on <= $ds",
            {"ds": ds},
        ).fetchone()
    if not is_sealed:
        raise UserError(f"expected {ds} to be taken in, found its arrivals not sealed; run ingest_reviews for {ds}")
    if ds < (first_known(root) or date.max):
        raise UserError(
            f"expected reviews or events, of users who are not erased, in the arrivals up to {ds}, found none; "
            "land some, or name a later day"
        )
    return Known(first, int(reviews), int(events), int(arrived))


def first_known(root: Path) -> date | None:
    """The first day on which a review or an event of a user arrived who is not erased. Up to it nothing is known that
    lists could be made of."""
    for day in sorted(delta.days(root, REVIEWS) | delta.days(root, EVENTS)):
        with delta.connect(root, [REVIEWS, EVENTS], between=(day, day)) as lake:
            if lake.sql("select user_id from reviews union all select user_id from events limit 1").fetchall():
                return day
    return None


def anchor_days(first_arrival: date, ds: date, every_days: int) -> list[date]:
    """The first arrival and every ``every_days``-th day after it, up to ``ds``."""
    return [first_arrival + timedelta(days=days) for days in range(0, (ds - first_arrival).days + 1, every_days)]


def with_previous(anchors: Sequence[date]) -> list[tuple[date | None, date]]:
    """Each anchor with the one before it, which the first has none of. ``anchors`` are all from the first on."""
    return list(pairwise([None, *anchors]))


def without_examples(
    root: Path, anchors: Sequence[date], is_as_now: Callable[[date], bool]
) -> list[tuple[date | None, date]]:
    """The anchors, ascending and each with the one before it, that need training examples and have none, or some that
    other code or settings made, or with users who were erased since: ``is_as_now`` tells which have them as they should
    be, if only none since nobody did anything yet.

    Those that need them are the undecided ones and, since the candidate of one is trained on the examples of the one
    before, that one too, though it be decided.
    """
    decided, pairs = delta.days(root, MODEL_VERDICTS), with_previous(anchors)
    needed = {day for pair in pairs if pair[1] not in decided for day in pair}
    return [pair for pair in pairs if pair[1] in needed and not is_as_now(pair[1])]


def cut_days(interactions_a_day: Mapping[date, int], share: float, count: int) -> list[date]:
    """Up to ``count`` cuts, the latest first: each is the `cut_day` of what lies up to the one before it."""
    cuts, left = [], dict(interactions_a_day)
    while len(cuts) < count and (cut := cut_day(left, share)):
        cuts.append(cut)
        left = {day: interactions for day, interactions in left.items() if day <= cut}
    return cuts


def cut_day(interactions_a_day: Mapping[date, int], share: float) -> date | None:
    """The latest day after which at least ``share`` of the interactions lie.

    None when no interaction lies up to that day: on one day alone there is no past to learn from.
    """
    total, after = sum(interactions_a_day.values()), 0
    for day in sorted(interactions_a_day, reverse=True):
        after += interactions_a_day[day]
        if after >= share * total:
            return day - timedelta(days=1) if after < total else None
    return None
