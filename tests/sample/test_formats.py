"""Files of every format look as the real ones do; beside real ones where these are there."""

import ast
import csv
import gzip
import io
import json
import re
import zipfile

import duckdb
import orjson
import pytest

from recpipe.sample import Sample, Wanted, events, write_sample
from recpipe.sample.arriving import lines_of
from recpipe.sample.formats import WRITERS
from recpipe.sample.mix import Mix
from recpipe.sample.planted import Planted
from recpipe.settings import CHECKOUT
from recpipe.sources.formats import parse
from recpipe.sources.known import FORMATS
from recpipe.sources.movielens import GENRES_100K
from tests.benchmarks.bulk import write_bulk_reviews

REAL = CHECKOUT.parent / "shared" / "data"
SMALL = Sample(users=100, items=120, days=2)
needs_real_files = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real files in {REAL}")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Gives the bytes of the first arrival's file of a format and kind, without faults."""
    landings = {}

    def content(format_, kind="reviews"):
        if format_ not in landings:
            landings[format_] = tmp_path_factory.mktemp(format_)
            write_sample(landings[format_], SMALL, Wanted(format_, faults={}))
        [path] = [
            path
            for path in (landings[format_] / kind / f"arrived_on={SMALL.arrivals[0]}").iterdir()
            if path.name[0] != "_"
        ]
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content

    return content


def csv_rows(content):
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def json_lines(content):
    return [orjson.loads(line) for line in content.splitlines()]


def real(place):
    path = REAL / place
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def same_types(ours, real_one):
    """Names of fields that the real record has too, but with a value of another type."""
    return [name for name, value in ours.items() if name in real_one and type(real_one[name]) is not type(value)]


@pytest.mark.parametrize("format_", list(WRITERS))
def test_every_format_is_written_and_its_lines_are_counted(tmp_path, format_):
    planted = write_sample(tmp_path, SMALL, Wanted(format_))
    kinds = {writer.kind for writer in WRITERS[format_]}
    assert {(file.kind, file.arrived_on) for file in planted.files} >= {(kind, SMALL.arrivals[0]) for kind in kinds}
    assert planted.lines("reviews").total() > 800
    assert planted.faults["missing_user"] >= 1
    for file in planted.files:
        assert (tmp_path / file.kind / f"arrived_on={file.arrived_on}" / file.file).is_file()


def test_reviews_of_2014_have_up_and_total(written):
    lines = json_lines(written("amazon-2014"))
    names = "reviewerID asin reviewerName helpful reviewText overall summary unixReviewTime reviewTime"
    assert {tuple(line) for line in lines} == {tuple(names.split())}
    assert all(0 <= up <= total for up, total in (line["helpful"] for line in lines))
    assert all(line["unixReviewTime"] % 86_400 == 0 for line in lines)


def test_metadata_of_2014_is_python_and_not_json(written):
    lines = written("amazon-2014", "items").splitlines()
    items = [ast.literal_eval(line.decode("ascii")) for line in lines]
    assert len(items) > 100
    assert all(line.startswith(b"{'asin': 'B") for line in lines)
    assert all(isinstance(item["categories"][0], list) and isinstance(item["price"], float) for item in items)
    assert {"related", "salesRank"} <= items[2].keys() | items[5].keys() | items[8].keys()


def test_the_csv_of_2014_and_2018_has_newlines_inside_quotes(written):
    for format_ in ("amazon-2014-csv", "amazon-2018-csv"):
        content = written(format_)
        header, *rows = csv_rows(content)
        assert header[:3] == ["reviewerID", "asin", "reviewerName"]
        assert {len(row) for row in rows} == {len(header)}
        assert content.count(b"\n") > len(rows) + 1
        assert any('"' in row[2] for row in rows)
    assert re.fullmatch(r"\[\d+, \d+\]", csv_rows(written("amazon-2014-csv"))[1][3])
    assert {row[8] for row in csv_rows(written("amazon-2018-csv"))[1:]} == {"True", "False"}


