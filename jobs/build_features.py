"""Features of users and items as of ds, and the examples of anchor days up to ds that have none yet."""

from datetime import date

from recpipe.anchors import anchor_days, cut_day, require_known, without_examples
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, Written, spark_session
from recpipe.settings import Settings
from recpipe.tables import (
    EVALUATION_EXAMPLES,
    EVENTS,
    ITEM_FEATURES,
    ITEM_INDEX,
    ITEMS,
    REVIEWS,
    TRAINING_EXAMPLES,
    USER_FEATURES,
)
from recpipe.transforms.evaluation_examples import evaluation_examples
from recpipe.transforms.interactions import interactions, meetings, meetings_a_day
from recpipe.transforms.item_features import item_features
from recpipe.transforms.training_examples import training_examples
from recpipe.transforms.user_features import user_features


def main(ds: date, settings: Settings) -> JobResult:
    known = require_known(settings.lake, ds)
    due = without_examples(settings.lake, anchor_days(known.first_arrival, ds, settings.anchor_every_days))
    with spark_session(settings) as spark:
        lake = Lake(spark, settings.lake, settings.audit)
        written = build_features(lake, ds, settings)
        said = [f"{written[USER_FEATURES.name].rows:,} users and {written[ITEM_FEATURES.name].rows:,} items as of {ds}"]
        for anchor in due:
            examples = build_examples(lake, anchor, settings)
            written |= examples
            said.append(f"anchor {anchor}: " + ", ".join(f"{table.rows:,} {name}" for name, table in examples.items()))
    if not known.arrived:
        said.append(f"nothing arrived on {ds}")
    return JobResult(
        message="; ".join(said),
        rows_in={REVIEWS.name: known.reviews},
        rows_out={name: table.rows for name, table in written.items()},
        versions={name: table.version for name, table in written.items()},
    )


def build_features(lake: Lake, ds: date, settings: Settings) -> dict[str, Written]:
    reviews, index = lake.known(REVIEWS, ds), lake.known(ITEM_INDEX, ds)
    happened = interactions(reviews, lake.known(EVENTS, ds))
    met = meetings(happened, index, settings.target_events, settings.seed)
    users = user_features(reviews, met, ds, settings.history_length)
    items = item_features(reviews, lake.known(ITEMS, ds), index, ds)
    frames = ((USER_FEATURES, users), (ITEM_FEATURES, items))
    return {table.name: lake.overwrite_partition(table, frame, ds) for table, frame in frames}


def build_examples(lake: Lake, anchor: date, settings: Settings) -> dict[str, Written]:
    happened = interactions(lake.known(REVIEWS, anchor), lake.known(EVENTS, anchor))
    known = meetings(happened, lake.known(ITEM_INDEX, anchor), settings.target_events, settings.seed).persist()
    # Without a cut all is history: no example is left to judge on.
    cut = cut_day(meetings_a_day(known), settings.validation_share) or anchor
    judged = evaluation_examples(known, anchor, cut, settings.history_length)
    learned = training_examples(known, anchor, sorted({cut, anchor}), settings.history_length, settings.seed)
    # Training examples come last: an anchor that has some is done.
    frames = ((EVALUATION_EXAMPLES, judged), (TRAINING_EXAMPLES, learned))
    written = {table.name: lake.overwrite_partition(table, frame, anchor) for table, frame in frames}
    known.unpersist()
    return written


if __name__ == "__main__":
    run_job("build_features", main)
