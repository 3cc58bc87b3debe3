"""Lakes for tests."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from recpipe import delta


def empty_lake(root: Path) -> None:
    """Tables without rows at ``root``: copies of the process's first, which take a tenth of the time."""
    shutil.copytree(_created(), root, dirs_exist_ok=True)


@cache
def _created() -> Path:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    delta.create_tables(Path(folder))
    return Path(folder)
