"""The features of a day out of the lake: from all that was known, or from the day before and what arrived since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe import delta
from recpipe.lake import Lake, Written
from recpipe.settings import Settings
from recpipe.tables import (
    EVENTS,
    IMAGES,
    ITEM_FEATURES,
    ITEM_INDEX,
    ITEMS,
    REVIEWS,
    USER_FEATURES,
    USERS,
    VOCABULARY,
)
from recpipe.transforms.interactions import interactions, meetings
from recpipe.transforms.item_content import CONTENT, item_content
from recpipe.transforms.item_features import (
    carried_content,
    carried_counts,
    counts,
    item_features,
    leaving_days,
    left_windows,
)
from recpipe.transforms.user_attributes import attribute_counts, user_attributes, with_attributes
from recpipe.transforms.user_features import (
    carried,
    changed_categories,
    touched_users,
    user_features,
    widest_categories,
)
from recpipe.transforms.vocabulary import token_counts, vocabulary

A_DAY = timedelta(days=1)


def why_not_carried(lake: Lake, ds: date, settings: Settings) -> str | None:
    """Why the features of ``ds`` must be computed from all that was known; None when yesterday's may be carried on.

    They may when both tables have them and they are what a run of now would make: of the same code, settings and
    erased users. By induction they then are what all that was known then gives.
    """
    if settings.full_refresh:
        return "full_refresh is set"
    if (held := _interactions_held(lake)) < settings.carry_from:
        return f"{held:,} interactions are quickly read"
    for table in (USER_FEATURES, ITEM_FEATURES):
        if ds - A_DAY not in delta.days(lake.root, table):
            return f"{table.name} has no {ds - A_DAY}"
        if not lake.is_as_now(table, ds - A_DAY):
            return f"{table.name} of {ds - A_DAY} is of other code, settings or erased users"
    return None


def _interactions_held(lake: Lake) -> int:
    counted = "select (select count(*) from reviews) + (select count(*) from events)"
    with delta.connect(lake.root, [REVIEWS, EVENTS]) as tables:
        return tables.execute(counted).fetchone()[0]


def write_all(lake: Lake, ds: date, settings: Settings, *, with_users: bool = True) -> dict[str, Written]:
    """Write the features of ``ds`` from all that was known."""
    index = lake.known(ITEM_INDEX, ds)
    with persisted(known_interactions(lake, ds)) as happened:
        written = {}
        if with_users:
            users = _user_features(lake, happened, index, ds, settings)
            written = _write_users(lake, users, ds)
        with persisted(counts(happened, ds, settings.target_events)) as counted:
            items = item_features(index, counted, _content(lake, ds, settings), lake.known(IMAGES, ds), ds)
            return written | {ITEM_FEATURES.name: lake.overwrite_partition(ITEM_FEATURES, items, ds)}


def write_carried(lake: Lake, ds: date, settings: Settings) -> dict[str, Written]:
    """Write the features of ``ds`` from those of the day before and what arrived on ``ds``.

    Interactions of the past are read in narrow columns alone, and those of most users are dropped before anything is
    sorted or moved. Users come last: once their table is written, Spark computes anew what it keeps of its rows.
    """
    before, index = ds - A_DAY, lake.known(ITEM_INDEX, ds)
    users_then, items_then = lake.of_day(USER_FEATURES, before), lake.of_day(ITEM_FEATURES, before)
    with persisted(_touched(lake, users_then, index, ds)) as touched:
        touched.count()  # so that Spark knows how small it is
        with persisted(known_interactions(lake, ds, touched)) as now:
            then = known_interactions(lake, before, touched)
            signed = now.withColumn("sign", F.lit(1)).unionByName(then.withColumn("sign", F.lit(-1)))
            changes = counts(signed, ds, settings.target_events)
            left = left_windows(known_interactions(lake, before, days=leaving_days(ds)), ds, settings.target_events)
            with persisted(carried_counts(items_then, changes, left)) as counted:
                content = _content(lake, ds, settings, items_then)
                items = item_features(index, counted, content, lake.known(IMAGES, ds), ds)
                written = {ITEM_FEATURES.name: lake.overwrite_partition(ITEM_FEATURES, items, ds)}
            rebuilt = _user_features(lake, now, index, ds, settings)
            return _write_users(lake, carried(users_then, rebuilt, touched, ds), ds) | written


def write_anchor(lake: Lake, anchor: date, ds: date, settings: Settings) -> dict[str, Written]:
    """Number the tokens of an anchor day, and write the item features of one before ``ds`` that lacks them.

    Numbers are never given anew: an anchor that has some, or stands before one that has, is left alone.
    """
    written = {}
    if all(day < anchor for day in delta.days(lake.root, VOCABULARY)):
        # Not its own rows: another night may write them meanwhile, the same as these.
        numbered = lake.known(VOCABULARY, anchor - A_DAY)
        size, min_items = settings.vocabulary_size, settings.vocabulary_min_items
        counted = token_counts(lake.known(ITEMS, anchor)).unionByName(attribute_counts(lake.known(USERS, anchor)))
        new = vocabulary(counted, numbered, anchor, size, min_items)
        written[VOCABULARY.name] = lake.overwrite_partition(VOCABULARY, new, anchor)
    has_items = any(day <= anchor for day in delta.days(lake.root, ITEM_INDEX))
    if anchor < ds and has_items and not lake.is_as_now(ITEM_FEATURES, anchor):
        written |= write_all(lake, anchor, settings, with_users=False)
    return written


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()


def known_interactions(
    lake: Lake, ds: date, users: DataFrame | None = None, days: list[date] | None = None
) -> DataFrame:
    """What was known on ``ds``; of ``users`` alone, or of what happened on ``days`` alone."""
    known = []
    for table in (REVIEWS, EVENTS):
        rows = lake.known(table, ds, users)
        # The time is of the table's key, so Spark drops rows of other days before it looks for the newest arrivals.
        known.append(rows if days is None else rows.filter(_on(table.happened_at, days)))
    return interactions(*known)


def known_attributes(lake: Lake, ds: date) -> DataFrame:
    """What was known of users on ``ds``, with the numbers that it had then; see `user_attributes`."""
    return user_attributes(lake.known(USERS, ds), lake.known(VOCABULARY, ds))


def _on(moment: str, days: list[date]) -> Column:
    """Whether it lies on one of ``days``; as bounds, by which Delta passes over files of other days."""
    return reduce(or_, ((F.col(moment) >= F.lit(day)) & (F.col(moment) < F.lit(day + A_DAY)) for day in days))


def _touched(lake: Lake, users_then: DataFrame, index: DataFrame, ds: date) -> DataFrame:
    arrived = lake.of_day(REVIEWS, ds).select("user_id").union(lake.of_day(EVENTS, ds).select("user_id"))
    if not lake.has_rows(ITEMS, ds, ds):
        return arrived.distinct()
    return touched_users(arrived, users_then, changed_categories(lake.read(ITEMS), index, ds))


def _user_features(lake: Lake, happened: DataFrame, index: DataFrame, ds: date, settings: Settings) -> DataFrame:
    met = meetings(happened, index, settings.target_events, settings.seed)
    categories = widest_categories(lake.known(ITEMS, ds), index)
    return user_features(happened, met, categories, ds, settings.history_length)


def _write_users(lake: Lake, users: DataFrame, ds: date) -> dict[str, Written]:
    told = with_attributes(users, known_attributes(lake, ds))
    return {USER_FEATURES.name: lake.overwrite_partition(USER_FEATURES, told, ds)}


def _content(lake: Lake, ds: date, settings: Settings, yesterday: DataFrame | None = None) -> DataFrame:
    """The content of the items that were known on ``ds``, carried on from ``yesterday`` where no new token asks for
    reading all of it again."""
    numbers = _token_numbers(lake, ds)
    if yesterday is None or lake.has_rows(VOCABULARY, ds, ds):
        return item_content(lake.known(ITEMS, ds), numbers, settings.text_length)
    if not lake.has_rows(ITEMS, ds, ds):
        return yesterday.select("item_id", *CONTENT)
    return carried_content(yesterday, item_content(lake.of_day(ITEMS, ds), numbers, settings.text_length))


def _token_numbers(lake: Lake, ds: date) -> dict[str, dict[str, int]]:
    with delta.connect(lake.root, [VOCABULARY]) as tables:
        rows = tables.execute("select field, token, token_id from vocabulary where ds <= $ds", {"ds": ds}).fetchall()
    numbers: dict[str, dict[str, int]] = {}
    for field, token, token_id in rows:
        numbers.setdefault(field, {})[token] = token_id
    return numbers
