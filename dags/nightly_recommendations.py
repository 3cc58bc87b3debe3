"""
Turns what arrived up to a day into the recommendations of that day. One run is one UTC day, its logical date; it
starts when the day is over, and its name carries that later moment.

**The tasks.** `ingest_reviews` takes in and seals all arrivals up to the day. `build_features` writes what users and
items looked like. `train_two_tower` trains a model when an anchor day is due; most nights none is. `promote_model`
decides whether that model earns its place. `embed` and `recommend_top_k` score everyone with the newest promoted
model. `publish` puts the result up as table `recommendations_current` and updates the asset of that name.

**A run that fails changes nothing for readers:** yesterday's recommendations stay up. The log of its failed task has a
line that starts with `recpipe` and says what was expected, what was found and what to do. What a user must mend is not
retried; anything else is, once.

**Rerun a day:** clear its first failed task *and everything after it*. Clearing a good run is safe too, since the same
day gives the same rows. **Fill in past days:** `make backfill FROM=2024-01-01 TO=2024-01-07`, or *Trigger, Backfill*
with reprocess behaviour *All Runs*; `recpipe status --from 2024-01-01 --to 2024-01-07` says which are missing or stale.
**Run one day by hand:** trigger with `run_date`, such as 2024-01-31. `full_refresh` makes its features from scratch.

**Roll back:** an older day never replaces a newer one here. `recpipe rollback --lists 2024-01-30` serves that day's
lists at once, until a newer day than those withdrawn is published; `recpipe rollback --model` goes back to the model
before.

**What it does not guard against:** a file that comes after its day was sealed is not read; input that is well-formed
and wrong; a full disk. Its tasks take turns with those of other runs because pool `recpipe_lake` has one slot: leave
it so.
"""

from airflow.sdk import DAG, CronDataIntervalTimetable

from recpipe.orchestration import ANNOUNCE_SERVED, PARAMS, TASK_DEFAULTS, job_task, midnight, processing_date
from recpipe.settings import read_settings

settings = read_settings()

with DAG(
    dag_id="nightly_recommendations",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=midnight(settings.schedule_from),
    end_date=midnight(settings.schedule_until) if settings.schedule_until else None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    user_defined_macros={"processing_date": processing_date},
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recpipe"],
):
    (
        job_task("ingest_reviews", settings)
        >> job_task("build_features", settings)
        >> job_task("train_two_tower", settings)
        >> job_task("promote_model", settings)
        >> job_task("embed", settings)
        >> job_task("recommend_top_k", settings)
        >> job_task("publish", settings, **ANNOUNCE_SERVED)
    )
