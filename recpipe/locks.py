"""File locks between processes on one machine; threads of one process wait for each other too."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

_threads: dict[Path, RLock] = {}
_held: set[Path] = set()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock on ``path``; whoever holds it may take it again."""
    with _threads.setdefault(path, RLock()):
        if path in _held:  # the lock is the process's: to open the file again and close it would give it up
            yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            _held.add(path)
            try:
                yield
            finally:
                _held.remove(path)


@contextmanager
def thread_lock(path: Path) -> Iterator[None]:
    """Keep this process's other threads from ``path``, where the JVM locks it against other processes."""
    with _threads.setdefault(path, RLock()):
        yield