def test_ratings_of_2023_are_four_columns(written):
    header, *rows = csv_rows(written("amazon-2023-csv"))
    assert header == ["user_id", "parent_asin", "rating", "timestamp"]
    assert all(re.fullmatch(r"[1-5]\.0 \d{13}", " ".join(row[2:])) for row in rows)


def test_movielens_has_its_separators_flags_and_latin_1(written):
    ratings, films, users = (written("movielens-100k", kind) for kind in ("reviews", "items", "users"))
    assert all(re.fullmatch(rb"\d+\t\d+\t[1-5]\t\d{9,10}", line) for line in ratings.splitlines())
    rows = [line.split("|") for line in films.decode("latin-1").splitlines()]
    assert {len(row) for row in rows} == {5 + 19}
    assert all(1 <= row[5:].count("1") <= 2 and row[5:].count("0") >= 17 for row in rows)
    assert all(re.fullmatch(rb"\d+\|\d\d\|[FM]\|[a-z]+\|\d{5}", line) for line in users.splitlines())
    ratings, films, users = (written("movielens-1m", kind) for kind in ("reviews", "items", "users"))
    assert all(re.fullmatch(rb"\d+::\d+::[1-5]::\d{9,10}", line) for line in ratings.splitlines())
    assert all(re.fullmatch(rb"\d+::.+ \(\d{4}\)::[A-Z][^:]*", line) for line in films.splitlines())
    assert all(re.fullmatch(rb"\d+::[FM]::(1|18|25|35|45|50|56)::\d+::\d{5}", line) for line in users.splitlines())
    assert "Château".encode("latin-1") in films
    assert b"\xc3" not in films


def test_users_come_once_with_their_first_review(tmp_path):
    planted = write_sample(tmp_path, SMALL, Wanted("movielens-1m", faults={}))
    by_day = {
        kind: [
            {line.split(b"::")[0] for line in (tmp_path / kind / f"arrived_on={day}" / name).read_bytes().splitlines()}
            for day in SMALL.arrivals
        ]
        for kind, name in (("reviews", "ratings.dat"), ("users", "users.dat"))
    }
    first, second = by_day["users"]
    assert first == by_day["reviews"][0]
    assert second == by_day["reviews"][1] - first
    assert planted.lines("users").total() == len(first | second) == SMALL.users


def test_movielens_latest_ends_lines_as_windows_does_and_has_half_stars(written):
    ratings, films = written("movielens-latest"), written("movielens-latest", "items")
    assert ratings.startswith(b"userId,movieId,rating,timestamp\r\n")
    assert films.startswith(b"movieId,title,genres\r\n")
    assert ratings.count(b"\r\n") == ratings.count(b"\n")
    stars = {row[2] for row in csv_rows(ratings)[1:]}
    assert {"4.5", "5.0"} < stars
    assert b',"Ch' in films


def test_yelp_has_dates_as_text_and_categories_as_one(written):
    reviews, places = json_lines(written("yelp")), json_lines(written("yelp", "items"))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line["date"]) for line in reviews)
    assert all(len(line[name]) == 22 for line in reviews for name in ("review_id", "user_id", "business_id"))
    assert {type(place["categories"]) for place in places} == {str, type(None)}
    assert len(places[0]["categories"].split(", ")) == 3
    assert {line["business_id"] for line in reviews} - {place["business_id"] for place in places}  # without metadata


def test_events_come_as_csv_json_lines_and_parquet_with_their_mapping(tmp_path):
    rows = {}
    for file in events.WRITERS:
        planted = write_sample(tmp_path / file, SMALL, Wanted(events=file, faults={}))
        path = tmp_path / file / "events" / f"arrived_on={SMALL.arrivals[0]}" / events.WRITERS[file].file
        assert f'file = "{file}"' in planted.mapping
        if file == "csv":
            header, *of_csv = csv_rows(gzip.decompress(path.read_bytes()))
            rows[file] = [dict(zip(header, row, strict=True)) for row in of_csv]
        elif file == "jsonl":
            rows[file] = json_lines(path.read_bytes())
        else:
            with duckdb.connect() as connection:
                found = connection.execute("from read_parquet(?, hive_partitioning = false)", [str(path)])
                names = [column[0] for column in found.description]
                rows[file] = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert {tuple(row) for of_file in rows.values() for row in of_file} == {
        ("event_time", "kind", "product", "buyer", "channel")
    }
    times = [sorted(int(row["event_time"]) * unit for row in rows[f]) for f, unit in (("csv", 1000), ("jsonl", 1))]
    assert times[0] == times[1]
    key = json.dumps
    assert sorted(rows["jsonl"], key=key) == sorted(rows["parquet"], key=key)


