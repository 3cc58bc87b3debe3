import hashlib
import tracemalloc
import zipfile
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recpipe import archives
from recpipe.archives import contents_of, is_zip, unpack
from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.landing import land, landed_files, replay
from recpipe.settings import CHECKOUT
from recpipe.sources.formats import CSV, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.movielens import MOVIES_LATEST, RATINGS_LATEST
from recpipe.sources.replay import Origin, origin_lines, read_origin
from tests.raw_lines import review_2018, seconds, write_lines

DAY = date(2018, 9, 1)
LATEST = Choice("movielens-latest")
RATINGS = b"userId,movieId,rating,timestamp\r\n" + b"".join(
    b"%d,1,4.5,%d\r\n" % (user, seconds(day)) for user, day in enumerate(("2018-09-03", "2010-01-01", "2018-09-02"))
)
MOVIES = b"movieId,title,genres\r\n1,Toy Story (1995),Comedy\r\n"
MEMBERS = {"ml/": b"", "ml/links.csv": b"x", "ml/ratings.csv": RATINGS, "ml/README.txt": b"y", "ml/movies.csv": MOVIES}

REAL = CHECKOUT.parent / "shared" / "data" / "movielens" / "ml-latest-small" / "ml-latest-small.zip"
needs_real_files = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real file {REAL}")


@pytest.fixture
def landing(tmp_path):
    return tmp_path / "landing"


@pytest.fixture
def archive(tmp_path):
    return zip_of(tmp_path / "ml.zip", MEMBERS)


def zip_of(path, members, means=zipfile.ZIP_DEFLATED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", means) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def everything_in(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def refusal(path, landing, choice=LATEST, put=land):
    with pytest.raises(UserError) as error:
        put([path], choice, landing, DAY)
    message = str(error.value)
    assert "\n" not in message
    assert everything_in(landing) == []
    return message


def test_the_wanted_files_of_an_archive_land_and_the_others_are_named(archive, landing):
    reports = land([archive], LATEST, landing, DAY)
    ratings = landing / "reviews" / "arrived_on=2018-09-01" / "ml.zip.ratings.csv"
    movies = landing / "items" / "arrived_on=2018-09-01" / "ml.zip.movies.csv"
    assert [file.path for file in landed_files(landing)] == [movies, ratings]
    assert (ratings.read_bytes(), movies.read_bytes()) == (RATINGS, MOVIES)
    layout = Layout(RATINGS_LATEST, CSV, ("userId", "movieId", "rating", "timestamp"), has_header=True)
    sha256 = hashlib.sha256(RATINGS).hexdigest()
    assert read_origin(ratings, FORMATS) == Origin("ml.zip/ratings.csv", sha256, layout, is_cut=False)
    assert list(map(str, reports)) == [
        "ml.zip.ratings.csv: 3 lines of reviews (movielens-latest) on 2018-09-01",
        "ml.zip.movies.csv: 1 lines of items (movielens-latest) on 2018-09-01; not taken: links.csv, README.txt",
    ]
    assert len(everything_in(landing)) == 4


def test_a_replayed_archive_lands_its_ratings_by_day_and_its_movies_on_the_first(archive, landing):
    ratings, movies = replay([archive], LATEST, landing, DAY)
    assert ratings.lines == {DAY: 1, date(2018, 9, 2): 1, date(2018, 9, 3): 1}
    assert movies.lines == {DAY: 1}
    assert movies.not_taken == ("links.csv", "README.txt")
    path = landing / "reviews" / "arrived_on=2018-09-02" / "ml.zip.ratings.csv.gz"
    assert read_origin(path, FORMATS).name == "ml.zip/ratings.csv"
    assert list(origin_lines(path)) == [4]
    assert len(landed_files(landing)) == 4


@pytest.mark.parametrize("put", [land, replay])
def test_landing_an_archive_twice_changes_nothing(archive, landing, put):
    put([archive], LATEST, landing, DAY)
    before = {name: (landing / name).read_bytes() for name in everything_in(landing)}
    assert all(report.known == len(report.lines) for report in put([archive], LATEST, landing, DAY))
    assert {name: (landing / name).read_bytes() for name in everything_in(landing)} == before


@pytest.mark.parametrize("put", [land, replay])
def test_two_archives_of_one_name_are_refused(tmp_path, landing, put):
    paths = [zip_of(tmp_path / folder / "ml.zip", {"ratings.csv": RATINGS}) for folder in "ab"]
    with pytest.raises(UserError, match=r"two named ml\.zip\.ratings\.csv"):
        put(paths, LATEST, landing, DAY)
    assert everything_in(landing) == []


def test_a_file_beside_an_archive_lands_too(tmp_path, archive, landing):
    path = tmp_path / "movies.csv"
    path.write_bytes(MOVIES)
    reports = land([path, archive], LATEST, landing, DAY)
    assert [report.file for report in reports] == ["movies.csv", "ml.zip.ratings.csv", "ml.zip.movies.csv"]
    assert path.read_bytes() == MOVIES


def test_an_archive_is_told_by_its_bytes(tmp_path, archive, landing):
    other_name = archive.rename(tmp_path / "ml.csv")
    assert land([other_name], LATEST, landing, DAY)[0].file == "ml.csv.ratings.csv"
    plain = tmp_path / "plain.zip"
    plain.write_bytes(MOVIES)
    assert not is_zip(plain)
    [report] = land([plain], LATEST, landing, DAY)
    assert (report.file, report.layout.format) == ("plain.zip", MOVIES_LATEST)


def test_a_format_without_archives_and_an_unknown_format_are_refused(archive, landing):
    message = refusal(archive, landing, Choice("amazon-2018"))
    assert message.startswith("expected a plain or gzip file for amazon-2018, found the zip archive")
    assert "expected a format out of" in refusal(archive, landing, Choice("letterboxd"))


def test_an_archive_of_another_format_is_refused_with_what_is_there(tmp_path, archive, landing):
    message = refusal(archive, landing, Choice("movielens-1m"))
    assert "expected ratings.dat or movies.dat or users.dat in" in message
    assert "found links.csv, ratings.csv, README.txt, movies.csv; give another --format" in message
    assert "found none" in refusal(zip_of(tmp_path / "empty.zip", {}), landing)


def test_what_is_in_the_archive_is_checked_as_any_file(tmp_path, landing):
    page = zip_of(tmp_path / "page.zip", {"ratings.csv": RATINGS, "movies.csv": b"<html>404</html>"})
    assert "page.zip/movies.csv, found b'<html>404</html>' at its start" in refusal(page, landing)
    empty = zip_of(tmp_path / "empty.zip", {"ratings.csv": b""})
    assert "empty.zip/ratings.csv, found none" in refusal(empty, landing)
    lines = write_lines(tmp_path / "x", review_2018()).read_bytes()
    other = zip_of(tmp_path / "other.zip", {"ratings.csv": lines})
    assert "give --format amazon-2018" in refusal(other, landing)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, landing):
    bomb = zip_of(tmp_path / "bomb.zip", {"ratings.csv": bytes(20_000_000)})
    assert bomb.stat().st_size < 30_000
    assert "expected at most 100 times its" in refusal(bomb, landing)


