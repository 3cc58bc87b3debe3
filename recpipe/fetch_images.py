"""Pictures that metadata names and no one landed: which they are, and what became of them."""

import asyncio
import fcntl
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import orjson

from recpipe import delta
from recpipe.errors import UserError
from recpipe.fetching import Fetcher, FetchError
from recpipe.files import empty_folder
from recpipe.images import file_name, item_of, landed_pictures
from recpipe.landing import no_ingest, require_open
from recpipe.settings import ImageSettings
from recpipe.tables import ARRIVALS, IMAGES, ITEMS, PICTURES, REJECTED_ROWS

FETCHED = "fetched"

_WANTED = """
    select item_id, image_url, item_id in (select item_id from images)
    from (select * from items qualify row_number() over (partition by item_id order by arrived_on desc) = 1)
    where image_url is not null order by item_id
"""
_ROWS_AT_ONCE = 10_000


class Wanted(NamedTuple):
    item_id: str
    url: str


@dataclass
class Fetched:
    """What a fetch did, in pictures."""

    arrived_on: date
    fetched: int = 0
    bytes: int = 0
    there: int = 0  # in the lake, or landed on a day that is not sealed
    refused_before: int = 0  # for good, and not asked for again
    left: int = 0  # for the next fetch
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    sealed_meanwhile: date | None = None  # the day that was meant

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.refused.items()))
        parts = [f"{self.fetched:,} pictures fetched for {self.arrived_on} ({self.bytes:,} bytes)"]
        parts += [f"{self.sealed_meanwhile} was sealed meanwhile"] if self.sealed_meanwhile else []
        parts.append(f"{self.there:,} there already")
        parts += [f"{self.refused.total():,} not to be had: {reasons}"] if self.refused else []
        parts += [f"{self.refused_before:,} refused before and not asked for again"] if self.refused_before else []
        parts += [f"{self.left:,} left for the next fetch"] if self.left else []
        return "; ".join(parts)


def fetch_images(
    landing: Path, lake: Path, settings: ImageSettings, arrived_on: date | None = None, limit: int | None = None
) -> Fetched:
    """Fetch up to ``limit`` pictures of items that have none into the folder of ``arrived_on``.

    What was fetched or refused for good is listed in `landing/images/_fetched.jsonl`, so that the same command once
    more goes on where it was stopped. Without ``arrived_on`` it is the first day that is not sealed, as it is where the
    day is sealed meanwhile.

    Raises:
        UserError: nothing was taken in yet, the day is sealed, another fetch is running, or the disk is full.
    """
    sealed = delta.days(lake, ARRIVALS)
    if not sealed:
        raise UserError(
            f"expected items in the lake at {lake}, found nothing taken in yet; land metadata and ingest it"
        )
    day = arrived_on or max(sealed) + timedelta(days=1)
    require_open(day, lake)
    try:
        with _alone(landing / PICTURES) as aside:
            kept = landing / PICTURES / ".fetched"
            kept.mkdir(exist_ok=True)
            state, done = _State(landing / PICTURES / "_fetched.jsonl"), Fetched(day)
            there = _there(landing, max(sealed)) | {item_of(path.name) for path in kept.iterdir()}
            asked = _to_ask(there, state, lake, limit or settings.most_fetched, done)
            try:
                asyncio.run(_Round(settings, aside, kept, state, done).run(_mixed(asked)))
            finally:
                _put_up(kept, landing, lake, done)
    except OSError as error:
        raise UserError(f"expected to write into {landing}, found: {error}; mend it and fetch again") from None
    return done


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """A folder for pictures that are not whole yet, on the landing's own disk; one fetch at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".fetching.lock").open("a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("expected no other fetch of pictures, found one running; wait for it") from None
        with empty_folder(folder / ".fetching") as aside:
            yield aside


def _put_up(kept: Path, landing: Path, lake: Path, done: Fetched) -> None:
    """Land the pictures in ``kept``, also those of a fetch that was killed, when no ingest is sealing their day.

    All at the end, since waiting for an ingest would hold up the requests that are under way.
    """
    with no_ingest(lake):
        if (last := max(delta.days(lake, ARRIVALS))) >= done.arrived_on:
            done.sealed_meanwhile, done.arrived_on = done.arrived_on, last + timedelta(days=1)
        folder = landing / PICTURES / f"arrived_on={done.arrived_on}"
        for picture in kept.iterdir():
            folder.mkdir(exist_ok=True)
            picture.replace(folder / picture.name)


class _State:
    """The list of what was fetched or refused for good, by item; the last entry counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[str, str]] = {}  # address and result
        with path.open("ab+") as file:
            file.seek(0)
            for line in file:
                self._read(line)
            if file.tell() and not line.endswith(b"\n"):  # cut off when a fetch was killed
                file.write(b"\n")

    def _read(self, line: bytes) -> None:
        try:
            entry = orjson.loads(line)
            self._known[str(entry["item_id"])] = str(entry["url"]), str(entry["result"])
        except (ValueError, KeyError, TypeError):
            return  # the picture is asked for once more

    def result(self, wanted: Wanted) -> str | None:
        """What became of the picture at that very address."""
        url, result = self._known.get(wanted.item_id, ("", ""))
        return result if url == wanted.url else None

    def add(self, wanted: Wanted, result: str) -> None:
        line = json.dumps({"item_id": wanted.item_id, "url": wanted.url, "result": result})
        with self._path.open("a") as file:
            file.write(f"{line}\n")


