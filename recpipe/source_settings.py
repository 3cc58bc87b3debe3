"""Settings of a shop's own files: which of its fields are which of ours. Explained under each field."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recpipe.sources.records import Event, Item, Review, User


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


FieldName = Annotated[str, Field(pattern=r"^\S(.{0,198}\S)?$")]
EventType = Literal["view", "cart", "purchase"]


class Source(Section):
    """How the files of a shop of your own are read: names of its fields by ours."""

    kind: Literal["reviews", "events", "items", "users"] = "events"
    """What a record is: `reviews`, `events`, `items` or `users`."""
    file: Literal["csv", "jsonl", "parquet"] = "csv"
    """What a file is: `csv`, `jsonl` (JSON lines) or `parquet`."""
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n\x00]$')] = ","
    """What stands between the fields of CSV."""
    user_id: FieldName | None = None
    """The shop's name of the field. Needed for reviews, events and users. Dots lead into nested objects: `user.id`."""
    item_id: FieldName | None = None
    """Needed for reviews, events and items."""
    event_type: FieldName | None = None
    """Needed for events: `view`, `cart` or `purchase` when every event of the file is one, else the field that says."""
    event_types: dict[str, EventType] = {}
    """The shop's words for `view`, `cart` and `purchase`, where they differ. An event of another type is rejected."""
    occurred_at: FieldName | None = None
    """When, needed for events."""
    reviewed_at: FieldName | None = None
    """When, needed for reviews."""
    time_unit: Literal["s", "ms", "us", "iso"] = "s"
    """Of the time: `s`, `ms` or `us` since 1970, or `iso` (ISO 8601, UTC without an offset; timestamps of Parquet)."""
    rating: FieldName | None = None
    """Stars from 1 to 5, needed for reviews."""
    half_stars: bool = False
    """Whether ratings go in halves, from 0.5."""
    vote: FieldName | None = None
    """People who found a review helpful."""
    verified: FieldName | None = None
    """Whether the shop saw a purchase: true or false."""
    text: FieldName | None = None
    """Body of a review."""
    title: FieldName | None = None
    """Headline of a review, name of an item."""
    brand: FieldName | None = None
    """Of an item."""
    categories: FieldName | None = None
    """Of an item, widest first: a list, or a text."""
    category_separator: Annotated[str, Field(min_length=1)] | None = None
    """What stands between the categories of a text, such as `>`."""
    price: FieldName | None = None
    """Of an item."""
    description: FieldName | None = None
    """Of an item."""
    image_url: FieldName | None = None
    """Of an item; of a list the first web address."""
    age: FieldName | None = None
    """Of a user, in years."""
    gender: FieldName | None = None
    """Of a user."""
    occupation: FieldName | None = None
    """Of a user."""

    def places(self) -> dict[str, str]:
        """The shop's name of each field of a record that has one."""
        names = dict.fromkeys(name for record, _ in _RECORDS.values() for name in record._fields)
        return {name: place for name in names if (place := getattr(self, name))}

    def needed(self) -> tuple[str, ...]:
        """Ours of the fields that every record of the kind has."""
        return _RECORDS[self.kind][1]

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Self:
        record, needed = _RECORDS[self.kind]
        if missing := [name for name in needed if not getattr(self, name)]:
            raise ValueError(f"{self.kind} need {' and '.join(missing)}; name the shop's fields")
        if foreign := [name for name in self.places() if name not in record._fields]:
            raise ValueError(f"{self.kind} have no {' and '.join(foreign)}; leave it out")
        if self.event_types and self.event_type in (None, "view", "cart", "purchase"):
            raise ValueError("event_types are words of a field; name it as event_type")
        return self


_RECORDS: dict[str, tuple[Any, tuple[str, ...]]] = {  # and the fields that each of them needs
    "reviews": (Review, ("user_id", "item_id", "rating", "reviewed_at")),
    "events": (Event, Event._fields),
    "items": (Item, ("item_id",)),
    "users": (User, ("user_id",)),
}
