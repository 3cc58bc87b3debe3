"""How a night differs from an earlier one: its features, vectors and scores, and its lists.

Reads these two nights and no other. A figure is 0 for nights alike, and None where one has too few rows to tell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from recpipe import delta
from recpipe.settings import DriftSettings
from recpipe.tables import (
    ITEM_EMBEDDINGS,
    ITEM_FEATURES,
    RECOMMENDATIONS,
    STRANGER,
    USER_EMBEDDINGS,
    USER_FEATURES,
)

READ = (USER_FEATURES, ITEM_FEATURES, USER_EMBEDDINGS, ITEM_EMBEDDINGS, RECOMMENDATIONS)

FEATURES = {
    "user_features.interaction_count": "interaction_count as value from user_features",
    "user_features.active_days": "active_days as value from user_features",
    "user_features.last_on (days ago)": "ds - last_on as value from user_features",
    "user_features.history (length)": "len(history) as value from user_features",
    "user_features.rating_mean": "rating_mean as value from user_features",
    "item_features.price": "price as value from item_features",
    "item_features.popularity_30d": "popularity_30d as value from item_features",
    "item_features.rating_mean": "rating_mean as value from item_features",
    "item_features.has_image": "has_image as value from item_features",
    "item_features.tokens (length)": "len(tokens) as value from item_features",
}
"""What the model is told: a value for each user or item, as SQL after `select ds,`."""

NORM = "round(sqrt(list_dot_product(embedding, embedding)), 3)"
"""Rounded, since a user tower may give all vectors one length, and deciles of its rounding errors tell nothing."""

OF_A_MODEL = {
    "user_embeddings (norm)": f"{NORM} as value from user_embeddings",
    "item_embeddings (norm)": f"{NORM} as value from item_embeddings",
    "recommendations.score": "score as value from recommendations where source = 'two_tower'",
    "recommendations.score (rank 1)": "score as value from recommendations where source = 'two_tower' and rank = 1",
}
"""What the model made of it. Each model has a scale of its own for vectors and scores, so that between two models these
differ though nothing is wrong: they are compared only where one model made both nights. Popular items' scores, which
are counts, are left out."""

DECILES = [tenth / 10 for tenth in range(1, 10)]
LEAST_SHARE = 1e-4
"""What an empty bin counts for in `psi`, whose logarithm it would make infinite."""


@dataclass(frozen=True)
class Figure:
    name: str
    kind: str  # PSI, churn or shift
    value: float | None
    warns_from: float
    stops_from: float | None

    @property
    def level(self) -> str:
        if self.value is None:
            return ""
        if self.stops_from is not None and self.value >= self.stops_from:
            return "stops"
        return "warns" if self.value >= self.warns_from else ""


@dataclass(frozen=True)
class Drift:
    """A night beside an earlier one; without figures where there is none."""

    compared_with: date | None
    figures: tuple[Figure, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._said(one, one.warns_from) for one in self.figures if one.level == "warns")

    @property
    def stops(self) -> tuple[str, ...]:
        return tuple(self._said(one, one.stops_from) for one in self.figures if one.level == "stops")

    def _said(self, one: Figure, limit: float | None) -> str:
        return f"{one.kind} of {one.name} since {self.compared_with}: {one.value:.3f} ({one.level} from {limit:g})"


def drift(lake: Path, ds: date, settings: DriftSettings, served: date | None = None) -> Drift:
    """The night ``ds`` beside the one that is ``served``, if that is an earlier one, else beside the last earlier one
    that has lists and is at most ``settings.compared_days`` old.

    However old the served night is: else one that was stopped would in time be what the next is measured by.
    """
    earlier = {night for night in delta.days(lake, RECOMMENDATIONS) if night < ds}
    recent = [night for night in earlier if night >= ds - timedelta(days=settings.compared_days)]
    before = served if served in earlier else max(recent, default=None)
    if before is None:
        return Drift(None)
    with delta.connect(lake, READ, between=(before, ds)) as connection:
        return Drift(before, TwoNights(connection, before, ds, settings.least_rows).figures(settings))


@dataclass(frozen=True)
class TwoNights:
    connection: duckdb.DuckDBPyConnection  # has `READ` as views
    before: date
    ds: date
    least_rows: int

    def figures(self, settings: DriftSettings) -> tuple[Figure, ...]:
        values = FEATURES | (OF_A_MODEL if self._of_one_model() else dict.fromkeys(OF_A_MODEL))
        psi = settings.psi_warns_from, settings.psi_stops_from
        churn = settings.churn_warns_from, settings.churn_stops_from
        popularity = settings.popularity_warns_from, settings.popularity_stops_from
        source = settings.source_warns_from, settings.source_stops_from
        return (
            *(Figure(name, "PSI", of_each and self.psi(of_each), *psi) for name, of_each in values.items()),
            Figure("recommendations", "churn", self.churn(), *churn),
            Figure("recommendations.popularity", "shift", self.popularity_shift(), *popularity),
            Figure("recommendations.source", "shift", self.source_shift(), *source),
        )

    def psi(self, of_each: str) -> float | None:
        """`psi` of the values, in bins by the earlier night's deciles and one for null.

        Args:
            of_each: SQL, see `FEATURES`.
        """
        values = f"(select nullif(value::double, 'nan') as value from (select ds, {of_each}) where ds = $night)"
        [(deciles,)] = self._rows(f"select quantile_disc(value, $at) from {values}", at=DECILES, night=self.before)
        ends = bin_ends(deciles or [])
        counts = []
        for night in (self.before, self.ds):
            counted = f"select count(*) - count(value), histogram(value, $ends) from {values}"
            [(nulls, bins)] = self._rows(counted, ends=ends, night=night)
            counts.append([nulls, *((bins or {}).get(end, 0) for end in (*ends, math.inf))])
        return psi(*counts) if self._enough(*map(sum, counts)) else None

    def churn(self) -> float | None:
        """Mean over users who have a list in both nights of 1 - items in both / the longer list's length."""
        [(value, users)] = self._rows(
            """select avg(1 - len(list_intersect(was, now)) / greatest(len(was), len(now))), count(*) from (
                   select list(item_id) filter (ds = $before) as was, list(item_id) filter (ds = $ds) as now
                   from recommendations where ds in ($before, $ds) and user_id <> $stranger group by user_id
               ) where was is not null and now is not null""",
            **self._nights,
            stranger=STRANGER,
        )
        return value if self._enough(users) else None

    def popularity_shift(self) -> float | None:
        """Popularity of recommended items: the greater over the smaller night, less 1.

        A night's is the mean over the lists' places of the item's share of all interactions, so that it stays what it
        is where all items grow alike.
        """
        found = self._rows(
            """select sum(places * share) / sum(places), sum(places) from (
                   select ds, item_id, popularity / nullif(sum(popularity) over (partition by ds), 0) as share
                   from item_features where ds in ($before, $ds)
               ) join (
                   select ds, item_id, count(*) as places from recommendations
                   where ds in ($before, $ds) and user_id <> $stranger group by ds, item_id
               ) using (ds, item_id) group by ds""",
            **self._nights,
            stranger=STRANGER,
        )
        if len(found) < 2 or not self._enough(*(places for _, places in found)):
            return None
        one, other = (share for share, _ in found)
        return max(one, other) / min(one, other) - 1 if one and other else None

    def source_shift(self) -> float | None:
        """Share of the lists' places that another source fills: half the sum over sources of the shares' differences
        (total variation distance)."""
        [(value, was, now)] = self._rows(
            """select sum(abs(was / all_was - now / all_now)) / 2, any_value(all_was), any_value(all_now) from (
                   select count(*) filter (ds = $before) as was, count(*) filter (ds = $ds) as now,
                          sum(was) over () as all_was, sum(now) over () as all_now
                   from recommendations where ds in ($before, $ds) and user_id <> $stranger group by source
               )""",
            **self._nights,
            stranger=STRANGER,
        )
        return value if self._enough(was, now) else None

    @property
    def _nights(self) -> dict[str, date]:
        return {"before": self.before, "ds": self.ds}

    def _of_one_model(self) -> bool:
        versions = "select count(distinct model_version) from recommendations where ds in ($before, $ds)"
        return self._rows(versions, **self._nights) == [(1,)]

    def _enough(self, *rows: int | None) -> bool:
        return all((count or 0) >= self.least_rows for count in rows)

    def _rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.sql(sql, params=parameters).fetchall()


def bin_ends(deciles: Sequence[float]) -> list[float]:
    """Upper ends of bins, the last of which is open. A value that several deciles fall on has a bin of its own, so that
    what moves away from it shows on either side."""
    alone = (math.nextafter(value, -math.inf) for value, following in pairwise(deciles) if value == following)
    return sorted({*deciles, *alone})


def psi(earlier: Sequence[int], later: Sequence[int]) -> float | None:
    """Population stability index of counts by bin: the sum over bins of (q - p) ln(q / p), of shares p and q (Siddiqi,
    2006, Credit Risk Scorecards, who calls .1 to .25 a small shift and more a great one). None where a side is empty.
    """
    if not sum(earlier) or not sum(later):
        return None
    p, q = ([max(count / sum(side), LEAST_SHARE) for count in side] for side in (earlier, later))
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
