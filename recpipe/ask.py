"""The commands that ask: a user's list, a query, what ran, how good the data is. They change nothing."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recpipe import environments, job, reader, rejects, serving
from recpipe.arriving import late_files, sealed_files
from recpipe.errors import UserError
from recpipe.files import whole
from recpipe.intake import LATE_FILES_MEND, not_read
from recpipe.printing import print_json, print_quality, print_rows, print_status, print_user
from recpipe.quality import TREND_ARRIVALS
from recpipe.quality import quality as figures_of
from recpipe.quality_report import quality_json
from recpipe.quality_section import quality_page
from recpipe.settings import read_settings
from recpipe.status import SHOWN_DAYS, commands, status_json
from recpipe.status import status as status_of
from recpipe.tables import STRANGER

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Day = Annotated[str | None, typer.Option(help="UTC day, such as 2024-03-10.")]


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


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A DuckDB statement over the lake's tables.")],
    as_json: Json = False,
) -> None:
    """Ask the tables in SQL: `recpipe query "select * from recommendations_current limit 5"`."""
    columns, rows = reader.query(read_settings().lake, sql)
    if as_json:
        if len(set(columns)) < len(columns):
            twice = max(columns, key=columns.count)
            raise UserError(f"expected columns of different names, found two named {twice}; rename one by `as`")
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_rows("", columns, rows)


def status(
    first: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    as_json: Json = False,
) -> None:
    """What arrived, what ran, what is served, which model."""
    settings = read_settings()
    stopped = rejects.stopped_days(settings.reports, settings.landing)
    days = status_of(settings, first and job.parse_day(first), last and job.parse_day(last), stopped)
    served = serving.served(settings.lake)
    models = reader.model_figures(settings.lake)
    late = late_files(settings.landing, sealed_files(settings.lake))
    if as_json:
        told = {
            "served": served.ds,
            "withdrawn": served.withdrawn,
            "days": [status_json(day) for day in days],
            "mend": commands(days),
            "not_read": late,
            "models": models,
        }
        print_json(told)
    else:
        print_status(days, served, models, is_cut=not (first or last) and len(days) == SHOWN_DAYS)
        for said in not_read(late):
            print(f"{said}; {LATE_FILES_MEND}")


def report(
    ds: Annotated[str, typer.Option(help="UTC day of the night.")],
    html: Annotated[
        Path | None, typer.Option(help="Write the page into this file; by default among the reports.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A night on one page: which model, why, how good for whom, what its lists are like, from which data."""
    settings, day = read_settings(), job.parse_day(ds)
    file = html or settings.nights / f"{day}.html"
    if code := environments.run_module("train", "recpipe.model.report", "--ds", day.isoformat(), "--html", str(file)):
        sys.exit(code)
    if as_json:
        print_json({"ds": day, "html": file})
    else:
        print(f"Wrote {file}")


def quality(
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
    report = figures_of(settings.lake, *days, stopped, arrivals)
    if html:
        with whole(html) as staged:
            staged.write_text(quality_page(report), encoding="utf-8")
    if as_json:
        print_json(quality_json(report))
    elif html:
        print(f"Wrote {html}")
    else:
        print_quality(report)
