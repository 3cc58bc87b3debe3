"""What the generator says that it planted is what the reader finds, for every format and every kind of fault."""

import dataclasses
import hashlib
import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime

import pytest

from recpipe.arriving import arriving_files
from recpipe.errors import UserError
from recpipe.sample import Sample, Wanted, events, write_sample
from recpipe.sample.arriving import lines_of
from recpipe.sample.faults import FAULTS
from recpipe.sample.formats import WRITERS
from recpipe.sample.mix import ARRIVAL_DAYS, USUAL, Mix, mix_of
from recpipe.sample.planted import Planted
from recpipe.sample.shop import reviews_of, things_of
from recpipe.sample.writing import BROKEN
from recpipe.sources.fields import DAY, epoch, id_of, not_before_1995_nor_after, plain
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import CSV, LINES, PARQUET, Format, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import read_parts
from recpipe.sources.records import Event, Reject, RejectError
from recpipe.tables import EVENT_TYPES

SMALL = Sample(users=100, items=120, days=4)
KNOWN = {(format_.name, format_.kind) for format_ in FORMATS}
READABLE = [name for name, of_format in WRITERS.items() if {(w.format, w.kind) for w in of_format} <= KNOWN]
FRAMINGS = {"csv": (CSV, 1_000_000), "jsonl": (LINES, 1000), "parquet": (PARQUET, 1000)}
KEY_LENGTHS = {"reviews": 3, "events": 4, "items": 1, "users": 1}
CUT = {"not_json", "not_csv", "not_a_literal", "wrong_number_of_fields"}


def events_format(file):
    """As a mapping of the settings gives it: the generator's columns, and what is checked of any event."""
    framing, unit = FRAMINGS[file]

    def time(fields):
        return epoch(fields.get("event_time"), unit)

    def event(fields, notes, arrived_on):
        plain(fields, "channel", [])
        if not (event_type := fields["kind"]):
            raise RejectError("missing_event_type")
        if event_type not in EVENT_TYPES:
            raise RejectError("bad_event_type")
        return Event(
            id_of(fields, "buyer", "user"),
            id_of(fields, "product", "item"),
            event_type,
            not_before_1995_nor_after(time(fields), arrived_on),
        )

    return Format(events.SOURCE, "events", event, lambda fields: "buyer" in fields, time, framing)


def outcomes(path, layout, arrived_on):
    """Of each line, as `spark_reader` tells them."""
    decode = layout.decoder()
    for line in records_of(path, layout):
        outcome = Reject("line_too_long") if line.too_long else parse(line.content, layout.format, decode, arrived_on)
        cut = not line.ended and isinstance(outcome, Reject) and outcome.reason in CUT
        yield Reject("cut_off") if cut else outcome


def found_in(landing, formats=FORMATS):
    """By kind, day and file: the outcomes."""
    return {
        (file.kind, file.arrived_on, file.file): list(outcomes(file.path, file.layout, file.arrived_on))
        for file in arriving_files(landing, set(), SMALL.last_day, formats).files
    }


def require_equal(planted, found):
    assert {(file.kind, file.arrived_on, file.file) for file in planted.files} == found.keys()
    assert len(found) >= 5
    for file in planted.files:
        lines = found[file.kind, file.arrived_on, file.file]
        accepted = [line for line in lines if not isinstance(line, Reject)]
        assert len(lines) == file.lines
        if file.repeats:
            continue  # counts once
        reasons = Counter(line.reason for line in lines if isinstance(line, Reject))
        keys = Counter(line.record[: KEY_LENGTHS[file.kind]] for line in accepted)
        assert (file.kind, file.arrived_on, reasons) == (file.kind, file.arrived_on, file.reasons)
        assert Counter(note for line in accepted for note in line.notes) == file.notes
        assert keys.total() - len(keys) == file.duplicates


def again_and_late(found, kind):
    """Keys in an arrival that came before, and new ones dated before their arrival, from the second day on."""
    seen, edited, late = set(), 0, 0
    days = sorted({day for of_kind, day, _ in found if of_kind == kind})
    for day in days:
        accepted = [
            line.record
            for place, lines in found.items()
            if place[:2] == (kind, day) and not place[2].startswith("again_")
            for line in lines
            if not isinstance(line, Reject)
        ]
        keys = {record[: KEY_LENGTHS[kind]] for record in accepted}
        edited += len(keys & seen)
        midnight = (day - date(1970, 1, 1)).days * DAY
        late += sum(key[-1] < midnight for key in keys - seen) if day > days[0] else 0
        seen |= keys
    return edited, late


@pytest.fixture(scope="module", params=READABLE)
def everything(request, tmp_path_factory):
    """A landing folder with every fault that fits a format."""
    landing = tmp_path_factory.mktemp(request.param)
    shares = {"late": 0.1, "edited": 0.05, "twice": 0.05}
    planted = write_sample(landing, SMALL, Wanted(request.param, faults=shares, all_faults=True))
    return landing, planted, found_in(landing)


def test_there_are_readers_to_try():
    assert {"amazon-2018", "amazon-2023"} <= set(READABLE)


