"""Features of users and items as of ds, and the examples of anchor days up to ds that have none yet."""

from datetime import date
from itertools import pairwise

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.anchors import anchor_days, cut_days, require_known, without_examples
from recpipe.features import A_DAY, why_not_carried, write_all, write_anchor, write_carried
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, Written, spark_session
from recpipe.settings import Settings
from recpipe.tables import (
    EVALUATION_EXAMPLES,
    EVENTS,
    ITEM_FEATURES,
    ITEM_INDEX,
    REVIEWS,
    TRAINING_EXAMPLES,
    USER_FEATURES,
)
from recpipe.transforms.core import core, each_until, left_out
from recpipe.transforms.evaluation_examples import cut_by_arrival, cut_by_happening
from recpipe.transforms.interactions import interactions, meetings, meetings_a_day
from recpipe.transforms.lines import union
from recpipe.transforms.training_examples import training_examples


def main(ds: date, settings: Settings) -> JobResult:
    known = require_known(settings.lake, ds)
    due = without_examples(settings.lake, anchor_days(known.first_arrival, ds, settings.anchor_every_days))
    with spark_session(settings) as spark:
        lake = Lake(spark, settings.lake, settings.audit)
        written = {}
        for _, anchor in due:  # first, since features are made of numbers that anchors give
            written |= write_anchor(lake, anchor, ds, settings)
        features, how = build_features(lake, ds, settings)
        written |= features
        said = [
            f"{features[USER_FEATURES.name].rows:,} users and {features[ITEM_FEATURES.name].rows:,} items as of {ds}"
        ]
        said.append(how)
        for before, anchor in due:
            examples, of_them = build_examples(lake, before, anchor, settings)
            written |= examples
            said += of_them
    if not known.arrived:
        said.append(f"nothing arrived on {ds}")
    return JobResult(
        message="; ".join(said),
        rows_in={REVIEWS.name: known.reviews, EVENTS.name: known.events},
        rows_out={name: table.rows for name, table in written.items()},
        versions={name: table.version for name, table in written.items()},
    )


def build_features(lake: Lake, ds: date, settings: Settings) -> tuple[dict[str, Written], str]:
    """What was written, by table, and how it was made."""
    if why_not := why_not_carried(lake, ds, settings):
        return write_all(lake, ds, settings), f"from all that was known, since {why_not}"
    return write_carried(lake, ds, settings), f"carried on from {ds - A_DAY}"


def build_examples(
    lake: Lake, before: date | None, anchor: date, settings: Settings
) -> tuple[dict[str, Written], list[str]]:
    """The examples of an anchor day with ``before`` as the one before it, and what is to be said of them.

    The first anchor day has two cuts, one to choose epochs and one to judge. A later one has its cut for the anchor day
    after it, and is itself judged on what arrived since the one before.
    """
    known, length = known_meetings(lake, anchor, settings).persist(), settings.history_length
    cuts = cut_days(meetings_a_day(known), settings.validation_share, count=1 if before else 2)
    # Without a cut all is history: no example is left to judge on.
    blocks = pairwise([anchor, *(cuts or [anchor])])
    judged = [cut_by_happening(known, anchor, cut, until, length) for until, cut in blocks]
    if before:
        judged.append(cut_by_arrival(known_meetings(lake, before, settings), known, anchor, before, length))
    all_ = each_until(known, [anchor, *cuts])
    kept = core(all_, max(settings.k_core, settings.min_history), settings.k_core)
    learned = training_examples(kept, anchor, length, settings.seed)
    # Training examples come last: an anchor that has some is done.
    frames = ((EVALUATION_EXAMPLES, union(judged)), (TRAINING_EXAMPLES, learned))
    written = {table.name: lake.overwrite_partition(table, frame, anchor) for table, frame in frames}
    said = [f"anchor {anchor}: " + ", ".join(f"{table.rows:,} {name}" for name, table in written.items())]
    if kept is not all_:
        thinned = left_out(known, kept.filter(F.col("until") == F.lit(anchor)))
        said.append(f"k_core {settings.k_core} and min_history {settings.min_history} left out {thinned}")
    known.unpersist()
    return written, said


def known_meetings(lake: Lake, day: date, settings: Settings) -> DataFrame:
    happened = interactions(lake.known(REVIEWS, day), lake.known(EVENTS, day))
    return meetings(happened, lake.known(ITEM_INDEX, day), settings.target_events, settings.seed)


if __name__ == "__main__":
    run_job("build_features", main)
