"""The command line: land files, run jobs, read results. Needs neither a JVM nor PyTorch."""

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recpipe import (
    airflow_backfill,
    airflow_service,
    delta,
    demo,
    doctor,
    environments,
    fetch_images,
    images,
    job,
    landing,
    quality,
    reader,
    rejects,
)
from recpipe.arriving import had_arrived, sealed_files
from recpipe.errors import UserError
from recpipe.printing import print_json, print_quality, print_rejects, print_rows, print_user
from recpipe.quality import TREND_ARRIVALS
from recpipe.quality_report import quality_json
from recpipe.quality_section import quality_page
from recpipe.sample import Sample, Wanted, write_sample
from recpipe.sample.formats import WRITERS
from recpipe.sample.mix import shares_of
from recpipe.sample.writing import BROKEN
from recpipe.settings import read_settings
from recpipe.sources.known import FORMAT_NAMES, known_formats
from recpipe.tables import PICTURES, STRANGER

app = typer.Typer(
    name="recpipe",
    help="Nightly recommendations as tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FORMAT_HELP = f"One of {', '.join((*FORMAT_NAMES, PICTURES))}, or one of the shop's own, as settings.toml names them."
Day = Annotated[str | None, typer.Option(help="UTC day, such as 2024-03-10.")]


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # progress is to be seen while it happens, through a pipe too
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it cleans up as after Ctrl-C
    try:
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
    arrived_on: Annotated[str | None, typer.Option(help="Land the files whole on this day.")] = None,
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
    day, sealed = job.parse_day(replay_from or arrived_on), sealed_files(settings.lake)
    sealed_days = {entry.arrived_on for entry in sealed}
    if format_ == PICTURES:
        if replay_from:
            raise UserError("expected --arrived-on DAY for pictures, which have no dates, found --replay-from")
        print(images.land_pictures(files, settings.landing, day, sealed_days, settings.images.max_bytes))
        return
    columns = tuple(filter(None, map(str.strip, (no_header or "").split(","))))
    choice = landing.Choice(format_, known_formats(settings), columns)
    reports = put(files, choice, settings.landing, day, sealed_days)
    for said in [*reports, *had_arrived(settings.landing, reports, sealed)]:
        print(said)


@app.command()
def accept(
    day: Annotated[str, typer.Argument(metavar="DAY", help="Day of arrival that the reject limit stopped.")],
) -> None:
    """Let a stopped day be taken in with its rejects, if its files are still those that were judged."""
    settings, arrived_on = read_settings(), job.parse_day(day)
    report = rejects.accept(arrived_on, settings.reports, settings.landing, reader.sealed_days(settings.lake))
    print_rejects(report)
    print(f"Accepted. Run the night again: `recpipe run ingest_reviews --ds {day}`, or clear the task in Airflow.")


@app.command(name="fetch-images")
def fetch_images_command(
    limit: Annotated[int | None, typer.Option(min=1, help="Pictures to ask for at most.")] = None,
    arrived_on: Annotated[
        str | None, typer.Option(help="Land them on this day; by default the first that is not sealed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch the pictures that metadata names, of items that have none yet."""
    settings, day = read_settings(), arrived_on and job.parse_day(arrived_on)
    done = fetch_images.fetch_images(settings.landing, settings.lake, settings.images, day, limit)
    if as_json:
        print_json(asdict(done))
    else:
        print(done)


@app.command()
def sample(  # noqa: PLR0913, PLR0917  # each is an option
    users: Annotated[int, typer.Option(min=1, help="Users of the shop.")] = 2000,
    items: Annotated[int, typer.Option(min=1, help="Items of the shop.")] = 1000,
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
    planted = write_sample(read_settings().landing, Sample(users=users, items=items), wanted)
    if as_json:
        print_json(planted.as_dict())
        return
    print(planted)
    if planted.mapping:
        print(f"To read the events, add to {read_settings().home / 'settings.toml'}:\n{planted.mapping}", end="")


@app.command()
def run(
    job_name: Annotated[str, typer.Argument(metavar="JOB", help=f"One of {', '.join(environments.JOBS)}, or night.")],
    ds: Annotated[str, typer.Option(help="UTC day that the run is for.")],
    run_id: Annotated[str, typer.Option(help="Name of the run in table runs.")] = "manual",
) -> None:
    """Run a job for a day in its own environment, without Airflow; `night` runs all of them in order."""
    day, run_id = job.parse_day(ds), job.parse_run_id(run_id)
    for name in environments.JOBS if job_name == "night" else (job_name,):
        code = environments.run_job_process(name, day, run_id)
        if code:
            sys.exit(code)


@app.command()
def show(
    user_id: Annotated[str | None, typer.Argument(metavar="USER", help="A user of the shop.")] = None,
    ds: Day = None,
    stranger: Annotated[bool, typer.Option("--stranger", help="The list for visitors nobody knows.")] = False,
    as_json: Json = False,
) -> None:
    """A user's history beside the user's recommendations."""
    if stranger == (user_id is not None):
        raise UserError("expected a USER or --stranger, found both or none; try `recpipe show --help`")
    page = reader.show(read_settings().lake, STRANGER if stranger else user_id, ds and job.parse_day(ds))
    if as_json:
        print_json(asdict(page))
    else:
        print_user(page)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A DuckDB statement over the lake's tables.")],
    as_json: Json = False,
) -> None:
    """Ask the tables in SQL: `recpipe query "select * from recommendations_current limit 5"`."""
    columns, rows = reader.query(read_settings().lake, sql)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_rows("", columns, rows)


@app.command()
def status(
    first: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    as_json: Json = False,
) -> None:
    """What arrived, what ran, what is served, which model."""
    settings = read_settings()
    stopped = rejects.stopped_days(settings.reports, settings.landing)
    days = reader.status(settings.lake, first and job.parse_day(first), last and job.parse_day(last), stopped)
    served, models = reader.served_day(delta.connect(settings.lake)), reader.model_figures(settings.lake)
    if as_json:
        states = [{**asdict(day), "state": day.state} for day in days]
        print_json({"served": served, "days": states, "models": models})
        return
    columns = ["day", "arrived", "lines", "accepted", "rejected", "duplicates", "night"]
    rows = [
        (d.ds, "sealed" if d.sealed else "open", d.lines_read, d.accepted, d.rejected, d.duplicates, d.state)
        for d in days
    ]
    print_rows("Days", columns, rows)
    print_rows("Models", ["anchor", "verdict", "reason"], [(m["anchor"], m["verdict"], m["reason"]) for m in models])
    print(f"Served: {served or 'nothing yet'}")


@app.command(name="quality")
def quality_command(
    first: Annotated[str | None, typer.Option("--from", help="First day of arrival.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of arrival.")] = None,
    arrivals: Annotated[int, typer.Option(min=1, help="Last arrivals that the trend shows.")] = TREND_ARRIVALS,
    html: Annotated[Path | None, typer.Option(help="Write a page into this file.")] = None,
    as_json: Json = False,
) -> None:
    """How good the data is: counts, reasons of rejects, fill rates, dates covered, trend."""
    settings = read_settings()
    stopped = rejects.stopped_days(settings.reports, settings.landing)
    days = first and job.parse_day(first), last and job.parse_day(last)
    report = quality.quality(settings.lake, *days, stopped, arrivals)
    if html:
        html.write_text(quality_page(report), encoding="utf-8")
    if as_json:
        print_json(quality_json(report))
    elif html:
        print(f"Wrote {html}")
    else:
        print_quality(report)


@app.command()
def up(
    until: Annotated[
        str | None, typer.Option(help="Last day of the nightly schedule; for ever when not given.")
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
        bool, typer.Option("--keep-up", help="Leave Airflow running when it was started for this.")
    ] = False,
    backwards: Annotated[bool, typer.Option("--backwards", help="The last day first.")] = False,
) -> None:
    """Run the nightly DAG for past days by Airflow's own backfill, and wait for it."""
    days = job.parse_day(first), job.parse_day(last)
    sys.exit(airflow_backfill.backfill(read_settings(), *days, keep_up=keep_up, backwards=backwards))


@app.command(name="demo")
def demo_command(
    keep_up: Annotated[bool, typer.Option("--keep-up", help="Leave Airflow running.")] = False,
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