@pytest.mark.parametrize("put", [land, replay])
def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path, landing, put):
    path = zip_of(tmp_path / "bomb.zip", {"ratings.csv": RATINGS + b"0" * 20_000_000})
    size = (len(RATINGS) + 20_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, len(RATINGS).to_bytes(4, "little")))
    assert contents_of(path, "f", ["ratings.csv"]).taken[0].file_size == len(RATINGS)
    assert "Bad CRC-32" in refusal(path, landing, put=put)


def test_a_file_beside_that_is_a_bomb_does_not_matter(tmp_path, landing):
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": RATINGS, "genome.csv": bytes(20_000_000)})
    assert land([path], LATEST, landing, DAY)[0].not_taken == ("genome.csv",)


def test_more_bytes_or_files_than_any_archive_has_are_refused(tmp_path, archive, landing, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", len(RATINGS + MOVIES) - 1)
    assert f"found {len(RATINGS + MOVIES)};" in refusal(archive, landing)
    many = zip_of(tmp_path / "many.zip", {"ratings.csv": RATINGS} | {str(n): b"" for n in range(1000)})
    assert "expected at most 1000 files in the archive" in refusal(many, landing)


def test_a_huge_directory_is_refused_unread(tmp_path, landing):
    path = zip_of(tmp_path / "many.zip", {f"{n}{'x' * 60_000}": b"" for n in range(20)})
    assert "directory of more than 1048576 bytes" in refusal(path, landing)


@pytest.mark.parametrize(
    "name",
    ["../ratings.csv", "/etc/ratings.csv", "a/../../ratings.csv", "a\\ratings.csv", "..", "a\x1b[2Jb", "../links.csv"],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, landing, name):
    path = zip_of(tmp_path / "ml.zip", {"movies.csv": MOVIES, name: RATINGS})
    assert "expected names of files below one folder in the archive" in refusal(path, landing)
    assert everything_in(tmp_path) == ["ml.zip"]


def test_two_files_of_one_name_in_an_archive_are_refused(tmp_path, landing):
    path = zip_of(tmp_path / "ml.zip", {"a/ratings.csv": RATINGS, "b/ratings.csv": RATINGS})
    assert "found two named ratings.csv" in refusal(path, landing)


def test_encrypted_files_are_refused(tmp_path, landing):
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": RATINGS})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the member's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    assert "found ratings.csv encrypted" in refusal(path, landing)


@pytest.mark.parametrize("means", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_means_of_packing_without_bounds_are_refused(tmp_path, landing, means):
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": RATINGS}, means)
    assert f"found ratings.csv packed by method {means}" in refusal(path, landing)


def test_stored_files_are_taken(tmp_path, landing):
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": RATINGS}, zipfile.ZIP_STORED)
    assert land([path], LATEST, landing, DAY)[0].lines == {DAY: 3}


@pytest.mark.parametrize("put", [land, replay])
def test_a07_a_truncated_archive_leaves_nothing_behind(archive, landing, put):
    archive.write_bytes(archive.read_bytes()[:-30])
    assert f"expected a whole zip archive, found {archive} unreadable" in refusal(archive, landing, put=put)


@pytest.mark.parametrize("put", [land, replay])
def test_a07_an_archive_with_a_broken_file_leaves_nothing_behind(tmp_path, landing, put):
    path = zip_of(tmp_path / "ml.zip", {"movies.csv": MOVIES, "ratings.csv": RATINGS}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"2,1,4.5", b"2,1,3.5"))
    assert "Bad CRC-32 for file 'ratings.csv'" in refusal(path, landing, put=put)


def test_a_file_that_is_shorter_than_the_directory_says_is_refused(tmp_path, landing):
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": RATINGS})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 16 : entry + 24] = bytes(8)  # hash and packed size; those of nothing fit each other
    path.write_bytes(content)
    assert f"ratings.csv ends {len(RATINGS)} bytes early" in refusal(path, landing)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 2**16), byte=st.integers(0, 255), length=st.integers(1, 8))
