"""Features of users and items as of ds, and the examples of anchor days up to ds that have none yet."""

from datetime import date

from recpipe.anchors import anchor_days, cut_day, require_known, without_examples
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
from recpipe.transforms.evaluation_examples import evaluation_examples
from recpipe.transforms.interactions import interactions, meetings, meetings_a_day
from recpipe.transforms.training_examples import training_examples


def main(ds: date, settings: Settings) -> JobResult:
    known = require_known(settings.lake, ds)
    due = without_examples(settings.lake, anchor_days(known.first_arrival, ds, settings.anchor_every_days))
    with spark_session(settings) as spark:
        lake = Lake(spark, settings.lake, settings.audit)
        written = {}
        for anchor in due:  # first, since features are made of numbers that anchors give
            written |= write_anchor(lake, anchor, ds, settings)
        features, how = build_features(lake, ds, settings)
        written |= features
        said = [
            f"{features[USER_FEATURES.name].rows:,} users and {features[ITEM_FEATURES.name].rows:,} items as of {ds}"
        ]
        said.append(how)
        for anchor in due:
            examples = build_examples(lake, anchor, settings)
            written |= examples
            said.append(f"anchor {anchor}: " + ", ".join(f"{table.rows:,} {name}" for name, table in examples.items()))
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
