"""The k best unseen items of every user, and of strangers, as of ds."""

from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.job import JobResult, run_job
from recpipe.lake import Lake, Written, spark_session
from recpipe.model.anchors import champion
from recpipe.settings import Settings
from recpipe.tables import (
    ITEM_EMBEDDINGS,
    ITEM_FEATURES,
    RECOMMENDATIONS,
    USER_EMBEDDINGS,
    USER_FEATURES,
)
from recpipe.transforms.recommendations import recommendations, visitors
from recpipe.transforms.top_k import Catalogue

READ = (USER_FEATURES, ITEM_FEATURES, USER_EMBEDDINGS, ITEM_EMBEDDINGS)
"""Tables of which the day's rows are read."""


def main(ds: date, settings: Settings) -> JobResult:
    if ds not in delta.days(settings.lake, USER_FEATURES) & delta.days(settings.lake, ITEM_FEATURES):
        raise UserError(f"expected features of {ds}, found none; run build_features for {ds} first")
    decision = champion(settings.lake, ds)
    with spark_session(settings) as spark:
        written = write_lists(
            Lake(spark, settings.lake, settings.audit), ds, settings.k, decision and decision.model_version
        )
    model = f"model {decision.model_version}" if decision else "popularity, since no model was promoted"
    return JobResult(
        message=f"{said_of_lists(settings.lake, ds, settings.k)}, by {model}",
        rows_in={table.name: delta.count_rows(settings.lake, table, ds) for table in READ},
        rows_out={RECOMMENDATIONS.name: written.rows},
        versions={RECOMMENDATIONS.name: written.version},
    )


def write_lists(lake: Lake, ds: date, k: int, model_version: str | None) -> Written:
    users, items, user_vectors, item_vectors = (lake.of_day(table, ds) for table in READ)
    # What it reads alone: all rows come to the driver, and titles and words would be nine tenths of them.
    items = items.select("item_id", "item_index", "popularity", "popularity_30d")
    catalogue = Catalogue.of(items.toArrow(), item_vectors.select("item_id", "embedding", "model_version").toArrow())
    if catalogue.model_version != model_version:
        raise UserError(
            f"expected the item vectors of {ds} to be of {model_version or 'no model'}, the newest promoted, "
            f"found {catalogue.model_version or 'none'}; run embed for {ds}"
        )
    lists = recommendations(visitors(users, user_vectors), catalogue, ds, k)
    return lake.overwrite_partition(RECOMMENDATIONS, lists, ds)


def said_of_lists(root: Path, ds: date, k: int) -> str:
    with delta.connect(root, [USER_FEATURES, RECOMMENDATIONS]) as lake:
        users, full, rows = lake.execute(
            "select count(*), count(*) filter (n = $k), sum(n) from (select count(rank) as n from user_features "
            "left join recommendations using (ds, user_id) where ds = $ds group by user_id)",
            {"ds": ds, "k": k},
        ).fetchone()
    short = f", the others lack {users * k - rows:,} items in all, having seen the rest" if full < users else ""
    return f"{full:,} of {users:,} users have a full list of {k}{short}"


if __name__ == "__main__":
    run_job("recommend_top_k", main)
