import errno
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from recpipe import delta
from recpipe import landing as landing_module
from recpipe.arriving import ingest_lock
from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.images import land_pictures
from recpipe.landing import LandedFile, land, landed_files, replay
from recpipe.settings import CHECKOUT, Settings
from recpipe.sources.amazon import REVIEWS_2018
from recpipe.sources.formats import LINES, Layout
from recpipe.sources.known import FORMATS, known_formats
from recpipe.sources.lines import lines_of, read_parts
from recpipe.sources.replay import Origin, origin_file, origin_lines, read_origin
from recpipe.tables import ARRIVALS, MAX_INT
from tests.lakes import empty_lake
from tests.pictures import png
from tests.raw_lines import item_2018, landed, review_2018, review_2023, seconds, write_lines
from tests.rows import arrival

DAY = date(2018, 4, 9)
REAL = CHECKOUT.parent / "shared" / "data" / "amazon2018_raw"
needs_real_files = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real files in {REAL}")


@pytest.fixture
def landing(tmp_path):
    return tmp_path / "landing"


def everything_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def refusal(*arguments, put=land, **options) -> str:
    with pytest.raises(UserError) as error:
        put(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_whole_file_lands_as_it_is(tmp_path, landing):
    file = write_lines(tmp_path / "r.json.gz", review_2018(), b"", review_2018(reviewerID="U2"), zipped=True)
    [report] = land([file], Choice("amazon-2018"), landing, DAY)
    there = landing / "reviews" / "arrived_on=2018-04-09" / "r.json.gz"
    assert there.read_bytes() == file.read_bytes()
    assert set(everything_in(landing)) == {str(path.relative_to(landing)) for path in (there, origin_file(there))}
    assert read_origin(there, FORMATS) == Origin(
        "r.json.gz", hashlib.sha256(file.read_bytes()).hexdigest(), Layout(REVIEWS_2018, LINES), is_cut=False
    )
    assert str(report) == "r.json.gz: 2 lines of reviews (amazon-2018) on 2018-04-09"


def test_the_kind_of_a_file_decides_its_folder(tmp_path, landing):
    files = [write_lines(tmp_path / "r.json", review_2018()), write_lines(tmp_path / "i.json", item_2018())]
    land(files, Choice("amazon-2018"), landing, DAY)
    assert landed_files(landing) == [
        LandedFile("items", DAY, landing / "items" / "arrived_on=2018-04-09" / "i.json"),
        LandedFile("reviews", DAY, landing / "reviews" / "arrived_on=2018-04-09" / "r.json"),
    ]


def test_a_replayed_dump_lands_day_by_day_and_its_items_on_the_first(tmp_path, landing):
    days = ("2018-04-11", "2010-01-01", "2018-04-09", "2018-04-12")
    reviews = write_lines(tmp_path / "r.json", *(review_2018(unixReviewTime=seconds(day)) for day in days))
    items = write_lines(tmp_path / "i.json", item_2018(), item_2018(asin="I2"))
    first, second = replay([reviews, items], Choice("amazon-2018"), landing, DAY)
    assert first.lines == {DAY: 2, date(2018, 4, 11): 1, date(2018, 4, 12): 1}
    assert second.lines == {DAY: 2}
    assert [(file.kind, str(file.arrived_on)) for file in landed_files(landing)] == [
        ("items", "2018-04-09"),
        ("reviews", "2018-04-09"),
        ("reviews", "2018-04-11"),
        ("reviews", "2018-04-12"),
    ]
    assert str(first) == "r.json.gz: 4 lines of reviews (amazon-2018) on 3 days, 2018-04-09 to 2018-04-12"


@pytest.mark.parametrize("put", [land, replay])
def test_landing_twice_changes_nothing(tmp_path, landing, put):
    file = write_lines(tmp_path / "r.json", review_2018(), review_2018(unixReviewTime=seconds("2018-04-11")))
    put([file], Choice("amazon-2018"), landing, DAY)
    before = {name: (landing / name).read_bytes() for name in everything_in(landing)}
    [report] = put([file], Choice("amazon-2018"), landing, DAY)
    assert report.known == len(report.lines)
    assert "had landed before" in str(report)
    assert {name: (landing / name).read_bytes() for name in everything_in(landing)} == before


EVENT = {"user_id": "who", "item_id": "sku", "occurred_at": "at"}
EVENTS = known_formats(Settings(sources={name: {**EVENT, "event_type": name} for name in ("view", "purchase")}))


@pytest.mark.parametrize("put", [land, replay])
def test_a_file_that_landed_already_in_another_format_is_refused(tmp_path, landing, put):
    file = write_lines(tmp_path / "e.csv", b"who,sku,at", b"U1,I1,1514764800")
    put([file], Choice("view", EVENTS), landing, DAY)
    before = {name: (landing / name).read_bytes() for name in everything_in(landing)}
    message = refusal([file], Choice("purchase", EVENTS), landing, DAY, put=put)
    assert re.fullmatch(
        r"expected .*e\.csv.* as it landed, events \(view\).*, found events \(purchase\).*; remove it, or rename .*",
        message,
    )
    assert {name: (landing / name).read_bytes() for name in everything_in(landing)} == before


@pytest.mark.parametrize("put", [land, replay])
def test_a_file_that_landed_already_with_other_columns_is_refused(tmp_path, landing, put):
    file = write_lines(tmp_path / "e.csv", b"U1,I1,1514764800")
    put([file], Choice("view", EVENTS, ("who", "sku", "at")), landing, DAY)
    message = refusal([file], Choice("view", EVENTS, ("sku", "who", "at")), landing, DAY, put=put)
    assert "as it landed, events (view) of columns who,sku,at, found events (view) of columns sku,who,at; " in message


def test_a_file_that_was_put_there_by_hand_is_landed_in_the_format_that_is_named(tmp_path, landing):
    file = write_lines(tmp_path / "e.csv", b"who,sku,at", b"U1,I1,1514764800")
    there = landed(landing, "events", str(DAY), "e.csv", *file.read_bytes().splitlines())
    [report] = land([file], Choice("purchase", EVENTS), landing, DAY)
    assert (report.known, read_origin(there, EVENTS).layout.format.name) == (1, "purchase")


@pytest.mark.parametrize("put", [land, replay])
def test_another_file_of_the_same_name_is_refused(tmp_path, landing, put):
    put([write_lines(tmp_path / "r.json", review_2018())], Choice("amazon-2018"), landing, DAY)
    before = everything_in(landing)
    files = [write_lines(tmp_path / "a.json", review_2018()), write_lines(tmp_path / "r.json", review_2018(asin="I2"))]
    assert "expected no other file at" in refusal(files, Choice("amazon-2018"), landing, DAY, put=put)
    assert everything_in(landing) == before


@pytest.mark.parametrize("put", [land, replay])
def test_two_files_of_one_name_are_refused(tmp_path, landing, put):
    files = [write_lines(tmp_path / folder / "r.json", review_2018(asin=folder)) for folder in "ab"]
    assert "two named r.json" in refusal(files, Choice("amazon-2018"), landing, DAY, put=put)
    assert everything_in(landing) == []


@pytest.fixture
def lake(tmp_path):
    empty_lake(tmp_path / "lake")
    return tmp_path / "lake"


def seal(lake, *days):
    delta.append(lake, ARRIVALS, [arrival(arrived_on=day) for day in days])


@pytest.mark.parametrize("put", [land, replay])
def test_sealed_days_are_refused_and_all_before_them(tmp_path, landing, lake, put):
    file = write_lines(tmp_path / "r.json", review_2018())
    seal(lake, date(2018, 4, 10), date(2018, 4, 11))
    for day in (DAY, date(2018, 4, 10), date(2018, 4, 11)):
        message = refusal([file], Choice("amazon-2018"), landing, day, lake, put=put)
        assert message.startswith("expected a day after 2018-04-11")
    assert put([file], Choice("amazon-2018"), landing, date(2018, 4, 12), lake)


def put_pictures(files, _, landing, day, lake):
    return land_pictures(files, landing, day, lake, MAX_INT)


@pytest.mark.parametrize("put", [land, replay, put_pictures])
def test_a_day_that_a_night_takes_in_meanwhile_is_refused_before_anything_is_moved(tmp_path, landing, lake, put):
    (tmp_path / "i.png").write_bytes(png())
    lines = write_lines(tmp_path / "r.json", *(review_2018(unixReviewTime=seconds(f"2018-04-{n}")) for n in (10, 11)))
    file = tmp_path / "i.png" if put is put_pictures else lines
    with ThreadPoolExecutor() as beside:
        with ingest_lock(lake):  # the night has listed its files
            landing_ = beside.submit(put, [file], Choice("amazon-2018"), landing, date(2018, 4, 10), lake)
            while not (list((landing / ".landing").rglob(f"{file.name}*")) or landing_.done()):
                time.sleep(0.01)
            seal(lake, date(2018, 4, 10))
        with pytest.raises(UserError, match="expected a day after 2018-04-10, up to which all days are sealed"):
            landing_.result()
    assert everything_in(landing) == []


def test_another_format_is_refused_with_the_right_one(tmp_path, landing):
    file = write_lines(tmp_path / "r.json", review_2023())
    assert "give --format amazon-2023" in refusal([file], Choice("amazon-2018"), landing, DAY)
    assert "amazon-2018, amazon-2023" in refusal([file], Choice("letterboxd"), landing, DAY)


def test_a09_an_empty_file_is_refused(tmp_path, landing):
    for lines in ((), (b"", b" ")):
        assert "found none" in refusal([write_lines(tmp_path / "r.json", *lines)], Choice("amazon-2018"), landing, DAY)


def test_a10_a_page_is_refused(tmp_path, landing):
    page = write_lines(tmp_path / "r.json", b"", b"<html>404</html>")
    assert "found b'<html>404</html>' at its start" in refusal([page], Choice("amazon-2018"), landing, DAY)


def test_missing_files_and_folders_and_odd_names_are_refused(tmp_path, landing):
    good = write_lines(tmp_path / "good.json", review_2018())
    assert "found none" in refusal([good, tmp_path / "missing.json"], Choice("amazon-2018"), landing, DAY)
    assert "found a folder" in refusal([good, tmp_path], Choice("amazon-2018"), landing, DAY)
    for name in ("_r.json", ".r.json", "r\n.json"):
        odd = write_lines(tmp_path / name, review_2018())
        assert "rename it" in refusal([good, odd], Choice("amazon-2018"), landing, DAY)
    assert not landing.exists()


def test_a_day_before_1995_is_refused(tmp_path, landing):
    file = write_lines(tmp_path / "r.json", review_2018())
    assert "from 1995-01-01 on" in refusal([file], Choice("amazon-2018"), landing, date(1994, 12, 31))


@pytest.mark.parametrize("put", [land, replay])
def test_a07_a_truncated_gzip_leaves_nothing_behind(tmp_path, landing, put):
    whole = gzip.compress(b"".join(review_2018(reviewerID=f"U{n * n}") + b"\n" for n in range(5000)))
    file = tmp_path / "r.json.gz"
    file.write_bytes(whole[: len(whole) // 2])
    good = write_lines(tmp_path / "good.json", review_2018())
    assert "r.json.gz unreadable after line" in refusal([good, file], Choice("amazon-2018"), landing, DAY, put=put)
    assert everything_in(landing) == []


@pytest.mark.parametrize("put", [land, replay])
def test_a_full_disk_leaves_nothing_behind(tmp_path, landing, put, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(landing_module.shutil, "copyfile", full)
    monkeypatch.setattr("recpipe.sources.replay._append", full)
    file = write_lines(tmp_path / "r.json", review_2018())
    assert "No space left on device" in refusal([file], Choice("amazon-2018"), landing, DAY, put=put)
    assert everything_in(landing) == []


def test_what_a_killed_landing_left_aside_is_no_data_and_goes(tmp_path, landing):
    left = landed(landing / ".landing", "reviews", "2018-04-09", "old.json", review_2018())
    land([write_lines(tmp_path / "r.json", review_2018())], Choice("amazon-2018"), landing, DAY)
    assert not left.exists()
    assert [file.path.name for file in landed_files(landing)] == ["r.json"]
    assert len(everything_in(landing)) == 2


def test_a_replay_that_was_killed_while_it_moved_files_is_finished_by_the_next(tmp_path, landing):
    days = [f"2018-04-{day}" for day in range(10, 20)]
    file = write_lines(tmp_path / "r.json", *(review_2018(unixReviewTime=seconds(day)) for day in days))
    replay([file], Choice("amazon-2018"), landing, DAY)
    whole = everything_in(landing)
    for day in days[4:]:
        (landing / "reviews" / f"arrived_on={day}" / "r.json.gz").unlink()
    [report] = replay([file], Choice("amazon-2018"), landing, DAY)
    assert report.known == 4
    assert everything_in(landing) == whole


def test_what_is_no_day_folder_is_refused_and_what_is_no_data_is_passed_over(landing):
    good = landed(landing, "reviews", "2018-04-09", "r.json", review_2018())
    landed(landing, "reviews", "2018-04-09", "_r.json.origin", b"x")
    landed(landing, "reviews", "2018-04-09", ".r.json.swp", b"x")
    (landing / "reviews" / "_SUCCESS").touch()
    assert [file.path for file in landed_files(landing)] == [good]
    for name in ("2018-04-10", "arrived_on=2018-4-10", "arrived_on=2018-02-30", "arrived_on=2018-04-10 "):
        folder = landing / "reviews" / name
        folder.mkdir()
        with pytest.raises(UserError, match="expected a folder such as arrived_on=2024-01-31"):
            landed_files(landing)
        folder.rmdir()
    (good.parent / "folder").mkdir()
    with pytest.raises(UserError, match="found a folder"):
        landed_files(landing)


def test_a_folder_of_a_day_before_1995_is_refused(landing):
    landed(landing, "items", "0203-07-01", "i.json", item_2018())
    with pytest.raises(
        UserError, match=r"expected a folder of a day from 1995-01-01 on, found .*arrived_on=0203-07-01"
    ):
        landed_files(landing)


def test_a_replay_says_which_lines_wait_for_days_to_come(tmp_path, landing):
    lines = (
        review_2018(),
        review_2018(unixReviewTime=seconds("2099-01-01")),
        review_2018(unixReviewTime=seconds("2098-01-01")),
    )
    [report] = replay([write_lines(tmp_path / "r.json", *lines)], Choice("amazon-2018"), landing, DAY)
    assert str(report).endswith("to 2099-01-01; 2 of them wait for days that are not over, to 2099-01-01")


def test_a_dump_without_a_record_is_refused(tmp_path, landing):
    file = write_lines(tmp_path / "r.csv", b"user,item,rating,timestamp")
    assert "expected records in r.csv, found none" in refusal(
        [file], Choice("amazon-2018-csv"), landing, DAY, put=replay
    )
    assert everything_in(landing) == []


def test_no_landing_folder_is_an_empty_one(landing):
    assert landed_files(landing) == []


def test_landing_needs_neither_spark_nor_arrow():
    engines = "{'pyspark', 'pyarrow', 'pandas', 'numpy'} & set(sys.modules)"
    code = f"import json, sys, recpipe.landing, recpipe.sample; print(json.dumps(sorted({engines})))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(found) == []


@needs_real_files
def test_a_real_dump_lands_with_every_line(landing):
    [report] = replay([REAL / "All_Beauty_5.json.gz"], Choice("amazon-2018"), landing, DAY)
    until = {day: lines for day, lines in report.lines.items() if day <= date(2018, 4, 12)}
    assert until == {DAY: 5005, date(2018, 4, 10): 15, date(2018, 4, 11): 15, date(2018, 4, 12): 15}
    with gzip.open(REAL / "All_Beauty_5.json.gz") as dump:
        lines = dict(enumerate((line.rstrip(b"\n") for line in dump), 1))
    back = {}
    for file in landed_files(landing):
        numbers = origin_lines(file.path)
        back |= {number: line.content for number, line in zip(numbers, lines_of(read_parts(file.path)), strict=True)}
    assert len(lines) == 5269
    assert back == lines


@needs_real_files
def test_real_metadata_lands_on_the_first_day(landing):
    names = ("Gift_Cards_5.json.gz", "meta_Gift_Cards.json.gz", "meta_Magazine_Subscriptions.json.gz")
    reports = replay([REAL / name for name in names], Choice("amazon-2018"), landing, DAY)
    assert [sum(report.lines.values()) for report in reports] == [2972, 1547, 3385]
    assert [report.layout.format.kind for report in reports] == ["reviews", "items", "items"]
    assert [len(report.lines) for report in reports][1:] == [1, 1]
