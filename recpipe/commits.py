"""What both engines ask before a commit: whether its maker still may, and what the commit tells of its maker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from recpipe.tables import RUNS, Table


class Maker(Protocol):
    """An attempt of a job, see `attempts.Attempt`."""

    def require_newest(self) -> None: ...
    def as_metadata(self) -> Mapping[str, Any]: ...


_maker: ContextVar[Maker | None] = ContextVar("maker", default=None)


@contextmanager
def made_by(maker: Maker) -> Iterator[None]:
    """Every commit within the block is the maker's. Outside, as in a test or a notebook, commits are nobody's."""
    token = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(token)


def require_newest(table: Table) -> None:
    """To be asked under the table's lock, right before a commit.

    Raises:
        Superseded: the maker is not the newest attempt of its job for its day.
    """
    maker = _maker.get()
    if maker and table is not RUNS:  # a superseded attempt still tells its end
        maker.require_newest()


def metadata(table: Table, **more: Any) -> dict[str, Any]:
    """What a commit tells: its table, its maker's day, job, attempt and hashes, and ``more``."""
    maker = _maker.get()
    return {"table": table.name, **(maker.as_metadata() if maker else {}), **more}
