import gzip
import hashlib
import json
import subprocess
import sys
from datetime import date

import pytest

from recpipe import delta
from recpipe.arriving import SealedFile, arriving_files, had_arrived, ingest_lock, sealed_files
from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.intake import Intake
from recpipe.landed_layouts import layout_in
from recpipe.landing import LandedFile, land, replay
from recpipe.settings import CHECKOUT, Settings
from recpipe.sources.known import known_formats
from recpipe.sources.replay import origin_file
from recpipe.tables import ARRIVALS
from tests.lakes import empty_lake
from tests.raw_lines import item_2018, item_2023, landed, review_2018, review_2023, seconds, write_lines, write_parquet
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival


@pytest.fixture
def landing(tmp_path):
    return tmp_path / "landing"


def test_the_first_run_takes_in_everything_from_the_first_arrival_on(landing):
    reviews = landed(landing, "reviews", "2024-01-01", "r.json", review_2023())
    landed(landing, "items", "2024-01-02", "i.json.gz", item_2023(), zipped=True)
    landed(landing, "reviews", "2024-01-04", "later.json", review_2023())
    arriving = arriving_files(landing, set(), WEDNESDAY)
    assert (arriving.first, arriving.last, arriving.not_read) == (MONDAY, WEDNESDAY, [])
    assert [file.file for file in arriving.files] == ["r.json", "i.json.gz"]
    assert [file.file for file in arriving.files_of("items")] == ["i.json.gz"]
    assert arriving.days_without_files() == [WEDNESDAY]
    [file] = arriving.files_of("reviews")
    assert (file.format, file.origin, file.is_cut) == ("amazon-2023", "r.json", False)
    assert file.sha256 == hashlib.sha256(reviews.read_bytes()).hexdigest()


def test_a_later_run_goes_on_after_the_last_sealed_day(landing):
    landed(landing, "reviews", "2024-01-01", "r.json", review_2023())
    landed(landing, "reviews", "2024-01-03", "r.json", review_2023())
    sealed = {SealedFile(MONDAY, "reviews", "r.json"), SealedFile(TUESDAY, "none", "")}
    arriving = arriving_files(landing, sealed, WEDNESDAY)
    assert (arriving.first, [file.arrived_on for file in arriving.files]) == (WEDNESDAY, [WEDNESDAY])


def test_files_that_show_up_in_a_sealed_day_or_before_it_are_not_read(landing):
    landed(landing, "reviews", "2024-01-02", "r.json", review_2023())
    late = [
        landed(landing, "reviews", "2024-01-01", "before.json", review_2023()),
        landed(landing, "items", "2024-01-02", "r.json", item_2023()),
        landed(landing, "reviews", "2024-01-02", "late.json", b"<html>"),
    ]
    arriving = arriving_files(landing, {SealedFile(TUESDAY, "reviews", "r.json")}, TUESDAY)
    assert (arriving.first, arriving.files) == (WEDNESDAY, [])
    assert sorted(arriving.not_read) == sorted(late)


def test_a_cut_file_keeps_its_origin(tmp_path, landing):
    replay(
        [write_lines(tmp_path / "dump.json", review_2018(unixReviewTime=seconds("2024-01-02")))],
        Choice("amazon-2018"),
        landing,
        MONDAY,
    )
    [file] = arriving_files(landing, set(), WEDNESDAY).files
    assert (file.arrived_on, file.file, file.origin, file.is_cut) == (TUESDAY, "dump.json.gz", "dump.json", True)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_cut_file_that_people_changed_is_numbered_by_itself(tmp_path, landing, zipped):
    lines = [review_2018(unixReviewTime=seconds("2024-01-02"), reviewerID=name) for name in ("U1", "U2", "U3")]
    dump = write_lines(tmp_path / "r.csv", b"A,B,5.0,1514764800", b"C,D,4.0,1514764800")
    replay([write_lines(tmp_path / "dump.json", *lines)], Choice("amazon-2018"), landing, MONDAY)
    replay([dump], Choice("amazon-2018-csv", columns=("user", "item", "rating", "timestamp")), landing, MONDAY)
    for file in arriving_files(landing, set(), WEDNESDAY).files:
        left = lines[::2] if file.file.startswith("dump") else [b"A,B,5.0,1514764800"]
        write_lines(file.path, *left, zipped=zipped)
    arriving = arriving_files(landing, set(), WEDNESDAY)
    assert [(file.origin, file.is_cut) for file in arriving.files] == [("r.csv.gz", False), ("dump.json.gz", False)]
    assert [file.format for file in arriving.files] == ["amazon-2018-csv", "amazon-2018"]
    assert str(Intake.of(arriving, ())).endswith(
        "changed since they were landed, so their lines are read and numbered as they are there now: "
        "reviews/2024-01-01/r.csv.gz as reviews (amazon-2018-csv) of columns user,item,rating,timestamp, "
        "reviews/2024-01-02/dump.json.gz as reviews (amazon-2018); nothing arrived on 2024-01-03"
    )