def test_every_fault_is_counted_by_the_reader_as_it_was_planted(everything):
    _, planted, found = everything
    require_equal(planted, found)
    assert planted.total("reasons").total() >= 8
    fitting = {kind for kind, fault in FAULTS.items() if any(map(fault.fits, WRITERS[planted.format]))}
    assert fitting | ARRIVAL_DAYS.keys() == planted.faults.keys()


def test_edited_and_late_reviews_are_as_many_as_planted(everything):
    _, planted, found = everything
    edited, late = again_and_late(found, "reviews")
    assert edited == planted.faults["edited"] >= 1
    assert late == planted.faults["late"] >= 1


def test_a_repeated_file_has_the_bytes_of_the_day_before(everything):
    landing, planted, _ = everything
    [again] = [file for file in planted.files if file.repeats]
    folder = landing / again.kind
    [first] = [f.file for f in planted.files if (f.kind, f.arrived_on) == (again.kind, again.repeats)]
    copies = [
        folder / f"arrived_on={day}" / name for day, name in ((again.repeats, first), (SMALL.last_day, again.file))
    ]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in copies}) == 1
    assert planted.faults["repeated_file"] == 1


def test_what_is_let_through_is_mended(everything):
    _, planted, found = everything
    records = [line.record for lines in found.values() for line in lines if not isinstance(line, Reject)]
    texts = [value for record in records for value in record if isinstance(value, str)]
    assert planted.faults["html_title"] >= 1
    assert not [text for text in texts if "\0" in text]
    titles = [record.title for record in records if hasattr(record, "title")]
    assert not [title for title in titles if title and ("<" in title or "&amp;" in title)]
    assert [title for title in titles if title and title.endswith("& more")]


def cases():
    """A writer and a kind that fits it, of formats that have a reader."""
    of_formats = {(w.format, w.kind): w for name in READABLE for w in WRITERS[name]}
    return [
        pytest.param(writer, kind, id=f"{writer.format}-{writer.kind}-{kind}")
        for writer in of_formats.values()
        for kind, fault in FAULTS.items()
        if fault.fits(writer)
    ]


@pytest.fixture(scope="module")
def good_records():
    """By kind, the first record of a shop."""
    kept = {}

    def keep(writer):
        def fields(record):
            kept.setdefault(writer.kind, record)
            return {"id": 1}

        return writer._replace(fields=fields, encode=lambda _: b"")

    writers = (*WRITERS["movielens-1m"], events.WRITERS["csv"])
    lines_of(SMALL, [keep(writer) for writer in writers], Mix(USUAL, True, SMALL.arrivals), Planted(""))
    return kept


@pytest.mark.parametrize(("writer", "kind"), cases())
def test_each_variant_of_a_fault_has_its_one_reason_or_note(tmp_path, good_records, writer, kind):
    fault, day = FAULTS[kind], SMALL.last_day
    good = writer.fields(good_records[writer.kind])
    variants = 1 if fault.once else 4
    path = tmp_path / "lines"
    spoilt = [fault.spoil(good, writer, number, day) for number in range(variants)]
    path.write_bytes(writer.header + writer.encode(good) * 3 + b"".join(spoilt))
    layout = layout_of(path, [format_ for format_ in FORMATS if format_.name == writer.format])
    (*read,) = outcomes(path, layout, day)
    assert [line.notes for line in read[:3]] == [list(writer.notes)] * 3
    noted = sorted([*writer.notes, *([fault.note(writer)] if fault.noted else [])])
    expected = (fault.reason, []) if fault.reason else ("", noted)
    found = [(line.reason, []) if isinstance(line, Reject) else ("", sorted(line.notes)) for line in read[3:]]
    assert found == [expected] * variants


@pytest.mark.parametrize("file", list(events.WRITERS))
def test_events_are_counted_as_they_were_planted(tmp_path, file):
    faults = {"late": 0.1, "twice": 0.02}
    planted = write_sample(tmp_path, SMALL, Wanted(events=file, faults=faults, all_faults=True))
    found = found_in(tmp_path, (*FORMATS, events_format(file)))
    require_equal(planted, found)
    of_events = [of_file for of_file in planted.files if of_file.kind == "events"]
    assert {of_file.arrived_on for of_file in of_events} == set(SMALL.arrivals)
    assert sum((of_file.reasons for of_file in of_events), Counter()).total() >= 4
    assert again_and_late(found, "events") == (0, sum(of_file.faults["late"] for of_file in of_events))


def test_no_event_is_there_twice_by_chance():
    class Last(random.Random):
        def randint(self, _, last):
            return last

    things = things_of(SMALL.random(), SMALL)
    reviews, _ = reviews_of(SMALL.random(), SMALL, things, 0)
    arriving, _ = events.events_of(Last(7), SMALL, things, reviews, 0)
    found = [event for day in arriving.values() for event in day]
    assert len(found) == len(set(found)) > 1000


