import gzip
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from recpipe.sample import write_sample
from tests.end_to_end.kills import DRIVER, Point, kill_at
from tests.end_to_end.shop import BUSY_DAY, EMPTY_DAY, ERASED, FIRST, ORDERS, SAMPLE, SMALL, Shop
from tests.few_rows import OF_FEW_ROWS
from tests.pictures import png
from tests.raw_lines import landed, seconds

HERE = (("TZ", "America/Los_Angeles"),)
ELSEWHERE = (
    ("TZ", "Asia/Tokyo"),
    ("PYTHONHASHSEED", "7"),
    ("RECPIPE_SPARK__MASTER", "local[3]"),
    ("RECPIPE_SPARK__SHUFFLE_PARTITIONS", "1"),
)


@dataclass(frozen=True)
class Nights:
    """A forward shop whose nights of a busy and of an empty day Airflow ran, and one that ran the last night first.

    The latter did so without Airflow. It had all of the landing and, besides, files of days to come; it stands in
    another zone, with other threads, parts of a shuffle and ways of Spark to plan; and the night before the last was
    killed there, and run again.
    """

    forward: Shop
    late: Shop
    last_files: dict[str, bytes]  # of the last night, from before the killed one


@pytest.fixture(scope="session")
def nights(tmp_path_factory) -> Nights:
    forward = Shop(tmp_path_factory.mktemp("forward"), SMALL + HERE)
    spark = tmp_path_factory.mktemp("spark")
    (spark / "spark-defaults.conf").write_text("\n".join(f"{name} {value}" for name, value in OF_FEW_ROWS.items()))
    late = Shop(tmp_path_factory.mktemp("late"), (*SMALL, *ELSEWHERE, ("SPARK_CONF_DIR", str(spark))))
    write_sample(forward.home / "landing", SAMPLE)
    add_other_kinds(forward.home / "landing")
    for kind in ("reviews", "items"):
        shutil.rmtree(forward.home / "landing" / kind / f"arrived_on={EMPTY_DAY}", ignore_errors=True)
    shutil.copytree(forward.home / "landing", late.home / "landing")
    add_days_to_come(late.home / "landing")
    for shop in (forward, late):
        (shop.home / "settings.toml").write_text(ORDERS)
        shop.recpipe("init")
        shop.recpipe("forget", ERASED, "--yes")
    with ThreadPoolExecutor(max_workers=1) as beside:
        running = beside.submit(last_night_first, late)
        forward.printed["backfill"] = forward.recpipe("backfill", "--from", str(BUSY_DAY), "--to", str(EMPTY_DAY))
    return Nights(forward, late, running.result())


def last_night_first(shop: Shop) -> dict[str, bytes]:
    """The files of the last night, from before the other one."""
    shop.night(EMPTY_DAY)
    files = shop.files(EMPTY_DAY)
    assert kill_at(shop, Point("build_features", DRIVER, commit=1), BUSY_DAY)
    shop.night(BUSY_DAY)
    return files


def add_other_kinds(landing: Path) -> None:
    """An order, a user and a picture in the first arrival, so that no table is empty."""
    landed(landing, "events", str(FIRST), "orders.csv", b"buyer,sku,paid_at", b"U00001,GIFT,1709287200")
    landed(landing, "users", str(FIRST), "u.user", b"1|24|M|technician|85711")
    picture = landing / "images" / f"arrived_on={FIRST}" / "GIFT.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(png())


def add_days_to_come(landing: Path) -> None:
    """Files that arrive after the last night: reviews of that day and late ones, of known and new users and items."""
    folder = landing / "reviews" / "arrived_on=2024-03-11"
    folder.mkdir()
    known = next(iter(sorted((landing / "reviews" / f"arrived_on={BUSY_DAY}").glob("[!_]*"))))
    lines = gzip.decompress(known.read_bytes()).splitlines()
    user_id = json.loads(lines[0])["user_id"]
    reviews = [
        {"user_id": user_id, "parent_asin": f"TOMORROW{number}", "asin": f"TOMORROW{number}", "rating": 5.0, "text": ""}
        | {"timestamp": seconds(f"2024-03-{day:02} 12:00") * 1000, "title": "late or new"}
        for number in range(50)
        for day in (5, 11)
    ]
    (folder / "tomorrow.jsonl").write_text("".join(json.dumps(review) + "\n" for review in reviews))
