"""A made-up shop: seeded Amazon-2023 JSON lines in the landing folder, with planted tastes and known faults.

Items fall into tastes, and inside a taste they form a chain. A user has a main taste and one on the side, and mostly
buys a few steps further along the chain. So what a user bought last tells what comes next, which a model of sequences
can learn and popularity cannot know.
"""

import gzip
import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from recpipe.errors import UserError
from recpipe.landing import Choice, land
from recpipe.sample_words import DEPARTMENTS, OPINIONS, SHOPS, STYLES

HISTORY = timedelta(days=730)
"""Of reviews before the first arrival."""

NEW_USERS, NEW_ITEMS = 4, 2
"""That appear on each day after the first arrival."""

FAULTS = {"late": 0.01, "edited": 0.006, "twice": 0.004, "bad": 0.003}
"""Shares of an arrival's reviews: a day or two late; changed since they arrived before; there twice; broken."""

_SIDE, _TREND, _STEP = 0.2, 0.12, 0.75
"""Chances of a purchase: in the side taste; outside all tastes; a step along the chain, not anywhere in the taste."""

_STARS = (4, 5, 12, 27, 52)  # weights of 1 to 5

Line = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """How large the shop is. Equal samples give equal bytes."""

    users: int = 2000
    items: int = 1000
    days: int = 10  # of arrivals
    last_day: date = date(2024, 3, 10)
    seed: int = 7

    @property
    def arrivals(self) -> list[date]:
        return [self.last_day - timedelta(days=n) for n in reversed(range(self.days))]


@dataclass
class Planted:
    """What was written: lines by day of arrival, and how often each of `FAULTS` is in them."""

    review_lines: Counter[date] = field(default_factory=Counter)
    item_lines: Counter[date] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        days = sorted(self.review_lines)
        faults = ", ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items()))
        return (
            f"{self.review_lines.total():,} lines of reviews and {self.item_lines.total():,} of items, arriving "
            f"{days[0]} to {days[-1]}; among them {faults}"
        )


@dataclass(frozen=True)
class Thing:
    """An item for sale."""

    item_id: str
    department: str
    taste: str
    noun: str
    title: str
    launched_on: date


def write_sample(landing: Path, sample: Sample) -> Planted:
    """Land a file of reviews and one of items for each day of arrival; the first day holds two years of history.

    About 12 reviews a user, long-tailed.

    Raises:
        UserError: too few users, items or days, or other files landed there before.
    """
    if sample.users < 100 or sample.items < 100 or not 1 <= sample.days <= 100:
        raise UserError(f"expected at least 100 users, 100 items and 1 to 100 days, found {sample}")
    rng, planted = random.Random(sample.seed), Planted()
    things = _things(rng, sample)
    arriving = _with_faults(rng, _arriving(rng, sample, things, planted), planted)
    with tempfile.TemporaryDirectory() as folder:
        reviews_file, items_file = Path(folder) / "reviews.jsonl.gz", Path(folder) / "items.jsonl"
        for day in sample.arrivals:
            metadata = [_encoded(line) for line in _item_lines(rng, things, day, sample.arrivals[0])]
            with reviews_file.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
                stream.writelines(arriving[day])
            items_file.write_bytes(b"".join(metadata))
            land([reviews_file, items_file] if metadata else [reviews_file], Choice("amazon-2023"), landing, day)
            planted.review_lines[day], planted.item_lines[day] = len(arriving[day]), len(metadata)
    return planted


