"""Files that appear whole or not at all, and folders that are empty at first and gone in the end."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from recpipe.errors import UserError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the place of ``path`` at the end, unless the writing failed.

    Raises:
        UserError: a folder lies there.
    """
    if path.is_dir():
        raise UserError(f"expected a file to write, found the folder {path}; name a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.part")  # others may write it, too
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def empty_folder(path: Path) -> Iterator[Path]:
    """An empty folder, gone at the end; what a process that was killed left there is removed first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
