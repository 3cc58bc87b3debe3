"""Yelp Open Dataset: reviews and businesses."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import datetime

from recpipe.sample.shop import Item, Review
from recpipe.sample.writers import JSON, Line, Writer, compact_json_line, roles


def _id(what: str) -> str:
    """22 characters, as Yelp's ids."""
    return urlsafe_b64encode(hashlib.sha256(what.encode()).digest()[:16]).decode().rstrip("=")


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _review(review: Review) -> Line:
    return {
        "review_id": _id(f"review {review.user} {review.thing.number} {review.moment}"),
        "user_id": _id(f"user {review.user}"),
        "business_id": _id(f"business {review.thing.number}"),
        "stars": float(review.stars),
        "useful": review.votes,
        "funny": review.user % 3,
        "cool": 0,
        "text": review.text.replace(". ", ".\n\n"),
        "date": _date(review.moment),
    }


def _business(item: Item) -> Line:
    thing = item.thing
    return {
        "business_id": _id(f"business {thing.number}"),
        "name": thing.title,
        "address": f"{thing.number} High Street",
        "city": "Exampleton",
        "state": "EX",
        "postal_code": f"{10_000 + thing.number}",
        "latitude": 40.0,
        "longitude": -75.0,
        "stars": 4.0,
        "review_count": 5 + thing.number % 90,
        "is_open": 1,
        "attributes": {"BusinessAcceptsCreditCards": "True"} if thing.number % 3 else None,
        "categories": f"{thing.noun}, {thing.taste}, {thing.department}" if thing.number % 20 else None,
        "hours": None,
    }


WRITERS = (
    Writer(
        "yelp", "reviews", "yelp_academic_dataset_review.json", _review, JSON, compact_json_line,
        roles(user="user_id", item="business_id", rating="stars", date="date", text="text", vote="useful"), _date,
    ),
    Writer(
        "yelp", "items", "yelp_academic_dataset_business.json", _business, JSON, compact_json_line,
        roles(item="business_id", title="name", text="name"),
    ),
)  # fmt: skip
