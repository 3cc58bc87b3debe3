"""Amazon Review Data as the releases of 2014, 2018 and 2023 write it."""

from datetime import datetime

from recpipe.sample.shop import Item, Review
from recpipe.sample.words import FIRST_NAMES
from recpipe.sample.writers import (
    CSV,
    JSON,
    LITERAL,
    Line,
    Writer,
    csv_encode,
    csv_line,
    json_line,
    literal_line,
    midnight,
    milliseconds,
    roles,
    written_day,
)


def _review_2023(review: Review) -> Line:
    return {
        "asin": review.thing.item_id,
        "parent_asin": review.thing.item_id,
        "user_id": f"U{review.user:05d}",
        "images": [],
        "timestamp": milliseconds(review.moment),
        "verified_purchase": review.verified,
        "helpful_vote": review.votes,
        "rating": float(review.stars),
        "title": review.title,
        "text": review.text,
    }


def _item_2023(item: Item) -> Line:
    thing = item.thing
    return {
        "main_category": thing.department,
        "title": thing.title,
        "store": item.store,
        "categories": [thing.department, thing.taste, thing.noun],
        "price": item.price,
        "description": [f"For {thing.taste.lower()}: {thing.title}."],
        "images": [{"large": f"https://example.com/images/{thing.item_id}.jpg", "variant": "MAIN"}],
        "parent_asin": thing.item_id,
    }


def _rating_2023(review: Review) -> Line:
    """The "rating only" files of the 2023 release."""
    line = _review_2023(review)
    return {name: line[name] for name in ("user_id", "parent_asin", "rating", "timestamp")}


def _reviewer(review: Review) -> Line:
    first = FIRST_NAMES[review.user % len(FIRST_NAMES)]
    nick = f'{first} "the {review.thing.noun.lower()} fan"' if review.user % 3 == 0 else first
    return {"reviewerID": f"A{review.user:013d}", "asin": review.thing.item_id, "reviewerName": nick}


def _dates(moment: datetime) -> Line:
    return {"unixReviewTime": midnight(moment), "reviewTime": written_day(moment.date())}


def _review_2018(review: Review) -> Line:
    named = {"overall": float(review.stars)}
    if review.votes:
        named["vote"] = f"{review.votes:,}"
    dates = _dates(review.moment)
    named |= {"verified": review.verified, "reviewTime": dates["reviewTime"], **_reviewer(review)}
    if review.user % 2:
        named["style"] = {"Size:": " One Size", "Color:": f" {review.thing.title.partition(' ')[0]}"}
    return {
        **named,
        "reviewText": review.text,
        "summary": review.title,
        "unixReviewTime": dates["unixReviewTime"],
    }


def _item_2018(item: Item) -> Line:
    thing = item.thing
    address = f"https://example.com/images/{thing.item_id}"
    return {
        "category": [thing.department, thing.taste, thing.noun],
        "tech1": "",
        "description": [f"For {thing.taste.lower()}: {thing.title}.", ""],
        "fit": "",
        "title": thing.title,
        "also_buy": [],
        "tech2": "",
        "brand": item.store.replace("&", "&amp;"),
        "feature": [],
        "rank": f"{thing.number:,} in {thing.department} (",
        "also_view": [],
        "details": {"Shipping Weight:": "3 ounces", "ASIN: ": thing.item_id},
        "main_cat": thing.department,
        "similar_item": "",
        "date": "",
        "price": f"${item.price:,.2f}" if thing.number % 10 else "",
        "asin": thing.item_id,
        "imageURL": [f"{address}_small.jpg"],
        "imageURLHighRes": [f"{address}.jpg"],
    }


def _review_2014(review: Review) -> Line:
    return {
        **_reviewer(review),
        "helpful": [review.votes, review.votes + review.user % 3],
        "reviewText": review.text,
        "overall": float(review.stars),
        "summary": review.title,
        **_dates(review.moment),
    }


