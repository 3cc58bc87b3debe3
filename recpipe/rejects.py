"""The reject limit: which days it stops, and how a user lets one of them pass."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recpipe.errors import UserError
from recpipe.intake import Intake, named
from recpipe.landing import landed_files
from recpipe.reject_reports import (
    Acceptance,
    AcceptedFile,
    FileReport,
    RejectReport,
    acceptance_file,
    kept_days,
    read_acceptance,
    read_report,
    report_file,
    write_kept,
)
from recpipe.sources.files import sha256_of
from recpipe.tables import PICTURES


@dataclass(frozen=True)
class RejectLimit:
    max_share: float  # of a day's lines
    reports: Path
    landing: Path

    def require_few_rejects(self, intake: Intake) -> None:
        """Keep a report of each day that has too many rejects, and remove what is kept of days that do not any more.

        Raises:
            UserError: more than ``max_share`` of a day's lines were rejected and its files are not accepted; names the
                day, its files and reasons, the report, and what to do.
        """
        stopped = [report for report in day_reports(intake, self.max_share) if self._stops(report)]
        days = {report.arrived_on for report in stopped}
        for day in kept_days(self.reports):
            if intake.arriving.first <= day <= intake.arriving.last and day not in days:
                report_file(self.reports, day).unlink(missing_ok=True)
        for report in stopped:
            write_kept(report_file(self.reports, report.arrived_on), report)
        if stopped:
            raise UserError(self._refusal(stopped))

    def _stops(self, report: RejectReport) -> bool:
        if report.share <= self.max_share:
            return False
        acceptance = read_acceptance(self.landing, report.arrived_on)
        return acceptance is None or not acceptance.covers(report)

    def _refusal(self, stopped: list[RejectReport]) -> str:
        day, first = stopped[0].arrived_on, stopped[0]
        found = f"{first.share:.2%} ({first.rejected} of {first.read})"
        more = f"; {len(stopped) - 1} more days are over the limit" if len(stopped) > 1 else ""
        return (
            f"arrival {day}: expected at most {self.max_share:.2%} of the lines to be rejected, found {found}: "
            f"{first}; nothing was taken in, see {report_file(self.reports, day)}: "
            f"repair the files, or take them in as they are by `recpipe accept {day}`, and run again{more}"
        )


def day_reports(intake: Intake, max_share: float) -> Iterator[RejectReport]:
    """A report for each day with files, ascending.

    Pictures are left out: a broken one costs its item a picture, and a host's bad ones are to stop no night.
    """
    outcomes, files = defaultdict(list), defaultdict(list)
    for outcome in intake.outcomes:
        outcomes[outcome.arrived_on, outcome.kind, outcome.file].append(outcome)
    for file in (file for file in intake.arriving.files if file.kind != PICTURES):
        files[file.arrived_on].append(FileReport.of(file, outcomes[file.arrived_on, file.kind, file.file]))
    for day in sorted(files):
        in_order = tuple(sorted(files[day], key=lambda file: file.place))
        yield RejectReport(arrived_on=day, max_rejected_share=max_share, files=in_order)


def accept(day: date, reports: Path, landing: Path, sealed_days: Collection[date]) -> RejectReport:
    """Let ingest take in ``day`` as its report tells it: names the files with rejects in the landing folder.

    Raises:
        UserError: the day is sealed, the reject limit did not stop it, or its files changed since.
    """
    if day in sealed_days:
        raise UserError(
            f"expected a day that is not sealed, found {day} taken in already; see its lines in table rejected_rows"
        )
    report = read_report(reports, day)
    if report is None:
        raise UserError(
            f"expected a day that the reject limit stopped, found no {report_file(reports, day)}; "
            f"run `recpipe run ingest_reviews --ds {day}` first"
        )
    if changed := _changed(report, landing):
        raise UserError(
            f"expected the files of {day} as they were judged, found others: {named(changed)}; "
            f"run `recpipe run ingest_reviews --ds {day}` again"
        )
    files = tuple(
        AcceptedFile(
            kind=file.kind,
            file=file.file,
            sha256=file.sha256,
            rejected={name: reason.lines for name, reason in file.reasons.items()},
        )
        for file in report.files
        if file.rejected
    )
    write_kept(acceptance_file(landing, day), Acceptance(arrived_on=day, files=files))
    return report


def _changed(report: RejectReport, landing: Path) -> list[str]:
    """Files that are new, gone or not the same since."""
    found = {
        (file.kind, file.path.name, sha256_of(file.path))
        for file in landed_files(landing)
        if file.arrived_on == report.arrived_on
    }
    judged = {(*file.place, file.sha256) for file in report.files}
    return sorted({f"{kind}/{name}" for kind, name, _ in found ^ judged})


def stopped_days(reports: Path, landing: Path) -> Mapping[date, str]:
    """A word for each day whose report is kept."""
    words = {}
    for day in kept_days(reports):
        report, acceptance = read_report(reports, day), read_acceptance(landing, day)
        if report is None:
            continue
        counts = f"{report.rejected} of {report.read} rejected"
        if acceptance and acceptance.covers(report):
            words[day] = f"accepted: {counts}, to be run again"
        else:
            words[day] = f"stopped: {counts}, see {report_file(reports, day)}"
    return words
