"""Lines of a text file, gzip or plain, streamed in bounded memory."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from recpipe.errors import UserError

MAX_LINE = 8 * 2**20
"""Bytes of the longest line that is read; a review is some kilobytes. A longer one is rejected unread."""

_GZIP = b"\x1f\x8b"


class Part(NamedTuple):
    """A line as it lies in the file, or a part of at most MAX_LINE + 1 bytes of one that is too long."""

    number: int  # of the line, from 1; blank lines are counted
    content: bytes  # with the line's end where the file has one
    too_long: bool


class Span(NamedTuple):
    """A stretch of a plain file that starts and ends between two lines."""

    start: int  # byte
    stop: int  # byte behind the last
    first_number: int  # of its first line


class Line(NamedTuple):
    number: int  # from 1; blank lines are counted
    content: bytes  # without its end; empty when the line is too long
    ended: bool  # False: the file stops in this line
    too_long: bool
    sha256: str  # of a line that is too long, else empty: see `line_hash`


def line_hash(line: Line) -> str:
    """SHA-256 of the line without its end."""
    return line.sha256 or hashlib.sha256(line.content).hexdigest()


def is_gzip(path: Path) -> bool:
    """By the first two bytes, since names lie."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def read_parts(path: Path, span: Span | None = None, blank: bool = False) -> Iterator[Part]:
    """Every line, byte for byte, of the file or of a ``span`` of it; lines longer than MAX_LINE in parts.

    Lines of white space alone are left out unless ``blank``.

    Raises:
        UserError: the file cannot be read to its end; names it and the last line that was whole.
    """
    number, left = (span.first_number - 1, span.stop - span.start) if span else (0, None)
    try:
        with _opened(path) as stream:
            if span:
                stream.seek(span.start)
            while (left is None or left > 0) and (content := stream.readline(MAX_LINE + 1)):
                number += 1
                left = left and left - len(content)
                too_long = _goes_on(content)
                if too_long or blank or content.strip():
                    yield Part(number, content, too_long)
                while _goes_on(content):
                    content = stream.readline(MAX_LINE + 1)
                    left = left and left - len(content)
                    if content:
                        yield Part(number, content, too_long)
    except (EOFError, zlib.error, OSError) as error:
        raise UserError(
            f"expected a whole text or gzip file, found {path} unreadable after line {number} ({error}); "
            "fetch it again, then land it again"
        ) from None


def lines_of(parts: Iterable[Part]) -> Iterator[Line]:
    """The parts as lines."""
    digest, held = None, None
    for part in parts:
        if digest and held and part.number != held.number:
            yield _too_long(held, digest.hexdigest())
            digest = None
        held = part
        if not part.too_long:
            yield Line(part.number, part.content.rstrip(b"\r\n"), part.content.endswith(b"\n"), False, "")
            continue
        digest = digest or hashlib.sha256()
        digest.update(part.content.removesuffix(b"\n"))
    if digest and held:
        yield _too_long(held, digest.hexdigest())


def _too_long(last: Part, sha256: str) -> Line:
    return Line(last.number, b"", last.content.endswith(b"\n"), True, sha256)


def _goes_on(content: bytes) -> bool:
    return len(content) > MAX_LINE and not content.endswith(b"\n")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as stream:
        yield stream
