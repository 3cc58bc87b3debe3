"""What a night costs, and how that grows with the history and with the day.

A made-up shop of 1,000,000 reviews by 100,000 users of 20,000 items in 30 equal daily arrivals is loaded at once; then
the next day, as large as each of them, arrives and its night runs. The same night is run with 8 times the history (as
many users and items, a day as large) and with a day of twice the size. Every night starts from a copy of the loaded
lake, and all nights run one after another in one run, since machines are noisy.

A model is trained on the first arrival alone, for a few epochs, and by its setting the next anchor day is a year away:
no measured night trains, and all of them score with that model if it beats popularity. The output says if not. So that
there is something to learn, the first arrival is of a twentieth of the users and of the month before.

`make bench-nightly` takes half an hour on 2 cores. `make bench-nightly BENCH="--scale 0.02"` is a test.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from recpipe import delta
from recpipe.environments import JOBS
from tests.benchmarks.bulk import Crowd, write_bulk_items, write_bulk_reviews
from tests.benchmarks.measured import JobFailedError, Measured, empty_session, measured_job

REVIEWS, USERS, ITEMS, ARRIVALS = 1_000_000, 100_000, 20_000, 30
GROUPS = 50
FIRST = date(2024, 1, 1)
LAST, NIGHT = FIRST + timedelta(days=ARRIVALS - 1), FIRST + timedelta(days=ARRIVALS)
SETTINGS = {
    "RECPIPE_ANCHOR_EVERY_DAYS": "365",
    "RECPIPE_MODEL__EPOCHS": "4",
}
MOST_SECONDS, MOST_MIB, MOST_BY_HISTORY, MOST_BY_DAY = 300, 6 * 1024, 1.7, 2.1


@dataclass(frozen=True)
class Bench:
    work: Path
    scale: float
    times: int  # the longer history

    def crowd(self, first: date, last: date) -> Crowd:
        users, items = (max(GROUPS, int(count * self.scale)) for count in (USERS, ITEMS))
        return Crowd(users, items, first, last, GROUPS)

    def crowd_of(self, day: date) -> Crowd:
        """Of a day's arrival."""
        if day != FIRST:
            return self.crowd(day, day)
        whole = self.crowd(FIRST - timedelta(days=ARRIVALS), FIRST)
        return replace(whole, users=max(GROUPS, whole.users // 20))

    @property
    def day_rows(self) -> int:
        return int(REVIEWS * self.scale / ARRIVALS)


def variables(home: Path) -> dict[str, str]:
    return {**SETTINGS, **os.environ, "RECPIPE_HOME": str(home)}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def land_day(bench: Bench, home: Path, day: date, rows: int) -> None:
    folder = home / "landing" / "reviews" / f"arrived_on={day}"
    folder.mkdir(parents=True)
    write_bulk_reviews(folder / "reviews.jsonl", rows, seed=(day - FIRST).days, crowd=bench.crowd_of(day))


def loaded(bench: Bench, times: int) -> tuple[Path, list[Measured]]:
    """A home with all arrivals taken in and the first night run, and its cost; kept in the work folder."""
    home = bench.work / f"history_x{times}"
    kept = home / "loaded.json"
    if kept.exists():
        say(f"history x{times}: loaded before, {home}")
        return home, [Measured(**row) for row in json.loads(kept.read_text())]
    shutil.rmtree(home, ignore_errors=True)
    say(f"history x{times}: writing {bench.day_rows * times * ARRIVALS:,} reviews")
    for offset in range(ARRIVALS):
        land_day(bench, home, FIRST + timedelta(days=offset), bench.day_rows * times)
    items = home / "landing" / "items" / f"arrived_on={FIRST}" / "items.jsonl"
    items.parent.mkdir(parents=True)
    write_bulk_items(items, bench.crowd(FIRST, LAST))
    delta.create_tables(home / "lake")
    measured = night(home, LAST, f"first load, history x{times}")
    shutil.rmtree(home / "landing")  # it is taken in; the disk is needed
    kept.write_text(json.dumps([asdict(row) for row in measured]))
    return home, measured


def night(home: Path, ds: date, name: str) -> list[Measured]:
    session = empty_session(home, variables(home))
    say(f"{name}: an empty Spark session takes {session:.1f} s")
    measured = []
    for job in JOBS:
        measured.append(measured_job(home, variables(home), job, ds, session))
        row = measured[-1]
        say(f"{name}: {job} {row.seconds:.1f} s, {row.peak_mib:,.0f} MiB, {row.rows:,} rows, {row.files} files")
        print(f"          {row.message[:300]}", flush=True)
    return measured


def copied_night(bench: Bench, loaded_home: Path, rows: int, name: str) -> list[Measured]:
    """The night after the load, on a copy; ``rows`` arrived on its day."""
    home = bench.work / "night"
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("lake", "registry"):
        shutil.copytree(loaded_home / folder, home / folder)
    land_day(bench, home, NIGHT, rows)
    models = _models(home)
    measured = night(home, NIGHT, name)
    if _models(home) != models:
        raise JobFailedError(f"{name}: expected a night without training, found a new model in {home / 'registry'}")
    shutil.rmtree(home)
    return measured


def _models(home: Path) -> set[Path]:
    return set((home / "registry").rglob("*.safetensors"))


def total(rows: Sequence[Measured], what: str) -> float:
    return sum(getattr(row, what) for row in rows)


def print_table(name: str, rows: Sequence[Measured]) -> None:
    lines = [(row.job, row.seconds, row.net_seconds, row.peak_mib, row.rows, row.files) for row in rows]
    sums = [sum(column) for column in zip(*(line[1:] for line in lines), strict=True)]
    sums[2] = max(row.peak_mib for row in rows)
    print(f"\n{name}\n{'job':18} {'seconds':>8} {'without session':>16} {'peak MiB':>9} {'rows':>12} {'files':>6}")
    for line in [*lines, ("all", *sums)]:
        print("{:18} {:>8.1f} {:>16.1f} {:>9,.0f} {:>12,} {:>6}".format(*line))


def print_aims(plain: Sequence[Measured], longer: Sequence[Measured], doubled: Sequence[Measured], times: int) -> None:
    nights, net = (plain, longer, doubled), total(plain, "net_seconds")
    figures = [
        ("a night, seconds", total(plain, "seconds"), MOST_SECONDS),
        ("a night, peak MiB", max(row.peak_mib for row in plain), MOST_MIB),
        (f"{times} times the history, ratio", total(longer, "net_seconds") / net, MOST_BY_HISTORY),
        ("twice the day, ratio", total(doubled, "net_seconds") / net, MOST_BY_DAY),
    ]
    print(f"\n{'aim':32} {'found':>9} {'at most':>9}")
    for name, found, most in figures:
        print(f"{name:32} {found:>9,.2f} {most:>9,.2f}  {'met' if found <= most else 'MISSED'}")
    if not any("by model" in row.message for rows in nights for row in rows):
        print("No model beat popularity on the first arrival: the nights embedded nothing and served popular items.")
    print(json.dumps({name: round(found, 2) for name, found, _ in figures}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the reviews, users and items")
    parser.add_argument("--times", type=int, default=8, help="how much longer the longer history is")
    parser.add_argument("--work", type=Path, help="folder that keeps the loaded lakes, so that a run can be taken up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        bench = Bench(work, options.scale, options.times)
        say(f"{bench.crowd(FIRST, LAST)}, {bench.day_rows:,} reviews a day, in {work}")
        homes = {times: loaded(bench, times) for times in (1, bench.times)}
        say(f"disk: {', '.join(f'x{times} {_gigabytes(home):.2f} GB' for times, (home, _) in homes.items())}")
        plain = copied_night(bench, homes[1][0], bench.day_rows, "night")
        longer = copied_night(bench, homes[bench.times][0], bench.day_rows, f"night, history x{bench.times}")
        doubled = copied_night(bench, homes[1][0], 2 * bench.day_rows, "night, day x2")
    for times, (_, rows) in homes.items():
        print_table(f"first load of {bench.day_rows * times * ARRIVALS:,} reviews", rows)
    print_table(f"night of {bench.day_rows:,} new reviews", plain)
    print_table(f"night of {bench.day_rows:,} new reviews, {bench.times} times the history", longer)
    print_table(f"night of {2 * bench.day_rows:,} new reviews", doubled)
    print_aims(plain, longer, doubled, bench.times)
    return 0


def _gigabytes(home: Path) -> float:
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e9


if __name__ == "__main__":
    sys.exit(main())
