"""What is kept of a day that has too many rejects: its report, and the acceptance by which it enters all the same.

The report lies in `$RECPIPE_HOME/reports/quality/`, since it tells of an attempt. The acceptance lies beside the files
that it names, in `landing/accepted/`, so that a lake that is built again from the landing folder has the same rows.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from recpipe.arriving import ArrivingFile
from recpipe.errors import UserError
from recpipe.files import whole
from recpipe.intake import EXAMPLES, FATES, Outcome, named

MAX_BYTES = 2**26
"""Of a report or an acceptance; a larger file is none of ours."""

Place = tuple[str, str]
"""Kind and name of a file of a day."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Reason(_Kept):
    lines: int
    first_lines: tuple[int, ...]  # numbers of the first few, ascending


class FileReport(_Kept):
    kind: str
    file: str
    sha256: str
    read: int
    accepted: int
    rejected: int
    duplicates: int
    erased: int = 0  # reports of old say nothing of it
    reasons: dict[str, Reason]

    @property
    def place(self) -> Place:
        return self.kind, self.file

    @classmethod
    def of(cls, file: ArrivingFile, outcomes: Collection[Outcome]) -> Self:
        fates, reasons, examples = Counter(), Counter(), defaultdict(list)
        for outcome in outcomes:
            fates[outcome.fate] += outcome.lines
            if outcome.reason:
                reasons[outcome.reason] += outcome.lines
                examples[outcome.reason] += outcome.first_lines
        return cls(
            kind=file.kind,
            file=file.file,
            sha256=file.sha256,
            read=fates.total(),
            **{fate: fates[fate] for fate in FATES},
            reasons={
                name: Reason(lines=lines, first_lines=tuple(sorted(examples[name])[:EXAMPLES]))
                for name, lines in sorted(reasons.items())
            },
        )


class RejectReport(_Kept):
    """What a day's files held when it was judged; never their text."""

    arrived_on: date
    max_rejected_share: float
    files: tuple[FileReport, ...]

    @computed_field
    @property
    def read(self) -> int:
        return sum(file.read for file in self.files)

    @computed_field
    @property
    def accepted(self) -> int:
        return sum(file.accepted for file in self.files)

    @computed_field
    @property
    def rejected(self) -> int:
        return sum(file.rejected for file in self.files)

    @computed_field
    @property
    def duplicates(self) -> int:
        return sum(file.duplicates for file in self.files)

    @computed_field
    @property
    def erased(self) -> int:
        return sum(file.erased for file in self.files)

    @property
    def share(self) -> float:
        return self.rejected / self.read if self.read else 0.0

    def __str__(self) -> str:
        files = ((file, name, reason) for file in self.files for name, reason in file.reasons.items())
        told = (
            f"{file.kind}/{file.file}: {reason.lines} {name} (first in line {reason.first_lines[0]})"
            for file, name, reason in files
        )
        return named(told, "; ")


class AcceptedFile(_Kept):
    kind: str
    file: str
    sha256: str
    rejected: dict[str, int]  # lines by reason, when it was accepted


class Acceptance(_Kept):
    """The files of a day that may be taken in with their rejects.

    A file that changed since is judged anew, and so is one that has more rejects: its mapping may have changed.
    """

    arrived_on: date
    files: tuple[AcceptedFile, ...]

    def covers(self, report: RejectReport) -> bool:
        known = {(file.kind, file.file, file.sha256): file.rejected for file in self.files}
        accepted = ((file, known.get((file.kind, file.file, file.sha256), {})) for file in report.files)
        return all(why.lines <= most.get(name, 0) for file, most in accepted for name, why in file.reasons.items())


def report_file(reports: Path, day: date) -> Path:
    return reports / "quality" / f"{day}.json"


def acceptance_file(landing: Path, day: date) -> Path:
    return landing / "accepted" / f"arrived_on={day}.json"


def kept_days(reports: Path) -> list[date]:
    days = []
    for path in (reports / "quality").glob("*.json"):
        with suppress(ValueError):
            days.append(date.fromisoformat(path.stem))
    return sorted(days)


def read_report(reports: Path, day: date) -> RejectReport | None:
    """None if none is kept.

    Raises:
        UserError: the file is none of ours.
    """
    return _read(report_file(reports, day), RejectReport)


def read_acceptance(landing: Path, day: date) -> Acceptance | None:
    """None if there is none.

    Raises:
        UserError: the file is not as `accept` writes it.
    """
    return _read(acceptance_file(landing, day), Acceptance)


KeptT = TypeVar("KeptT", bound=_Kept)


def _read(path: Path, model: type[KeptT]) -> KeptT | None:
    try:
        with path.open("rb") as file:
            kept = model.model_validate_json(file.read(MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise UserError(
            f"expected {path} as recpipe wrote it, found: {found}; remove it and run the day again"
        ) from None
    if not path.stem.endswith(str(kept.arrived_on)):
        raise UserError(f"expected {path} to tell of its own day, found {kept.arrived_on}; remove it")
    return kept


def write_kept(path: Path, kept: _Kept) -> None:
    with whole(path) as file:
        file.write_text(kept.model_dump_json(indent=1) + "\n", encoding="utf-8")
