"""Amazon reviews and items in the field names of the 2014, the 2018 and the 2023 release.

Sources: https://jmcauley.ucsd.edu/data/amazon (2014), https://nijianmo.github.io/amazon (2018) and
https://amazon-reviews-2023.github.io (2023). Dates of 2014 and 2018 are seconds of midnight, those of 2023
milliseconds; a 2023 item is its `parent_asin`, of which `asin` is one variant.
"""

import re
from datetime import UTC, date, datetime
from typing import Any

from recpipe.sources import values
from recpipe.sources.fields import (
    WHOLE_STARS,
    address,
    epoch,
    flag,
    id_of,
    listed,
    not_before_1995_nor_after,
    noted,
    plain,
    plain_list,
    rating,
    text,
)
from recpipe.sources.formats import Format
from recpipe.sources.records import Fields, Item, RejectError, Review

SECOND, MILLISECOND = 1_000_000, 1_000
"""In microseconds."""

_REVIEW_TIME = re.compile(r"(\d{1,2}) (\d{1,2}), (\d{4})", re.ASCII)  # 09 1, 2016


def _time_2018(fields: Fields) -> int:
    if fields.get("unixReviewTime") in (None, ""):
        return _midnight(fields.get("reviewTime"))
    return epoch(fields["unixReviewTime"], SECOND)


def _time_2023(fields: Fields) -> int:
    return epoch(fields.get("timestamp"), MILLISECOND)


def _midnight(review_time: Any) -> int:
    if review_time in (None, ""):
        raise RejectError("missing_date")
    match = _REVIEW_TIME.fullmatch(review_time) if isinstance(review_time, str) else None
    try:
        month, day, year = map(int, match.groups() if match else ())
        return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * SECOND
    except ValueError:
        raise RejectError("bad_date") from None


def _review_2018(fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return Review(
        user_id=id_of(fields, "reviewerID", "user"),
        item_id=id_of(fields, "asin", "item"),
        reviewed_at=not_before_1995_nor_after(_time_2018(fields), arrived_on),
        rating=rating(fields, "overall", WHOLE_STARS),
        title=plain(fields, "summary"),
        text=text(fields, "reviewText"),
        vote=noted(values.count, fields, "vote", notes),
        verified=flag(fields, "verified"),
    )


def _review_2023(fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return Review(
        user_id=id_of(fields, "user_id", "user"),
        item_id=id_of(fields, "parent_asin", "item"),
        reviewed_at=not_before_1995_nor_after(_time_2023(fields), arrived_on),
        rating=rating(fields, "rating", WHOLE_STARS),
        title=plain(fields, "title"),
        text=text(fields, "text"),
        vote=noted(values.count, fields, "helpful_vote", notes),
        verified=flag(fields, "verified_purchase"),
    )


def _item_2018(fields: Fields, notes: list[str], _: date) -> Item:
    return Item(
        item_id=id_of(fields, "asin", "item"),
        title=plain(fields, "title"),
        brand=plain(fields, "brand"),
        categories=plain_list(fields, "category"),
        price=noted(values.price, fields, "price", notes),
        description="\n".join(plain_list(fields, "description")) or None,
        image_url=address(*listed(fields, "imageURLHighRes"), *listed(fields, "imageURL")),
    )


def _item_2023(fields: Fields, notes: list[str], _: date) -> Item:
    pictures = [picture for picture in listed(fields, "images") if isinstance(picture, dict)]
    return Item(
        item_id=id_of(fields, "parent_asin", "item"),
        title=plain(fields, "title"),
        brand=plain(fields, "store"),
        categories=plain_list(fields, "categories"),
        price=noted(values.price, fields, "price", notes),
        description="\n".join(plain_list(fields, "description")) or None,
        image_url=address(*(picture.get(size) for picture in pictures for size in ("hi_res", "large"))),
    )


def _like_review_2018(fields: Fields) -> bool:
    return "asin" in fields and bool(fields.keys() & {"reviewerID", "overall", "unixReviewTime"})


def _like_review_2023(fields: Fields) -> bool:
    return bool(fields.keys() & {"asin", "parent_asin"} and fields.keys() & {"user_id", "rating", "timestamp"})


def _like_item_2018(fields: Fields) -> bool:
    return "asin" in fields and "parent_asin" not in fields and not (_like_review_2018(fields))


def _like_item_2023(fields: Fields) -> bool:
    return "parent_asin" in fields and not _like_review_2023(fields)


REVIEWS_2018 = Format("amazon-2018", "reviews", _review_2018, _like_review_2018, _time_2018)
ITEMS_2018 = Format("amazon-2018", "items", _item_2018, _like_item_2018)
REVIEWS_2023 = Format("amazon-2023", "reviews", _review_2023, _like_review_2023, _time_2023)
ITEMS_2023 = Format("amazon-2023", "items", _item_2023, _like_item_2023)

FORMATS = (REVIEWS_2018, ITEMS_2018, REVIEWS_2023, ITEMS_2023)
