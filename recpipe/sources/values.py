"""Single values as shops write them. A value that cannot be read is None, never a guess."""

import html
import math
import re
from contextlib import suppress
from typing import Any

from recpipe.tables import MAX_INT, USERS

MAX_ID = 256
"""Characters of the longest id; shops' ids have some dozens."""

_FLAGS = {"true": True, "false": False}
_OLDEST = USERS.ranges["age"][1]
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_GROUPED = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?")
_PRICE = re.compile(r"\$?\s?(\d{1,3}(?:,\d{3})+|\d+)(\.(?:\d{1,2}|\d{4,}))?")  # 1.299 may be a thousand and more
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCRIPT = re.compile(r"<(script|style)\b(?:.*?</\1\s*>|.*)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--[^<>]*-->")
_CUT_TAG = re.compile(r"<[a-zA-Z]+\s[^<>]*\Z")
_MAX_NUMBER = 64
_MAX_PRICE = 1e9


def clean(text: str) -> str:
    """The text without NUL, and with half surrogate pairs, which no UTF-8 can hold, replaced by U+FFFD."""
    if "\0" not in text and text.isascii():
        return text
    return _SURROGATE.sub("\ufffd", text.replace("\0", ""))


def plain(text: str) -> str | None:
    """A name as people read it: entities resolved, markup removed, white space collapsed; None if nothing is left."""
    if "&" in text:
        with suppress(ValueError):  # a number of more digits than Python reads
            text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", _SCRIPT.sub(" ", text))
        # 2018 metadata has titles that are the first half of a tag; "a <b" without an attribute is no tag.
        text = _CUT_TAG.sub(lambda cut: " " if "=" in cut[0] else cut[0], text)
    return " ".join(clean(text).split()) or None


def is_id(value: Any) -> bool:
    """Whether the value can name a user or an item: printable text. U+FFFD stands for bytes that were lost."""
    return isinstance(value, str) and value.isprintable() and "\ufffd" not in value and len(value) <= MAX_ID


def number(value: Any) -> int | float | None:
    """A finite number, also when written as text such as "5.0"; True and False are none."""
    kind = type(value)  # three numbers a line: isinstance, which True would pass besides, is half of their time
    if kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    text = value.strip() if kind is str else ""
    if len(text) > _MAX_NUMBER or not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def count(value: Any) -> int | None:
    """A number from 0 on, also with commas between thousands, such as "1,234", or as "7.0"; "1,23" is none."""
    if isinstance(value, str):
        text = value.strip()
        grouped = _GROUPED.fullmatch(text) if len(text) <= _MAX_NUMBER and text.isascii() else None
        value = int(grouped[1].replace(",", "")) if grouped else None
    found = number(value)
    return int(found) if found is not None and found == int(found) and 0 <= found <= MAX_INT else None


def age(value: Any) -> int | None:
    years = count(value)
    return years if years is not None and years <= _OLDEST else None


def flag(value: Any) -> bool | None:
    """True or False, also when written as text."""
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def price(value: Any) -> float | None:
    """One price, such as 12.99 or "$1,299.00"; a range, a "from" and a fragment of a page are none."""
    if isinstance(value, str):
        text = value.strip()
        match = _PRICE.fullmatch(text) if len(text) <= _MAX_NUMBER and text.isascii() else None
        value = float(match[1].replace(",", "") + (match[2] or "")) if match else None
    found = number(value)
    return float(found) if found is not None and 0 <= found <= _MAX_PRICE else None
