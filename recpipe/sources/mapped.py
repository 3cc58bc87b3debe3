"""Any shop's CSV, JSON lines or Parquet, by a mapping of its fields in the settings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from recpipe.sources import values
from recpipe.sources.fields import (
    HALF_STARS,
    MILLISECOND,
    SECOND,
    WHOLE_STARS,
    address,
    epoch,
    id_of,
    listed,
    moment,
    not_before_1995_nor_after,
    noted,
    plain,
    plain_list,
    plain_texts,
    rating,
    text,
)
from recpipe.sources.formats import CSV, LINES, PARQUET, Format
from recpipe.sources.records import Event, Fields, Item, RejectError, Review, User
from recpipe.tables import EVENT_TYPES, EVENTS, REVIEWS

if TYPE_CHECKING:
    from recpipe.source_settings import Source

FRAMINGS = {"csv": CSV, "jsonl": LINES, "parquet": PARQUET}
UNITS = {"s": SECOND, "ms": MILLISECOND, "us": 1}
"""In microseconds."""

_TIMES = {table.name: table.happened_at for table in (REVIEWS, EVENTS)}
_WORDS = ("user_id", "item_id", "event_type")  # a shop may write as numbers
_ABSENT = object()


class Mapped(NamedTuple):
    """A mapping as plain values, since Spark's workers read with it."""

    places: Mapping[str, str]  # the shop's name of each field of a record; dots lead into nested objects
    time: str  # which of them is the date; empty: none
    unit: int | None  # microseconds; None: the date is ISO 8601
    event_type: str | None  # of every event; None: a field says it
    event_types: Mapping[str, str]  # ours by the shop's word, where they differ
    stars: frozenset[float]
    separator: str | None  # between the categories of a text


def mapped_formats(sources: Mapping[str, "Source"]) -> tuple[Format, ...]:
    """A format for each of the ``sources``. Those with most fields come first: they tell a file best."""
    formats = [_format(name, source) for name, source in sources.items()]
    return tuple(sorted(formats, key=lambda format_: -len(format_.needs)))


def _format(name: str, source: "Source") -> Format:
    constant = source.event_type if source.event_type in EVENT_TYPES else None
    places = {field: place for field, place in source.places().items() if not (constant and field == "event_type")}
    mapped = Mapped(
        places=places,
        time=_TIMES.get(source.kind, ""),
        unit=UNITS.get(source.time_unit),
        event_type=constant,
        event_types=dict(source.event_types),
        stars=HALF_STARS if source.half_stars else WHOLE_STARS,
        separator=source.category_separator,
    )
    needs = tuple(dict.fromkeys(places.values()))
    required = {place for field, place in places.items() if field in source.needed()}
    may_lack = tuple(place for place in needs if source.file == "jsonl" and place not in required)
    return Format(
        name=name,
        kind=source.kind,
        record=partial(_RECORDS[source.kind], mapped),
        is_like=partial(_has_columns, needs) if source.file == "parquet" else partial(_likeness, needs, may_lack),
        time=partial(_time, mapped) if mapped.time else None,
        framing=FRAMINGS[source.file],
        delimiter=source.delimiter,
        needs=needs,
        may_lack=may_lack,
    )


def _likeness(needs: tuple[str, ...], may_lack: tuple[str, ...], fields: Fields) -> float:
    """The share of the mapping's fields that are there; 0 where one is not that a record cannot lack."""
    absent = [place for place in needs if _at(fields, place) is _ABSENT]
    return 0 if set(absent) - set(may_lack) else 1 - len(absent) / len(needs)


def seen(places: Iterable[str], records: Sequence[Fields]) -> set[str]:
    """The shop's names of fields that any of the records has."""
    return {place for place in places if any(_at(fields, place) is not _ABSENT for fields in records)}


def _has_columns(needs: tuple[str, ...], columns: Fields) -> bool:
    """Of Parquet, of whose nested fields only the outermost are known before a row is read."""
    return all(place in columns or place.partition(".")[0] in columns for place in needs)


def _at(fields: Fields, place: str) -> Any:
    """The value at a name such as ``user.id``: of a field of just that name, else of field ``id`` of field ``user``."""
    if place in fields:
        return fields[place]
    found: Any = fields
    for name in place.split("."):
        found = found.get(name, _ABSENT) if isinstance(found, Mapping) else _ABSENT
    return found


def _ours(mapped: Mapped, fields: Fields) -> dict[str, Any]:
    """The shop's fields under the names of the record; numbers that stand for words, as text."""
    found = {field: _at(fields, place) for field, place in mapped.places.items()}
    ours = {field: value for field, value in found.items() if value is not _ABSENT}
    for field in _WORDS:
        if isinstance(value := ours.get(field), int) and not isinstance(value, bool):
            ours[field] = str(value)
    return ours


def _time(mapped: Mapped, fields: Fields) -> int:
    value = _at(fields, mapped.places[mapped.time])
    value = None if value is _ABSENT else value
    return moment(value) if mapped.unit is None else epoch(value, mapped.unit)


def _review(mapped: Mapped, fields: Fields, notes: list[str], arrived_on: date) -> Review:
    ours = _ours(mapped, fields)
    return Review(
        user_id=id_of(ours, "user_id", "user"),
        item_id=id_of(ours, "item_id", "item"),
        reviewed_at=not_before_1995_nor_after(_time(mapped, fields), arrived_on),
        rating=rating(ours, "rating", mapped.stars),
        title=plain(ours, "title", notes),
        text=text(ours, "text", notes),
        vote=noted(values.count, ours, "vote", notes),
        verified=noted(values.flag, ours, "verified", notes),
    )


def _event(mapped: Mapped, fields: Fields, notes: list[str], arrived_on: date) -> Event:
    ours = _ours(mapped, fields)
    return Event(
        user_id=id_of(ours, "user_id", "user"),
        item_id=id_of(ours, "item_id", "item"),
        event_type=mapped.event_type or _event_type(mapped, ours.get("event_type")),
        occurred_at=not_before_1995_nor_after(_time(mapped, fields), arrived_on),
    )


def _item(mapped: Mapped, fields: Fields, notes: list[str], _: date) -> Item:
    ours = _ours(mapped, fields)
    return Item(
        item_id=id_of(ours, "item_id", "item"),
        title=plain(ours, "title", notes),
        brand=plain(ours, "brand", notes),
        categories=_categories(ours, mapped.separator, notes),
        price=noted(values.price, ours, "price", notes),
        description="\n".join(plain_list(ours, "description", notes)) or None,
        image_url=address(listed(ours, "image_url"), notes),
    )


def _user(mapped: Mapped, fields: Fields, notes: list[str], _: date) -> User:
    ours = _ours(mapped, fields)
    return User(
        user_id=id_of(ours, "user_id", "user"),
        age=noted(values.age, ours, "age", notes),
        gender=plain(ours, "gender", notes),
        occupation=plain(ours, "occupation", notes),
    )


_RECORDS = {"reviews": _review, "events": _event, "items": _item, "users": _user}


def _event_type(mapped: Mapped, value: Any) -> str:
    if value in (None, ""):
        raise RejectError("missing_event_type")
    word = value.strip() if isinstance(value, str) else ""
    event_type = mapped.event_types.get(word, word)
    if event_type not in EVENT_TYPES:
        raise RejectError("bad_event_type")
    return event_type


def _categories(ours: Fields, separator: str | None, notes: list[str]) -> list[str]:
    """The texts of a list, or the parts of a text."""
    value = ours.get("categories")
    if isinstance(value, str) and separator:
        return plain_texts(value.split(separator), "categories", notes)
    return plain_list(ours, "categories", notes)