def test_many_reviews_are_distinct_seeded_and_as_long_as_real_ones(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_bulk_reviews(tmp_path / name, 12_345, seed)
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert contents[0] == contents[1] != contents[2]
    [format_] = [known for known in FORMATS if (known.name, known.kind) == ("amazon-2023", "reviews")]
    lines = contents[0].splitlines()
    reviews = [parse(line, format_, format_.decode, SMALL.last_day).record for line in lines]
    assert len({review[:3] for review in reviews}) == 12_345
    assert 570 <= len(contents[0]) / 12_345 <= 610
    assert len({len(review.text) for review in reviews}) > 500
    assert 1000 < len({review.user_id for review in reviews}) < 2000


@needs_real_files
def test_names_and_types_are_those_of_real_json():
    for place, writer in (
        ("amazon2014_raw/Musical_Instruments_5.sample.json", WRITERS["amazon-2014"][0]),
        ("amazon2018_raw/Gift_Cards_5.json.gz", WRITERS["amazon-2018"][0]),
        ("amazon2018_raw/meta_Gift_Cards.json.gz", WRITERS["amazon-2018"][1]),
        ("yelp_raw/yelp_academic_dataset_review.sample500.json", WRITERS["yelp"][0]),
    ):
        real_ones = json_lines(real(place))
        ours = [json.loads(line) for line in lines_of_kind(writer)]
        names = {name for line in real_ones for name in line}
        assert {name for line in ours for name in line} <= names, place
        full = {name: value for line in real_ones for name, value in line.items()}
        assert same_types(ours[1], {**full, **real_ones[0]}) in ([], ["rank"]), place


def lines_of_kind(writer):
    """The first arrival's lines of a writer, encoded."""
    of_format = WRITERS[writer.format]
    return lines_of(SMALL, of_format, Mix({}, False, SMALL.arrivals), Planted(""))[writer.kind][SMALL.arrivals[0]]


@needs_real_files
def test_headers_and_columns_are_those_of_real_text(written):
    archive = zipfile.ZipFile(REAL / "movielens/ml-latest-small/ml-latest-small.zip")
    for kind, name in (("reviews", "ratings.csv"), ("items", "movies.csv")):
        header = archive.read(f"ml-latest-small/{name}").split(b"\n")[0]
        assert written("movielens-latest", kind).split(b"\n")[0] == header
    real_csv = gzip.decompress((REAL / "amazon2018_raw/AMAZON_FASHION_subset_reviews.csv.gz").read_bytes())
    assert csv_rows(written("amazon-2018-csv"))[0] == csv_rows(real_csv.split(b"\n")[0])[0]
    for place, delimiter, format_, kind in (
        ("ml-100k/u.data", b"\t", "movielens-100k", "reviews"),
        ("ml-100k/u.item", b"|", "movielens-100k", "items"),
        ("ml-100k/u.user", b"|", "movielens-100k", "users"),
        ("ml-1m/movies.dat", b"::", "movielens-1m", "items"),
        ("ml-1m/users.dat", b"::", "movielens-1m", "users"),
    ):
        widths = {len(line.split(delimiter)) for line in real(f"movielens/{place}").splitlines() if line}
        assert {len(line.split(delimiter)) for line in written(format_, kind).splitlines()} == widths, place
    genres = [line.split(b"|")[0].decode() for line in real("movielens/ml-100k/u.genre").split(b"\n") if line]
    assert list(GENRES_100K) == genres
