import zipfile
from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recpipe.errors import UserError
from recpipe.settings import CHECKOUT
from recpipe.sources import amazon, movielens
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import CSV, LINES, Layout, dated, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.movielens import (
    MOVIES_1M,
    MOVIES_100K,
    MOVIES_LATEST,
    RATINGS_1M,
    RATINGS_100K,
    RATINGS_LATEST,
    USERS_1M,
    USERS_100K,
)
from recpipe.sources.records import Accepted, Item, Reject, RejectError, Review, User
from tests.raw_lines import review_2018, seconds, write_lines

TODAY = date(2024, 3, 1)
RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")
LAYOUTS = {
    RATINGS_LATEST: Layout(RATINGS_LATEST, CSV, RATING_COLUMNS, has_header=True),
    MOVIES_LATEST: Layout(MOVIES_LATEST, CSV, ("movieId", "title", "genres"), has_header=True),
}
LAYOUTS |= {format_: Layout(format_, LINES) for format_ in movielens.FORMATS if format_ not in LAYOUTS}
TOY_STORY_100K = b"1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"

REAL = CHECKOUT.parent / "shared" / "data" / "movielens"
needs_real_files = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real files in {REAL}")


def outcome(line, format_):
    return parse(line, format_, LAYOUTS[format_].decoder(), TODAY)


def record(line, format_):
    found = outcome(line, format_)
    assert isinstance(found, Accepted), found
    return found.record


def notes(line, format_):
    found = outcome(line, format_)
    assert isinstance(found, Accepted), found
    return found.notes


def reason(line, format_):
    found = outcome(line, format_)
    assert isinstance(found, Reject), found
    return found.reason


@pytest.mark.parametrize(
    ("line", "format_", "stars"),
    [
        (b"196\t242\t3\t881250949", RATINGS_100K, 3.0),
        (b"196::242::3::881250949", RATINGS_1M, 3.0),
        (b"196,242,3.5,881250949", RATINGS_LATEST, 3.5),
    ],
)
def test_a_rating_is_a_review_without_text_and_its_ids_are_text(line, format_, stars):
    assert record(line, format_) == Review("196", "242", 881250949_000_000, stars, None, None, None, None)
    assert record(line + b"\r", format_) == record(line, format_)
    assert dated(line, format_, LAYOUTS[format_].decoder()) == date(1997, 12, 4)


def test_a_movie_keeps_the_year_in_its_title_and_genres_are_its_categories():
    assert record(TOY_STORY_100K, MOVIES_100K) == Item(
        "1", "Toy Story (1995)", None, ["Animation", "Children's", "Comedy"], None, None, None
    )
    assert record(b"1::Toy Story (1995)::Animation|Children's|Comedy", MOVIES_1M) == record(TOY_STORY_100K, MOVIES_100K)
    quoted = b'11,"American President, The (1995)",Comedy|Drama|Romance'
    assert record(quoted, MOVIES_LATEST) == Item(
        "11", "American President, The (1995)", None, ["Comedy", "Drama", "Romance"], None, None, None
    )


def test_every_flag_of_100k_is_the_genre_of_its_place():
    for place, genre in enumerate(movielens.GENRES_100K):
        flags = b"|".join(b"1" if place == flag else b"0" for flag in range(19))
        line = b"1|Heat (1995)|01-Jan-1995||http://x|" + flags
        assert record(line, MOVIES_100K).categories == ([genre] if genre != "unknown" else [])


def test_no_genre_is_no_category():
    assert record(b"114335,La cravate (1957),(no genres listed)", MOVIES_LATEST).categories == []
    assert record(b"1::Heat (1995)::", MOVIES_1M).categories == []
    assert record(b"267|unknown||||1" + b"|0" * 18, MOVIES_100K).categories == []
    assert notes(b"267|unknown||||x" + b"|0" * 18, MOVIES_100K) == ["unreadable_genres"]


