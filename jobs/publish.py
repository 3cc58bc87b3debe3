"""Put a day's recommendations up: replace `recommendations_current` in one commit, unless a newer day is up."""

from datetime import date

from recpipe import delta, reader
from recpipe.errors import UserError
from recpipe.job import JobResult, run_job
from recpipe.settings import Settings
from recpipe.tables import RECOMMENDATIONS, RECOMMENDATIONS_CURRENT


def main(ds: date, settings: Settings) -> JobResult:
    connection = delta.connect(settings.lake, [RECOMMENDATIONS])
    lists = connection.sql("select * from recommendations where ds = $ds order by user_id, rank", params={"ds": ds})
    [(rows, users)] = lists.aggregate("count(*), count(distinct user_id)").fetchall()
    if not rows:
        raise UserError(f"expected recommendations for {ds}, found none; run recommend_top_k for that day first")
    # Two nights may end at once, and the newer one is to be served.
    with delta.table_lock(settings.lake, RECOMMENDATIONS_CURRENT):
        served = reader.served_day(delta.connect(settings.lake, [RECOMMENDATIONS_CURRENT]))
        if served and served > ds:
            return JobResult(f"{served} is served and newer than {ds}: nothing published", {"recommendations": rows})
        version = delta.replace(settings.lake, RECOMMENDATIONS_CURRENT, lists)
    return JobResult(
        message=f"{ds} is served: {rows} recommendations in {users} lists",
        rows_in={"recommendations": rows},
        rows_out={"recommendations_current": rows},
        versions={"recommendations_current": version},
    )


if __name__ == "__main__":
    run_job("publish", main)
