"""Each arrival's lines: the shop's records, what is there twice or has changed since, and what is spoilt."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from recpipe.sample import events
from recpipe.sample.faults import FAULTS
from recpipe.sample.mix import Mix
from recpipe.sample.planted import Planted, PlantedFile
from recpipe.sample.shop import Sample, items_of, judged, reviews_of, things_of, users_of
from recpipe.sample.writers import JSON, Writer

Lines = dict[date, list[bytes]]
"""By day of arrival."""


def lines_of(sample: Sample, writers: Sequence[Writer], mix: Mix, planted: Planted) -> dict[str, Lines]:
    """The lines of every file by kind; adds the files with their counts to ``planted``."""
    rng, of_kind = sample.random(), {writer.kind: writer for writer in writers}
    things = things_of(rng, sample)
    late_share = mix.shares.get("late", 0)
    reviews, late = reviews_of(rng, sample, things, late_share)
    lines = {"reviews": _Arrivals(rng, of_kind["reviews"], mix, planted).of(reviews, late)}
    records: dict[str, tuple[Mapping[date, list[Any]], Mapping[date, int]]] = {
        "items": ({day: items_of(rng, things, day, sample.arrivals[0]) for day in sample.arrivals}, {}),
        "users": (users_of(sample.random("users"), reviews), {}),
    }
    if "events" in of_kind:
        records["events"] = events.events_of(sample.random("events"), sample, things, reviews, late_share)
    for kind in (kind for kind in records if kind in of_kind):
        # Of its own, so that the items are the same with users or events beside them and without.
        faults = sample.random(f"faults in {kind}")
        lines[kind] = _Arrivals(faults, of_kind[kind], mix, planted).of(*records[kind])
    order = {writer.kind: place for place, writer in enumerate(writers)}
    planted.files.sort(key=lambda file: (file.arrived_on, order[file.kind]))
    return lines


@dataclass(frozen=True)
class _Arrivals:
    rng: random.Random
    writer: Writer
    mix: Mix
    planted: Planted

    def of(self, records: Mapping[date, list[Any]], late: Mapping[date, int]) -> Lines:
        earlier: list[Any] = []
        lines = {}
        for day, arriving in records.items():
            file = PlantedFile(self.writer.kind, self.writer.format, day, self.writer.file)
            lines[day] = self._in_any_order(arriving, self._again(arriving, earlier, file), file)
            file.add("late", self.writer, late.get(day, 0))
            file.lines = len(lines[day])
            file.notes.update(dict.fromkeys(self.writer.notes, file.lines - file.reasons.total()))
            self.planted.files += [file] if lines[day] else []
            earlier += arriving
        return lines

    @property
    def _is_left_as_it_is(self) -> bool:
        return self.mix.is_usual and self.writer.kind in ("items", "users")

    def _again(self, arriving: list[Any], earlier: list[Any], file: PlantedFile) -> list[Any]:
        """Reviews of before with another opinion, and records that are there twice."""
        if self.mix.is_usual and self.writer.kind != "reviews":
            return []
        rng, day, edited = self.rng, file.arrived_on, []
        if self.writer.kind == "reviews":
            count = min(self.mix.many("edited", len(arriving), day), len(earlier))
            edited = [judged(rng, review, "thing") for review in rng.sample(earlier, count)]
        twice = rng.sample(arriving, self.mix.many("twice", len(arriving), day))
        if self.writer.kind == "reviews":
            twice = [review._replace(votes=review.votes + rng.choice((0, 3))) for review in twice]
        file.add("edited", self.writer, len(edited))
        file.add("twice", self.writer, len(twice))
        return [*edited, *twice]

    def _in_any_order(self, arriving: list[Any], again: list[Any], file: PlantedFile) -> list[bytes]:
        """The records as lines, some of them spoilt, and lines spoilt so much that they are rejected."""
        spoil, day, many = _Spoiler(self.writer, file, self.mix.is_usual), file.arrived_on, len(arriving)
        lines = [self.writer.encode(self.writer.fields(record)) for record in (*arriving, *again)]
        if self._is_left_as_it_is:
            return lines
        accepted = self.mix.kinds(self.writer, many, day, accepted=True)[:many]
        for kind, place in zip(accepted, self.rng.sample(range(many), len(accepted)), strict=True):
            lines[place] = spoil.line(kind, arriving[place])
        rejected = self.mix.kinds(self.writer, many, day, accepted=False)
        bad = [spoil.line(kind, self.rng.choice(arriving)) for kind in rejected if kind != "cut_off"]
        first = lines[:1]
        lines += bad
        self.rng.shuffle(lines)
        # A file that starts with such a line may be taken for another format, or for none.
        if lines and lines[0] in bad and not (self.mix.is_usual and self.writer.shape == JSON):
            lines.remove(first[0])
            lines.insert(0, first[0])
        return [*lines, *(spoil.line(kind, self.rng.choice(arriving)) for kind in rejected if kind == "cut_off")]


class _Spoiler:
    """Spoils lines of one file and counts them in it."""

    def __init__(self, writer: Writer, file: PlantedFile, is_usual: bool) -> None:
        self.writer, self.file, self.is_usual = writer, file, is_usual
        self.before: Counter[str] = Counter()

    def line(self, kind: str, record: Any) -> bytes:
        number = self.before[kind]
        self.before[kind] += not self.is_usual  # the usual mix has one variant of each kind
        self.file.add(kind, self.writer)
        return FAULTS[kind].spoil(self.writer.fields(record), self.writer, number, self.file.arrived_on)
