"""Take in the files of every day up to ds that is not sealed yet, number their new items, then seal the days."""

from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.arriving import Arriving, arriving_files, ingest_lock, sealed_files
from recpipe.intake import Intake, not_read
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, spark_session
from recpipe.rejects import RejectLimit
from recpipe.settings import Settings
from recpipe.sources.known import known_formats
from recpipe.sources.pictures import Limits
from recpipe.sources.spark_reader import files_frame, read_landed
from recpipe.tables import ARRIVALS, ITEM_INDEX, NAMING, OF_KINDS, REJECTED_ROWS
from recpipe.transforms.arrivals import arrivals, outcomes
from recpipe.transforms.item_index import item_index
from recpipe.transforms.lines import duplicates, kept, named_items, with_fate
from recpipe.transforms.rejected_rows import rejected_rows


def main(ds: date, settings: Settings) -> JobResult:
    with ingest_lock(settings.lake):
        arriving = arriving_files(settings.landing, sealed_files(settings.lake), ds, known_formats(settings))
        if arriving.first > ds:
            return JobResult("; ".join([f"{ds} is sealed already, nothing to do", *not_read(arriving.not_read)]))
        arriving.require_some(settings.max_empty_days)
        picture_limits = Limits(settings.images.max_bytes, settings.images.max_pixels)
        with spark_session(settings) as spark:
            limit = RejectLimit(settings.max_rejected_share, settings.reports, settings.landing)
            lake = Lake(spark, settings.lake, settings.audit)
            with lake.staging() as staging:
                return take_in(arriving, lake, staging, limit, picture_limits)


def take_in(arriving: Arriving, lake: Lake, staging: Path, limit: RejectLimit, picture_limits: Limits) -> JobResult:
    first, last = _first_to_clear(lake, arriving.first), arriving.last
    kinds = [table for table in OF_KINDS if arriving.files_of(table.name) or lake.has_rows(table, first, last)]
    read = {
        table: read_landed(lake.spark, arriving.files_of(table.name), table, staging, picture_limits) for table in kinds
    }
    twice = {table: duplicates(frame, table).persist() for table, frame in read.items()}
    for places in twice.values():
        places.count()  # now, so that Spark knows how few they are and moves them to the lines, not the lines to them
    erased = lake.erased_users()
    lines = {table: with_fate(frame, twice[table], erased) for table, frame in read.items()}
    counted = outcomes(lake.spark, list(lines.values())).persist()
    intake = Intake.of(arriving, counted.collect())
    intake.require_right_units()
    limit.require_few_rejects(intake)
    new = {table: kept(frame, table) for table, frame in lines.items()}
    naming = [named_items(read[table]) for table in NAMING if table in read]
    if intake.rejected or lake.has_rows(REJECTED_ROWS, first, last):
        new[REJECTED_ROWS] = rejected_rows(list(lines.values()))
    if naming or lake.has_rows(ITEM_INDEX, first, last):
        new[ITEM_INDEX] = item_index(lake.read(ITEM_INDEX), naming, first)
    written = {
        table.name: lake.overwrite_days(table, frame, first, last, is_staged=table in read)
        for table, frame in new.items()
    }
    intake.require_sums({name: table.rows for name, table in written.items()})
    # The seal comes last: a run that ends before it left nothing that the next one does not replace.
    seals = arrivals(files_frame(lake.spark, arriving.files), counted, arriving.first, last)
    written[ARRIVALS.name] = lake.overwrite_days(ARRIVALS, seals, arriving.first, last)
    rows = {name: done.rows for name, done in written.items()}
    versions = {name: done.version for name, done in written.items()}
    return JobResult(str(intake), {"landing": intake.lines_read}, rows, versions)


def _first_to_clear(lake: Lake, first: date) -> date:
    """``first``, or while nothing is sealed the first day of which a stopped run left rows: since it ran, the first
    arrival may have become a later day."""
    if delta.days(lake.root, ARRIVALS):
        return first
    return min(
        [first, *(day for table in (*OF_KINDS, REJECTED_ROWS, ITEM_INDEX) for day in delta.days(lake.root, table))]
    )


if __name__ == "__main__":
    run_job("ingest_reviews", main)
