"""Anchor days, on which a model is trained: which they are, which lack examples, where to cut. No Spark."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.tables import ARRIVALS, MODEL_VERDICTS, TRAINING_EXAMPLES


class Known(NamedTuple):
    """What had been taken in by the end of a day."""

    first_arrival: date
    reviews: int
    events: int
    arrived: int  # lines accepted on the day itself


def require_known(root: Path, ds: date) -> Known:
    """Raises:
    UserError: arrivals up to ``ds`` are not taken in yet, or held neither a review nor an event.
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
    if not reviews + events:
        raise UserError(
            f"expected reviews or events in the arrivals up to {ds}, found none; land some, or name a later day"
        )
    return Known(first, int(reviews), int(events), int(arrived))


def anchor_days(first_arrival: date, ds: date, every_days: int) -> list[date]:
    """The first arrival and every ``every_days``-th day after it, up to ``ds``."""
    return [first_arrival + timedelta(days=days) for days in range(0, (ds - first_arrival).days + 1, every_days)]


def without_examples(root: Path, anchors: list[date]) -> list[date]:
    """The anchors that have neither training examples nor a verdict, which ends the need for them."""
    found = delta.days(root, TRAINING_EXAMPLES) | delta.days(root, MODEL_VERDICTS)
    return [anchor for anchor in anchors if anchor not in found]


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