@pytest.mark.parametrize("format_", ["amazon-2023", "movielens-1m", "movielens-latest"])
def test_a_file_starts_with_a_good_line_by_which_its_format_is_told(format_):
    mix = mix_of({"missing_user": 0.1, "bad_user": 0.1, "bad_rating": 0.1}, WRITERS[format_], SMALL, all_kinds=False)
    for seed in range(10):
        sample = dataclasses.replace(SMALL, seed=seed)
        clean = lines_of(sample, WRITERS[format_], Mix({}, False, SMALL.arrivals), Planted(""))["reviews"]
        spoilt = lines_of(sample, WRITERS[format_], mix, Planted(""))["reviews"]
        assert len(spoilt[SMALL.arrivals[0]]) > 1.2 * len(clean[SMALL.arrivals[0]])
        assert spoilt[SMALL.arrivals[0]][0] in clean[SMALL.arrivals[0]]


def test_events_have_the_tastes_of_the_reviews_and_leave_them_alone(tmp_path):
    for name, file in (("with", "jsonl"), ("without", None)):
        write_sample(tmp_path / name, SMALL, Wanted(events=file))
    found = found_in(tmp_path / "with", (*FORMATS, events_format("jsonl")))
    both = {place: lines for place, lines in found.items() if place[0] != "events"}
    assert both == found_in(tmp_path / "without")
    by_type = defaultdict(set)
    for place, lines in found.items():
        for line in lines if place[0] == "events" else ():
            by_type[line.record.event_type].add(line.record[:2])
    reviewed = {
        line.record[:2]
        for p, lines in both.items()
        if p[0] == "reviews"
        for line in lines
        if hasattr(line, "record") and hasattr(line.record, "rating")
    }
    assert by_type["purchase"] == reviewed
    assert by_type["cart"] < by_type["purchase"] < by_type["view"]


def test_faults_leave_the_shop_as_it_is(tmp_path):
    write_sample(tmp_path / "clean", SMALL, Wanted(faults={}))
    write_sample(tmp_path / "spoilt", SMALL, Wanted(faults={"missing_user": 0.05, "not_json": 0.05}))
    clean, spoilt = (
        {
            place: {line.record[:3] for line in lines if not isinstance(line, Reject)}
            for place, lines in found_in(tmp_path / name).items()
        }
        for name in ("clean", "spoilt")
    )
    assert {place: lines for place, lines in spoilt.items() if place[0] == "reviews"} == {
        place: lines for place, lines in clean.items() if place[0] == "reviews"
    }


def test_no_faults_means_none(tmp_path):
    planted = write_sample(tmp_path, SMALL, Wanted(faults={}))
    assert not planted.faults
    assert "no faults" in str(planted)
    require_equal(planted, found_in(tmp_path))


@pytest.mark.parametrize("kind", list(BROKEN))
def test_a_broken_file_stops_the_run(tmp_path, kind):
    planted = write_sample(tmp_path, SMALL, Wanted(broken=[kind]))
    [path] = planted.broken
    with pytest.raises(UserError, match=path.name):
        for file in arriving_files(tmp_path, set(), SMALL.last_day).files:
            if file.path == path:
                list(read_parts(path))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(faults={"not_csv": 0.01}), "fits amazon-2023 arriving on 4 days .*missing_user, .*found 'not_csv'"),
        (Wanted("movielens-1m", faults={"not_json": 0.01}), "wrong_number_of_fields.*found 'not_json'"),
        (Wanted(faults={"twice": 0.5}), "expected a share above 0 and up to 0.1 of twice, found 0.5"),
        (Wanted("amazon-1999"), "expected a format out of amazon-2014, .*found 'amazon-1999'"),
        (Wanted(events="xml"), "expected events as csv, jsonl, parquet, found 'xml'"),
        (Wanted(broken=["flood"]), "expected broken files out of truncated_gzip, .*found flood"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path, wanted, message):
    with pytest.raises(UserError, match=message):
        write_sample(tmp_path, SMALL, wanted)
    assert not list(tmp_path.iterdir())


def test_a_fault_that_needs_more_days_is_refused(tmp_path):
    short = dataclasses.replace(SMALL, days=2)
    with pytest.raises(UserError, match=r"arriving on 2 days .*found 'late'"):
        write_sample(tmp_path, short, Wanted(faults={"late": 0.1}))
    assert write_sample(tmp_path, short, Wanted(all_faults=True)).faults["repeated_file"] == 1


def test_equal_choices_give_equal_bytes(tmp_path):
    wanted = Wanted("movielens-100k", events="csv", all_faults=True)
    for name in ("a", "b"):
        write_sample(tmp_path / name, SMALL, wanted)
    contents = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) > 8


def test_moments_are_whole_numbers_of_the_format():
    moment = datetime(2018, 9, 4, 15, 30, 1, 500_000, tzinfo=UTC)
    whens = {w.format: w.when(moment) for ws in WRITERS.values() for w in ws if w.kind == "reviews"}
    assert whens["amazon-2023"] == 1536075001500
    assert whens["amazon-2018"] == 1536019200
    assert whens["movielens-1m"] == 1536075001
    assert whens["yelp"] == "2018-09-04 15:30:01"
