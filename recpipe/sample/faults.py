"""How a line goes wrong: one function a kind of fault, and what the reader has to say of it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from recpipe.sample.writers import CSV, JSON, LITERAL, PARQUET, SPLIT, Line, Writer
from recpipe.sources.lines import MAX_LINE

DEEP = 100_000
"""Brackets in a line that is nested too deeply; every parser's limit is far below."""

_BAD_BYTES = b"\xff\xfe"
_MARK = "~bytes~"
_TOO_SHORT = 60  # bytes of a line that was cut


class Fault(NamedTuple):
    """A kind of fault in one line.

    One that the reader rejects comes as a line of its own, made from a good one, so that the shop stays as it is; one
    that the reader lets through is made in a good line, since a second one would be a duplicate.
    """

    spoil: Callable[[Line, Writer, int, date], bytes]  # of a good line, how many came before, and the day of arrival
    fits: Callable[[Writer], bool]
    reason: str = ""  # empty: accepted
    noted: str = ""  # role of the value that is left empty, with a note; or the note itself
    once: bool = False  # at most one in a file, for its size

    def note(self, writer: Writer) -> str:
        return f"unreadable_{writer.roles[self.noted][0]}" if self.noted in writer.roles else self.noted


def _without(role: str) -> Callable[..., bytes]:
    def spoil(line: Line, writer: Writer, _: int, __: date) -> bytes:
        return writer.encode({**line, **dict.fromkeys(writer.roles[role])})

    return spoil


def _with(role: str, *values: Any) -> Callable[..., bytes]:
    def spoil(line: Line, writer: Writer, number: int, _: date) -> bytes:
        return writer.encode({**line, writer.roles[role][0]: values[number % len(values)]})

    return spoil


def _bad_id(role: str) -> Callable[..., bytes]:
    def spoil(line: Line, writer: Writer, number: int, _: date) -> bytes:
        name = writer.roles[role][0]
        half_a_pair = number % 2 and writer.shape in (JSON, LITERAL)
        return writer.encode({**line, name: f"{line[name]}{chr(0xD800) if half_a_pair else chr(7)}"})

    return spoil


def _before_1995(line: Line, writer: Writer, _: int, __: date) -> bytes:
    """Seconds for milliseconds, or thousands of seconds; a text is as old as it says."""
    name = writer.roles["date"][0]
    number = line[name]
    old = number // 1000 if isinstance(number, int) else writer.when(datetime(1994, 5, 1, tzinfo=UTC))
    return writer.encode({**line, name: old})


def _after_arrival(line: Line, writer: Writer, _: int, arrived_on: date) -> bytes:
    moment = datetime.combine(arrived_on + timedelta(days=2), time(12), UTC)
    return writer.encode({**line, writer.roles["date"][0]: writer.when(moment)})