RATINGS = "userId", "movieId", "rating", "timestamp"


def csv_landed(tmp_path, landing, *lines, columns=(), put=land, name="r.csv"):
    put([write_lines(tmp_path / name, *lines)], Choice("movielens-latest", columns=columns), landing, MONDAY)
    return next((landing / "reviews" / "arrived_on=2024-01-01").glob("[!_]*"))


@pytest.mark.parametrize("put", [land, replay])
def test_a_file_that_was_mended_in_its_place_is_read_by_its_own_header(tmp_path, landing, put):
    path = csv_landed(tmp_path, landing, b"userId,movieId,rating,timestamp", b"1,50,4.0,1400025600", put=put)
    write_lines(path, b"movieId,userId,rating,timestamp", b"50,1,4.0,1400025600")
    arriving = arriving_files(landing, set(), MONDAY)
    [file] = arriving.files
    assert (file.layout.columns, file.layout.has_header) == (("movieId", "userId", "rating", "timestamp"), True)
    assert layout_in(LandedFile("reviews", MONDAY, path), known_formats(Settings())) == file.layout
    assert "read and numbered as they are there now: reviews/2024-01-01/r.csv" in str(Intake.of(arriving, ()))


@pytest.mark.parametrize("put", [land, replay])
def test_a_mended_file_without_a_header_keeps_the_columns_that_were_named(tmp_path, landing, put):
    path = csv_landed(tmp_path, landing, b"1,50,9,1400025600", columns=RATINGS, put=put)
    write_lines(path, b"1,50,4.0,1400025600")
    arriving = arriving_files(landing, set(), MONDAY)
    assert (arriving.files[0].layout.columns, arriving.files[0].layout.has_header) == (RATINGS, False)
    assert f"{path.name} as reviews (movielens-latest) of columns userId,movieId,rating,timestamp" in str(
        Intake.of(arriving, ())
    )


def test_lines_that_were_rows_of_parquet_may_be_mended_and_a_mended_file_may_be_empty(tmp_path, landing):
    formats = known_formats(Settings(sources={"orders": {**VIEWS, "file": "parquet"}}))
    path = write_parquet(tmp_path / "e.parquet", "select 'U1' as who, 'I1' as sku, 1 as \"at\"")
    replay([path], Choice("orders", formats), landing, MONDAY)
    [file] = arriving_files(landing, set(), MONDAY, formats).files
    assert file.path.name == "e.parquet.gz"
    write_lines(file.path, b'{"who": "U1", "sku": "I1", "at": 1}')
    [file] = arriving_files(landing, set(), MONDAY, formats).files
    assert (file.layout.framing, file.is_changed) == ("lines", True)
    write_lines(csv_landed(tmp_path, landing, b"1,50,9,1400025600", columns=RATINGS))
    assert [file.format for file in arriving_files(landing, set(), MONDAY, formats).files] == ["orders", ""]


def test_a_companion_that_is_left_of_another_file_of_the_name_is_told(landing, tmp_path):
    land([write_lines(tmp_path / "r.json", review_2018())], Choice("amazon-2018"), landing, MONDAY)
    [file] = arriving_files(landing, set(), MONDAY).files
    write_lines(file.path, review_2023())
    with pytest.raises(UserError, match=r"expected reviews \(amazon-2018\) in .*, found .*remove .*_r\.json\.origin"):
        arriving_files(landing, set(), MONDAY)
    origin_file(file.path).unlink()
    assert [file.format for file in arriving_files(landing, set(), MONDAY).files] == ["amazon-2023"]


