"""What ran for each day, what is missing, running, failed or stale, and the command that mends it. No JVM."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from recpipe import delta
from recpipe.anchors import first_known
from recpipe.environments import JOBS
from recpipe.errors import UserError
from recpipe.intake import FATES
from recpipe.job_lock import nothing_under_way
from recpipe.model.anchors import Decision, champion_of, promotions
from recpipe.reader import rows_of
from recpipe.settings import Settings, code_hash
from recpipe.tables import ARRIVALS, ITEM_EMBEDDINGS, ITEM_FEATURES, RUNS

SHOWN_DAYS = 30
"""Days that are shown when none are named."""

DONE_ANEW = ("build_features", "embed", "recommend_top_k")
"""Jobs whose rows another run replaces. Arrivals are sealed and verdicts are final, whatever code made them."""


@dataclass(frozen=True)
class JobStatus:
    """The newest attempt of a job for a day. One that has no end, while nothing runs on this machine, was killed."""

    attempt: int
    status: str
    started_at: datetime
    ended_at: datetime | None
    message: str
    versions: Mapping[str, int]
    inputs: Mapping[str, int]
    code_hash: str
    settings_hash: str


@dataclass(frozen=True)
class DayStatus:
    """What is known of one day: its seal, the newest attempt of each job by name, and why its rows are stale."""

    ds: date
    sealed: bool
    lines_read: int
    accepted: int
    rejected: int
    duplicates: int
    erased: int
    jobs: Mapping[str, JobStatus]
    stopped: str | None  # what the reject limit says of it, until it is sealed
    stale: Sequence[str]
    in_vain: str | None  # why no run can make lists for it

    def jobs_that(self, status: str) -> list[str]:
        return [job for job in JOBS if job in self.jobs and self.jobs[job].status == status]

    @property
    def state(self) -> str:
        if self.stopped or self.in_vain:
            return self.stopped or self.in_vain
        if running := self.jobs_that("running"):
            return f"running {running[0]} since {self.jobs[running[0]].started_at:%Y-%m-%d %H:%M}, no end known"
        for ended in ("killed", "failed"):
            if jobs := self.jobs_that(ended):
                return f"{ended} in {jobs[0]}"
        if not self.jobs:
            return "missing"
        if lacking := [job for job in JOBS if job not in self.jobs]:
            return f"incomplete, without {', '.join(lacking)}"
        return f"stale: {'; '.join(self.stale)}" if self.stale else "complete"

    @property
    def wants_a_run(self) -> bool:
        """Whether running the night again would mend it; of one that runs, nobody knows whether it still does."""
        is_stopped = self.stopped is not None and self.stopped.startswith("stopped")
        return self.state != "complete" and not (is_stopped or self.in_vain or self.jobs_that("running"))


def status(
    settings: Settings, first: date | None, last: date | None, stopped: Mapping[date, str] | None = None
) -> list[DayStatus]:
    """Each day from ``first`` to ``last`` (default: the last days that ran or arrived), with what ran for it.

    ``stopped`` tells of the days that the reject limit stopped; of a day that was sealed since, it is passed over.

    Raises:
        UserError: ``first`` is after ``last``.
    """
    root = settings.lake
    sealed, ran = delta.days(root, ARRIVALS), delta.days(root, RUNS)
    stopped = {day: said for day, said in (stopped or {}).items() if day not in sealed}
    known = {*ran, *stopped, *([max(sealed)] if sealed else [])}
    if not known and not (first or last):
        return []
    last = last or max(known | {first} if first else known)
    first = first or max(min(known | {last}), last - timedelta(days=SHOWN_DAYS - 1))
    if first > last:
        raise UserError(f"expected --from before --to, found {first} after {last}")
    counts, jobs = _counts(settings, first, last), _newest_attempts(settings, first, last)
    carried, promoted = _carried(settings, first, last), promotions(root)
    current = code_hash(), settings.result_hash()
    known_from = first_known(root)
    nothing = dict.fromkeys(("lines_read", *FATES), 0)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    # The run of a later day may have written those of an anchor.
    items = delta.last_commits(root, ITEM_FEATURES, days)
    return [
        DayStatus(
            ds=day,
            sealed=day in sealed,
            jobs=jobs.get(day, {}),
            stopped=stopped.get(day),
            stale=_stale(jobs.get(day, {}), items.get(day, {}), current, carried.get(day), champion_of(promoted, day)),
            in_vain=_in_vain(day, sealed, known_from),
            **counts.get(day, nothing),
        )
        for day in days
    ]


def _in_vain(day: date, sealed: Collection[date], known_from: date | None) -> str | None:
    if sealed and day < min(sealed):
        return "before the first arrival"
    if day in sealed and (known_from is None or day < known_from):
        return "nothing known yet: no review or event of a user up to it"
    return None


def _counts(settings: Settings, first: date, last: date) -> dict[date, dict[str, int]]:
    rows = rows_of(
        delta.connect(settings.lake, [ARRIVALS], (first, last)),
        """select arrived_on, sum(lines_read)::bigint as lines_read, sum(accepted)::bigint as accepted,
                  sum(rejected)::bigint as rejected, sum(duplicates)::bigint as duplicates,
                  sum(erased)::bigint as erased
           from arrivals group by arrived_on""",
    )
    return {row.pop("arrived_on"): row for row in rows}


def _newest_attempts(settings: Settings, first: date, last: date) -> dict[date, dict[str, JobStatus]]:
    found: dict[date, dict[str, JobStatus]] = {}
    were_killed = nothing_under_way(settings.lake)  # asked first: what ends meanwhile has told its end
    rows = rows_of(
        delta.connect(settings.lake, [RUNS], (first, last)),
        """select ds, job, attempt, status, started_at, ended_at, message, versions, inputs, code_hash, settings_hash
           from runs qualify row_number() over (partition by ds, job order by attempt desc) = 1""",
    )
    for row in rows:
        row |= {name: json.loads(row[name]) for name in ("versions", "inputs")}
        if row["status"] == "running" and were_killed:
            row["status"] = "killed"
        ds, job = row.pop("ds"), row.pop("job")
        found.setdefault(ds, {})[job] = JobStatus(**row)
    return found


def _carried(settings: Settings, first: date, last: date) -> dict[date, str]:
    """The model whose vectors each day has."""
    rows = delta.connect(settings.lake, [ITEM_EMBEDDINGS], (first, last))
    return dict(rows.sql("select ds, min(model_version) from item_embeddings group by ds").fetchall())


def _stale(
    jobs: Mapping[str, JobStatus],
    items: Mapping[str, Any],
    current: tuple[str, str],
    carried: str | None,
    champion: Decision | None,
) -> list[str]:
    """Why another run would give other rows than those that are there; nothing for a night that has gaps.

    ``items`` is what the commit of the day's item features tells.
    """
    if any(job not in jobs or jobs[job].status != "success" for job in JOBS):
        return []
    reasons = list(_written_again(jobs))
    for what, found, expected in (
        ("code", "code_hash", current[0]),
        ("settings", "settings_hash", current[1]),
    ):
        if others := [job for job in DONE_ANEW if getattr(jobs[job], found) != expected]:
            reasons.append(f"{what} changed since {others[0]}")
        elif items.get(found, expected) != expected:
            reasons.append(f"the run of {items.get('ds')} wrote its item_features with other {what}")
    if carried != (expected := champion and champion.model_version):
        reasons.append(f"scored by {carried or 'no model'}, the champion is {expected or 'none'}")
    return reasons


def _written_again(jobs: Mapping[str, JobStatus]) -> Iterator[str]:
    """Jobs that wrote a table after a job to their right had looked at it."""
    order = list(JOBS)
    for place, left in enumerate(order):
        for right in order[place + 1 :]:
            seen = jobs[right].inputs
            if any(seen.get(table, version) < version for table, version in jobs[left].versions.items()):
                yield f"{left} ran again after {right}"
                break


def commands(days: Iterable[DayStatus]) -> list[str]:
    """What mends the days: one command a stretch of days."""
    stretches: list[list[date]] = []
    for day in (day.ds for day in days if day.wants_a_run):
        if stretches and day - stretches[-1][-1] == timedelta(days=1):
            stretches[-1].append(day)
        else:
            stretches.append([day])
    return [
        f"make backfill FROM={days[0]} TO={days[-1]}" if len(days) > 1 else f"recpipe run night --ds {days[0]}"
        for days in stretches
    ]


def status_json(day: DayStatus) -> dict[str, Any]:
    told = ("attempt", "status", "started_at", "ended_at", "message")
    jobs = {job: {name: getattr(found, name) for name in told} for job, found in day.jobs.items()}
    fields = ("ds", "sealed", "lines_read", *FATES, "stale")
    return {name: getattr(day, name) for name in fields} | {"state": day.state, "jobs": jobs}
