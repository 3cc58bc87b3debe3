"""Random and mutated files through every format that recpipe reads.

FUZZ_SECONDS says for how long; the files are other ones each time, unless FUZZ_SEED says which.
"""

import gzip
import json
import os
import random
import time
import tracemalloc
from datetime import date
from functools import cache

from recpipe.errors import UserError
from recpipe.sources.files import layout_of, parts_of, records_of
from recpipe.sources.formats import CSV, LINES, Layout, dated, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import MAX_LINE, is_gzip, line_hash
from recpipe.sources.records import Accepted, Reject
from tests.raw_lines import csv_record, item_2014, item_2018, item_2023, review_2014, review_2018, review_2023

SECONDS = float(os.environ.get("FUZZ_SECONDS", "3"))
SEED = int(os.environ.get("FUZZ_SEED", time.time_ns() % 2**32 if "FUZZ_SECONDS" in os.environ else 0))
MOST_MEMORY = 24 * MAX_LINE
"""For files with at most one line of about MAX_LINE: its bytes, its text, and what is made of it."""

LEAST_FILES = 30
"""However slow the machine is."""

LONG_LINES = 0.003 if SECONDS >= 30 else 0
"""Share of files with one; each takes a second."""

TODAY = date(2024, 3, 1)
GOOD = ["U1", "5", 4.0, 1400000000, 1400000000000, "2018-07-07 22:09:11", "[1, 2]", "True", True, "view", 30, ["A"]]
BAD = [None, "", [], {}, [[]], [{}], "é", "\0", "\ud800", 1e999, 10**400, -1, "<b>", "a,b", 'a"b', "a\nb"]
TRICKS = [
    *(
        b'"',
        b"'",
        b",",
        b"\n",
        b"\r\n",
        b"\t",
        b"::",
        b"{",
        b"}",
        b"[",
        b"\\",
        b"\x00",
        b"\xff\xfe",
        b"\x1f\x8b",
        b"u'",
    ),
    *(b"PK\x03\x04", b"PAR1", b"[" * 2000, b'"\n' * 300, b"9" * 5000, b"NaN", b"None", b"\xef\xbb\xbf", b"\\ud800"),
]


class Asked(dict):
    """Fields that have whatever a format asks for, and remember what it was."""

    def __init__(self, chance):
        super().__init__()
        self.chance, self.names = chance, set()

    def get(self, name, _=None):
        self.names.add(name)
        return self.chance.choice(GOOD)

    __getitem__ = get


def names_of(format_):
    asked = Asked(random.Random(0))
    for _ in range(1500):
        try:
            format_.record(asked, [], TODAY)
        except Exception:  # a format whose fields are all text may be surprised by what stands in GOOD
            continue
    return sorted(asked.names)


@cache
def all_names():
    return [names for names in map(names_of, FORMATS) if names]


def a_line(chance):
    """One that some format may know."""
    fields = {name: chance.choice(GOOD) for name in chance.choice(all_names())}
    fields |= {name: chance.choice(BAD) for name in chance.sample(sorted(fields), chance.choice([0, 0, 1, 2]))}
    return chance.choice(
        [
            lambda: json.dumps(fields).encode(),
            lambda: repr(fields).encode("utf-8", "surrogatepass"),
            lambda: csv_record(*(ascii(value) if value == "\ud800" else value for value in fields.values())),
            lambda: "::".join(map(ascii, fields.values())).encode(),
            lambda: chance.choice([review_2014, item_2014, review_2018, item_2018, review_2023, item_2023])(**fields),
        ]
    )()


def a_file(chance):
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(400))
    lines = [a_line(chance) for _ in range(chance.randrange(6))]
    if chance.random() < 0.4:
        names = chance.choice(all_names())
        lines = [csv_record(*names), *(csv_record(*chance.choices(GOOD, k=len(names))) for _ in range(4)), *lines[:2]]
    content = bytearray(chance.choice([b"\n", b"\r\n"]).join(lines) + chance.choice([b"", b"\n"]))
    for _ in range(chance.choice([0, 0, 1, 3, 10])):
        place, trick = chance.randrange(len(content) + 1), chance.choice([*TRICKS, chance.randbytes(3)])
        content[place : place + chance.choice([0, 1, len(trick)])] = trick
    if chance.random() < LONG_LINES:  # too long, or nearly
        content += chance.choice([b"x", b'"', b"[", b"'"]) * (MAX_LINE + chance.choice([-1000, 1000]))
    return bytes(content)


def layouts_of(path, chance):
    """How the file is read, and how it would be if a format were named that it may not have."""
    try:
        if layout := layout_of(path, FORMATS):
            yield layout
    except UserError as error:
        assert "\n" not in str(error)
    format_ = chance.choice(FORMATS)
    if format_.framing in (LINES, CSV):
        yield Layout(format_, format_.framing, tuple(chance.choice(all_names())), chance.random() < 0.5)


def require_sums(path, layout, content):
    """How many records the file has, each accepted or rejected, which together have every line that is not blank.

    Raises:
        UserError: the file cannot be read to its end.
    """
    decode, lines, numbers = layout.decoder(), 0, []
    for line in records_of(path, layout):
        outcome = parse(line.content, layout.format, decode, TODAY)
        assert isinstance(outcome, Accepted | Reject)
        assert not isinstance(outcome, Reject) or not outcome.reason.startswith("unreadable_"), (line, outcome)
        dated(line.content, layout.format, decode)
        assert len(line_hash(line)) == 64
        lines += 1 if line.too_long else lines_in(line.content)
        numbers.append(line.number)
    if layout.framing == CSV and layout.has_header:
        lines += next((lines_in(part.content) for part in parts_of(path, layout._replace(has_header=False))), 0)
    assert lines == lines_in(content) or layout.framing not in (LINES, CSV)
    assert numbers == sorted(set(numbers))
    return len(numbers)


def lines_in(content):
    return sum(1 for line in content.split(b"\n") if line.strip())


def test_files_that_hold_anything_are_refused_or_add_up(tmp_path):
    chance, path, files, records = random.Random(SEED), tmp_path / "x", 0, 0
    until = time.monotonic() + SECONDS
    print(f"FUZZ_SEED={SEED}")
    tracemalloc.start()
    try:
        while files < LEAST_FILES or time.monotonic() < until:
            content = a_file(chance)
            stored = gzip.compress(content, 1) if chance.random() < 0.1 or len(content) > 2**20 else content
            if stored and chance.random() < 0.02:
                stored = stored[: chance.randrange(len(stored))]
            path.write_bytes(stored)
            whole = content if is_gzip(path) else stored  # one that was cut before its second byte is plain text
            files += 1
            for layout in layouts_of(path, chance):
                try:
                    records += require_sums(path, layout, whole)
                except UserError as error:
                    assert "\n" not in str(error)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{files} files, {records} records, at most {peak / 2**20:.0f} MiB")
    assert files > 10
    assert records > 10
    assert peak < MOST_MEMORY
