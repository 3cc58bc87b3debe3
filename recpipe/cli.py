"""The command line: land files, run jobs, read results. Needs neither a JVM nor PyTorch."""

import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from recpipe import (
    airflow_backfill,
    airflow_service,
    ask,
    decide,
    delta,
    demo,
    doctor,
    environments,
    fetch_images,
    forget,
    images,
    job,
    landing,
    rejects,
)
from recpipe.arriving import had_arrived, sealed_files
from recpipe.ask import Json
from recpipe.errors import UserError
from recpipe.printing import print_json, print_rejects, print_rows
from recpipe.sample import LEAST, Sample, Wanted, write_sample
from recpipe.sample.formats import WRITERS
from recpipe.sample.mix import shares_of
from recpipe.sample.writing import BROKEN
from recpipe.settings import is_utf8, read_settings
from recpipe.sources.known import FORMAT_NAMES, known_formats
from recpipe.tables import ARRIVALS, PICTURES

app = typer.Typer(
    name="recpipe",
    help="Nightly recommendations as tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
FORMAT_HELP = f"One of {', '.join((*FORMAT_NAMES, PICTURES))}, or one of the shop's own, as settings.toml names them."
FULL_REFRESH_HELP = "Compute the features from all that was known, not from those of the day before."
for command in (
    *(ask.show, ask.query, ask.status, ask.quality, ask.report),
    *(decide.models, decide.promote, decide.rollback),
):
    app.command()(command)


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # progress is to be seen while it happens, through a pipe too
    for ending in (signal.SIGTERM, signal.SIGHUP):  # ended from outside, it cleans up as after Ctrl-C
        if signal.getsignal(ending) != signal.SIG_IGN:  # nohup wants it to go on when the terminal is closed
            signal.signal(ending, signal.default_int_handler)
    try:
        if unreadable := [text for text in sys.argv[1:] if not is_utf8(text)]:
            raise UserError(f"expected arguments in UTF-8, found {unreadable[0]!r}; give it in UTF-8")
        with delta.readable_errors():
            app()
    except (UserError, OSError) as error:
        print(f"recpipe: {error}", file=sys.stderr)
        sys.exit(2)


@app.command()
def init() -> None:
    """Create the tables that do not exist yet."""
    settings = read_settings()
    created = delta.create_tables(settings.lake)
    print(f"{settings.lake}: {len(created)} tables created, {len(delta.TABLES) - len(created)} were there")


@app.command()
def land(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Files of one format, or the zip archives that they come in.")
    ],
    format_: Annotated[str, typer.Option("--format", help=FORMAT_HELP)],
    arrived_on: Annotated[
        str | None, typer.Option(help="Land the files whole on this day, which need not be over.")
    ] = None,
    replay_from: Annotated[
        str | None, typer.Option(help="Cut the files by their dates: all up to this day at once, then a day a folder.")
    ] = None,
    no_header: Annotated[
        str | None, typer.Option(help="Names of the columns of CSV files without a header, with commas between.")
    ] = None,
) -> None:
    """Put files into the landing folder."""
    if (arrived_on is None) == (replay_from is None):
        raise UserError("expected either --arrived-on DAY or --replay-from DAY; give one of them")
    settings, put = read_settings(), landing.replay if replay_from else landing.land
    demo.require_no_made_up_shop(settings.home)
    day = job.parse_day(replay_from) if replay_from else job.parse_arrival_day(arrived_on)
    if format_ == PICTURES:
        if replay_from:
            raise UserError("expected --arrived-on DAY for pictures, which have no dates, found --replay-from")
        print(images.land_pictures(files, settings.landing, day, settings.lake, settings.images.max_bytes))
        return
    columns = tuple(filter(None, map(str.strip, (no_header or "").split(","))))
    choice = landing.Choice(format_, known_formats(settings), columns)
    reports = put(files, choice, settings.landing, day, settings.lake)
    for said in [*reports, *had_arrived(settings.landing, reports, sealed_files(settings.lake), choice.formats)]:
        print(said)


@app.command()
def accept(
    day: Annotated[str, typer.Argument(metavar="DAY", help="Day of arrival that the reject limit stopped.")],
) -> None:
    """Let a stopped day be taken in with its rejects, if its files are still those that were judged."""
    settings, arrived_on = read_settings(), job.parse_day(day)
    report = rejects.accept(arrived_on, settings.reports, settings.landing, delta.days(settings.lake, ARRIVALS))
    print_rejects(report)
    print(f"Accepted. Run the night again: `recpipe run night --ds {day}`, or clear the failed task in Airflow.")


