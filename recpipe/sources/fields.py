"""Fields of a decoded line as values of a record; every family of formats reads them the same way."""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from recpipe.sources import values
from recpipe.sources.records import Fields, RejectError
from recpipe.tables import MIN_DAY

MILLISECOND, SECOND, DAY = 1_000, 1_000_000, 86_400_000_000
"""In microseconds."""

WHOLE_STARS = frozenset({1, 2, 3, 4, 5})
HALF_STARS = frozenset(half / 2 for half in range(1, 11))

_ADDRESS = re.compile(r"(https?:)?//[^/\s]")
_EMPTY = ([], {})
_EPOCH = date(1970, 1, 1)
_MIN_TIME = (MIN_DAY - _EPOCH).days * DAY


def id_of(fields: Fields, name: str, whose: str) -> str:
    """The id of a user or an item (``whose``); numbers are none, since shops write ids with leading zeros."""
    value = fields.get(name)
    value = value.strip(" ") if isinstance(value, str) else value
    if value is None or value == "":
        raise RejectError(f"missing_{whose}")
    if not values.is_id(value):
        raise RejectError(f"bad_{whose}")
    return value


def rating(fields: Fields, name: str, scale: frozenset[float]) -> float:
    """Stars on the format's scale, `WHOLE_STARS` or `HALF_STARS`; nothing is rounded onto it."""
    stars = values.number(fields.get(name))
    if stars is None and fields.get(name) in (None, ""):
        raise RejectError("missing_rating")
    if stars not in scale:
        raise RejectError("bad_rating")
    return float(stars)


def not_before_1995_nor_after(time: int, arrived_on: date) -> int:
    """The time, if a shop's review or event can have it when its file lay in the folder of ``arrived_on``."""
    end = ((arrived_on - _EPOCH).days + 1) * DAY
    if time < _MIN_TIME:
        raise RejectError("dated_before_1995", wrong_unit=_MIN_TIME <= time * 1000 < end)
    if time >= end:
        raise RejectError("dated_after_arrival", wrong_unit=_MIN_TIME <= time // 1000 < end)
    return time


def epoch(value: Any, unit: int) -> int:
    """Microseconds since 1970-01-01 UTC of a number of units of ``unit`` microseconds, unchecked.

    A fraction counts, since clicks of one second are told apart by it.
    """
    found = values.number(value)
    if found is None:
        raise RejectError("missing_date" if value in (None, "") else "bad_date")
    whole = math.floor(found)
    return whole * unit + round((found - whole) * unit)


def moment(value: Any) -> int:
    """Microseconds since 1970-01-01 UTC of a text such as 2018-07-07 22:09:11 or 2018-07-07T22:09:11+02:00.

    A text without an offset is UTC; some exports say so behind it.
    """
    if value in (None, ""):
        raise RejectError("missing_date")
    try:
        found = datetime.fromisoformat(value.strip().removesuffix(" UTC") if isinstance(value, str) else "")
        since = (found if found.tzinfo else found.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RejectError("bad_date") from None
    return since.days * DAY + since.seconds * 1_000_000 + since.microseconds


def text(fields: Fields, name: str, notes: list[str]) -> str | None:
    return values.clean(_text(fields.get(name), name, notes)) or None


def plain(fields: Fields, name: str, notes: list[str]) -> str | None:
    return values.plain(_text(fields.get(name), name, notes))


def listed(fields: Fields, name: str) -> list[Any]:
    """A list as it is, and a value that stands alone as a list of one."""
    value = fields.get(name)
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def plain_list(fields: Fields, name: str, notes: list[str]) -> list[str]:
    return plain_texts(listed(fields, name), name, notes)


def plain_texts(found: list[Any], name: str, notes: list[str]) -> list[str]:
    """The elements as texts, without markup and without empty ones; a note if one is neither text nor whole number."""
    texts = (values.plain(_text(value, name, notes)) for value in found)
    return [text for text in texts if text]


def address(candidates: Iterable[Any], notes: list[str]) -> str | None:
    """The first that is a web address, also one without its scheme; a note if something stands there and none is."""
    found = list(candidates)
    for value in (values.clean(value).strip() for value in found if isinstance(value, str)):
        if match := _ADDRESS.match(value):
            return value if match[1] else f"https:{value}"
    if any(_stands(value) and value not in _EMPTY for value in found):
        _note("image_url", notes)
    return None


def _text(value: Any, name: str, notes: list[str]) -> str:
    """A text, also of a whole number; empty, with a note, for anything else that stands there."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if _stands(value) and value not in _EMPTY:
        _note(name, notes)
    return ""


def _stands(value: Any) -> bool:
    """Whether it is more than a way to say that nothing is there."""
    return value.strip() not in ("", "None") if isinstance(value, str) else value is not None


def _note(name: str, notes: list[str]) -> None:
    if (note := f"unreadable_{name}") not in notes:
        notes.append(note)


def noted(read: Callable[[Any], Any], fields: Fields, name: str, notes: list[str]) -> Any:
    """The value, or None; a note if something stood there that ``read`` cannot make out."""
    value = fields.get(name)
    found = read(value)
    if found is None and _stands(value):
        _note(name, notes)
    return found
