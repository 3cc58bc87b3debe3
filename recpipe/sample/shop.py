"""Who buys what and when, and what they say of it; in no format yet.

Items fall into tastes, and inside a taste they form a chain. A user has a main taste and one on the side, and mostly
buys a few steps further along the chain. So what a user bought last tells what comes next, which a model of sequences
can learn and popularity cannot know.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from recpipe.errors import UserError
from recpipe.sample.words import DEPARTMENTS, GENDERS, OCCUPATIONS, OPINIONS, SHOPS, STYLES

HISTORY = timedelta(days=730)
"""Of reviews before the first arrival."""

LEAST = 100
"""Users, and items, of a shop with tastes."""

NEW_USERS, NEW_ITEMS = 4, 2
"""That appear on each day after the first arrival."""

_SIDE, _TREND, _STEP = 0.2, 0.12, 0.75
"""Chances of a purchase: in the side taste; outside all tastes; a step along the chain, not anywhere in the taste."""

_STARS = (4, 5, 12, 27, 52)  # weights of 1 to 5
_WITHOUT_METADATA = 50  # one thing in so many


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

    def require_size(self) -> None:
        """Raises:
        UserError: too few users, items or days.
        """
        if min(self.users, self.items) < LEAST or not 1 <= self.days <= 100:
            raise UserError(
                f"expected at least {LEAST} users, {LEAST} items and 1 to 100 days, found {self.users} users, "
                f"{self.items} items and {self.days} days"
            )

    def random(self, purpose: str = "") -> random.Random:
        """A generator of its own for each ``purpose``, so that one switch does not change what another one wrote."""
        return random.Random(f"{self.seed} {purpose}" if purpose else self.seed)  # a made-up shop


@dataclass(frozen=True)
class Thing:
    """An item for sale."""

    item_id: str
    number: int  # from 1, for shops that number their items
    department: str
    taste: str
    noun: str
    title: str
    launched_on: date


class Review(NamedTuple):
    user: int  # from 0
    thing: Thing
    moment: datetime
    verified: bool
    votes: int
    stars: int
    title: str
    text: str


class Item(NamedTuple):
    """What the shop says of a thing."""

    thing: Thing
    store: str
    price: float


class User(NamedTuple):
    user: int  # from 0
    age: int
    gender: str
    occupation: str


def things_of(rng: random.Random, sample: Sample) -> list[Thing]:
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
        things.append(Thing(f"B{number:07d}", place + 1, department, taste, noun, title, launched_on))
    return things


def chains_of(things: Sequence[Thing]) -> list[list[Thing]]:
    chains: dict[str, list[Thing]] = defaultdict(list)
    for thing in things:
        chains[thing.taste].append(thing)
    return list(chains.values())


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


class Arriving(NamedTuple):
    reviews: dict[date, list[Review]]  # by day of arrival
    late: dict[date, int]  # how many of them come a day or two after they were written


def reviews_of(rng: random.Random, sample: Sample, things: list[Thing], late_share: float) -> Arriving:
    """All reviews up to the first arrival together, then day by day, a few of them late.

    About 12 a user, long-tailed.
    """
    chains = chains_of(things)
    first, last = sample.arrivals[0], sample.last_day
    arriving = Arriving({day: [] for day in sample.arrivals}, dict.fromkeys(sample.arrivals, 0))
    for user in range(sample.users):
        customer = _Customer(rng, chains, things)
        for moment in _moments(rng, sample, user):
            if thing := customer.buy(moment.date()):
                day = max(first, moment.date())
                if first < day < last and rng.random() < late_share:
                    day = min(last, day + timedelta(days=rng.choice((1, 2))))
                    arriving.late[day] += 1
                verified, votes = rng.random() < 0.9, int(rng.expovariate(1.2))
                review = Review(user, thing, moment, verified, votes, 0, "", "")
                arriving.reviews[day].append(judged(rng, review, thing.noun))
    return arriving


def judged(rng: random.Random, review: Review, noun: str) -> Review:
    """The review with another opinion."""
    [stars] = rng.choices(range(1, 6), _STARS)
    title, text = OPINIONS[stars]
    return review._replace(stars=stars, title=title, text=text.format(noun=noun.lower()))


def items_of(rng: random.Random, things: list[Thing], day: date, first: date) -> list[Item]:
    """What was launched since the arrival before; one thing in fifty never gets any metadata."""
    return [
        Item(thing, rng.choice(SHOPS), round(4 + rng.expovariate(1 / 25), 2))
        for place, thing in enumerate(things)
        if (thing.launched_on == day if day > first else thing.launched_on <= first)
        and place % _WITHOUT_METADATA != _WITHOUT_METADATA - 1
    ]


def users_of(rng: random.Random, reviews: dict[date, list[Review]]) -> dict[date, list[User]]:
    """By day of arrival those whose first review came on that day."""
    known: set[int] = set()
    users = {}
    for day in sorted(reviews):
        new = sorted({review.user for review in reviews[day]} - known)
        known.update(new)
        users[day] = [User(user, rng.randint(16, 75), rng.choice(GENDERS), rng.choice(OCCUPATIONS)) for user in new]
    return users
