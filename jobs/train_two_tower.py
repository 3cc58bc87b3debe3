"""Train a candidate for every anchor day up to ds that has no decision and no candidate yet; usually for none.

With a warm start for the first such anchor alone: `promote_model` trains a later one once it decided those before.
"""

from datetime import date

from recpipe.job import JobResult, run_job
from recpipe.model.anchors import skip_reason, undecided
from recpipe.settings import Settings


def main(ds: date, settings: Settings) -> JobResult:
    due = undecided(settings, ds)
    wanted = [anchor for anchor in due if skip_reason(settings, anchor) is None]
    if not wanted:
        return JobResult(f"nothing to train: {len(due)} undecided anchor days up to {ds}, none that wants a model")
    from recpipe.model.candidates import train_candidates  # here: torch and MLflow take seconds to import

    return train_candidates(settings, wanted)


if __name__ == "__main__":
    run_job("train_two_tower", main)
