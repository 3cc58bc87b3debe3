"""Take in the files of every day up to ds that is not sealed yet, number their new items, then seal the days."""

from datetime import date

from recpipe.arriving import Arriving, arriving_files, ingest_lock, sealed_files
from recpipe.intake import Intake, not_read
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, spark_session
from recpipe.settings import Settings
from recpipe.sources.spark_reader import files_frame, read_landed
from recpipe.tables import ARRIVALS, ITEM_INDEX, ITEMS, REJECTED_ROWS, REVIEWS
from recpipe.transforms.arrivals import arrivals, outcomes
from recpipe.transforms.item_index import item_index
from recpipe.transforms.items import items, mark_duplicate_items
from recpipe.transforms.rejected_rows import rejected_rows
from recpipe.transforms.reviews import mark_duplicate_reviews, reviews


def main(ds: date, settings: Settings) -> JobResult:
    with ingest_lock(settings.lake):
        arriving = arriving_files(settings.landing, sealed_files(settings.lake), ds)
        if arriving.first > ds:
            return JobResult("; ".join([f"{ds} is sealed already, nothing to do", *not_read(arriving)]))
        with spark_session(settings) as spark:
            return take_in(arriving, Lake(spark, settings.lake), settings.max_rejected_share)


def take_in(arriving: Arriving, lake: Lake, max_rejected_share: float) -> JobResult:
    first, last = arriving.first, arriving.last
    of_reviews = mark_duplicate_reviews(read_landed(lake.spark, arriving.files_of("reviews"), REVIEWS)).persist()
    of_items = mark_duplicate_items(read_landed(lake.spark, arriving.files_of("items"), ITEMS)).persist()
    counted = outcomes(of_reviews, of_items).persist()
    intake = Intake.of(arriving, counted.collect())
    intake.require_whole_files()
    intake.require_few_rejects(max_rejected_share)
    new_reviews, new_items = reviews(of_reviews), items(of_items)
    frames = (
        (REVIEWS, new_reviews),
        (ITEMS, new_items),
        (REJECTED_ROWS, rejected_rows(of_reviews, of_items)),
        (ITEM_INDEX, item_index(lake.read(ITEM_INDEX), new_reviews, new_items, first)),
    )
    written = {table.name: lake.overwrite_days(table, frame, first, last) for table, frame in frames}
    intake.require_sums({name: table.rows for name, table in written.items()})
    # The seal comes last: a run that ends before it left nothing that the next one does not replace.
    seals = arrivals(files_frame(lake.spark, arriving.files), counted, first, last)
    written[ARRIVALS.name] = lake.overwrite_days(ARRIVALS, seals, first, last)
    rows = {name: done.rows for name, done in written.items()}
    versions = {name: done.version for name, done in written.items()}
    return JobResult(str(intake), {"landing": intake.lines_read}, rows, versions)


if __name__ == "__main__":
    run_job("ingest_reviews", main)