def _there(landing: Path, last_sealed: date) -> set[str]:
    """Items with a picture in a folder that will still be taken in."""
    pictures = landed_pictures(landing).items()
    return {item for day, paths in pictures if day > last_sealed for path in paths if (item := item_of(path.name))}


def _to_ask(there: set[str], state: _State, lake: Path, limit: int, done: Fetched) -> list[Wanted]:
    """The pictures to ask for, at most ``limit``; counts the others."""
    asked: list[Wanted] = []
    with delta.connect(lake, [ITEMS, IMAGES, REJECTED_ROWS]) as connection:
        names = connection.sql("select file from rejected_rows where kind = 'images'").fetchall()
        rejected = {item_of(name) for (name,) in names}
        found = connection.execute(_WANTED)
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for item_id, url, has_picture in rows:
                wanted = Wanted(item_id, url)
                result = state.result(wanted)
                if has_picture or item_id in there:
                    done.there += 1
                # One that was fetched, but came when its day was just sealed, is asked for again.
                elif result and (result != FETCHED or item_id in rejected):
                    done.refused_before += 1
                elif len(asked) < limit:
                    asked.append(wanted)
                else:
                    done.left += 1
    return asked


def _mixed(asked: Iterable[Wanted]) -> list[Wanted]:
    """In turns by host, so that a slow one does not hold up the others."""
    turns: Counter[str] = Counter()
    order = []
    for wanted in asked:
        host = wanted.url.partition("://")[2].partition("/")[0]
        order.append((turns[host], wanted))
        turns[host] += 1
    return [wanted for _, wanted in sorted(order, key=lambda entry: entry[0])]


@dataclass
class _Round:
    """One fetch of many pictures side by side."""

    settings: ImageSettings
    aside: Path  # for pictures that are not whole yet
    kept: Path  # for those that are
    state: _State
    done: Fetched

    async def run(self, asked: list[Wanted]) -> None:
        fetcher, waiting = Fetcher(self.settings), iter(enumerate(asked))
        end = time.monotonic() + self.settings.total_seconds

        async def work() -> None:
            for number, wanted in waiting:
                if time.monotonic() > end:
                    self.done.left += 1
                else:
                    await self._fetch(fetcher, wanted, self.aside / str(number))

        try:
            async with asyncio.TaskGroup() as group:
                # More than there are connections: some wait for their host.
                for _ in range(min(4 * self.settings.connections, len(asked))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _fetch(self, fetcher: Fetcher, wanted: Wanted, part: Path) -> None:
        try:
            if file_name(wanted.item_id, "jpeg") is None:
                raise FetchError("bad_item")
            picture = await fetcher.fetch(wanted.url, part)
        except FetchError as error:
            part.unlink(missing_ok=True)
            self.done.refused[error.reason] += 1
            if error.for_good:
                self.state.add(wanted, error.reason)
            return
        part.replace(self.kept / file_name(wanted.item_id, picture.format))
        self.state.add(wanted, FETCHED)
        self.done.fetched += 1
        self.done.bytes += picture.bytes
