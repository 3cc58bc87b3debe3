"""The job ingest_reviews on a real lake, but for the start of its own Spark session."""

import gzip
import hashlib
import json
import shutil
from contextlib import nullcontext
from datetime import date
from threading import Thread

import pytest

from jobs import ingest_reviews
from jobs.ingest_reviews import take_in
from recpipe import delta
from recpipe.arriving import arriving_files, ingest_lock, sealed_files
from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.lake import Lake
from recpipe.landing import replay
from recpipe.rejects import RejectLimit, accept
from recpipe.settings import CHECKOUT, ImageSettings, Settings
from recpipe.sources.pictures import Limits
from recpipe.tables import ARRIVALS, ERASED_USERS, EVENTS, IMAGES, ITEM_INDEX, ITEMS, REJECTED_ROWS, REVIEWS
from tests.lakes import empty_lake
from tests.orders import COLUMNS, ORDERS, csv_lines, order
from tests.pictures import gif, png
from tests.raw_lines import item_2023, landed, review_2023, seconds, write_parquet
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, erased
from tests.spark_fixtures import without_audits

LIMITS = Limits(max_bytes=1000, max_pixels=100)
DAYS = (MONDAY, TUESDAY, WEDNESDAY)
TABLES = (ARRIVALS, REVIEWS, ITEMS, REJECTED_ROWS, ITEM_INDEX)
REAL = CHECKOUT.parent / "shared" / "data" / "amazon2018_raw"


@pytest.fixture
def landing(tmp_path):
    return tmp_path / "landing"


def ingest(lake, landing, ds, max_rejected_share=0.5):
    limit = RejectLimit(max_rejected_share, landing.parent / "reports", landing)
    with lake.staging() as staging:
        return take_in(arriving_files(landing, sealed_files(lake.root), ds), lake, staging, limit, LIMITS)


def rows(lake):
    with delta.connect(lake.root, TABLES) as connection:
        return {table.name: sorted(connection.sql(f"from {table.name}").fetchall(), key=str) for table in TABLES}


def versions(lake):
    return {table.name: delta.open_table(lake.root, table).version() for table in TABLES}


def three_days(landing):
    """Two files on Monday, none on Tuesday, on Wednesday an edited review, a late one, a bad line and two new items.

    User U4, who alone names item I0, is to be erased.
    """
    first = review_2023(user_id="U1", parent_asin="I2")
    landed(landing, "reviews", "2024-01-01", "r.json.gz", first, first, review_2023(parent_asin="I9"), zipped=True)
    landed(
        landing, "items", "2024-01-01", "i.json", item_2023(parent_asin="I2", price="?"), item_2023(parent_asin="I4")
    )
    late = review_2023(user_id="U3", parent_asin="I2", timestamp=seconds("2024-01-02") * 1000)
    edited = review_2023(user_id="U1", parent_asin="I2", rating=1.0)
    bad, new = review_2023(rating=7), review_2023(user_id="U2", parent_asin="I1")
    gone = review_2023(user_id="U4", parent_asin="I0")
    landed(landing, "reviews", "2024-01-03", "r.json", late, edited, bad, new, gone)


@pytest.fixture(scope="module")
def one_run(spark, tmp_path_factory):
    """Three days taken in by one run after U4 was erased: the landing folder, the lake and the result."""
    home = tmp_path_factory.mktemp("one_run")
    empty_lake(home / "lake")
    delta.append(home / "lake", ERASED_USERS, [erased("U4")])
    three_days(home / "landing")
    lake = Lake(spark, home / "lake")
    return home / "landing", lake, ingest(lake, home / "landing", WEDNESDAY)


def test_a_run_takes_in_every_day_that_is_not_sealed(one_run):
    _, lake, result = one_run
    found = rows(lake)
    assert [row[:1] + row[1:3] + row[6:11] for row in found["arrivals"]] == [
        (MONDAY, "items", "i.json", 2, 2, 0, 0, 0),
        (MONDAY, "reviews", "r.json.gz", 3, 2, 0, 1, 0),
        (TUESDAY, "none", "", 0, 0, 0, 0, 0),
        (WEDNESDAY, "reviews", "r.json", 5, 3, 1, 0, 1),
    ]
    assert sorted(row[:3] for row in found["reviews"]) == [
        (MONDAY, "U1", "I2"),
        (MONDAY, "U1", "I9"),
        (WEDNESDAY, "U1", "I2"),
        (WEDNESDAY, "U2", "I1"),
        (WEDNESDAY, "U3", "I2"),
    ]
    assert [row[:7] for row in found["rejected_rows"]] == [
        (WEDNESDAY, "reviews", "r.json", 3, "r.json", 3, "bad_rating")
    ]
    assert sorted((row[2], row[1], row[0]) for row in found["item_index"]) == [
        (0, "I2", MONDAY),
        (1, "I4", MONDAY),
        (2, "I9", MONDAY),
        (3, "I0", WEDNESDAY),
        (4, "I1", WEDNESDAY),
    ]
    assert result.message == (
        "took in 2024-01-01 to 2024-01-03: 10 lines of 3 files = 7 accepted + 1 rejected + 1 duplicates + 1 of erased "
        "users; rejected: 1 bad_rating; left empty or replaced: 1 unreadable_price; nothing arrived on 2024-01-02"
    )
    assert result.rows_in == {"landing": 10}
    assert result.rows_out == {"reviews": 5, "items": 2, "rejected_rows": 1, "item_index": 5, "arrivals": 4}
    assert result.versions == versions(lake)


