"""What a run of ingest took in: its counts, whether its days may be sealed, what it says. Plain values, no Spark."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Self

from recpipe.arriving import Arriving
from recpipe.errors import UserError
from recpipe.tables import KINDS, PICTURES

WRONG_UNIT = "wrong_unit"
"""Note on a rejected line whose date would fit if its seconds were milliseconds, or the other way round."""

FATES = ("accepted", "rejected", "duplicates", "erased")
"""What becomes of a line; each is a column of table arrivals, and together they are the lines read."""

NAMED_AT_MOST = 5
"""Days or files named in a message before it says how many more there are."""

EXAMPLES = 5
"""Line numbers of rejected lines that are kept as examples, by file and reason."""


class Outcome(NamedTuple):
    """Lines of one file with the same fate, see `transforms.arrivals.outcomes`."""

    arrived_on: date
    kind: str
    file: str
    fate: str  # one of `FATES`
    reason: str | None  # why they were rejected
    notes: Sequence[str] | None  # values that were there and could not be read
    lines: int
    first_lines: Sequence[int] | None  # ascending, at most `EXAMPLES`; None without lines


@dataclass(frozen=True)
class Intake:
    arriving: Arriving
    outcomes: Sequence[Outcome]

    @classmethod
    def of(cls, arriving: Arriving, rows: Iterable[tuple[Any, ...]]) -> Self:
        return cls(arriving, [Outcome(*row) for row in rows])

    @property
    def lines_read(self) -> int:
        return sum(outcome.lines for outcome in self.outcomes)

    @property
    def rejected(self) -> int:
        return sum(outcome.lines for outcome in self.outcomes if outcome.reason)

    def require_right_units(self) -> None:
        """Raises:
        UserError: most of a file's dates are in the wrong unit.
        """
        lines, wrong = Counter(), Counter()
        for outcome in self.outcomes:
            place = outcome.arrived_on, outcome.kind, outcome.file
            lines[place] += outcome.lines
            wrong[place] += outcome.lines if WRONG_UNIT in (outcome.notes or ()) else 0
        for file in self.arriving.files:
            place = file.arrived_on, file.kind, file.file
            if 2 * wrong[place] > lines[place]:
                raise UserError(
                    f"{file.path}: expected dates in the unit of {file.format}, found another one in {wrong[place]} of "
                    f"{lines[place]} lines (seconds for milliseconds, or the other way round); convert them and land "
                    "the file again"
                )

    def require_sums(self, rows: Mapping[str, int]) -> None:
        """Compare the counts of lines with the ``rows`` that were written, by table name.

        Raises:
            RuntimeError: lines were lost or doubled on the way; the days may not be sealed.
        """
        expected = Counter(dict.fromkeys((*KINDS, PICTURES, "rejected_rows"), 0))
        for outcome in self.outcomes:
            if outcome.fate in ("accepted", "rejected"):
                expected["rejected_rows" if outcome.reason else outcome.kind] += outcome.lines
        found = {name: rows.get(name, 0) for name in expected}
        if found != dict(expected):
            raise RuntimeError(f"expected {dict(expected)} rows by the counts of lines, found {found} written")

    def __str__(self) -> str:
        first, last = self.arriving.first, self.arriving.last
        fates, reasons, notes = Counter(), Counter(), Counter()
        for outcome in self.outcomes:
            fates[outcome.fate] += outcome.lines
            reasons[outcome.reason] += outcome.lines
            if not outcome.reason:
                notes.update(dict.fromkeys(outcome.notes or (), outcome.lines))
        del reasons[None]
        repeats = self.arriving.repeats()
        files = len(self.arriving.files) - len(repeats)
        erased = f" + {fates['erased']} of erased users" if fates["erased"] else ""
        parts = [
            f"took in {first if first == last else f'{first} to {last}'}: {self.lines_read} lines of "
            f"{files} files = {fates['accepted']} accepted + {fates['rejected']} rejected + "
            f"{fates['duplicates']} duplicates{erased}"
        ]
        parts += [f"rejected: {_counts(reasons)}"] if reasons else []
        parts += [f"left empty or replaced: {_counts(notes)}"] if notes else []
        if repeats:
            had = "1 file had" if len(repeats) == 1 else f"{len(repeats)} files had"
            same = named(f"{file.kind}/{file.arrived_on}/{file.file} (as {file.same_as})" for file in repeats)
            parts.append(f"{had} arrived before and {'is' if len(repeats) == 1 else 'are'} not read again: {same}")
        if changed := self.arriving.changed():
            places = named(f"{file.kind}/{file.arrived_on}/{file.file} as {file.layout or 'empty'}" for file in changed)
            parts.append(
                f"changed since they were landed, so their lines are read and numbered as they are there now: {places}"
            )
        if quiet := self.arriving.days_without_files():
            parts.append(f"nothing arrived on {named(map(str, quiet))}")
        return "; ".join([*parts, *not_read(self.arriving.not_read)])


LATE_FILES_MEND = "land them on a day to come, or take them away"


def not_read(late: Sequence[Path]) -> list[str]:
    """Words on files that showed up in a sealed day; none if there are none."""
    if not late:
        return []
    listed = named(f"{path.parent.parent.name}/{path.parent.name}/{path.name}" for path in late)
    return [f"not read, since their day was sealed before they showed up: {listed}"]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{lines} {name}" for name, lines in sorted(counter.items()))


def named(names: Iterable[str], between: str = ", ") -> str:
    """The first `NAMED_AT_MOST` of ``names``, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return between.join(names[:NAMED_AT_MOST]) + more
