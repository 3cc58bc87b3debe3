"""Every format that the sample is written in."""

from recpipe.errors import UserError
from recpipe.sample import amazon, events, movielens, yelp
from recpipe.sample.writers import Writer

WRITERS: dict[str, tuple[Writer, ...]] = {
    "amazon-2014": (amazon.REVIEWS_2014, amazon.ITEMS_2014),
    "amazon-2014-csv": (amazon.CSV_2014, amazon.ITEMS_2014),
    "amazon-2018": (amazon.REVIEWS_2018, amazon.ITEMS_2018),
    "amazon-2018-csv": (amazon.CSV_2018, amazon.ITEMS_2018),
    "amazon-2023": (amazon.REVIEWS_2023, amazon.ITEMS_2023),
    "amazon-2023-csv": (amazon.CSV_2023, amazon.ITEMS_2023),
    "movielens-100k": movielens.WRITERS_100K,
    "movielens-1m": movielens.WRITERS_1M,
    "movielens-latest": movielens.WRITERS_LATEST,
    "yelp": yelp.WRITERS,
}
"""By format. The metadata of a CSV form of Amazon's reviews is the release's own."""


def writers_of(format_: str, events_file: str | None) -> tuple[Writer, ...]:
    """Raises:
    UserError: there is no such format, or events are in no such file.
    """
    if format_ not in WRITERS:
        raise UserError(f"expected a format out of {', '.join(WRITERS)}, found {format_!r}; give --format")
    if events_file is None:
        return WRITERS[format_]
    if events_file not in events.WRITERS:
        raise UserError(f"expected events as {', '.join(events.WRITERS)}, found {events_file!r}; give --events")
    return (*WRITERS[format_], events.WRITERS[events_file])