def test_no_bytes_raise_anything_but_a_user_error(tmp_path, place, byte, length):
    content = bytearray(zip_of(tmp_path / "ml.zip", MEMBERS).read_bytes())
    place %= len(content)
    content[place : place + length] = bytes([byte]) * length
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    try:
        unpack(contents_of(path, "f", ["ratings.csv"]), tmp_path / "out")
    except UserError:
        return
    assert (tmp_path / "out" / "ratings.csv").read_bytes() == RATINGS


def test_a_full_disk_is_told_apart_from_a_broken_archive(tmp_path, archive, landing, monkeypatch):
    contents = contents_of(archive, "f", ["ratings.csv"])
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "ratings.csv").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as error:
        unpack(contents, folder)

    def full(*_):
        raise error.value

    monkeypatch.setattr("recpipe.choice.unpack", full)
    assert refusal(archive, landing).startswith(f"expected to write into {landing}, found: [Errno 28]")


def test_a_large_file_is_unpacked_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_RATIO", 2000)
    path = zip_of(tmp_path / "ml.zip", {"ratings.csv": bytes(64 * 2**20)})
    contents = contents_of(path, "f", ["ratings.csv"])
    tracemalloc.start()
    try:
        [unpacked] = unpack(contents, tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert unpacked.stat().st_size == 64 * 2**20
    assert peak < 8 * 2**20


@needs_real_files
def test_the_real_archive_lands_as_downloaded(landing):
    ratings, movies = land([REAL], LATEST, landing, date(2018, 10, 1))
    assert (ratings.file, sum(ratings.lines.values())) == ("ml-latest-small.zip.ratings.csv", 100_836)
    assert (movies.file, sum(movies.lines.values())) == ("ml-latest-small.zip.movies.csv", 9_742)
    assert str(movies).endswith("; not taken: links.csv, tags.csv, README.txt")


@needs_real_files
def test_the_real_archive_is_replayed_with_every_line(landing):
    ratings, movies = replay([REAL], LATEST, landing, date(2018, 9, 1))
    assert (sum(ratings.lines.values()), len(ratings.lines)) == (100_836, 20)
    assert movies.lines == {date(2018, 9, 1): 9_742}