def test_a_user_of_100k_has_years_and_a_word():
    assert record(b"1|24|M|technician|85711", USERS_100K) == User("1", 24, "M", "technician")
    for age in (b"151", b"-1", b"old"):
        line = b"1|%s|M|technician|85711" % age
        assert (record(line, USERS_100K).age, notes(line, USERS_100K)) == (None, ["unreadable_age"])


def test_a_user_of_1m_has_the_lower_end_of_a_band_and_the_word_of_a_code():
    assert record(b"1::F::1::10::48067", USERS_1M) == User("1", 0, "F", "K-12 student")
    assert record(b"2::M::56::0::70072", USERS_1M) == User("2", 56, "M", "other")
    assert record(b"3::M::45::20::55117", USERS_1M) == User("3", 45, "M", "writer")
    for bad in (b"24::21", b"57::-1", b"x::x"):
        line = b"1::F::" + bad + b"::48067"
        assert (record(line, USERS_1M)[1:], notes(line, USERS_1M)) == (
            (None, "F", None),
            ["unreadable_age", "unreadable_occupation"],
        )
    assert (record(b"1::F::::::48067", USERS_1M)[1:], notes(b"1::F::::::48067", USERS_1M)) == ((None, "F", None), [])


@pytest.mark.parametrize("stars", [b"0.5", b"4.5", b"5.0", b"5"])
def test_b03_half_stars_are_right_for_ml_latest(stars):
    assert record(b"1,2,%s,881250949" % stars, RATINGS_LATEST).rating == float(stars)


def test_b03_half_stars_are_wrong_for_100k_and_1m():
    assert reason(b"1\t2\t4.5\t881250949", RATINGS_100K) == "bad_rating"
    assert reason(b"1::2::4.5::881250949", RATINGS_1M) == "bad_rating"


@pytest.mark.parametrize("stars", [b"0", b"0.0", b"5.5", b"4.25", b"nan", b"-1", b"four"])
def test_b03_ratings_off_the_scale_are_rejected(stars):
    for format_, delimiter in ((RATINGS_100K, b"\t"), (RATINGS_1M, b"::"), (RATINGS_LATEST, b",")):
        assert reason(delimiter.join((b"1", b"2", stars, b"881250949")), format_) == "bad_rating"
        assert reason(delimiter.join((b"1", b"2", b"", b"881250949")), format_) == "missing_rating"


def test_a13_titles_are_latin_1_in_1m_and_100k_and_utf_8_in_ml_latest():
    title = "Misérables, Les (1995)"
    assert record(b"73::" + title.encode("latin-1") + b"::Drama", MOVIES_1M).title == title
    line = TOY_STORY_100K.replace(b"Toy Story (1995)", title.encode("latin-1"))
    assert (record(line, MOVIES_100K).title, notes(line, MOVIES_100K)) == (title, [])
    assert record(b'73,"' + title.encode() + b'",Drama', MOVIES_LATEST).title == title
    wrong = b'73,"' + title.encode("latin-1") + b'",Drama'
    assert record(wrong, MOVIES_LATEST).title == "Mis\ufffdrables, Les (1995)"
    assert notes(wrong, MOVIES_LATEST) == ["replaced_bytes"]


@pytest.mark.parametrize("bad", [b"1\xff", b"1\x00", b"\xb2", b"x", b"1.0", b"-1", b"movieId"])
def test_a13_ids_that_are_no_numbers_are_rejected(bad):
    assert reason(bad + b"\t2\t3\t881250949", RATINGS_100K) == "bad_user"
    assert reason(b"1::" + bad + b"::3::881250949", RATINGS_1M) == "bad_item"
    assert reason(bad + b"::Heat (1995)::Drama", MOVIES_1M) == "bad_item"
    assert reason(bad + b"::F::1::10::48067", USERS_1M) == "bad_user"
    assert reason(bad + b",Heat (1995),Drama", MOVIES_LATEST) == "bad_item"


