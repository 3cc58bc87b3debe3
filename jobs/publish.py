"""Put a day's recommendations up: replace `recommendations_current` in one commit, unless a newer day is up, or people
withdrew the day. Lists that break a guardrail, or drifted to a stop level, are not put up."""

from datetime import date

from recpipe import delta
from recpipe.drift import drift
from recpipe.errors import UserError
from recpipe.guardrails import require_guardrails
from recpipe.job import JobResult, run_job
from recpipe.serving import no_lists, put_up, serving
from recpipe.settings import Settings
from recpipe.tables import RECOMMENDATIONS, RECOMMENDATIONS_CURRENT


def main(ds: date, settings: Settings) -> JobResult:
    with delta.connect(settings.lake, [RECOMMENDATIONS]) as lake:
        counted = "select count(*), count(distinct user_id) from recommendations where ds = $ds"
        [(rows, users)] = lake.sql(counted, params={"ds": ds}).fetchall()
    if not rows:
        raise no_lists(ds)
    # Two nights may end at once, and the newer one is to be served.
    with serving(settings.lake) as now:
        if reason := now.why_not(ds):
            return JobResult(f"{reason}: nothing published", {RECOMMENDATIONS.name: rows})
        require_guardrails(settings.lake, ds, settings.k, settings.gate)
        drifted = drift(settings.lake, ds, settings.drift, now.ds)
        if stops := "; ".join(drifted.stops):
            raise UserError(
                f"expected {ds} to differ less from {drifted.compared_with}, found {stops}. What is served stays. Mend "
                f"the cause and run {ds} again, or, where the change is meant, raise RECPIPE_DRIFT__…_STOPS_FROM for it"
            )
        version = put_up(settings.lake, ds)
    return JobResult(
        message="; ".join([f"{ds} is served: {rows} recommendations in {users} lists", *drifted.warnings]),
        rows_in={RECOMMENDATIONS.name: rows},
        rows_out={RECOMMENDATIONS_CURRENT.name: rows},
        versions={RECOMMENDATIONS_CURRENT.name: version},
    )


if __name__ == "__main__":
    run_job("publish", main)