def test_an_erased_user_is_taken_into_no_table_counted_and_moves_no_item_number(one_run):
    _, lake, _ = one_run
    with delta.connect_with_erased(lake.root, [REVIEWS]) as connection:
        users = connection.sql("select distinct user_id from reviews order by all").fetchall()
    assert users == [("U1",), ("U2",), ("U3",)]
    found = rows(lake)
    assert [row[10] for row in found["arrivals"]] == [0, 0, 0, 1]
    assert [row[:3] for row in found["item_index"] if row[1] in ("I0", "I1")] == [
        (WEDNESDAY, "I0", 3),
        (WEDNESDAY, "I1", 4),
    ]


def test_the_seal_is_the_last_commit_of_a_run(one_run):
    _, lake, _ = one_run
    commits = {table: max((lake.root / table.name / "_delta_log").glob("*.json")) for table in TABLES}
    assert max(TABLES, key=lambda table: commits[table].stat().st_mtime_ns) is ARRIVALS


def test_day_by_day_gives_the_rows_of_one_run_also_after_a_crash(one_run, spark, tmp_path, unaudited):
    landing, at_once, _ = one_run
    shutil.copytree(at_once.root, tmp_path / "lake")
    lake = Lake(spark, tmp_path / "lake")
    delta.replace(lake.root, ARRIVALS, [])  # a run that was killed before its seal leaves all else written
    for ds in DAYS:
        ingest(lake, landing, ds)
    assert rows(lake) == rows(at_once)
    assert all(now > before for now, before in zip(versions(lake).values(), versions(at_once).values(), strict=True))


def test_a_crashed_first_run_leaves_nothing_when_the_first_arrival_is_moved_to_a_later_day(lake, tmp_path, unaudited):
    landing = tmp_path / "landing"
    landed(landing, "reviews", "2024-01-01", "r.json", review_2023(parent_asin="Z"))
    landed(landing, "reviews", "2024-01-02", "s.json", review_2023(user_id="U2", parent_asin="A"))
    ingest(lake, landing, TUESDAY)
    delta.replace(lake.root, ARRIVALS, [])  # as if it had been killed before its seal
    (landing / "reviews" / "arrived_on=2024-01-01").rename(landing / "reviews" / "arrived_on=2024-01-03")
    for ds in (TUESDAY, WEDNESDAY):
        ingest(lake, landing, ds)
    anew = Lake(lake.spark, tmp_path / "anew")
    empty_lake(anew.root)
    ingest(anew, landing, WEDNESDAY)
    assert rows(lake) == rows(anew)


def test_a_file_that_shows_up_in_a_sealed_day_is_not_read_and_named(tmp_path):
    empty_lake(tmp_path / "lake")
    delta.append(tmp_path / "lake", ARRIVALS, [arrival(arrived_on=day, kind="none", file="") for day in DAYS])
    landed(tmp_path / "landing", "reviews", "2024-01-02", "late.json", review_2023(user_id="U9"))
    for ds in DAYS:
        assert ingest_reviews.main(ds, Settings(home=tmp_path)).message == (
            f"{ds} is sealed already, nothing to do; not read, since their day was sealed before they showed up: "
            "reviews/arrived_on=2024-01-02/late.json"
        )


def test_a_run_that_waited_while_another_sealed_its_day_adopts_the_others_rows(tmp_path):
    lake, said = tmp_path / "lake", []
    empty_lake(lake)
    landed(tmp_path / "landing", "reviews", "2024-01-01", "r.json", review_2023())
    loser = Thread(target=lambda: said.append(ingest_reviews.main(MONDAY, Settings(home=tmp_path))))
    with ingest_lock(lake):
        loser.start()
        loser.join(1)
        assert loser.is_alive()
        delta.append(lake, ARRIVALS, [arrival(file="r.json")])
        before = delta.versions(lake)
    loser.join(60)
    assert [result.message for result in said] == ["2024-01-01 is sealed already, nothing to do"]
    assert delta.versions(lake) == before


