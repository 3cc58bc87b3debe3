"""The formats of Amazon's 2014, 2018 and 2023 release, and how they are told apart.

The CSV forms have the columns of the JSON lines, or those of the releases' files of ratings without texts.
"""

from collections.abc import Callable
from datetime import date
from functools import partial

from recpipe.sources.amazon_records import (
    ITEM_2014,
    ITEM_2018,
    ITEM_2023,
    REVIEW_2014,
    REVIEW_2018,
    REVIEW_2023,
    ItemNames,
    ReviewNames,
    item,
    review,
    time_in_seconds,
)
from recpipe.sources.formats import CSV, Format
from recpipe.sources.literal import decode_literal
from recpipe.sources.records import Fields, Review


def _like_review_2014(fields: Fields) -> bool:
    return "helpful" in fields and _like_review_of_asin(fields)


def _like_review_2018(fields: Fields) -> bool:
    return "helpful" not in fields and _like_review_of_asin(fields)


def _like_review_of_asin(fields: Fields) -> bool:
    return "asin" in fields and bool(fields.keys() & {"reviewerID", "overall", "unixReviewTime"})


def _like_review_2023(fields: Fields) -> bool:
    return bool(fields.keys() & {"asin", "parent_asin"} and fields.keys() & {"user_id", "rating", "timestamp"})


def _like_item_2014(fields: Fields) -> bool:
    """Also when it has no field of its release: as a Python literal it is none of another."""
    return _like_item_of_asin(fields) and not fields.keys() & {"category", "imageURL", "also_buy", "main_cat"}


def _like_item_2018(fields: Fields) -> bool:
    return _like_item_of_asin(fields) and not fields.keys() & {"categories", "imUrl", "related", "salesRank"}


def _like_item_of_asin(fields: Fields) -> bool:
    return "asin" in fields and "parent_asin" not in fields and not _like_review_of_asin(fields)


def _like_item_2023(fields: Fields) -> bool:
    return "parent_asin" in fields and not _like_review_2023(fields)


_RATINGS_ONLY = {"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime"}
"""Columns of the files of ratings without texts; 2014 has the user first, 2018 the item."""


def _renamed(fields: Fields) -> Fields:
    return {_RATINGS_ONLY.get(name, name): value for name, value in fields.items()}


def _csv_review(names: ReviewNames, fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return review(names, _renamed(fields), notes, arrived_on)


def _csv_time(fields: Fields) -> int:
    return time_in_seconds(_renamed(fields))


def _like_csv_2014(fields: Fields) -> bool:
    return _like_csv_of_asin(fields) and not fields.keys() & {"verified", "vote", "style"}


def _like_csv_2018(fields: Fields) -> bool:
    return _like_csv_of_asin(fields) and "helpful" not in fields


def _like_csv_of_asin(fields: Fields) -> bool:
    names = _renamed(fields).keys()
    return {"reviewerID", "asin", "overall"} <= names and bool(names & {"unixReviewTime", "reviewTime"})


def _like_csv_2023(fields: Fields) -> bool:
    return {"user_id", "parent_asin", "rating", "timestamp"} <= fields.keys()


def _reviews(name: str, names: ReviewNames, is_like: Callable[[Fields], bool]) -> Format:
    return Format(name, "reviews", partial(review, names), is_like, names.time)


def _items(name: str, names: ItemNames, is_like: Callable[[Fields], bool]) -> Format:
    return Format(name, "items", partial(item, names), is_like)


REVIEWS_2014 = _reviews("amazon-2014", REVIEW_2014, _like_review_2014)._replace(decode=decode_literal)
ITEMS_2014 = _items("amazon-2014", ITEM_2014, _like_item_2014)._replace(decode=decode_literal)
REVIEWS_2018 = _reviews("amazon-2018", REVIEW_2018, _like_review_2018)
ITEMS_2018 = _items("amazon-2018", ITEM_2018, _like_item_2018)
REVIEWS_2023 = _reviews("amazon-2023", REVIEW_2023, _like_review_2023)
ITEMS_2023 = _items("amazon-2023", ITEM_2023, _like_item_2023)
CSV_2014 = Format("amazon-2014-csv", "reviews", partial(_csv_review, REVIEW_2014), _like_csv_2014, _csv_time, CSV)
CSV_2018 = Format("amazon-2018-csv", "reviews", partial(_csv_review, REVIEW_2018), _like_csv_2018, _csv_time, CSV)
CSV_2023 = _reviews("amazon-2023-csv", REVIEW_2023, _like_csv_2023)._replace(framing=CSV)

# A bare line, such as {"asin": "A1"}, is of the first of two releases that it is like.
FORMATS = (REVIEWS_2018, ITEMS_2018, REVIEWS_2023, ITEMS_2023, REVIEWS_2014, ITEMS_2014, CSV_2014, CSV_2018, CSV_2023)
