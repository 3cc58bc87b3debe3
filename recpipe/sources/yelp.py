"""Yelp's open dataset: reviews, and businesses as items.

Source: https://www.yelp.com/dataset and the documentation there. Times are UTC; releases before 2018 have dates only,
categories as a list, and votes in an object of their own. Later ones write categories as one text with commas.
"""

import re
from datetime import date

from recpipe.sources import values
from recpipe.sources.fields import (
    WHOLE_STARS,
    id_of,
    moment,
    not_before_1995_nor_after,
    noted,
    plain,
    plain_list,
    plain_texts,
    rating,
    text,
)
from recpipe.sources.formats import Format
from recpipe.sources.records import Fields, Item, Review

WITH_COMMAS = ("Beer, Wine & Spirits", "Books, Mags, Music & Video", "Used, Vintage & Consignment")
WITH_COMMAS += ("Wills, Trusts, & Probates",)
"""Categories of Yelp's that hold commas themselves."""

_CATEGORY = re.compile(rf"\s*(?:{'|'.join(map(re.escape, WITH_COMMAS))})(?=\s*(?:,|$))|[^,]+")


def _time(fields: Fields) -> int:
    return moment(fields.get("date"))


def _review(fields: Fields, notes: list[str], arrived_on: date) -> Review:
    votes = fields.get("votes")
    return Review(
        user_id=id_of(fields, "user_id", "user"),
        item_id=id_of(fields, "business_id", "item"),
        reviewed_at=not_before_1995_nor_after(_time(fields), arrived_on),
        rating=rating(fields, "stars", WHOLE_STARS),
        title=None,
        text=text(fields, "text", notes),
        vote=noted(values.count, votes if isinstance(votes, dict) else fields, "useful", notes),
        verified=None,
    )


def _item(fields: Fields, notes: list[str], _: date) -> Item:
    return Item(
        item_id=id_of(fields, "business_id", "item"),
        title=plain(fields, "name", notes),
        brand=None,
        categories=_categories(fields, notes),
        price=None,
        description=None,
        image_url=None,
    )


def _categories(fields: Fields, notes: list[str]) -> list[str]:
    found = fields.get("categories")
    if isinstance(found, str):
        return plain_texts(_CATEGORY.findall(found), "categories", notes)
    return plain_list(fields, "categories", notes)


def _like_review(fields: Fields) -> bool:
    return fields.keys() >= {"user_id", "business_id", "stars"}


def _like_item(fields: Fields) -> bool:
    return fields.keys() >= {"business_id", "name"} and "user_id" not in fields


REVIEWS = Format(
    "yelp", "reviews", _review, _like_review, _time, members=("yelp_academic_dataset_review.json", "review.json")
)
ITEMS = Format("yelp", "items", _item, _like_item, members=("yelp_academic_dataset_business.json", "business.json"))

FORMATS = (REVIEWS, ITEMS)
