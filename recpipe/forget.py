"""Erasing a user: from every reader at once, then out of every file of the lake. No JVM.

Each step may be done again, so that the same command finishes what was stopped. What it cannot reach it names.
"""

import hashlib
import html
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.job_lock import no_job_under_way
from recpipe.landed_layouts import layout_in
from recpipe.landing import LandedFile, landed_files, remove_left_over
from recpipe.settings import Settings
from recpipe.sources.files import records_of
from recpipe.sources.formats import Format, parse
from recpipe.sources.records import Accepted
from recpipe.sources.values import is_id
from recpipe.tables import ARRIVALS, ERASED_USERS, KINDS, OF_USERS, TRAINING_EXAMPLES, Table

ROWS_GO = "The rows are removed, and so are all training examples; anchors that are not decided get them anew."
VERSIONS_GO = (
    "Older versions of all tables of users go too (unless --keep-files): no time travel, and queries under way may "
    "fail. So do pages of nights that name the user."
)
OUT_OF_REACH = (
    "Out of reach: landing files, models trained before, popularity in nights that ran before, messages of failed "
    "runs, pages of nights that were written elsewhere (`recpipe report --html`), what Spark sets aside on "
    "a cluster, logs, backups."
)

LANDED = tuple(table.name for table in OF_USERS if table.name in KINDS)
"""Kinds of landing files whose lines are of users."""


@dataclass(frozen=True)
class Found:
    """What there is of a user, before anything is done."""

    user_id: str
    is_erased: bool  # in erased_users already: an earlier command may have been stopped
    rows: Mapping[str, int]  # by table, of those that have some
    landed: Mapping[Path, int]  # landing files: lines of the user, or not read that have the user's id in them
    unreadable: Sequence[str]  # why landing files could not be searched

    def __str__(self) -> str:
        rows = ", ".join(f"{count:,} in {table}" for table, count in self.rows.items())
        said = [f"{self.user_id} has rows: {rows}" if rows else f"no table has rows of {self.user_id}"]
        said += ["erased before, to be finished now"] if self.is_erased else []
        said += [f"{path}: {lines:,} lines, to be purged by you" for path, lines in self.landed.items()]
        said += self.unreadable
        said.append(ROWS_GO if rows else "Lines of this user that arrive from now on are left out.")
        said.append(VERSIONS_GO)
        return "\n".join(said)


def user_id_of(text: str) -> str:
    """Raises:
    UserError: no line of any source can have this id.
    """
    user_id = text.strip(" ")  # as ids are read
    if not user_id or not is_id(user_id):
        raise UserError(f"expected the id of a user, found {text!r}; give it as table reviews or events has it")
    return user_id


def find(root: Path, landing: Path, user_id: str, formats: Sequence[Format], *, everywhere: bool = False) -> Found:
    """Rows by table, and landing files: of the days on which they arrived, or of all when ``everywhere``."""
    days = None if everywhere else _days_of(root, user_id)
    landed, unreadable = _search(landing, user_id, days, formats)
    return Found(user_id, user_id in delta.erased_users(root), rows_of(root, [user_id]), landed, unreadable)


def rows_of(root: Path, user_ids: Sequence[str]) -> dict[str, int]:
    """Rows of users by table, of those that have some, whether or not the users are erased."""
    found = {}
    with delta.connect_with_erased(root, OF_USERS) as lake:
        lake.execute("set variable users = $users", {"users": list(user_ids)})
        for table in OF_USERS:
            theirs = lake.table(table.name).filter("user_id in (select unnest(getvariable('users')))")
            found[table.name] = len(theirs)
    return {name: rows for name, rows in found.items() if rows}


def _days_of(root: Path, user_id: str) -> set[tuple[str, date]]:
    """Kinds and days of files in which the user's lines may lie: rows came of them, or lines of erased users did.

    Of files with the same bytes only the first became rows.
    """
    days = set()
    with delta.connect_with_erased(root, (*OF_USERS, ARRIVALS)) as lake:
        for kind in LANDED:
            of_user = f"select arrived_on from {kind} where user_id = $user"  # noqa: S608 - kinds are the contract's
            query = f"""with days as ({of_user} union select arrived_on from arrivals where kind = $kind and erased > 0)
                        from days union select arrivals.arrived_on from arrivals join days
                        on kind = $kind and starts_with(same_as, days.arrived_on || '/')"""  # noqa: S608 - as above
            days |= {(kind, day) for (day,) in lake.execute(query, {"user": user_id, "kind": kind}).fetchall()}
    return days


