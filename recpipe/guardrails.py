"""What a night's lists must be like to be served: the gate's guardrails again, on the real lists.

The gate asks the same of a candidate's lists, for the users that it is judged on, as of an earlier day.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.reader import Row, rows_of
from recpipe.settings import GateSettings
from recpipe.tables import ITEM_FEATURES, RECOMMENDATIONS, USER_FEATURES

_OF_USERS = """
    select coalesce(count(places) / nullif(count(*), 0), 1) as served,
           coalesce(sum(coalesce(places, 0)) / sum(least($k, items - len(seen))), 1) as fill,
           (select count(*) from recommendations where ds = $ds and not isfinite(score)) as not_finite
    from user_features join (select count(*) as items from item_features where ds = $ds) on items > len(seen)
    left join (
        select user_id, count(*) as places from recommendations where ds = $ds group by user_id
    ) using (user_id) where ds = $ds
"""
"""Of the users who do not have all there is, and of the places for which there is an item."""

_OF_ITEMS = """
    select sum(places) as by_model, count(places) / least(count(*), sum(places)) as coverage,
           coalesce(sum(places) filter (place <= greatest(items // 100, 1)), 0) / sum(places) as of_head
    from (
        select item_id, row_number() over (order by popularity desc, item_index) as place, count(*) over () as items
        from item_features where ds = $ds
    ) left join (
        select item_id, count(*) as places from recommendations where ds = $ds and source = 'two_tower' group by item_id
    ) using (item_id)
"""
"""Of the places that a model filled. Lists of popular items alone are the same few items for everybody, by design."""


def require_guardrails(root: Path, ds: date, k: int, settings: GateSettings) -> None:
    """Raises:
    UserError: the lists of ``ds`` break a guardrail, or there are no features of that day to tell.
    """
    if ds not in delta.days(root, USER_FEATURES) & delta.days(root, ITEM_FEATURES):
        raise UserError(
            f"expected features of {ds}, whose lists are to be served, found none; run build_features again"
        )
    with delta.connect(root, (USER_FEATURES, ITEM_FEATURES, RECOMMENDATIONS), between=(ds, ds)) as lake:
        [of_users] = rows_of(lake, _OF_USERS, ds=ds, k=k)
        [of_items] = rows_of(lake, _OF_ITEMS, ds=ds)
    if broken := "; ".join(_broken(of_users | of_items, settings)):
        raise UserError(
            f"expected lists of {ds} that hold the guardrails, found {broken}. What is served stays. Mend the cause "
            f"and run {ds} again, go back to the model before from the next night on (`recpipe rollback --model`), or "
            "loosen the limit"
        )


def _broken(found: Row, settings: GateSettings) -> Iterator[str]:
    """What breaks a limit, with the limit and the setting that it is."""
    floors = {
        "users served": (found["served"], settings.least_served, "LEAST_SERVED"),
        "list fill": (found["fill"], settings.least_fill, "LEAST_FILL"),
    }
    if found["by_model"]:
        floors["coverage"] = (found["coverage"], settings.least_coverage, "LEAST_COVERAGE")
    for name, (value, least, setting) in floors.items():
        if value < least:
            yield f"{name} {value:.4f} (least {least:g}, RECPIPE_GATE__{setting})"
    if found["by_model"] and found["of_head"] > settings.most_popular:
        limit = f"most {settings.most_popular:g}, RECPIPE_GATE__MOST_POPULAR"
        yield f"share of the most owned hundredth {found['of_head']:.4f} ({limit})"
    if found["not_finite"]:
        yield f"scores that are not finite {found['not_finite']} (most 0)"
