"""Every real file with a raw format lands and adds up, by the command line and a real ingest. Prints a row a file.

Run by `make test-slow`: half a million ratings take minutes.
"""

from datetime import date, timedelta
from pathlib import Path

import pytest

from recpipe.settings import CHECKOUT
from tests.end_to_end.shop import Shop

REAL = CHECKOUT.parent / "shared" / "data"
FIRST = date(2024, 1, 1)
KAGGLE = "reviewerID,asin,reviewerName,helpful,reviewText,overall,summary,unixReviewTime,reviewTime"
FILES = {  # file, format, records as its README counts them (the Yelp sample has a broken line behind its 3,610)
    "amazon2014_raw/Musical_Instruments_5.sample.json": ("amazon-2014", 50),
    "amazon2014_raw/Musical_instruments_reviews.part.csv.gz": ("amazon-2014-csv", 5050),
    "amazon2018_raw/AMAZON_FASHION_5.json.gz": ("amazon-2018", 3176),
    "amazon2018_raw/AMAZON_FASHION_subset_reviews.csv.gz": ("amazon-2018-csv", 11136),
    "amazon2018_raw/All_Beauty_5.json.gz": ("amazon-2018", 5269),
    "amazon2018_raw/Appliances_5.json.gz": ("amazon-2018", 2277),
    "amazon2018_raw/Gift_Cards_5.json.gz": ("amazon-2018", 2972),
    "amazon2018_raw/Magazine_Subscriptions_5.json.gz": ("amazon-2018", 2375),
    "amazon2018_raw/meta_Gift_Cards.json.gz": ("amazon-2018", 1547),
    "amazon2018_raw/meta_Magazine_Subscriptions.json.gz": ("amazon-2018", 3385),
    "movielens/ml-100k/u.data": ("movielens-100k", 100_000),
    "movielens/ml-100k/u.item": ("movielens-100k", 1682),
    "movielens/ml-100k/u.user": ("movielens-100k", 943),
    "movielens/ml-1m/ratings_users_1_2999.dat.gz": ("movielens-1m", 487_650),
    "movielens/ml-1m/movies.dat": ("movielens-1m", 3883),
    "movielens/ml-1m/users.dat": ("movielens-1m", 6040),
    "movielens/ml-latest-small/ml-latest-small.zip": ("movielens-latest", 100_836 + 9742),
    "yelp_raw/yelp_academic_dataset_review.sample500.json": ("yelp", 500),
    "yelp_raw/yelp_academic_dataset_review.sample3610.json.gz": ("yelp", 3611),
}
CUT = (
    "amazon2014_raw/reviews_Digital_Music_5.truncated.json.gz",
    "amazon2014_raw/meta_Digital_Music.truncated.json.gz",
)
FORMATS = tuple(dict.fromkeys(format_ for format_, _ in FILES.values()))
pytestmark = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real files in {REAL}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """A day of arrival a format, since ids of one shop mean something else in another."""
    shop = Shop(tmp_path_factory.mktemp("real"))
    shop.recpipe("init")
    for day, name in enumerate(FORMATS):
        files = [str(REAL / file) for file, (format_, _) in FILES.items() if format_ == name]
        columns = ("--no-header", KAGGLE) if name == "amazon-2014-csv" else ()
        shop.recpipe("land", *files, "--format", name, "--arrived-on", str(FIRST + timedelta(days=day)), *columns)
    shop.recpipe("run", "ingest_reviews", "--ds", str(FIRST + timedelta(days=len(FORMATS) - 1)))
    return shop


def test_every_real_file_adds_up(shop, capsys):
    arrived = shop.rows(
        """select format, kind, file, lines_read, accepted, rejected, duplicates, erased from arrivals
           where kind <> 'none' order by arrived_on, kind, file"""
    )
    with capsys.disabled():
        print()
        for row in [("format", "kind", "file", "lines", "accepted", "rejected", "duplicates", "erased"), *arrived]:
            print("{:17} {:8} {:49} {:>8} {:>8} {:>8} {:>10} {:>6}".format(*row))
    assert len(arrived) == len(FILES) + 1  # two members of the archive
    assert all(read == accepted + rejected + twice + erased for *_, read, accepted, rejected, twice, erased in arrived)
    for file, (_, records) in FILES.items():
        name = Path(file).name
        assert sum(row[3] for row in arrived if row[2].startswith(name)) == records, file
    assert shop.rows("select reason, file from rejected_rows") == [
        ("cut_off", "yelp_academic_dataset_review.sample3610.json.gz")
    ]
    counted = "select count(*) from {0}".format
    for kind in ("reviews", "items", "users"):
        assert shop.rows(counted(kind)) == [(sum(row[4] for row in arrived if row[1] == kind),)]


@pytest.mark.parametrize("file", CUT)
def test_a07_a_cut_file_is_refused_and_leaves_no_row(shop, file):
    day = str(FIRST + timedelta(days=len(FORMATS)))
    before = shop.digests([FIRST])
    assert "unreadable after line" in shop.refused(
        "land", str(REAL / file), "--format", "amazon-2014", "--arrived-on", day
    )
    kind = "items" if "meta" in file else "reviews"
    put = shop.home / "landing" / kind / f"arrived_on={day}" / Path(file).name
    put.parent.mkdir(parents=True)
    put.write_bytes((REAL / file).read_bytes())
    assert f"{put.name} unreadable after line" in shop.refused("run", "ingest_reviews", "--ds", day)
    put.unlink()
    put.parent.rmdir()
    assert shop.digests([FIRST]) == before
    assert shop.rows(f"select count(*) from arrivals where arrived_on = '{day}'") == [(0,)]
