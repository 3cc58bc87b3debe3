"""How a format is described, and read: `bytes -> Accepted | Reject`."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from recpipe.sources.delimited import csv_decoder
from recpipe.sources.fields import DAY
from recpipe.sources.records import Accepted, Decode, Fields, Record, Reject, RejectError, decode_json

LINES, CSV, PARQUET = "lines", "csv", "parquet"
"""How a file is cut into records: a line each; RFC 4180 with columns named by a header; rows."""

_EPOCH = date(1970, 1, 1).toordinal()


class Format(NamedTuple):
    """How a shop writes records of one kind. A new source is a module of these, listed in `sources.known`."""

    name: str  # what --format names; one name may stand for several kinds
    kind: str  # one of tables.KINDS
    record: Callable[[Fields, list[str], date], Record]  # of fields, a list of notes to add to, and the day of arrival
    is_like: Callable[[Fields], float]  # whether fields, or a header's names, look like those of a record; 1: all do
    time: Callable[[Fields], int] | None = None  # microseconds since 1970-01-01 UTC, unchecked; None: has no date
    framing: str = LINES
    decode: Decode = decode_json  # of LINES and PARQUET; CSV is decoded by its columns
    delimiter: str = ","  # of CSV
    encoding: str = "utf-8"  # of CSV
    opening: bytes = b"{"  # starts the first line of a file of LINES, unlike that of, say, a web page
    members: tuple[str, ...] = ()  # names of its files in the archive that the shop offers
    needs: tuple[str, ...] = ()  # of a mapping: the shop's fields that it names
    may_lack: tuple[str, ...] = ()  # those of them that JSON lines may be without: exporters leave out what is null

    def __str__(self) -> str:
        return f"{self.kind} ({self.name})"


class Layout(NamedTuple):
    """How one file is read."""

    format: Format
    framing: str
    columns: tuple[str, ...] = ()  # of CSV
    has_header: bool = False  # the first record names the columns

    def __str__(self) -> str:
        """The format, and the columns of a file that does not name them itself."""
        is_named = self.has_header or not self.columns
        return str(self.format) if is_named else f"{self.format} of columns {','.join(self.columns)}"

    def decoder(self) -> Decode:
        if self.framing == CSV:
            return csv_decoder(self.columns, self.format.delimiter, self.format.encoding)
        return self.format.decode


def parse(content: bytes, format_: Format, decode: Decode, arrived_on: date) -> Accepted | Reject:
    """The record of bytes that lay in the folder of ``arrived_on``, or why there is none."""
    try:
        fields, notes = decode(content)
        return Accepted(format_.record(fields, notes, arrived_on), notes)
    except RejectError as error:
        return error.reject
    except Exception as error:  # a line can hold anything; no line may end a night
        return Reject(f"unreadable_{type(error).__name__.lower()}")


def dated(content: bytes, format_: Format, decode: Decode) -> date | None:
    """The UTC day of a record; None for a kind without dates, and without a date that a shop's record can have."""
    if format_.time is None:
        return None
    try:
        time = format_.time(decode(content)[0])
    except Exception:  # as above; what the line lacks is said when it is taken in
        return None
    day = time // DAY + _EPOCH
    return date.fromordinal(day) if _EPOCH <= day < date.max.toordinal() else None