def test_a_companion_without_its_file_s_hash_numbers_the_lines(tmp_path, landing):
    lines = [review_2018(unixReviewTime=seconds("2024-01-02"))]
    replay([write_lines(tmp_path / "dump.json", *lines)], Choice("amazon-2018"), landing, MONDAY)
    [file] = arriving_files(landing, set(), WEDNESDAY).files
    header, numbers = gzip.decompress(origin_file(file.path).read_bytes()).split(b"\n", 1)
    said = {name: value for name, value in json.loads(header).items() if name != "landed_sha256"}
    origin_file(file.path).write_bytes(gzip.compress(json.dumps(said).encode() + b"\n" + numbers))
    [again] = arriving_files(landing, set(), WEDNESDAY).files
    assert again == file
    assert again.is_cut


def test_a09_an_empty_file_arrives_without_a_format(landing):
    landed(landing, "reviews", "2024-01-01", "empty.json")
    [file] = arriving_files(landing, set(), MONDAY).files
    assert file.format == ""


def named(arriving):
    return {f"{file.arrived_on}/{file.kind}/{file.file}": file.same_as for file in arriving.files}


def test_a_file_with_the_bytes_of_a_sealed_one_of_its_kind_is_not_read_again(landing):
    again = landed(landing, "reviews", "2024-01-03", "again.json", review_2023())
    landed(landing, "reviews", "2024-01-03", "new.json", review_2023(user_id="U2"))
    sha256 = hashlib.sha256(again.read_bytes()).hexdigest()
    places = (TUESDAY, "r.json"), (MONDAY, "first.json")
    sealed = {SealedFile(day, "reviews", file, sha256, format="amazon-2023") for day, file in places}
    arriving = arriving_files(landing, sealed, WEDNESDAY)
    assert named(arriving) == {
        "2024-01-03/reviews/again.json": "2024-01-01/first.json",
        "2024-01-03/reviews/new.json": None,
    }
    assert [file.file for file in arriving.files_of("reviews")] == ["new.json"]
    assert [file.file for file in arriving.repeats()] == ["again.json"]
    assert arriving.days_without_files() == []
    other_kind = {SealedFile(TUESDAY, "items", "r.json", sha256, format="amazon-2023")}
    assert set(named(arriving_files(landing, other_kind, WEDNESDAY)).values()) == {None}


def test_of_equal_files_in_one_intake_the_first_by_day_and_name_is_read(landing):
    for day, file in (("2024-01-02", "a.json"), ("2024-01-01", "c.json"), ("2024-01-01", "b.json")):
        landed(landing, "reviews", day, file, review_2023())
    landed(landing, "items", "2024-01-01", "a.json", item_2023())
    assert named(arriving_files(landing, set(), TUESDAY)) == {
        "2024-01-01/items/a.json": None,
        "2024-01-01/reviews/b.json": None,
        "2024-01-01/reviews/c.json": "2024-01-01/b.json",
        "2024-01-02/reviews/a.json": "2024-01-01/b.json",
    }


def test_a_catalogue_that_comes_back_after_another_is_read_again(landing):
    old, new = item_2023(title="Mug"), item_2023(title="Cup")
    for day, line in enumerate((old, old, new, old, old, new), 1):
        landed(landing, "items", f"2024-01-0{day}", "i.json", line)
    expected = [None, "01", None, None, "04", None]
    expected = [day and f"2024-01-{day}/i.json" for day in expected]
    assert [file.same_as for file in arriving_files(landing, set(), date(2024, 1, 6)).files] == expected
    sealed = {
        SealedFile(file.arrived_on, "items", "i.json", file.sha256, format=file.format)
        for file in arriving_files(landing, set(), date(2024, 1, 4)).files
    }
    assert [file.same_as for file in arriving_files(landing, sealed, date(2024, 1, 6)).files] == expected[4:]


