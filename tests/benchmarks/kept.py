"""Runs that are kept in a file each, so that a benchmark that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recpipe.files import whole
from recpipe.settings import ModelSettings, code_hash

HERE = Path(__file__).parent


def name_of(*parts: str) -> str:
    """A part of a file's name that is another one for a run of other code or settings."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def name_of_run(settings: ModelSettings) -> str:
    """Of the pipeline's code and the benchmarks', which split the data and rank."""
    return name_of(code_hash(), *(file.read_text() for file in sorted(HERE.glob("*.py"))), settings.model_dump_json())


def kept(file: Path, run: Callable[[], Any]) -> Any:
    """What the run gave, as JSON keeps it; it runs if there is no file of it."""
    if not file.exists():
        write(file, run())
    return json.loads(file.read_text())


def write(file: Path, value: Any) -> None:
    """All of it or nothing."""
    with whole(file) as staged:
        staged.write_text(json.dumps(value))