def _cut(line: Line, writer: Writer, _: int, __: date) -> bytes:
    content = writer.encode(line)
    return content[: min(_TOO_SHORT, len(content) // 2)] + b"\n"


def _cut_off(line: Line, writer: Writer, _: int, __: date) -> bytes:
    """Without an end; of separated fields, in the second, since what is cut in the last one still reads well."""
    if writer.shape not in (CSV, SPLIT):
        return _cut(line, writer, 0, date.min)[:-1]
    return writer.encode(dict(list(line.items())[:2])).rstrip(b"\r\n")[:-1]


def _mangled(line: Line, writer: Writer, number: int, arrived_on: date) -> bytes:
    if number % 2:
        return _cut(line, writer, number, arrived_on)
    return writer.encode(line).removesuffix(b"}\n") + b", 'quesV ?', 'x': 1}\n"


def _code(*_: Any) -> bytes:
    return b"""{'asin': __import__('os').system('touch recpipe-ran-code-of-the-data')}\n"""


def _other_fields(line: Line, writer: Writer, number: int, _: date) -> bytes:
    """One too few, or one too many."""
    return writer.encode({**line, "more": "more"} if number % 2 else dict(list(line.items())[:-1]))


def _text_behind_a_quote(line: Line, writer: Writer, _: int, __: date) -> bytes:
    """On one line, since each line of a record that is no CSV counts by itself."""
    on_one = {name: value.replace("\n", " ") if isinstance(value, str) else value for name, value in line.items()}
    content = writer.encode(on_one)
    text = content.rstrip(b"\r\n")
    return text + b',"so" called' + content[len(text) :]


def _too_long(_: Line, writer: Writer, __: int, ___: date) -> bytes:
    return (b"{" if writer.shape in (JSON, LITERAL) else b"1") + b"x" * MAX_LINE + b"\n"


def _nested(line: Line, writer: Writer, _: int, __: date) -> bytes:
    name = writer.roles["item"][0].encode()
    quote = b'"' if writer.shape == JSON else b"'"
    return b"{" + quote + name + quote + b": " + b"[" * DEEP + b"]" * DEEP + b"}\n"


def _list(line: Line, writer: Writer, *_: Any) -> bytes:
    return writer.encode(list(line))  # type: ignore[arg-type]  # the names, in brackets


def _bad_bytes(line: Line, writer: Writer, *_: Any) -> bytes:
    name = writer.roles["text"][0]
    return writer.encode({**line, name: f"{line[name]} {_MARK}"}).replace(_MARK.encode(), _BAD_BYTES)


def _nul(line: Line, writer: Writer, *_: Any) -> bytes:
    name = writer.roles["text"][0]
    return writer.encode({**line, name: f"{line[name]} \0"})


def _html(line: Line, writer: Writer, *_: Any) -> bytes:
    name = writer.roles["title"][0]
    return writer.encode({**line, name: f"<span id=x>{line[name]} &amp; more</span>"})


def _has(*roles: str, shapes: tuple[str, ...] = (JSON, LITERAL, CSV, SPLIT, PARQUET)) -> Callable[[Writer], bool]:
    return lambda writer: writer.shape in shapes and writer.has(*roles)


def _untyped(*roles: str) -> Callable[[Writer], bool]:
    """Where a field can hold anything."""
    return _has(*roles, shapes=(JSON, LITERAL, CSV, SPLIT))


def _is_json(writer: Writer) -> bool:
    return writer.shape == JSON and not writer.or_literal


def _is_literal(writer: Writer) -> bool:
    return writer.shape == LITERAL or writer.or_literal


FAULTS = {
    "missing_user": Fault(_without("user"), _has("user"), "missing_user"),
    "missing_item": Fault(_without("item"), _has("item"), "missing_item"),
    "missing_rating": Fault(_without("rating"), _has("rating"), "missing_rating"),
    "missing_date": Fault(_without("date"), _has("date"), "missing_date"),
    "bad_user": Fault(_bad_id("user"), _has("user"), "bad_user"),
    "bad_item": Fault(_bad_id("item"), _has("item"), "bad_item"),
    "bad_rating": Fault(_with("rating", 0.0, 6.0, float("nan"), "five"), _untyped("rating"), "bad_rating"),
    "bad_date": Fault(_with("date", "yesterday"), _untyped("date"), "bad_date"),
    "dated_before_1995": Fault(_before_1995, _has("date"), "dated_before_1995"),
    "dated_after_arrival": Fault(_after_arrival, _has("date"), "dated_after_arrival"),
    "missing_event_type": Fault(_without("event_type"), _has("event_type"), "missing_event_type"),
    "bad_event_type": Fault(_with("event_type", "refund"), _has("event_type"), "bad_event_type"),
    "not_json": Fault(_cut, _is_json, "not_json"),
    "not_a_literal": Fault(_mangled, _is_literal, "not_a_literal"),
    "code": Fault(_code, _is_literal, "not_a_literal"),
    "not_csv": Fault(_text_behind_a_quote, _has(shapes=(CSV,)), "not_csv"),
    "wrong_number_of_fields": Fault(_other_fields, _has(shapes=(CSV, SPLIT)), "wrong_number_of_fields"),
    "not_an_object": Fault(_list, _has(shapes=(JSON, LITERAL)), "not_an_object"),
    "nested_too_deeply": Fault(_nested, _has("item", shapes=(JSON, LITERAL)), "nested_too_deeply"),
    "line_too_long": Fault(_too_long, _untyped(), "line_too_long", once=True),
    "cut_off": Fault(_cut_off, _untyped(), "cut_off", once=True),
    "replaced_bytes": Fault(_bad_bytes, _has("text", shapes=(JSON, LITERAL, CSV)), noted="replaced_bytes"),
    "nul": Fault(_nul, _untyped("text")),
    "html_title": Fault(_html, _untyped("title")),
    "unreadable_vote": Fault(_with("vote", "1,23"), _untyped("vote"), noted="vote"),
    "unreadable_price": Fault(_with("price", "$5.00 - $9.99", "from 14.99"), _untyped("price"), noted="price"),
    "unreadable_age": Fault(_with("age", "old"), _untyped("age"), noted="unreadable_age"),
    "unreadable_genres": Fault(_with("flag", "2"), _untyped("flag"), noted="unreadable_genres"),
}
"""By kind, in the order in which they are planted."""
