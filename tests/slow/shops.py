"""A small shop with every kind of file and four nights, before the first of which one anchor lies and among which
another; a night of it is mostly start-up."""

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path

from recpipe.sample import Wanted, write_sample
from recpipe.tables import TABLES
from tests.end_to_end.shop import ORDERS, PRIVATE, SAMPLE, SMALL, Digests, Shop
from tests.pictures import png
from tests.raw_lines import landed, seconds

DAYS = tuple(SAMPLE.arrivals[-4:])
DAY_TO_COME = DAYS[-1] + timedelta(days=1)
SETTINGS = (
    *SMALL,
    # Late, edited and double reviews blur the planted tastes: with fewer epochs, no model's lead is sure.
    ("RECPIPE_MODEL__EPOCHS", "20"),
    ("RECPIPE_MODEL__LEARNING_RATE", "0.005"),
    ("RECPIPE_MAX_REJECTED_SHARE", "0.5"),  # of a day's dozen lines one is rejected
    ("RECPIPE_MODEL__THREADS", "1"),
)
FAULTS = {"late": 0.05, "edited": 0.05, "twice": 0.02, "missing_user": 0.01}


def land_shop(home: Path) -> None:
    """Reviews (late, edited, double and broken too), events, items, users and pictures, up to the last of `DAYS`."""
    landing = home / "landing"
    write_sample(landing, SAMPLE, Wanted(faults=FAULTS))
    (home / "settings.toml").write_text(ORDERS)
    for day, age in zip(DAYS[::2], (24, 25), strict=True):
        bought = [f"U{user:05},GIFT{age},{seconds(f'{day} 10:00')}".encode() for user in range(1, 4)]
        landed(landing, "events", str(day), "orders.csv", b"buyer,sku,paid_at", *bought)
        landed(landing, "users", str(day), "u.user", f"1|{age}|M|technician|85711".encode())
        picture = landing / "images" / f"arrived_on={day}" / "GIFT.png"
        picture.parent.mkdir(parents=True)
        picture.write_bytes(png(age))


def land_day_to_come(home: Path) -> None:
    """An arrival after `DAYS`: reviews of that day and late ones, of known and new users and items."""
    reviews = [
        {"user_id": user_id, "parent_asin": f"TOMORROW{number}", "rating": 5.0, "title": "", "text": "late or new"}
        | {"timestamp": seconds(f"{day} 12:00") * 1000}
        for number in range(20)
        for user_id in ("U00001", "UNEW")
        for day in (DAYS[1], DAY_TO_COME)
    ]
    lines = [json.dumps(review).encode() for review in reviews]
    landed(home / "landing", "reviews", str(DAY_TO_COME), "tomorrow.jsonl", *lines)


def new_shop(folder: Path, landing_of: Path | None = None) -> Shop:
    """A shop without a night yet; with ``landing_of``, with the files of that home."""
    folder.mkdir(parents=True, exist_ok=True)
    if landing_of is None:
        land_shop(folder)
    else:
        shutil.copytree(landing_of / "landing", folder / "landing")
        shutil.copyfile(landing_of / "settings.toml", folder / "settings.toml")
    shop = Shop(folder, SETTINGS)
    shop.recpipe("init")
    return shop


def differing(expected: Digests, found: Digests) -> list[str]:
    """The tables whose rows differ on some day. Both must hold something in every table."""
    public = {table.name for table in TABLES} - PRIVATE
    assert set(expected) == set(found) == public
    return [name for name in expected if expected[name] != found[name] or not found[name]]


def row_of(name: str, digests: Digests) -> tuple[int, str]:
    """A table's rows on all days, and the first letters of a digest of them."""
    days = digests[name]
    return sum(rows for rows, _ in days.values()), short(json.dumps(sorted(days.items())))


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