@pytest.mark.parametrize(
    ("line", "format_", "why"),
    [
        (b"::242::3::881250949", RATINGS_1M, "missing_user"),
        (b"196\t\t3\t881250949", RATINGS_100K, "missing_item"),
        (b"196,242,3.5,", RATINGS_LATEST, "missing_date"),
        (b"196,242,3.5,soon", RATINGS_LATEST, "bad_date"),
        (b"196::242::3", RATINGS_1M, "wrong_number_of_fields"),
        (b"196::242::3::881250949::x", RATINGS_1M, "wrong_number_of_fields"),
        (TOY_STORY_100K + b"|0", MOVIES_100K, "wrong_number_of_fields"),
        (b'1,"Heat (1995),Drama', MOVIES_LATEST, "not_csv"),
        (b"userId,movieId,rating,timestamp", RATINGS_LATEST, "bad_user"),
        (b"UserID::MovieID::Rating::Timestamp", RATINGS_1M, "bad_user"),
        (b"1::2::3::%d" % seconds("2024-03-02"), RATINGS_1M, "dated_after_arrival"),
    ],
)
def test_a_broken_line_is_rejected_with_its_reason(line, format_, why):
    assert reason(line, format_) == why


def test_c01_milliseconds_are_told():
    assert outcome(b"1::2::3::881250949000", RATINGS_1M) == Reject("dated_after_arrival", wrong_unit=True)


@given(st.binary(max_size=60), st.sampled_from(movielens.FORMATS))
def test_no_bytes_raise_anything_but_a_reject(content, format_):
    assert_only_rejects(content, format_)


@given(st.lists(st.text(max_size=12), min_size=3, max_size=5), st.sampled_from(movielens.FORMATS))
def test_no_fields_raise_anything_but_a_reject(texts, format_):
    for delimiter in ("\t", "::", "|", ","):
        assert_only_rejects(delimiter.join(texts).encode("utf-8", "replace"), format_)


def assert_only_rejects(content, format_):
    try:
        fields, found = LAYOUTS[format_].decoder()(content)
        format_.is_like(fields)
        format_.record(fields, found, TODAY)
    except RejectError:
        pass


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.integers(1, 5),
    st.integers(seconds("1995-01-01"), seconds("2024-03-01")),
)
def test_a_rating_that_is_written_is_read_back(user, item, stars, at):
    for format_, delimiter in ((RATINGS_100K, "\t"), (RATINGS_1M, "::"), (RATINGS_LATEST, ",")):
        line = delimiter.join(map(str, (user, item, stars, at))).encode()
        assert record(line, format_)[:4] == (str(user), str(item), at * 1_000_000, stars)


LINES_OF = {
    RATINGS_100K: b"196\t242\t3\t881250949",
    MOVIES_100K: TOY_STORY_100K,
    USERS_100K: b"1|24|M|technician|85711",
    RATINGS_1M: b"1::1193::5::978300760",
    MOVIES_1M: b"1::Toy Story (1995)::Animation|Children's|Comedy",
    USERS_1M: b"1::F::1::10::48067",
    RATINGS_LATEST: b"userId,movieId,rating,timestamp\r",
    MOVIES_LATEST: b"movieId,title,genres\r",
}


@pytest.mark.parametrize("format_", LINES_OF, ids=str)
def test_a_file_is_told_by_its_fields_and_by_nothing_less(tmp_path, format_):
    path = write_lines(tmp_path / "x", LINES_OF[format_])
    assert layout_of(path, FORMATS) == LAYOUTS[format_]
    assert [other for other in FORMATS if is_told(path, other)] == [format_]


def is_told(path, format_):
    try:
        return layout_of(path, [format_]) is not None
    except UserError:
        return False


@pytest.mark.parametrize(
    "line",
    [
        b"a,b,c,d",
        b"1,2,3,4",
        b"1\t2\t3",
        b"1\t2\t3\t4",
        b"a\tb\tc\td",
        b"a::b::c::d",
        b"std::vector::push_back",
        b"a|b|c|d|e",
        b"userId,movieId,tag,timestamp",
        b"movieId,imdbId,tmdbId",
        b"<html>404</html>",
        b'{"a":"1\t2\t3\t881250949"}',
    ],
)
def test_a10_what_is_like_none_is_refused(tmp_path, line):
    with pytest.raises(UserError, match="at its start"):
        layout_of(write_lines(tmp_path / "x", line, line), movielens.FORMATS)


