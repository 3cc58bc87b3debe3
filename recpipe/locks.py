"""File locks between processes on one machine; threads of one process wait for each other too."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
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
def own_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` for files of this process alone, gone at the end; whatever processes that were killed
    left there is removed first."""
    with file_lock(parent / ".lock"):
        for left in parent.glob("*/"):
            with suppress(BlockingIOError, FileNotFoundError):  # others use it, or just removed it
                held = _hold(left)
                shutil.rmtree(left, ignore_errors=True)
                os.close(held)
        folder = Path(mkdtemp(dir=parent))
        held = _hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _hold(folder: Path) -> int:
    """A descriptor that keeps others from holding the folder until it is closed, if only by the end of the process.

    Raises:
        BlockingIOError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def thread_lock(path: Path) -> Iterator[None]:
    """Keep this process's other threads from ``path``, where the JVM locks it against other processes."""
    with _threads.setdefault(path, RLock()):
        yield
