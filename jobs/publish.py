"""Put a day's recommendations up: replace `recommendations_current` in one commit, unless a newer day is up, or people
withdrew the day."""

from datetime import date

from recpipe import delta
from recpipe.errors import UserError
from recpipe.job import JobResult, run_job
from recpipe.serving import put_up, serving
from recpipe.settings import Settings
from recpipe.tables import RECOMMENDATIONS, RECOMMENDATIONS_CURRENT


def main(ds: date, settings: Settings) -> JobResult:
    with delta.connect(settings.lake, [RECOMMENDATIONS]) as lake:
        counted = "select count(*), count(distinct user_id) from recommendations where ds = $ds"
        [(rows, users)] = lake.sql(counted, params={"ds": ds}).fetchall()
    if not rows:
        raise UserError(f"expected recommendations for {ds}, found none; run recommend_top_k for that day first")
    # Two nights may end at once, and the newer one is to be served.
    with serving(settings.lake) as now:
        if reason := now.why_not(ds):
            return JobResult(f"{reason}: nothing published", {RECOMMENDATIONS.name: rows})
        version = put_up(settings.lake, ds)
    return JobResult(
        message=f"{ds} is served: {rows} recommendations in {users} lists",
        rows_in={RECOMMENDATIONS.name: rows},
        rows_out={RECOMMENDATIONS_CURRENT.name: rows},
        versions={RECOMMENDATIONS_CURRENT.name: version},
    )


if __name__ == "__main__":
    run_job("publish", main)