def _search(
    landing: Path, user_id: str, days: Collection[tuple[str, date]] | None, formats: Sequence[Format]
) -> tuple[dict[Path, int], list[str]]:
    found, unreadable = {}, []
    for file in landed_files(landing, LANDED):
        if days is None or (file.kind, file.arrived_on) in days:
            try:
                if lines := _lines_of(file, user_id, formats):
                    found[file.path] = lines
            except UserError as error:
                unreadable.append(f"{file.path} could not be searched: {error}")
    return found, unreadable


def _lines_of(file: LandedFile, user_id: str, formats: Sequence[Format]) -> int:
    """Lines that are read as the user's, and lines that are not read and have the id somewhere in them."""
    layout = layout_in(file, formats)
    if layout is None:
        return 0
    texts = user_id.encode(), json.dumps(user_id)[1:-1].encode()
    decode, count = layout.decoder(), 0
    for line in records_of(file.path, layout):
        outcome = parse(line.content, layout.format, decode, file.arrived_on)
        if isinstance(outcome, Accepted):
            count += getattr(outcome.record, "user_id", None) == user_id  # an item's has none, whatever folder it is in
        else:
            count += any(text in line.content for text in texts)
    return count


def erase(settings: Settings, user_id: str, on: date, *, keep_files: bool = False) -> dict[str, int]:
    """Put the user into erased_users, on day ``on``, and remove the user's rows. Gives what was removed and how much.

    Unless ``keep_files``, older versions of all tables of users are removed too, since their files hold the rows: also
    those of a user whom no table knows now, since rows may have been replaced.

    Raises:
        UserError: a job is under way, which might write rows of the user after they were removed here; or a file is not
            as it should be, or the disk is full, so that the command is to be given again.
    """
    root = settings.lake
    with no_job_under_way(root):
        if user_id not in delta.erased_users(root):
            delta.append(root, ERASED_USERS, [{"user_id": user_id, "erased_on": on}])
        try:
            return _remove(settings, user_id, keep_files)
        except (UserError, OSError) as error:
            raise UserError(
                f"{error}; nobody reads {user_id} any more, but files have rows: then give this command again"
            ) from None


def _remove(settings: Settings, user_id: str, keep_files: bool) -> dict[str, int]:
    root = settings.lake
    if rows_of(root, [user_id]):
        # Sequences have no ids to find the user's by. Without any, an anchor that is not decided gets them anew.
        # They go first: while there are rows, a command that was stopped is known to have them to do.
        _delete(root, TRAINING_EXAMPLES, None)
    # The log keeps the condition, so it has the hash. Last come the tables by which the landing files are found.
    is_users = f"encode(sha256(user_id), 'hex') = '{hashlib.sha256(user_id.encode()).hexdigest()}'"
    rows = {f"rows of {table.name}": _delete(root, table, is_users) for table in reversed(OF_USERS)}
    removed = {"pages of nights": _remove_left_overs(settings, user_id)} | rows
    if not keep_files:
        for table in (TRAINING_EXAMPLES, *OF_USERS):
            _keep_newest_version(root, table)
    return {what: count for what, count in reversed(removed.items()) if count}


def _remove_left_overs(settings: Settings, user_id: str) -> int:
    """What jobs, landings and reports that were killed left, and pages that name the user, which can be written again.
    Gives how many of these there were."""
    remove_left_over(settings.landing)
    for name in (delta.STAGING, delta.SPARK_FILES, delta.SPILLED):
        if (folder := settings.lake / name).exists():
            shutil.rmtree(folder)
    for left in settings.nights.glob(".*.part"):
        left.unlink()
    heading = f"<h3>{user_id}</h3>"  # where a page has a user's id; elsewhere "7" may be a number
    pages = settings.nights.glob("*.html")
    naming = [page for page in pages if heading in html.unescape(page.read_text(encoding="utf-8", errors="replace"))]
    for page in naming:
        page.unlink()
    return len(naming)


def _delete(root: Path, table: Table, condition: str | None) -> int:
    """Rows removed, in one commit; files without such rows are left alone."""
    with delta.table_lock(root, table), delta.readable_errors(f"table {table.name}"):
        return delta.open_table(root, table).delete(condition, commit_properties=delta.commit_properties(table))[
            "num_deleted_rows"
        ]


def _keep_newest_version(root: Path, table: Table) -> None:
    """Remove all other files, and the log of older versions: its statistics name the first and last user of a file."""
    with delta.table_lock(root, table), delta.readable_errors(f"table {table.name}"):
        delta.open_table(root, table).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        newest, log = delta.open_table(root, table), Path(delta.table_uri(root, table)) / "_delta_log"
        (log / "._last_checkpoint.crc").unlink(missing_ok=True)  # Spark's, which would not fit any more
        newest.create_checkpoint()
        for path in log.iterdir():
            version = path.name.lstrip(".")[:20]  # a dot is before the name of a checksum
            if version.isdecimal() and int(version) < newest.version():
                path.unlink()