def _things(rng: random.Random, sample: Sample) -> list[Thing]:
    """In turns one of each taste, so that a taste's things in this order are its chain; the newest come last."""
    tastes = [(department, taste) for department, tastes in DEPARTMENTS.items() for taste in tastes]
    numbers = rng.sample(range(10_000_000), sample.items)  # the order of ids tells nothing
    first, *later = sample.arrivals
    launches = [day for day in later for _ in range(min(NEW_ITEMS, sample.items // (4 * sample.days)))]
    launches = [first - HISTORY] * (sample.items - len(launches)) + launches
    things = []
    for place, (number, launched_on) in enumerate(zip(numbers, launches, strict=True)):
        step, taste_number = divmod(place, len(tastes))
        department, taste = tastes[taste_number]
        nouns = DEPARTMENTS[department][taste]
        noun = nouns[step % len(nouns)]
        title = f"{rng.choice(STYLES)} {noun} No. {step + 1}"
        things.append(Thing(f"B{number:07d}", department, taste, noun, title, launched_on))
    return things


class _Customer:
    """Buys along the chains of two tastes; nothing twice."""

    def __init__(self, rng: random.Random, chains: Sequence[Sequence[Thing]], things: Sequence[Thing]) -> None:
        self.rng, self.things = rng, things
        self.main, self.side = rng.sample(chains, 2)
        self.last = {id(chain): rng.randrange(len(chain)) for chain in (self.main, self.side)}
        self.owned: set[Thing] = set()

    def buy(self, on: date) -> Thing | None:
        if self.rng.random() < _TREND:
            # Things early in the list are more popular in the whole shop.
            chain, place = self.things, int(len(self.things) * self.rng.random() ** 3)
        else:
            chain = self.side if self.rng.random() < _SIDE else self.main
            on_a_step = self.rng.random() < _STEP
            place = (
                self.last[id(chain)] + self.rng.choice((1, 1, 1, 2, 3)) if on_a_step else self.rng.randrange(len(chain))
            )
        for onward in range(len(chain)):
            thing = chain[(place + onward) % len(chain)]
            if thing not in self.owned and thing.launched_on <= on:
                self.owned.add(thing)
                if chain is not self.things:
                    self.last[id(chain)] = (place + onward) % len(chain)
                return thing
        return None


def _moments(rng: random.Random, sample: Sample, user: int) -> list[datetime]:
    """When a user buys, in order. The shop grows: a third of the purchases are of the last months.

    The last users are newcomers, a few on each day after the first arrival, who buy on that day only.
    """
    end = datetime.combine(sample.last_day + timedelta(days=1), datetime.min.time(), UTC)
    count = min(80, max(1, round(rng.lognormvariate(2.25, 0.75))))
    days_ago = (sample.users - 1 - user) // NEW_USERS  # 0: a newcomer of the last day
    if days_ago < sample.days - 1:
        return sorted(end - timedelta(days=days_ago + rng.random()) for _ in range(min(count, 4)))
    days = HISTORY.days + sample.days
    ago = (rng.expovariate(1 / 40) if rng.random() < 0.3 else rng.random() * days for _ in range(count))
    return sorted(end - timedelta(days=max(1e-6, days % HISTORY.days)) for days in ago)


def _arriving(rng: random.Random, sample: Sample, things: list[Thing], planted: Planted) -> dict[date, list[Line]]:
    """Reviews by day of arrival: all up to the first one together, then day by day, a few of them late."""
    chains: dict[str, list[Thing]] = defaultdict(list)
    for thing in things:
        chains[thing.taste].append(thing)
    first, last = sample.arrivals[0], sample.last_day
    arriving: dict[date, list[Line]] = {day: [] for day in sample.arrivals}
    for user in range(sample.users):
        customer = _Customer(rng, list(chains.values()), things)
        for moment in _moments(rng, sample, user):
            if thing := customer.buy(moment.date()):
                day = max(first, moment.date())
                if first < day < last and rng.random() < FAULTS["late"]:
                    day = min(last, day + timedelta(days=rng.choice((1, 2))))
                    planted.faults["late"] += 1
                arriving[day].append(_review_line(rng, f"U{user:05d}", thing, moment))
    return arriving


def _review_line(rng: random.Random, user_id: str, thing: Thing, moment: datetime) -> Line:
    line = {"asin": thing.item_id, "parent_asin": thing.item_id, "user_id": user_id, "images": []}
    line |= {"timestamp": int(moment.timestamp() * 1000), "verified_purchase": rng.random() < 0.9}
    line["helpful_vote"] = int(rng.expovariate(1.2))
    return _opinion(rng, line, thing.noun)


def _opinion(rng: random.Random, line: Line, noun: str) -> Line:
    [stars] = rng.choices(range(1, 6), _STARS)
    title, text = OPINIONS[stars]
    return {**line, "rating": float(stars), "title": title, "text": text.format(noun=noun.lower())}


def _with_faults(rng: random.Random, arriving: dict[date, list[Line]], planted: Planted) -> dict[date, list[bytes]]:
    """Each arrival's lines in any order, with reviews that are there twice, changed ones of before, and bad lines."""
    earlier: list[Line] = []
    lines = {}
    for day, reviews in arriving.items():
        many = {fault: int(share * len(reviews)) for fault, share in FAULTS.items()}
        edited = [_opinion(rng, line, "thing") for line in rng.sample(earlier, min(many["edited"], len(earlier)))]
        twice = [
            {**line, "helpful_vote": line["helpful_vote"] + rng.choice((0, 3))}
            for line in rng.sample(reviews, many["twice"])
        ]
        bad = [_bad(rng.choice(reviews), place) for place in range(many["bad"])]
        planted.faults.update(edited=len(edited), twice=len(twice), bad=len(bad))
        lines[day] = [*map(_encoded, [*reviews, *edited, *twice]), *bad]
        rng.shuffle(lines[day])
        earlier += reviews
    return lines


def _bad(line: Line, kind: int) -> bytes:
    """A line to be rejected: without user, off the scale, with seconds for milliseconds, or cut in the middle."""
    faults = ({"user_id": None}, {"rating": 0.0}, {"timestamp": line["timestamp"] // 1000})
    if kind % 4 == len(faults):
        return _encoded(line)[:60] + b"\n"
    return _encoded({**line, **faults[kind % 4]})


def _item_lines(rng: random.Random, things: list[Thing], day: date, first: date) -> Iterator[Line]:
    """Metadata of what was launched since the arrival before; one thing in fifty never gets any."""
    for place, thing in enumerate(things):
        if (thing.launched_on == day if day > first else thing.launched_on <= first) and place % 50 != 49:
            yield {
                "main_category": thing.department,
                "title": thing.title,
                "store": rng.choice(SHOPS),
                "categories": [thing.department, thing.taste, thing.noun],
                "price": round(4 + rng.expovariate(1 / 25), 2),
                "description": [f"For {thing.taste.lower()}: {thing.title}."],
                "images": [{"large": f"https://example.com/images/{thing.item_id}.jpg", "variant": "MAIN"}],
                "parent_asin": thing.item_id,
            }


def _encoded(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
