"""Behaviour events with the tastes of the reviews: before a user reviews an item, there were views, a cart, a purchase.

They are in no shop's own format: columns with names of our choice, and the mapping that recpipe reads them by.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from recpipe.sample.shop import Review, Sample, Thing, chains_of
from recpipe.sample.writers import (
    CSV,
    JSON,
    PARQUET,
    Line,
    Writer,
    csv_encode,
    csv_line,
    json_line,
    milliseconds,
    roles,
    seconds,
)

SOURCE = "sample-events"
"""Name of the mapping."""

_COLUMNS = ("event_time", "kind", "product", "buyer", "channel")
_UNITS = {"csv": "s", "jsonl": "ms", "parquet": "ms"}


class Event(NamedTuple):
    user: int  # from 0
    thing: Thing
    event_type: str  # one of tables.EVENT_TYPES
    moment: datetime


def events_of(
    rng: random.Random, sample: Sample, things: list[Thing], reviews: Mapping[date, list[Review]], late_share: float
) -> tuple[dict[date, list[Event]], dict[date, int]]:
    """Events by day of arrival, and how many of them come late.

    Of what was bought one to three views, mostly a cart, and the purchase, all on the day of the review; and a look at
    what comes next in the chain.
    """
    chains = {chain[0].taste: chain for chain in chains_of(things)}
    first, last = sample.arrivals[0], sample.last_day
    arriving: dict[date, list[Event]] = {day: [] for day in sample.arrivals}
    late, seen = dict.fromkeys(sample.arrivals, 0), set[Event]()
    for review in (review for day in sorted(reviews) for review in reviews[day]):
        for event in _before(rng, review, chains[review.thing.taste]):
            if event in seen:
                continue
            seen.add(event)
            day = max(first, event.moment.date())
            if first < day < last and rng.random() < late_share:
                day = min(last, day + timedelta(days=rng.choice((1, 2))))
                late[day] += 1
            arriving[day].append(event)
    return arriving, late


def _before(rng: random.Random, review: Review, chain: list[Thing]) -> list[Event]:
    start = datetime.combine(review.moment.date(), datetime.min.time(), UTC)
    # Whole seconds of the review's own day; a day's first event is at midnight.
    until = int((review.moment - start).total_seconds())
    at = [start + timedelta(seconds=rng.randint(0, until)) for _ in range(rng.randint(1, 3))]
    events = [Event(review.user, review.thing, "view", moment) for moment in at]
    if rng.random() < 0.8:
        events.append(Event(review.user, review.thing, "cart", max(at)))
    events.append(Event(review.user, review.thing, "purchase", start + timedelta(seconds=until)))
    if rng.random() < 0.5:
        following = chain[(chain.index(review.thing) + rng.randint(1, 3)) % len(chain)]
        if following.launched_on <= start.date() and following is not review.thing:
            events.append(Event(review.user, following, "view", max(at)))
    return events


def _fields(event: Event, when: Callable[[datetime], int]) -> Line:
    values = (when(event.moment), event.event_type, event.thing.item_id, f"U{event.user:05d}", "web")
    return dict(zip(_COLUMNS, values, strict=True))


def _seconds_line(event: Event) -> Line:
    return _fields(event, seconds)


def _milliseconds_line(event: Event) -> Line:
    return _fields(event, milliseconds)


_ROLES = roles(user="buyer", item="product", date="event_time", event_type="kind", text="channel")
_PARQUET_ROLES = {role: names for role, names in _ROLES.items() if role != "text"}
WRITERS = {
    "csv": Writer(
        SOURCE, "events", "events.csv.gz", _seconds_line, CSV, csv_encode(), _ROLES, seconds, csv_line(_COLUMNS)
    ),
    "jsonl": Writer(SOURCE, "events", "events.jsonl", _milliseconds_line, JSON, json_line, _ROLES, milliseconds),
    "parquet": Writer(
        SOURCE, "events", "events.parquet", _milliseconds_line, PARQUET, json_line, _PARQUET_ROLES, milliseconds
    ),
}


def mapping(file: str) -> str:
    """The part of settings.toml by which recpipe reads the events of ``file``, one of `WRITERS`."""
    return (
        f'[sources.{SOURCE}]\nkind = "events"\nfile = "{file}"\nuser_id = "buyer"\nitem_id = "product"\n'
        f'event_type = "kind"\noccurred_at = "event_time"\ntime_unit = "{_UNITS[file]}"\n'
    )
