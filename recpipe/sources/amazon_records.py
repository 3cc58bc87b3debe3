"""What the 2014, the 2018 and the 2023 release of Amazon's reviews and items call the fields, read into records.

Sources: https://jmcauley.ucsd.edu/data/amazon (2014), https://nijianmo.github.io/amazon (2018) and
https://amazon-reviews-2023.github.io (2023). Dates of 2014 and 2018 are seconds of midnight, those of 2023
milliseconds; a 2023 item is its `parent_asin`, of which `asin` is one variant. Lines of 2014 may be Python literals.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, NamedTuple

from recpipe.sources import values
from recpipe.sources.fields import (
    MILLISECOND,
    SECOND,
    WHOLE_STARS,
    address,
    epoch,
    id_of,
    listed,
    not_before_1995_nor_after,
    noted,
    plain,
    plain_list,
    plain_texts,
    rating,
    text,
)
from recpipe.sources.records import Fields, Item, RejectError, Review

_REVIEW_TIME = re.compile(r"(\d{1,2}) (\d{1,2}), (\d{4})", re.ASCII)  # 09 1, 2016
_HELPFUL = re.compile(r"\[\s*(\d+)\s*,\s*\d+\s*\]", re.ASCII)  # [13, 14], in a CSV file


def time_in_seconds(fields: Fields) -> int:
    if fields.get("unixReviewTime") in (None, ""):
        return _midnight(fields.get("reviewTime"))
    return epoch(fields["unixReviewTime"], SECOND)


def _time_in_milliseconds(fields: Fields) -> int:
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


def _found_helpful(helpful: Any) -> int | None:
    """The first of two numbers, as a list or as text: those who found it helpful, and those who were asked."""
    if isinstance(helpful, str):
        match = _HELPFUL.fullmatch(helpful.strip())
        return values.count(match[1]) if match else None
    return values.count(helpful[0]) if isinstance(helpful, list) and len(helpful) == 2 else None


class ReviewNames(NamedTuple):
    """What a release calls the fields of a review, and how it writes those that others write otherwise."""

    user_id: str
    item_id: str
    rating: str
    title: str
    text: str
    verified: str
    vote: str
    read_vote: Callable[[Any], int | None]
    time: Callable[[Fields], int]


class ItemNames(NamedTuple):
    """The same of an item; all releases have title, price and description."""

    item_id: str
    brand: str
    categories: str
    pictures: Callable[[Fields], Iterable[Any]]


def _pictures_2014(fields: Fields) -> Iterable[Any]:
    return listed(fields, "imUrl")


def _pictures_2018(fields: Fields) -> Iterable[Any]:
    return listed(fields, "imageURLHighRes") + listed(fields, "imageURL")


def _pictures_2023(fields: Fields) -> Iterable[Any]:
    pictures = listed(fields, "images")
    sizes = ([p.get("hi_res"), p.get("large")] if isinstance(p, dict) else [p] for p in pictures)
    return chain.from_iterable(sizes)


REVIEW_2018 = ReviewNames(
    user_id="reviewerID",
    item_id="asin",
    rating="overall",
    title="summary",
    text="reviewText",
    verified="verified",
    vote="vote",
    read_vote=values.count,
    time=time_in_seconds,
)
REVIEW_2014 = REVIEW_2018._replace(vote="helpful", read_vote=_found_helpful)
REVIEW_2023 = ReviewNames(
    user_id="user_id",
    item_id="parent_asin",
    rating="rating",
    title="title",
    text="text",
    verified="verified_purchase",
    vote="helpful_vote",
    read_vote=values.count,
    time=_time_in_milliseconds,
)
ITEM_2014 = ItemNames("asin", "brand", "categories", _pictures_2014)
ITEM_2018 = ItemNames("asin", "brand", "category", _pictures_2018)
ITEM_2023 = ItemNames("parent_asin", "store", "categories", _pictures_2023)


def review(names: ReviewNames, fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return Review(
        user_id=id_of(fields, names.user_id, "user"),
        item_id=id_of(fields, names.item_id, "item"),
        reviewed_at=not_before_1995_nor_after(names.time(fields), arrived_on),
        rating=rating(fields, names.rating, WHOLE_STARS),
        title=plain(fields, names.title, notes),
        text=text(fields, names.text, notes),
        vote=noted(names.read_vote, fields, names.vote, notes),
        verified=noted(values.flag, fields, names.verified, notes),
    )


def item(names: ItemNames, fields: Fields, notes: list[str], _: date) -> Item:
    return Item(
        item_id=id_of(fields, names.item_id, "item"),
        title=plain(fields, "title", notes),
        brand=plain(fields, names.brand, notes),
        categories=_categories(fields, names.categories, notes),
        price=noted(values.price, fields, "price", notes),
        description="\n".join(plain_list(fields, "description", notes)) or None,
        image_url=address(names.pictures(fields), notes),
    )


def _categories(fields: Fields, name: str, notes: list[str]) -> list[str]:
    """A path of categories, widest first; of several paths, as 2014 has them, the first, each name once."""
    found = listed(fields, name)
    paths = [path for path in found if isinstance(path, list) and path]
    return list(dict.fromkeys(plain_texts(paths[0], name, notes))) if paths else plain_texts(found, name, notes)