@pytest.mark.parametrize(
    ("days", "repeated"),
    [
        pytest.param(["a", "ab", "a"], ["2: a as 2024-01-01/a"], id="a correction came beside it"),
        pytest.param(["ab", "a", "a"], ["3: a as 2024-01-02/a"], id="the other is missing"),
        pytest.param(["ab", "ab"], ["2: a as 2024-01-01/a", "2: b as 2024-01-01/b"], id="both came again"),
    ],
)
def test_a_catalogue_is_a_repeat_where_all_that_came_before_it_came_again(landing, days, repeated):
    for day, names in enumerate(days, 1):
        for name in names:
            landed(landing, "items", f"2024-01-0{day}", name, item_2023(title=name))
    last, sealed = date(2024, 1, len(days)), set()
    everything = arriving_files(landing, sealed, last)
    assert [f"{f.arrived_on.day}: {f.file} as {f.same_as}" for f in everything.repeats()] == repeated
    for file in everything.files:
        if file.arrived_on < last:
            sealed.add(SealedFile(file.arrived_on, "items", file.file, file.sha256, format=file.format))
    newest = [file for file in everything.files if file.arrived_on == last]
    assert arriving_files(landing, sealed, last).files == newest


def test_a09_files_without_lines_never_repeat_one_another(landing, tmp_path):
    for day in ("2024-01-01", "2024-01-02"):
        landed(landing, "reviews", day, "empty.json")
    found = named(arriving_files(landing, set(), TUESDAY))
    assert (len(found), set(found.values())) == (2, {None})
    empty_lake(tmp_path / "lake")
    nothing = {"format": "", "sha256": hashlib.sha256(b"").hexdigest(), "lines_read": 0}
    delta.append(tmp_path / "lake", ARRIVALS, [arrival(file="empty.json", **nothing)])
    assert named(arriving_files(landing, sealed_files(tmp_path / "lake"), TUESDAY)) == {
        "2024-01-02/reviews/empty.json": None
    }


def test_of_files_cut_out_of_dumps_their_own_bytes_decide(tmp_path, landing):
    kept, changed = (review_2018(unixReviewTime=seconds(day)) for day in ("2024-01-02", "2024-01-03"))
    for name, last in (("old.json", changed), ("new.json", changed.replace(b"5.0", b"4.0"))):
        replay([write_lines(tmp_path / name, kept, last)], Choice("amazon-2018"), landing, MONDAY)
    assert named(arriving_files(landing, set(), WEDNESDAY)) == {
        "2024-01-02/reviews/new.json.gz": None,
        "2024-01-02/reviews/old.json.gz": "2024-01-02/new.json.gz",
        "2024-01-03/reviews/new.json.gz": None,
        "2024-01-03/reviews/old.json.gz": None,
    }


def test_equal_bytes_in_another_format_say_something_else_and_are_read(tmp_path, landing):
    formats = known_formats(Settings(sources={"views": VIEWS, "carts": CARTS}))
    for name in ("views", "carts"):
        dump = write_lines(tmp_path / f"{name}.csv", b"who,sku,at", b"U1,I1,1704067200")
        reports = replay([dump], Choice(name, formats), landing, MONDAY)
    arriving = arriving_files(landing, set(), MONDAY, formats)
    assert [(file.format, file.same_as) for file in arriving.files] == [("carts", None), ("views", None)]
    assert len({file.sha256 for file in arriving.files}) == 1
    views = arriving.files[1]
    sealed = {SealedFile(date(2023, 12, 31), "events", views.file, views.sha256, format="views")}
    assert named(arriving_files(landing, sealed, MONDAY, formats)) == {
        "2024-01-01/events/carts.csv.gz": None,
        "2024-01-01/events/views.csv.gz": "2023-12-31/views.csv.gz",
    }
    assert had_arrived(landing, reports, sealed, formats) == []


def test_landing_says_at_once_that_the_lake_has_a_file(tmp_path, landing):
    files = [write_lines(tmp_path / f"{user}.json", review_2018(reviewerID=user)) for user in ("U1", "U2")]
    reports = land(files, Choice("amazon-2018"), landing, TUESDAY)
    sha256 = hashlib.sha256(files[1].read_bytes()).hexdigest()
    sealed = {SealedFile(MONDAY, "reviews", "r.json", sha256, format="amazon-2018")}
    assert had_arrived(landing, reports, sealed) == [
        "U2.json of 2024-01-02: had arrived as 2024-01-01/r.json; it will not be read again"
    ]
    assert had_arrived(landing, reports, set()) == []


