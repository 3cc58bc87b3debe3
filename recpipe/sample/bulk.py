"""Very many reviews in one file, for measurements; written fast rather than with tastes."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random

from recpipe.sample.shop import Sample
from recpipe.sample.words import DEPARTMENTS, OPINIONS

_BATCH = 10_000
_TEXT = 2_000_000
"""Characters of prose out of which the texts are cut."""

_SPAN = (datetime(2010, 1, 1, tzinfo=UTC), datetime(2023, 9, 1, tzinfo=UTC))


def write_bulk_reviews(path: Path, rows: int, seed: int = 7) -> None:
    """Write ``rows`` distinct Amazon-2023 reviews, about 590 bytes each, as lines of JSON that are not compressed.

    Dated 2010 to 2023; one user for eight reviews, one item for twenty, both long-tailed. Texts of 1 to 1,500
    characters, 350 in the mean. Equal arguments give equal bytes.
    """
    rng = Sample(seed=seed).random("bulk")
    prose = _prose(rng)
    users, items = max(1, rows // 8), max(1, rows // 20)
    start, end = (int(moment.timestamp() * 1000) for moment in _SPAN)
    random, lognormal, step = rng.random, rng.lognormvariate, (end - start) / max(1, rows)
    with path.open("wb") as file:
        for first in range(0, rows, _BATCH):
            lines = []
            for number in range(first, min(rows, first + _BATCH)):
                user, item = int(users * random() ** 1.5), int(items * random() ** 2)
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
