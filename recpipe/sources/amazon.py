"""Amazon reviews and items as JSON lines, in the field names of the 2018 and the 2023 release.

Sources: https://nijianmo.github.io/amazon (2018) and https://amazon-reviews-2023.github.io (2023). 2018 dates are
seconds of midnight, 2023 dates milliseconds; a 2023 item is its `parent_asin`, of which `asin` is one variant.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from recpipe.errors import UserError
from recpipe.sources import values
from recpipe.sources.records import Accepted, Item, Record, Reject, RejectError, Review, decode
from recpipe.tables import MIN_DAY

FORMATS = ("amazon-2018", "amazon-2023")
KINDS = ("reviews", "items")
DAY = 86_400_000_000
"""A day in microseconds."""

_EPOCH = date(1970, 1, 1)
_MIN_TIME = (MIN_DAY - _EPOCH).days * DAY
_REVIEW_TIME = re.compile(r"(\d{1,2}) (\d{1,2}), (\d{4})", re.ASCII)  # 09 1, 2016
_MICROSECONDS = {"amazon-2018": 1_000_000, "amazon-2023": 1_000}  # in the unit of the format's dates

Fields = Mapping[str, Any]


class Dialect(NamedTuple):
    format: str  # one of FORMATS
    kind: str  # one of KINDS


def detect(lines: Iterable[bytes], name: str) -> Dialect | None:
    """The dialect of most of ``lines``, the first of a file; None where there are no lines.

    Raises:
        UserError: the file is no JSON lines, or none of the known formats.
    """
    votes: Counter[Dialect] = Counter()
    first = None
    for content in lines:
        first = first or content.removeprefix(b"\xef\xbb\xbf").lstrip()
        try:
            record, _ = decode(content)
        except RejectError:
            continue
        if dialect := _dialect(record):
            votes[dialect] += 1
    if first is None:
        return None
    known = f"expected JSON lines of {' or '.join(FORMATS)} (reviews or items) in {name}"
    if not first.startswith(b"{"):
        raise UserError(f"{known}, found {first[:20]!r} at its start; fetch or convert it again")
    if not votes:
        raise UserError(f"{known}, found none of their fields in its first lines; convert it to one of them")
    return votes.most_common(1)[0][0]


def _dialect(record: Fields) -> Dialect | None:
    if record.keys() & {"reviewerID", "overall", "unixReviewTime"}:
        return Dialect("amazon-2018", "reviews") if "asin" in record else None
    if record.keys() & {"user_id", "rating", "timestamp"}:
        return Dialect("amazon-2023", "reviews") if record.keys() & {"asin", "parent_asin"} else None
    if "parent_asin" in record:
        return Dialect("amazon-2023", "items")
    return Dialect("amazon-2018", "items") if "asin" in record else None


def parse(content: bytes, dialect: Dialect, arrived_on: date) -> Accepted | Reject:
    """The record of a line that lay in the folder of ``arrived_on``, or why there is none."""
    try:
        fields, notes = decode(content)
        return Accepted(_PARSERS[dialect](fields, notes, arrived_on), notes)
    except RejectError as error:
        return error.reject
    except Exception as error:  # a line can hold anything; no line may end a night
        return Reject(f"unreadable_{type(error).__name__.lower()}")


def reviewed_on(content: bytes, dialect: Dialect) -> date | None:
    """The UTC day of a review; None for an item and for a line without a date that a shop's review can have."""
    if dialect.kind != "reviews":
        return None
    try:
        time = _time(decode(content)[0], dialect.format)
    except RejectError:
        return None
    day = time // DAY + _EPOCH.toordinal()
    return date.fromordinal(day) if _EPOCH.toordinal() <= day < date.max.toordinal() else None


