from collections import Counter
from datetime import date

import pytest

from recpipe.errors import UserError
from recpipe.settings import CHECKOUT
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import parse
from recpipe.sources.known import FORMATS
from recpipe.sources.records import Accepted

REAL = CHECKOUT.parent / "shared" / "data"
COLUMNS_2014 = (
    *("reviewerID", "asin", "reviewerName", "helpful", "reviewText", "overall", "summary"),
    *("unixReviewTime", "reviewTime"),
)
WHOLE = [
    ("amazon2014_raw/Musical_Instruments_5.sample.json", "reviews (amazon-2014)", 50),
    ("amazon2014_raw/Musical_instruments_reviews.part.csv.gz", "reviews (amazon-2014-csv)", 5050),
    ("amazon2018_raw/AMAZON_FASHION_5.json.gz", "reviews (amazon-2018)", 3176),
    ("amazon2018_raw/AMAZON_FASHION_subset_reviews.csv.gz", "reviews (amazon-2018-csv)", 11136),
    ("amazon2018_raw/All_Beauty_5.json.gz", "reviews (amazon-2018)", 5269),
    ("amazon2018_raw/Appliances_5.json.gz", "reviews (amazon-2018)", 2277),
    ("amazon2018_raw/Gift_Cards_5.json.gz", "reviews (amazon-2018)", 2972),
    ("amazon2018_raw/Magazine_Subscriptions_5.json.gz", "reviews (amazon-2018)", 2375),
    ("amazon2018_raw/meta_Gift_Cards.json.gz", "items (amazon-2018)", 1547),
    ("amazon2018_raw/meta_Magazine_Subscriptions.json.gz", "items (amazon-2018)", 3385),
]
"""Files, what they are, and their records as their READMEs count them."""

CUT = [
    ("amazon2014_raw/meta_Digital_Music.truncated.json.gz", "items (amazon-2014)", 7419),
    ("amazon2014_raw/reviews_Digital_Music_5.truncated.json.gz", "reviews (amazon-2014)", 6908),
]


def real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"needs the real file {path}")
    return path


def accepted(path, layout, into):
    """Adds to ``into`` what each record becomes: accepted, or the reason why not; and the notes."""
    decode = layout.decoder()
    for line in records_of(path, layout):
        outcome = parse(line.content, layout.format, decode, date(2019, 1, 1))
        into["records"] += 1
        into["accepted" if isinstance(outcome, Accepted) else outcome.reason] += 1
        into.update(outcome.notes if isinstance(outcome, Accepted) else ())


@pytest.mark.parametrize(("name", "kind", "records"), WHOLE)
def test_every_record_of_a_real_file_is_accepted(name, kind, records):
    path, found = real(name), Counter()
    layout = layout_of(path, FORMATS, COLUMNS_2014 if "part.csv" in name else ())
    accepted(path, layout, found)
    prices = {"unreadable_price": found["unreadable_price"]} if found["unreadable_price"] else {}
    assert (str(layout.format), dict(found)) == (kind, {"records": records, "accepted": records, **prices})
    assert found["unreadable_price"] < 20


@pytest.mark.parametrize(("name", "kind", "records"), CUT)
def test_a07_a_real_file_that_was_cut_is_refused_with_its_name_and_line(name, kind, records):
    path, found = real(name), Counter()
    layout = layout_of(path, FORMATS)
    with pytest.raises(UserError, match=rf"{path.name} unreadable after line {records} ") as error:
        accepted(path, layout, found)
    assert "\n" not in str(error.value)
    literals = {"read_as_literal": records} if kind.startswith("items") else {}
    assert (str(layout.format), dict(found)) == (kind, {"records": records, "accepted": records, **literals})


def test_every_real_file_is_spoken_of():
    folders = [real("amazon2014_raw"), real("amazon2018_raw")]
    files = {f"{folder.name}/{path.name}" for folder in folders for path in folder.iterdir() if path.suffix != ".md"}
    assert files == {name for name, *_ in (*WHOLE, *CUT)}