def test_landing_knows_of_files_that_wait_to_be_taken_in(tmp_path, landing):
    old, new = (write_lines(tmp_path / f"{title}.json", item_2023(title=title)) for title in ("Mug", "Cup"))
    sha256 = hashlib.sha256(old.read_bytes()).hexdigest()
    sealed = {SealedFile(MONDAY, "items", "Mug.json", sha256, format="amazon-2023")}
    land([new], Choice("amazon-2023"), landing, TUESDAY)
    said = [
        had_arrived(landing, land([file], Choice("amazon-2023"), landing, day), sealed)
        for file, day in ((old, WEDNESDAY), (old, date(2024, 1, 4)))
    ]
    assert said == [[], ["Mug.json of 2024-01-04: had arrived as 2024-01-03/Mug.json; it will not be read again"]]
    landed(landing, "items", "2024-01-05", "page.json", b"<html>")
    assert had_arrived(landing, land([new], Choice("amazon-2023"), landing, date(2024, 1, 6)), sealed) == []


def test_nothing_landed_tells_how_to_land(landing):
    with pytest.raises(UserError, match=r"expected files in .*, found none; run `recpipe land "):
        arriving_files(landing, set(), MONDAY)


def test_a_day_before_the_first_arrival_is_refused(landing):
    landed(landing, "reviews", "2024-01-02", "r.json", review_2023())
    with pytest.raises(UserError, match="expected a day from 2024-01-02 on, the first arrival, found 2024-01-01"):
        arriving_files(landing, set(), MONDAY)
    with pytest.raises(UserError, match="expected a day from 2024-01-03 on"):
        arriving_files(landing, {SealedFile(WEDNESDAY, "none", "")}, TUESDAY)


def test_a_day_far_behind_the_newest_file_is_refused_since_all_days_up_to_it_would_be_closed(landing):
    landed(landing, "reviews", "2024-01-01", "r.json", review_2023())
    arriving_files(landing, set(), date(2024, 2, 1)).require_some(31)
    with pytest.raises(UserError, match="expected files on the 31 days up to 2024-02-02, found none after 2024-01-01"):
        arriving_files(landing, set(), date(2024, 2, 2)).require_some(31)
    with pytest.raises(UserError, match="found none after 2024-01-03"):
        arriving_files(landing, {SealedFile(WEDNESDAY, "none", "")}, date(2025, 1, 1)).require_some(31)


def test_a_file_in_the_folder_of_the_other_kind_is_refused(landing):
    landed(landing, "items", "2024-01-01", "r.json", review_2018(), item_2018(), review_2018())
    with pytest.raises(UserError, match=r"expected items in .*r\.json, found reviews; move it to reviews/"):
        arriving_files(landing, set(), MONDAY)


def test_a10_a_page_in_a_day_folder_is_refused(landing):
    landed(landing, "reviews", "2024-01-01", "r.json", b"<html>404</html>")
    with pytest.raises(UserError, match=r"r\.json, found b'<html>404</html>' at its start"):
        arriving_files(landing, set(), MONDAY)


def test_what_is_sealed_is_told_by_the_arrivals(tmp_path):
    empty_lake(tmp_path)
    assert sealed_files(tmp_path) == set()
    delta.append(
        tmp_path, ARRIVALS, [arrival(), arrival(arrived_on=TUESDAY, kind="none", file="", format="", sha256="")]
    )
    assert sealed_files(tmp_path) == {
        SealedFile(MONDAY, "reviews", "a.json", "0", format="amazon-2023"),
        SealedFile(TUESDAY, "none", ""),
    }