def _review_2018(fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return Review(
        user_id=_id(fields, "reviewerID", "user"),
        item_id=_id(fields, "asin", "item"),
        reviewed_at=_reviewed_at(fields, "amazon-2018", arrived_on),
        rating=_rating(fields, "overall"),
        title=_plain(fields, "summary"),
        text=_text(fields, "reviewText"),
        vote=_noted(values.count, fields, "vote", notes),
        verified=_flag(fields, "verified"),
    )


def _review_2023(fields: Fields, notes: list[str], arrived_on: date) -> Review:
    return Review(
        user_id=_id(fields, "user_id", "user"),
        item_id=_id(fields, "parent_asin", "item"),
        reviewed_at=_reviewed_at(fields, "amazon-2023", arrived_on),
        rating=_rating(fields, "rating"),
        title=_plain(fields, "title"),
        text=_text(fields, "text"),
        vote=_noted(values.count, fields, "helpful_vote", notes),
        verified=_flag(fields, "verified_purchase"),
    )


def _item_2018(fields: Fields, notes: list[str], _: date) -> Item:
    return Item(
        item_id=_id(fields, "asin", "item"),
        title=_plain(fields, "title"),
        brand=_plain(fields, "brand"),
        categories=_plain_list(fields, "category"),
        price=_noted(values.price, fields, "price", notes),
        description="\n".join(_plain_list(fields, "description")) or None,
        image_url=_address(*_list(fields, "imageURLHighRes"), *_list(fields, "imageURL")),
    )


def _item_2023(fields: Fields, notes: list[str], _: date) -> Item:
    pictures = [picture for picture in _list(fields, "images") if isinstance(picture, dict)]
    return Item(
        item_id=_id(fields, "parent_asin", "item"),
        title=_plain(fields, "title"),
        brand=_plain(fields, "store"),
        categories=_plain_list(fields, "categories"),
        price=_noted(values.price, fields, "price", notes),
        description="\n".join(_plain_list(fields, "description")) or None,
        image_url=_address(*(picture.get(size) for picture in pictures for size in ("hi_res", "large"))),
    )


_PARSERS: Mapping[Dialect, Callable[[Fields, list[str], date], Record]] = {
    Dialect("amazon-2018", "reviews"): _review_2018,
    Dialect("amazon-2023", "reviews"): _review_2023,
    Dialect("amazon-2018", "items"): _item_2018,
    Dialect("amazon-2023", "items"): _item_2023,
}


def _id(fields: Fields, name: str, whose: str) -> str:
    value = fields.get(name)
    value = value.strip(" ") if isinstance(value, str) else value
    if value is None or value == "":
        raise RejectError(f"missing_{whose}")
    if not values.is_id(value):
        raise RejectError(f"bad_{whose}")
    return value


def _rating(fields: Fields, name: str) -> float:
    """Whole stars from 1 to 5, the scale of this shop."""
    stars = values.number(fields.get(name))
    if stars is None and fields.get(name) is None:
        raise RejectError("missing_rating")
    if stars not in (1, 2, 3, 4, 5):
        raise RejectError("bad_rating")
    return float(stars)


def _reviewed_at(fields: Fields, format_: str, arrived_on: date) -> int:
    time = _time(fields, format_)
    end = ((arrived_on - _EPOCH).days + 1) * DAY
    if time < _MIN_TIME:
        raise RejectError("reviewed_before_1995", wrong_unit=_MIN_TIME <= time * 1000 < end)
    if time >= end:
        raise RejectError("reviewed_after_arrival", wrong_unit=_MIN_TIME <= time // 1000 < end)
    return time


def _time(fields: Fields, format_: str) -> int:
    """Microseconds since 1970-01-01 UTC, unchecked, in the unit of the format and no other."""
    value = fields.get("unixReviewTime" if format_ == "amazon-2018" else "timestamp")
    if value is None and format_ == "amazon-2018":
        return _midnight(fields.get("reviewTime"))
    found = values.number(value)
    if found is None:
        raise RejectError("missing_date" if value is None else "bad_date")
    return int(found) * _MICROSECONDS[format_]


def _midnight(review_time: Any) -> int:
    if review_time is None:
        raise RejectError("missing_date")
    match = _REVIEW_TIME.fullmatch(review_time) if isinstance(review_time, str) else None
    try:
        month, day, year = map(int, match.groups() if match else ())
        return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError:
        raise RejectError("bad_date") from None


def _text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return (values.clean(value) or None) if isinstance(value, str) else None


def _plain(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return values.plain(value) if isinstance(value, str) else None


def _list(fields: Fields, name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []


def _plain_list(fields: Fields, name: str) -> list[str]:
    found = (values.plain(value) for value in _list(fields, name) if isinstance(value, str))
    return [text for text in found if text]


def _address(*candidates: Any) -> str | None:
    texts = (values.clean(text) for text in candidates if isinstance(text, str))
    return next((text for text in texts if text.startswith(("https://", "http://"))), None)


def _flag(fields: Fields, name: str) -> bool | None:
    value = fields.get(name)
    return value if isinstance(value, bool) else None


def _noted(read: Callable[[Any], Any], fields: Fields, name: str, notes: list[str]) -> Any:
    """The value, or None; a note if something stood there that ``read`` cannot make out."""
    value = fields.get(name)
    found = read(value)
    if found is None and value not in (None, "", "None") and not (isinstance(value, str) and not value.strip()):
        notes.append(f"unreadable_{name}")
    return found