@app.command(name="fetch-images")
def fetch_images_command(
    limit: Annotated[int | None, typer.Option(min=1, help="Pictures to ask for at most.")] = None,
    arrived_on: Annotated[
        str | None, typer.Option(help="Land them on this day; by default the first that is not sealed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch the pictures that metadata names, of items that have none yet."""
    settings, day = read_settings(), arrived_on and job.parse_arrival_day(arrived_on)
    done = fetch_images.fetch_images(settings.landing, settings.lake, settings.images, day, limit)
    if as_json:
        print_json(asdict(done))
    else:
        print(done)


@app.command()
def sample(  # noqa: PLR0913, PLR0917  # each is an option
    users: Annotated[int, typer.Option(min=LEAST, help="Users of the shop.")] = 2000,
    items: Annotated[int, typer.Option(min=LEAST, help="Items of the shop.")] = 1000,
    format_: Annotated[str, typer.Option("--format", help=f"One of {', '.join(WRITERS)}.")] = "amazon-2023",
    events: Annotated[str | None, typer.Option(help="Also behaviour events, as csv, jsonl or parquet.")] = None,
    fault: Annotated[list[str], typer.Option(help="KIND=SHARE of lines instead of the usual few; repeatable.")] = (),
    faults: Annotated[str | None, typer.Option(help="all: every kind that fits the format; none: no faults.")] = None,
    broken_file: Annotated[
        list[str], typer.Option(help=f"A file that stops the run; repeatable. One of {', '.join(BROKEN)}.")
    ] = (),
    as_json: Json = False,
) -> None:
    """Write a seeded sample shop into the landing folder, and say which faults are in it."""
    shares = shares_of(fault, faults)
    wanted = Wanted(format_, events, shares, all_faults=faults == "all", broken=broken_file)
    settings = read_settings()
    demo.claim(settings)
    planted = write_sample(settings.landing, Sample(users=users, items=items), wanted)
    if as_json:
        print_json(planted.as_dict())
        return
    print(planted)
    if planted.mapping:
        print(f"To read the events, add to {settings.home / 'settings.toml'}:\n{planted.mapping}", end="")


@app.command()
def run(
    job_name: Annotated[str, typer.Argument(metavar="JOB", help=f"One of {', '.join(environments.JOBS)}, or night.")],
    ds: Annotated[str, typer.Option(help="UTC day that the run is for.")],
    run_id: Annotated[str, typer.Option(help="Name of the run in table runs.")] = "manual",
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help=FULL_REFRESH_HELP)] = False,
) -> None:
    """Run a job for a day in its own environment, without Airflow; `night` runs all of them in order."""
    day, run_id = job.parse_day(ds), job.parse_run_id(run_id)
    for name in environments.JOBS if job_name == "night" else (job_name,):
        code = environments.run_job_process(name, day, run_id, full_refresh=full_refresh)
        if code:
            sys.exit(code)


@app.command(name="forget")
def forget_command(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user of the shop.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Keep older versions of tables, in which the user still is.")
    ] = False,
    search_landing: Annotated[
        bool, typer.Option("--search-landing", help="Search the landing files of every day, not of the user's alone.")
    ] = False,
) -> None:
    """Erase a user: from what is read at once, from every table, and from the lake's files."""
    settings, user_id = read_settings(), forget.user_id_of(user_id)
    formats = known_formats(settings)
    found = forget.find(settings.lake, settings.landing, user_id, formats, everywhere=search_landing)
    print(found)
    if not yes:
        typer.confirm(f"Erase {user_id}?", abort=True)
    removed = forget.erase(settings, user_id, datetime.now(UTC).date(), keep_files=keep_files)
    listed = ", ".join(f"{count:,} {what}" for what, count in removed.items())
    print(f"{user_id} is erased. Removed: {listed or 'nothing'}. {forget.OUT_OF_REACH}")


@app.command()
def up(
    until: Annotated[
        str | None, typer.Option(help="Last day of the nightly schedule; else RECPIPE_SCHEDULE_UNTIL, if that is set.")
    ] = None,
) -> None:
    """Start Airflow on this machine."""
    airflow_service.up(read_settings(), until and job.parse_day(until))


@app.command()
def down() -> None:
    """Stop Airflow and all that it started."""
    airflow_service.down(read_settings())


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", help="First day.")],
    last: Annotated[str, typer.Option("--to", help="Last day.")],
    keep_up: Annotated[
        bool,
        typer.Option(
            "--keep-up", help="Leave Airflow running when it was started for this; it schedules no later day."
        ),
    ] = False,
    backwards: Annotated[bool, typer.Option("--backwards", help="The last day first.")] = False,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help=FULL_REFRESH_HELP)] = False,
) -> None:
    """Run the nightly DAG for past days by Airflow's own backfill, and wait for it."""
    days = job.parse_day(first), job.parse_day(last)
    options = {"keep_up": keep_up, "backwards": backwards, "full_refresh": full_refresh}
    sys.exit(airflow_backfill.backfill(read_settings(), *days, **options))


@app.command(name="demo")
def demo_command(
    keep_up: Annotated[
        bool, typer.Option("--keep-up", help="Leave Airflow running; it schedules no later day.")
    ] = False,
) -> None:
    """A sample shop, three nights by Airflow, recommendations on the screen."""
    demo.run(read_settings(), keep_up)


@app.command(name="doctor")
def doctor_command(as_json: Json = False) -> None:
    """What is missing here, and the command that mends it."""
    checks = doctor.examine(read_settings())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [("ok" if c.good else "MISSING", c.name, c.found, c.mend) for c in checks]
        print_rows("", ["", "what", "found", "to mend"], rows)
    if not all(check.good for check in checks):
        sys.exit(2)
