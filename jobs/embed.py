"""Write the vectors of users and items as of ds, by the newest model promoted up to ds; without one, none."""

from datetime import date

from recpipe import delta
from recpipe.job import JobResult, run_job
from recpipe.model.anchors import champion
from recpipe.settings import Settings
from recpipe.tables import ITEM_EMBEDDINGS, MODEL_VERDICTS, USER_EMBEDDINGS


def main(ds: date, settings: Settings) -> JobResult:
    # By now a row in runs tells that the day's model is being chosen. A decision that did not see it counts from here.
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        decision = champion(settings.lake, ds)
    if decision is None:
        tables = (USER_EMBEDDINGS, ITEM_EMBEDDINGS)  # in this order, see `embed_day`
        versions = {table.name: delta.overwrite_partition(settings.lake, table, [], ds) for table in tables}
        return JobResult(f"no model was promoted up to {ds}: no vectors, popular items serve", versions=versions)
    from recpipe.model.embedding import embed_day  # here: torch and MLflow take seconds to import

    return embed_day(settings, ds, decision)


if __name__ == "__main__":
    run_job("embed", main)