PICTURES = {"I1.png": png(), "I1.gif": gif(), "B%2F2.jpg": png(3, 2), "I3.png": png(200, 1), "I4.jpg": b"<html>"}
AT = seconds("2024-01-01")


def land_events(landing):
    """Three files, each in a format of its own, with a line that stands twice and one of an unknown type."""
    bought = csv_lines(COLUMNS, ("U1", "I2", AT), ("U1", "I2", AT), ("U1", "I2", AT + 1))
    landed(landing, "events", "2024-01-01", "o.csv", *bought)
    seen = [order(who={"id": 1}, what=what, sku=sku, paid_at=AT) for what, sku in (("pdp", "I1"), ("gift", "I0"))]
    landed(landing, "events", "2024-01-01", "c.jsonl", *(json.dumps(line).encode() for line in seen))
    query = f"select 7 as buyer, 'I9' as sku, to_timestamp({AT}) as paid_at"
    write_parquet(landing / "events" / "arrived_on=2024-01-01" / "p.parquet", query)


def land_pictures(landing):
    folder = landing / "images" / "arrived_on=2024-01-01"
    folder.mkdir(parents=True)
    for name, content in PICTURES.items():
        (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def shops_day(spark, tmp_path_factory):
    """A review, events of a shop's own files and pictures, taken in by the job: the lake's folder and the result."""
    home = tmp_path_factory.mktemp("shops_day")
    empty_lake(home / "lake")
    land_events(home / "landing")
    land_pictures(home / "landing")
    landed(home / "landing", "reviews", "2024-01-01", "r.json", review_2023(user_id="U1", parent_asin="I2"))
    clicks = {"event_type": "what", "event_types": {"pdp": "view"}, "file": "jsonl", "user_id": "who.id"}
    carts = {"event_type": "cart", "time_unit": "iso", "file": "parquet"}
    sources = {"orders": ORDERS, "clicks": {**ORDERS, **clicks}, "carts": {**ORDERS, **carts}}
    # One of seven lines is rejected. With the bad pictures it would be more than a fifth: those stop no day.
    images = ImageSettings(**LIMITS._asdict())
    settings = Settings(home=home, sources=sources, images=images, max_rejected_share=0.2)
    with without_audits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_reviews, "spark_session", lambda _: nullcontext(spark))
        return settings.lake, ingest_reviews.main(MONDAY, settings)


def test_events_of_a_shops_own_files_come_in_beside_reviews(shops_day):
    lake, _ = shops_day
    with delta.connect(lake, [*TABLES, EVENTS]) as connection:
        told = connection.sql(
            "select user_id, item_id, event_type, epoch(occurred_at)::bigint from events order by all"
        )
        assert told.fetchall() == [
            ("1", "I1", "view", AT),
            ("7", "I9", "cart", AT),
            ("U1", "I2", "purchase", AT),
            ("U1", "I2", "purchase", AT + 1),
        ]
        columns = "kind, file, format, lines_read, accepted, rejected, duplicates"
        assert connection.sql(f"select {columns} from arrivals where kind <> 'images' order by all").fetchall() == [
            ("events", "c.jsonl", "clicks", 2, 1, 1, 0),
            ("events", "o.csv", "orders", 3, 2, 0, 1),
            ("events", "p.parquet", "carts", 1, 1, 0, 0),
            ("reviews", "r.json", "amazon-2023", 1, 1, 0, 0),
        ]
        rejected = connection.sql("select kind, file, line_number, reason from rejected_rows where kind <> 'images'")
        assert rejected.fetchall() == [("events", "c.jsonl", 2, "bad_event_type")]
        numbers = connection.sql("select item_index, item_id from item_index order by all")
        assert numbers.fetchall() == [(0, "I1"), (1, "I2"), (2, "I9")]


def test_pictures_are_taken_in_beside_lines_and_add_up(shops_day):
    lake, result = shops_day
    with delta.connect(lake, (ARRIVALS, IMAGES, REJECTED_ROWS)) as connection:
        images = connection.sql("from images order by item_id").fetchall()
        rejected = connection.sql(
            "select * exclude (arrived_on, kind) from rejected_rows where kind = 'images' order by file"
        ).fetchall()
        [seal] = connection.sql("select * from arrivals where kind = 'images'").fetchall()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in PICTURES.items()}
    assert images[0] == (MONDAY, "B/2", "B%2F2.jpg", hashes["B%2F2.jpg"], "png", 3, 2, len(png(3, 2)))
    assert [row[1] for row in images] == ["B/2", "I1"]
    assert rejected == [
        ("I3.png", 1, "I3.png", 1, "picture_too_large", hashes["I3.png"]),
        ("I4.jpg", 1, "I4.jpg", 1, "not_a_picture", hashes["I4.jpg"]),
    ]
    names_and_hashes = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes)).encode()
    sha256 = hashlib.sha256(names_and_hashes).hexdigest()
    assert seal[1:] == ("images", "images", "", "images", sha256, 5, 2, 2, 1, 0, None)
    expected = {"reviews": 1, "events": 4, "images": 2, "rejected_rows": 3, "item_index": 3, "arrivals": 5}
    assert result.rows_out == expected
    assert "12 lines of 5 files = 7 accepted + 3 rejected + 2 duplicates" in result.message


