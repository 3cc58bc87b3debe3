"""What a job of a night costs: seconds, and the peak memory of its processes together."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from recpipe import delta
from recpipe.environments import JOBS, environment_python, job_command, job_variables
from recpipe.processes import members
from recpipe.tables import TABLES

_SAMPLED_SECONDS = 0.5
_EMPTY_SESSION = """
from recpipe.lake import spark_session
from recpipe.settings import read_settings
with spark_session(read_settings()):
    pass
"""


@dataclass(frozen=True)
class Measured:
    job: str
    seconds: float
    session_seconds: float
    """Of them, what an empty Spark session takes from the start of Python to its end; 0 for a job without Spark."""
    peak_mib: float
    """Largest sum of the proportional set sizes (PSS) of the job's processes, by half seconds."""
    rows: int
    files: int
    """Data files of the day in the newest version of the tables that the job wrote."""
    message: str

    @property
    def net_seconds(self) -> float:
        return max(0.0, self.seconds - self.session_seconds)


class JobFailedError(RuntimeError):
    """A job of the benchmark did not succeed."""


def measured_job(home: Path, variables: dict[str, str], job: str, ds: date, session_seconds: float) -> Measured:
    """Run the job and measure it.

    Raises:
        JobFailedError: it failed; says what the job said.
    """
    seconds, peak, printed = _timed(home, job_command(job, ds, "bench"), job_variables(JOBS[job], variables))
    result: dict[str, Any] = json.loads(next(line for line in reversed(printed.splitlines()) if line[:1] == "{"))
    rows: dict[str, int] = result["rows_out"]
    files = sum(_files(home / "lake", name, ds) for name in rows)
    session = session_seconds if JOBS[job] == "spark" else 0.0
    return Measured(job, seconds, session, peak, sum(rows.values()), files, result["message"])


def empty_session(home: Path, variables: dict[str, str], times: int = 2) -> float:
    """Seconds of a Spark session in which nothing happens; the least of a few."""
    command = [str(environment_python("spark")), "-c", _EMPTY_SESSION]
    return min(_timed(home, command, job_variables("spark", variables))[0] for _ in range(times))


def _files(lake: Path, name: str, ds: date) -> int:
    table = next(table for table in TABLES if table.name == name)
    return len(delta.snapshot_files(lake, table, {table.partition[0]: ds} if table.partition else None))


def _timed(home: Path, command: list[str], variables: dict[str, str]) -> tuple[float, float, str]:
    """Seconds, peak MiB and standard output of a command whose processes have the home in their environment."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    peak: list[float] = [0.0]
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(f"RECPIPE_HOME={home}", peak, done.wait), daemon=True)
    sampler.start()
    printed, complained = process.communicate()
    seconds = time.monotonic() - began
    done.set()
    sampler.join()
    if process.returncode:
        raise JobFailedError(f"{' '.join(command[1:])}\n{complained[-4000:]}")
    return seconds, peak[0], printed


def _sample(mark: str, peak: list[float], wait: Callable[[float], bool]) -> None:
    while not wait(_SAMPLED_SECONDS):
        peak[0] = max(peak[0], sum(_pss_mib(process.pid) for process in members([], mark)))


def _pss_mib(pid: int) -> float:
    with suppress(OSError, StopIteration):  # it ended in the meantime
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        line = next(line for line in text.splitlines() if line.startswith("Pss:"))
        return int(line.split()[1]) / 1024
    return 0.0
