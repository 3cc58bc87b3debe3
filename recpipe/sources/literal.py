"""Lines that hold a Python literal, as the items of Amazon's 2014 release do: read as data, never run.

`ast.literal_eval` builds a syntax tree first: hundreds of times the line's memory, and the C stack for deep nesting.
This reader needs memory in proportion to the line, and raises nothing but `RejectError`.
"""

import re
import sys
from typing import Any

from recpipe.sources.records import Fields, RejectError, decode_json, decode_text

MAX_DEPTH = 100
"""Lists and dicts in one another; an item has three."""

READ_AS_LITERAL = "read_as_literal"
"""Note on a line that is no JSON."""

_NOT_A_LITERAL = "not_a_literal"

# Possessive, so that no text makes the search go back. A number or word that runs into something else is followed by
# a token that the grammar has no place for.
_TOKEN = re.compile(
    r"""\s*+(?:
        [uU]?(?P<text>'[^'\\]*+(?:\\.[^'\\]*+)*+' | "[^"\\]*+(?:\\.[^"\\]*+)*+")
        |(?P<mark>[]\[{},:])
        |(?P<decimal>[+-]?(?:[0-9]++\.[0-9]*+ | \.[0-9]++ | [0-9]++(?=[eE]))(?:[eE][+-]?[0-9]++)?)
        |(?P<whole>[+-]?(?:0|[1-9][0-9]*+))
        |(?P<word>None|True|False)
        |(?P<end>\Z)
        |(?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_WORDS = {"None": None, "True": True, "False": False}
_ESCAPE = re.compile(r"\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL | re.ASCII)
_ESCAPED = {
    "\\": "\\",
    "'": "'",
    '"': '"',
    "\n": "",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def decode_literal(content: bytes) -> tuple[Fields, list[str]]:
    """The JSON object of a line, else the dict that it holds as a Python literal, with the note `READ_AS_LITERAL`.

    Only dicts, lists, texts, numbers, True, False and None are data; keys are texts or numbers.

    Raises:
        RejectError: the line is neither, or is nested too deeply.
    """
    try:
        return decode_json(content)
    except RejectError as error:
        if error.reject.reason != "not_json":
            raise
    text, notes = decode_text(content)
    found = _Literal(text).whole()
    if not isinstance(found, dict):
        raise RejectError("not_an_object")
    return found, [*notes, READ_AS_LITERAL]


class _Literal:
    """A literal, read token by token; ``kind`` and ``written`` are those of the next one."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.finditer(text)
        self._advance()

    def whole(self) -> Any:
        value = self._value(MAX_DEPTH)
        if self.kind != "end":
            raise RejectError(_NOT_A_LITERAL)
        return value

    def _advance(self) -> None:
        match = next(self._tokens)
        self.kind = match.lastgroup
        self.written = match[match.lastindex]

    def _value(self, depth: int) -> Any:
        kind, written = self.kind, self.written
        if kind == "text":
            return self._text()
        if written == "[":
            return self._list(depth)
        if written == "{":
            return self._dict(depth)
        if kind == "word":
            value = _WORDS[written]
        elif kind == "decimal":
            value = float(written)
        elif kind == "whole":
            value = _whole(written)
        else:
            raise RejectError(_NOT_A_LITERAL)
        self._advance()
        return value

    def _text(self) -> str:
        """One text, of texts side by side."""
        texts = []
        while self.kind == "text":
            texts.append(_unescaped(self.written[1:-1]))
            self._advance()
        return "".join(texts)

    def _list(self, depth: int) -> list[Any]:
        self._open(depth)
        found = []
        while self.written != "]":
            found.append(self._value(depth - 1))
            self._next_but_at("]")
        self._advance()
        return found

    def _dict(self, depth: int) -> dict[Any, Any]:
        self._open(depth)
        found = {}
        while self.written != "}":
            key = self._value(depth - 1)
            if self.written != ":" or isinstance(key, list | dict):
                raise RejectError(_NOT_A_LITERAL)
            self._advance()
            found[key] = self._value(depth - 1)
            self._next_but_at("}")
        self._advance()
        return found

    def _open(self, depth: int) -> None:
        if not depth:
            raise RejectError("nested_too_deeply")
        self._advance()

    def _next_but_at(self, end: str) -> None:
        if self.written == ",":
            self._advance()
        elif self.written != end:
            raise RejectError(_NOT_A_LITERAL)


def _whole(written: str) -> int:
    try:
        return int(written)
    except ValueError:  # Python refuses more than 4,300 digits
        raise RejectError(_NOT_A_LITERAL) from None


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    if code := match[1] or match[2] or match[3]:
        point = int(code, 16)
    elif match[4]:
        point = int(match[4], 8)
    else:
        if match[5] in "xuUN":  # cut short, or a character by its name
            raise RejectError(_NOT_A_LITERAL)
        return _ESCAPED.get(match[5], match[0])
    if point > sys.maxunicode:
        raise RejectError(_NOT_A_LITERAL)
    return chr(point)