def _item_2014(item: Item) -> Line:
    thing = item.thing
    line: Line = {"asin": thing.item_id}
    if thing.number % 4:
        line["description"] = f"For {thing.taste.lower()}: {thing.title}."
    line |= {"title": thing.title, "price": item.price, "imUrl": f"http://example.com/images/{thing.item_id}.jpg"}
    if thing.number % 3 == 0:
        line |= {"related": {"also_bought": []}, "salesRank": {thing.department: thing.number}}
    return {**line, "categories": [[thing.department, thing.taste, thing.noun]], "brand": item.store}


def _csv_2014(review: Review) -> Line:
    line = _review_2014(review)
    return {**line, "helpful": str(line["helpful"]), "reviewText": _on_lines(review.text), "overall": review.stars}


_COLUMNS_2018 = [
    "reviewerID",
    "asin",
    "reviewerName",
    "reviewText",
    "overall",
    "summary",
    "unixReviewTime",
    "reviewTime",
    "verified",
    "style",
]


def _csv_2018(review: Review) -> Line:
    line = {**_review_2018(review), "reviewText": _on_lines(review.text)}
    line["style"] = str(line["style"]) if "style" in line else ""
    return {name: line[name] for name in _COLUMNS_2018}


def _on_lines(text: str) -> str:
    """A sentence a line."""
    return text.replace(". ", ".\n")


_ROLES_2023 = roles(item="parent_asin", user="user_id", rating="rating", date="timestamp")
_ROLES_2018 = roles(
    user="reviewerID", item="asin", rating="overall", date=("unixReviewTime", "reviewTime"), title="summary",
    text="reviewText", vote="vote",
)  # fmt: skip
_ROLES_2014 = {**_ROLES_2018, "vote": ("helpful",)}
_ITEM_ROLES = roles(item="asin", title="title", text="title", price="price")
_COLUMNS_2014 = [
    "reviewerID",
    "asin",
    "reviewerName",
    "helpful",
    "reviewText",
    "overall",
    "summary",
    "unixReviewTime",
    "reviewTime",
]
_COLUMNS_2023 = ["user_id", "parent_asin", "rating", "timestamp"]

REVIEWS_2023 = Writer(
    "amazon-2023", "reviews", "reviews.jsonl.gz", _review_2023, JSON, json_line,
    {**_ROLES_2023, **roles(title="title", text="text", vote="helpful_vote")}, milliseconds,
)  # fmt: skip
ITEMS_2023 = Writer(
    "amazon-2023", "items", "items.jsonl", _item_2023, JSON, json_line,
    {**_ITEM_ROLES, "item": ("parent_asin",)},
)  # fmt: skip
CSV_2023 = Writer(
    "amazon-2023-csv", "reviews", "ratings.csv", _rating_2023, CSV, csv_encode(), _ROLES_2023, milliseconds,
    csv_line(_COLUMNS_2023),
)  # fmt: skip
REVIEWS_2018 = Writer(
    "amazon-2018", "reviews", "Sample_5.json.gz", _review_2018, JSON, json_line, _ROLES_2018, midnight
)
ITEMS_2018 = Writer("amazon-2018", "items", "meta_Sample.json.gz", _item_2018, JSON, json_line, _ITEM_ROLES)
CSV_2018 = Writer(
    "amazon-2018-csv", "reviews", "reviews.csv.gz", _csv_2018, CSV, csv_encode(),
    {role: names for role, names in _ROLES_2018.items() if role != "vote"}, midnight, csv_line(_COLUMNS_2018),
)  # fmt: skip
REVIEWS_2014 = Writer(
    "amazon-2014", "reviews", "reviews_Sample_5.json.gz", _review_2014, JSON, json_line, _ROLES_2014, midnight,
    or_literal=True,
)  # fmt: skip
ITEMS_2014 = Writer(
    "amazon-2014", "items", "meta_Sample.json.gz", _item_2014, LITERAL, literal_line, _ITEM_ROLES,
    notes=("read_as_literal",),
)  # fmt: skip
CSV_2014 = Writer(
    "amazon-2014-csv", "reviews", "reviews.csv", _csv_2014, CSV, csv_encode(), _ROLES_2014, midnight,
    csv_line(_COLUMNS_2014),
)  # fmt: skip