def cut_gzip(landing):
    path = landed(
        landing, "items", "2024-01-02", "i.json.gz", *(item_2023(parent_asin=f"I{n}") for n in range(500)), zipped=True
    )
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(cut_gzip, r"i\.json\.gz unreadable after line", id="a07"),
        pytest.param(
            lambda landing: landed(landing, "reviews", "2024-01-02", "s.json", review_2023(timestamp=1400000000)),
            r"s\.json: expected dates in the unit of amazon-2023",
            id="c01",
        ),
        pytest.param(
            lambda landing: landed(landing, "reviews", "2024-01-02", "b.json", review_2023(), review_2023(rating=0)),
            r"arrival 2024-01-02: expected at most 1\.00% .* found 50\.00% \(1 of 2\): reviews/b\.json: 1 bad_rating",
            id="rejects",
        ),
    ],
)
def test_a_run_that_cannot_be_right_commits_nothing(lake, landing, spoil, message):
    landed(landing, "reviews", "2024-01-01", "r.json", review_2023())
    spoil(landing)
    before = versions(lake)
    with pytest.raises(UserError, match=message):
        ingest(lake, landing, TUESDAY, 0.01)
    assert versions(lake) == before
    assert sealed_files(lake.root) == set()


def test_an_accepted_day_enters_once_and_a_file_that_arrives_again_is_not_read_again(lake, landing, unaudited):
    lines = (review_2023(), review_2023(rating=0), review_2023(rating=9))
    landed(landing, "reviews", "2024-01-01", "r.json", *lines)
    landed(landing, "reviews", "2024-01-02", "again.json", *lines)
    reports = landing.parent / "reports"
    with pytest.raises(UserError, match=r"take them in as they are by `recpipe accept 2024-01-01`"):
        ingest(lake, landing, TUESDAY, 0.01)
    assert accept(MONDAY, reports, landing, ()).files[0].reasons["bad_rating"].first_lines == (2, 3)
    assert ingest(lake, landing, TUESDAY, 0.01).message == (
        "took in 2024-01-01 to 2024-01-02: 3 lines of 1 files = 1 accepted + 2 rejected + 0 duplicates; rejected: "
        "2 bad_rating; 1 file had arrived before and is not read again: reviews/2024-01-02/again.json (as "
        "2024-01-01/r.json)"
    )
    found = rows(lake)
    assert [row[:3] + row[6:] for row in found["arrivals"]] == [
        (MONDAY, "reviews", "r.json", 3, 1, 2, 0, 0, None),
        (TUESDAY, "reviews", "again.json", 0, 0, 0, 0, 0, "2024-01-01/r.json"),
    ]
    assert len(found["reviews"]) == 1
    assert arriving_files(landing, sealed_files(lake.root), TUESDAY).files == []
    assert list(reports.rglob("*.json")) == []


@pytest.mark.skipif(not REAL.exists(), reason=f"needs the real files in {REAL}")
def test_real_reviews_and_metadata_lose_no_line(lake, landing):
    names = ("All_Beauty_5.json.gz", "meta_Magazine_Subscriptions.json.gz")
    replay([REAL / name for name in names], Choice("amazon-2018"), landing, date(2018, 4, 9))
    ingest(lake, landing, date(2018, 4, 12), 0.01)
    with delta.connect(lake.root, TABLES) as connection:
        counts = "sum(lines_read), sum(accepted), sum(rejected), sum(duplicates)"
        found = connection.sql(f"select kind, {counts} from arrivals group by kind order by kind").fetchall()
        keys = connection.sql(
            "select count(*), count(distinct (arrived_on, user_id, item_id, reviewed_at)) from reviews"
        )
        assert keys.fetchall() == [(4002, 4002)]
    assert found == [("items", 3385, 2320, 0, 1065), ("reviews", 5050, 4002, 0, 1048)]
    with gzip.open(REAL / names[0]) as dump:
        assert len(dump.readlines()) == 5269
