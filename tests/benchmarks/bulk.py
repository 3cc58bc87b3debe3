"""Very many reviews in one file, and their items, for measurements; written fast rather than with tastes."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from recpipe.sample.shop import Sample
from recpipe.sample.words import DEPARTMENTS, OPINIONS, SHOPS

_BATCH = 10_000
_TEXT = 2_000_000
"""Characters of prose out of which the texts are cut."""


@dataclass(frozen=True)
class Crowd:
    """Of whom and of what the reviews are, and the days on which they were written, both included.

    Users fall into ``groups``; three reviews in four of a user are of an item of the own group, so that a model can
    beat popularity.
    """

    users: int
    items: int
    first: date
    last: date
    groups: int = 1


def write_bulk_reviews(path: Path, rows: int, seed: int = 7, crowd: Crowd | None = None) -> None:
    """Write ``rows`` distinct Amazon-2023 reviews, about 590 bytes each, as lines of JSON that are not compressed.

    When no ``crowd`` is named, dated 2010 to 2023, one user for eight reviews and one item for twenty. Both are
    long-tailed. Texts of 1 to 1,500 characters, 350 in the mean. Equal arguments give equal bytes.
    """
    crowd = crowd or Crowd(max(1, rows // 8), max(1, rows // 20), date(2010, 1, 1), date(2023, 8, 31))
    rng = Sample(seed=seed).random("bulk")
    prose = _prose(rng)
    users, items, groups = crowd.users, crowd.items, crowd.groups
    start, end = _milliseconds(crowd.first), _milliseconds(crowd.last + timedelta(days=1))
    random, lognormal, step = rng.random, rng.lognormvariate, (end - start) / max(1, rows)
    with path.open("wb") as file:
        for first in range(0, rows, _BATCH):
            lines = []
            for number in range(first, min(rows, first + _BATCH)):
                user, item = int(users * random() ** 1.5), int(items * random() ** 2)
                if groups > 1 and random() < 0.75:
                    item = min(items - 1, item - item % groups + user % groups)
                length, place = min(1500, int(lognormal(5.51, 0.85))) + 1, int(random() * (_TEXT - 2000))
                stars, votes = 5 - int(5 * random() ** 3), int(3 * random() ** 4)
                lines.append(
                    f'{{"rating": {stars}.0, "title": "{prose[place : place + 24].strip()}", '
                    f'"text": "{prose[place : place + length]}", "images": [], "asin": "B{item:09d}", '
                    f'"parent_asin": "B{item:09d}", "user_id": "AE{user:026d}", '
                    # A millisecond of its own, so that no two reviews have one key.
                    f'"timestamp": {start + int(number * step)}, "helpful_vote": {votes}, '
                    f'"verified_purchase": {"true" if random() < 0.9 else "false"}}}\n'
                )
            file.write("".join(lines).encode())


def write_bulk_items(path: Path, crowd: Crowd) -> None:
    """Write Amazon-2023 metadata of all items of the crowd, as lines of JSON that are not compressed."""
    shelves = [
        (department, taste, noun)
        for department, tastes in DEPARTMENTS.items()
        for taste in tastes
        for noun in tastes[taste]
    ]
    with path.open("w", encoding="utf-8") as file:
        for item in range(crowd.items):
            department, taste, noun = shelves[item % crowd.groups % len(shelves)]
            line = {"main_category": department, "title": f"{noun} No. {item}", "store": SHOPS[item % len(SHOPS)]}
            line |= {"categories": [department, taste, noun], "price": 4 + item % 97 + 0.99, "images": []}
            line |= {"description": [f"For {taste.lower()}: {noun} No. {item}."], "parent_asin": f"B{item:09d}"}
            file.write(json.dumps(line) + "\n")


def _milliseconds(day: date) -> int:
    return int(datetime.combine(day, datetime.min.time(), UTC).timestamp() * 1000)


def _prose(rng: Random) -> str:
    nouns = [noun.lower() for tastes in DEPARTMENTS.values() for nouns in tastes.values() for noun in nouns]
    said, size = [], 0
    while size < _TEXT:
        sentence = OPINIONS[rng.randint(1, 5)][1].format(noun=rng.choice(nouns))
        price = f", £{rng.randint(1, 99)}" if rng.random() < 0.03 else ""  # few texts are more than ASCII
        pair = f"{rng.choice(nouns).capitalize()} and {rng.choice(nouns)}, No. {rng.randint(1, 9999)}{price}"
        said.append(f"{sentence} {pair}.")
        size += len(said[-1]) + 1
    return " ".join(said)