def test_a_file_of_another_shop_is_never_movielens(tmp_path):
    assert layout_of(write_lines(tmp_path / "x", review_2018()), FORMATS).format == amazon.REVIEWS_2018
    text = review_2018(reviewText="1::2::3::881250949")
    assert not any(is_told(write_lines(tmp_path / "x", text), format_) for format_ in movielens.FORMATS)


def test_columns_may_be_named_for_a_file_without_a_header(tmp_path):
    path = write_lines(tmp_path / "x", b"1,2,4.5,881250949")
    assert layout_of(path, FORMATS, RATING_COLUMNS) == LAYOUTS[RATINGS_LATEST]._replace(has_header=False)


def read(path):
    """The layout, the accepted records and the reasons of a file, whose format is told among all."""
    layout = layout_of(path, FORMATS)
    decode = layout.decoder()
    records, reasons = [], Counter()
    for line in records_of(path, layout):
        found = parse(line.content, layout.format, decode, TODAY)
        if isinstance(found, Reject):
            reasons[found.reason] += 1
        else:
            records.append(found.record)
            if found.notes:
                reasons.update(found.notes)
    return layout, records, reasons


@needs_real_files
@pytest.mark.parametrize(
    ("file", "format_", "lines"),
    [
        ("ml-100k/u.data", RATINGS_100K, 100_000),
        ("ml-100k/u.item", MOVIES_100K, 1_682),
        ("ml-100k/u.user", USERS_100K, 943),
        ("ml-1m/movies.dat", MOVIES_1M, 3_883),
        ("ml-1m/users.dat", USERS_1M, 6_040),
    ],
)
def test_every_line_of_the_real_files_is_accepted(file, format_, lines):
    layout, records, reasons = read(REAL / file)
    assert (layout, len(records), dict(reasons)) == (LAYOUTS[format_], lines, {})


@needs_real_files
def test_every_line_of_the_real_1m_ratings_is_accepted():
    layout, reviews, reasons = read(REAL / "ml-1m" / "ratings_users_1_2999.dat.gz")
    assert (layout, len(reviews), dict(reasons)) == (LAYOUTS[RATINGS_1M], 487_650, {})
    assert len({review.user_id for review in reviews}) == 2_999
    assert len({review.item_id for review in reviews}) == 3_615


@needs_real_files
def test_every_line_of_the_real_ml_latest_small_is_accepted(tmp_path):
    with zipfile.ZipFile(REAL / "ml-latest-small" / "ml-latest-small.zip") as archive:
        archive.extractall(tmp_path)
    layout, reviews, reasons = read(tmp_path / "ml-latest-small" / "ratings.csv")
    assert (layout, len(reviews), dict(reasons)) == (LAYOUTS[RATINGS_LATEST], 100_836, {})
    assert len({review.user_id for review in reviews}) == 610
    assert len({review.item_id for review in reviews}) == 9_724
    assert sum(review.rating % 1 > 0 for review in reviews) > 10_000
    layout, items, reasons = read(tmp_path / "ml-latest-small" / "movies.csv")
    assert (layout, len(items), dict(reasons)) == (LAYOUTS[MOVIES_LATEST], 9_742, {})
    for other in ("links.csv", "tags.csv", "README.txt"):
        assert not any(is_told(tmp_path / "ml-latest-small" / other, format_) for format_ in FORMATS)


@needs_real_files
def test_the_real_titles_and_users_are_what_people_read():
    titles = {item.item_id: item.title for item in read(REAL / "ml-1m" / "movies.dat")[1]}
    assert titles["73"] == "Misérables, Les (1995)"
    ages = Counter(user.age for user in read(REAL / "ml-1m" / "users.dat")[1])
    assert set(ages) == {0, 18, 25, 35, 45, 50, 56}
