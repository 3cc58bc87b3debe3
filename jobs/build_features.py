"""Features of users and items as of ds, and the examples of anchor days up to ds that need some."""

from datetime import date
from functools import partial

from recpipe.anchors import anchor_days, require_known, without_examples
from recpipe.examples import build_examples
from recpipe.features import A_DAY, why_not_carried, write_all, write_anchor, write_carried
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, Written, spark_session
from recpipe.settings import Settings
from recpipe.tables import EVENTS, ITEM_FEATURES, REVIEWS, TRAINING_EXAMPLES, USER_FEATURES


def main(ds: date, settings: Settings) -> JobResult:
    known = require_known(settings.lake, ds)
    anchors = anchor_days(known.first_arrival, ds, settings.anchor_every_days)
    with spark_session(settings) as spark:
        lake = Lake(spark, settings.lake, settings.audit)
        due = without_examples(settings.lake, anchors, partial(lake.is_as_now, TRAINING_EXAMPLES))
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


if __name__ == "__main__":
    run_job("build_features", main)
