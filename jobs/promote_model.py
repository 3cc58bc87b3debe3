"""Decide every undecided anchor day up to ds: a candidate that earns its place becomes the champion.

With a warm start the candidates of later anchors are trained on the way, from the champion that was decided before.
"""

from datetime import date

from recpipe.job import JobResult, run_job
from recpipe.model.anchors import undecided
from recpipe.settings import Settings


def main(ds: date, settings: Settings) -> JobResult:
    due = undecided(settings, ds)
    if not due:
        return JobResult(f"nothing to decide: no undecided anchor day up to {ds}")
    from recpipe.model.promotion import decide_anchors  # here: torch and MLflow take seconds to import

    return decide_anchors(settings, due)


if __name__ == "__main__":
    run_job("promote_model", main)