def test_a_second_run_waits_for_the_first(tmp_path):
    take = "import sys; from pathlib import Path; from recpipe.arriving import ingest_lock\n"
    take += "with ingest_lock(Path(sys.argv[1])): print('taken')"
    with pytest.raises(ZeroDivisionError), ingest_lock(tmp_path):
        second = subprocess.Popen([sys.executable, "-c", take, str(tmp_path)], cwd=CHECKOUT, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(3)
        _ = 1 / 0  # a run that fails lets go, too
    assert second.communicate(timeout=30)[0] == b"taken\n"


VIEWS = {"user_id": "who", "item_id": "sku", "event_type": "view", "occurred_at": "at"}
CARTS = {**VIEWS, "event_type": "cart"}
CLICKS = {**VIEWS, "event_type": "what"}
ITEMS = {"kind": "items", "item_id": "sku"}


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        pytest.param({"items": ITEMS, "views": VIEWS}, "views", id="the folder's kind"),
        pytest.param({"views": VIEWS, "clicks": CLICKS}, "clicks", id="the most fields"),
        pytest.param({"tabs": {**VIEWS, "delimiter": "\t"}, "views": VIEWS}, "views", id="the delimiter"),
        pytest.param({"lines": {**VIEWS, "file": "jsonl"}, "views": VIEWS}, "views", id="the kind of file"),
    ],
)
def test_a_file_put_there_by_hand_is_told_by_the_mapping_that_fits_best(landing, sources, told):
    landed(landing, "events", "2024-01-01", "e.csv", b"who,sku,at,what", b"U1,I1,1,view")
    formats = known_formats(Settings(sources=sources))
    [file] = arriving_files(landing, set(), MONDAY, formats).files
    assert (file.format, file.kind, file.spans) == (told, "events", (None,))


GOODS = {"kind": "items", "file": "jsonl", "item_id": "sku", "title": "name"}
WITH_BRAND, WITH_PRICE = {**GOODS, "brand": "made_by"}, {**GOODS, "price": "cost"}
PEOPLE = {"kind": "users", "file": "jsonl", "user_id": "who", "age": "years"}


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("items", b'{"sku": "A", "name": "Mug", "cost": 5}', "with-price"),
        ("items", b'{"sku": "A", "cost": 5}', "with-price"),
        ("items", b'{"sku": "A", "made_by": "Oldmill", "cost": null}', None),
        ("users", b'{"who": "U1"}', "people"),
        ("users", b'{"who": "U1", "sku": "A", "at": 1}', "found events; move it to events/"),
    ],
)
def test_json_lines_put_there_by_hand_are_told_by_the_fields_that_are_seen(landing, kind, line, told):
    landed(landing, kind, "2024-01-01", "x.jsonl", line)
    sources = {
        "with-brand": WITH_BRAND,
        "with-price": WITH_PRICE,
        "people": PEOPLE,
        "views": {**VIEWS, "file": "jsonl"},
    }
    formats = known_formats(Settings(sources=sources))
    if told in sources:
        assert [file.format for file in arriving_files(landing, set(), MONDAY, formats).files] == [told]
    else:
        with pytest.raises(UserError, match=told or "which with-(brand|price) and with-(brand|price) fit"):
            arriving_files(landing, set(), MONDAY, formats)


def test_a09_an_empty_file_put_there_by_hand_has_no_format_beside_mappings(landing):
    landed(landing, "events", "2024-01-01", "e.csv", b"")
    [file] = arriving_files(landing, set(), MONDAY, known_formats(Settings(sources={"views": VIEWS}))).files
    assert (file.layout, file.format) == (None, "")


def test_a_file_put_there_by_hand_that_two_mappings_fit_is_refused_and_landed_it_is_read(tmp_path, landing):
    lines = b"who,sku,at", b"U1,I1,1"
    formats = known_formats(Settings(sources={"views": VIEWS, "carts": CARTS}))
    path = landed(landing, "events", "2024-01-01", "e.csv", *lines)
    with pytest.raises(UserError, match=r"one mapping fits, found .*e\.csv, which views and carts fit; .* --format"):
        arriving_files(landing, set(), MONDAY, formats)
    path.unlink()
    land([write_lines(tmp_path / "e.csv", *lines)], Choice("carts", formats), landing, MONDAY)
    [file] = arriving_files(landing, set(), MONDAY, formats).files
    assert file.format == "carts"


def test_e07_what_a_killed_ingest_staged_is_gone_when_the_next_one_begins(tmp_path):
    staged = tmp_path / delta.STAGING / "reviews.parquet"
    staged.parent.mkdir()
    staged.write_bytes(b"half")
    with ingest_lock(tmp_path):
        assert not staged.parent.exists()
