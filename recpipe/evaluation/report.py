"""A night on one page that needs nothing else: which model, why, how good by whom, what the lists are like.

Everything on it comes from the lake's tables as of the night; learning curves come from the registry and are handed in.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from recpipe import delta
from recpipe.drift import drift
from recpipe.errors import UserError
from recpipe.evaluation import plots
from recpipe.evaluation.plots import Bar
from recpipe.files import whole
from recpipe.model.anchors import champion
from recpipe.pages import page, template
from recpipe.quality import quality
from recpipe.quality_section import quality_section
from recpipe.reader import rows_of
from recpipe.settings import Settings
from recpipe.tables import (
    EVERYBODY,
    IMAGES,
    ITEM_FEATURES,
    ITEMS,
    METRICS,
    MODEL_VERDICTS,
    RECOMMENDATIONS,
    RUNS,
    STRANGER,
    USER_FEATURES,
    WARM,
)

SAMPLE_USERS = 10
HISTORY_SHOWN = 5
LONGEST_LIST = 10
MOST_PICTURE_BYTES = 200_000
"""Of one picture in the page; larger ones are left out, since a page is to be sent by mail."""
NDCG = "ndcg_at_10"
OURS = ("two_tower", "champion")

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""By figure, (epoch, value)."""


@dataclass(frozen=True)
class SampleUser:
    user_id: str
    history: Sequence[Mapping[str, Any]]  # the newest first
    list: Sequence[Mapping[str, Any]]  # the best first


def write_report(settings: Settings, ds: date, file: Path, curves: Callable[[str], Curves]) -> None:
    """Write the page of the night ``ds``.

    Args:
        curves: of the training of a model version.

    Raises:
        UserError: the night has no lists.
    """
    html = page(f"recpipe, night of {ds}", report_section(settings, ds, curves), images="data:")
    with whole(file) as staged:
        staged.write_text(html, encoding="utf-8")


def report_section(settings: Settings, ds: date, curves: Callable[[str], Curves]) -> str:
    if ds not in delta.days(settings.lake, RECOMMENDATIONS):
        raise UserError(
            f"expected recommendations for {ds}, found none; run the night first: make backfill FROM={ds} TO={ds}"
        )
    read = (MODEL_VERDICTS, METRICS, RUNS, RECOMMENDATIONS, USER_FEATURES, ITEM_FEATURES, ITEMS, IMAGES)
    with delta.connect(settings.lake, read) as lake:
        verdict = _last_verdict(lake, ds)
        figures = _figures(lake, verdict["anchor"]) if verdict else []
        decision = champion(settings.lake, ds)
        context = {
            "ds": ds,
            "decision": decision,
            "verdict": verdict,
            "by_people": _decided_by_people(lake, ds),
            "lists": _lists(lake, ds),
            "ranking": _ranking(figures),
            "segments": _segments(figures),
            "list_figures": _list_figures(figures),
            "users": next((row["users"] for row in figures if row["segment"] == WARM), None),
            "back_test": _back_test(lake, ds),
            "curves": _curves(curves(verdict["candidate"]) if verdict and verdict["candidate"] else {}),
            "popularity": _popularity(lake, ds),
            "drift": drift(settings.lake, ds, settings.drift),
            "sample": sample_users(lake, ds, settings.landing),
            "runs": _runs(lake, ds),
        }
    arrivals = quality(settings.lake, last=ds)
    return template("report_section.html").render(**context, quality=quality_section(arrivals))


def _last_verdict(lake: duckdb.DuckDBPyConnection, ds: date) -> dict[str, Any] | None:
    """The gate's newest decision up to the night, with the version of the candidate that it was about."""
    rows = rows_of(
        lake,
        "select ds as anchor, verdict, reason, model_version, (select any_value(model_version) from metrics "
        "where metrics.ds = verdicts.ds and model = 'two_tower') as candidate from model_verdicts verdicts "
        "where sequence = 0 and ds <= $ds order by ds desc limit 1",
        ds=ds,
    )
    return rows[0] if rows else None


def _decided_by_people(lake: duckdb.DuckDBPyConnection, ds: date) -> dict[str, Any] | None:
    """The decision that counts on the night, if people took it."""
    rows = rows_of(
        lake,
        "select effective_from, reason, sequence from model_verdicts where effective_from <= $ds "
        "and verdict in ('promoted', 'withdrawn') order by effective_from desc, sequence desc limit 1",
        ds=ds,
    )
    return rows[0] if rows and rows[0]["sequence"] else None


def _figures(lake: duckdb.DuckDBPyConnection, anchor: date) -> list[dict[str, Any]]:
    return rows_of(lake, "select * exclude ds from metrics where ds = $ds order by model, segment, metric", ds=anchor)


def _said(metric: str) -> str:
    """Such as NDCG@10, of ndcg_at_10."""
    name = metric.removesuffix("_at_10").replace("_", " ")
    return f"{name.upper() if name in ('ndcg', 'map', 'mrr') else name.capitalize()}@10"


def _bar(row: Mapping[str, Any]) -> Bar:
    return Bar(row["model"], row["value"], row["lower"], row["upper"])


def _ranking(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """NDCG@10 as bars, and every metric of every model in a table, the best model first."""
    ndcg = [_bar(row) for row in figures if (row["segment"], row["metric"]) == (WARM, NDCG)]
    if not ndcg:
        return None
    of = {(row["model"], row["metric"]): row["value"] for row in figures if row["segment"] == WARM}
    metrics = sorted({metric for _, metric in of if metric.endswith("_at_10")}, key=lambda name: (name != NDCG, name))
    models = [bar.name for bar in sorted(ndcg, key=lambda bar: -bar.value)]
    everybody = {row["model"]: row["value"] for row in figures if (row["segment"], row["metric"]) == (EVERYBODY, NDCG)}
    return {
        "plot": plots.bars(ndcg, "NDCG@10 with 95 % intervals over users"),
        "metrics": [_said(metric) for metric in metrics],
        "rows": [(model, [of.get((model, metric)) for metric in metrics], everybody.get(model)) for model in models],
    }


def _segments(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The candidate, the champion and the best baseline in every segment, with the users counted."""
    ndcg = {(row["model"], row["segment"]): row for row in figures if row["metric"] == NDCG}
    baselines = {model: row["value"] for (model, part), row in ndcg.items() if part == WARM and model not in OURS}
    if not baselines:
        return None
    best = max(sorted(baselines), key=baselines.get)
    models = [model for model in (*OURS, best) if (model, WARM) in ndcg]
    names = sorted({part for _, part in ndcg}, key=_place)
    rows = [(name, [ndcg.get((model, name)) for model in models]) for name in names]
    drawn = {model: [_bar(found[at]) if found[at] else None for _, found in rows] for at, model in enumerate(models)}
    return {
        "plot": plots.segments(names, drawn, "NDCG@10 with 95 % intervals over users"),
        "models": models,
        "rows": [
            (name, next(row["users"] for row in found if row), [row and row["value"] for row in found])
            for name, found in rows
            if any(found)
        ],
    }


FIRST_WORDS = ("warm", "cold users", "all", "history", "active", "inactive", "head", "torso", "tail", "cold items")


def _place(segment: str) -> tuple[int, int, str]:
    """Where a segment stands: users, then their parts from little to much, then items, then categories."""
    first = next((place for place, words in enumerate(FIRST_WORDS) if segment.startswith(words)), len(FIRST_WORDS))
    least = "".join(filter(str.isdecimal, segment.partition("-")[0])) if first < len(FIRST_WORDS) else ""
    return first, int(least or 0), segment


LIST_FIGURES = ("coverage", "list_fill", "novelty", "popularity", "popularity_lift", "diversity", "miscalibration")


def _list_figures(figures: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[float | None]]]:
    of = {(row["model"], row["metric"]): row["value"] for row in figures if row["segment"] == WARM}
    models = sorted(
        {model for model, metric in of if metric in LIST_FIGURES}, key=lambda name: (name not in OURS, name)
    )
    return [(model, [of.get((model, metric)) for metric in LIST_FIGURES]) for model in models]


def _back_test(lake: duckdb.DuckDBPyConnection, ds: date) -> str | None:
    """NDCG@10 by anchor: each was judged on what came after its candidate's past, so this is a rolling back-test."""
    rows = rows_of(
        lake,
        "select model, ds, value from metrics where metric = $metric and segment = $segment and ds <= $ds order by ds",
        metric=NDCG,
        segment=WARM,
        ds=ds,
    )
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        lines.setdefault(row["model"], []).append(((row["ds"] - date(1970, 1, 1)).days, row["value"]))
    if len({row["ds"] for row in rows}) < 2:
        return None
    return plots.curves(lines, "anchor day", "NDCG@10", days=True)


def _curves(curves: Curves) -> list[str]:
    names = {"loss": "loss", NDCG: "validation NDCG@10"}
    return [plots.curves({name: curves[name]}, "epoch", said) for name, said in names.items() if curves.get(name)]


def _lists(lake: duckdb.DuckDBPyConnection, ds: date) -> dict[str, Any]:
    [row] = rows_of(
        lake,
        "select count(*) as rows, count(distinct user_id) filter (user_id <> $stranger) as users, "
        "count(distinct item_id) as items, count(distinct user_id) filter (source = 'two_tower') as by_model, "
        "string_agg(distinct model_version, ' and ' order by model_version) filter (source = 'two_tower') as made_by, "
        "(select count(*) from item_features where ds = $ds) as all_items, "
        "(select count(*) from user_features where ds = $ds) as all_users from recommendations where ds = $ds",
        ds=ds,
        stranger=STRANGER,
    )
    return row


def _popularity(lake: duckdb.DuckDBPyConnection, ds: date) -> str:
    """How lists and what users have are shared out among items, each from its own most popular item on."""
    counts = lake.execute(
        "select popularity, coalesce(shown, 0) from item_features left join (select item_id, count(*) as shown "
        "from recommendations where ds = $ds group by item_id) using (item_id) where ds = $ds",
        {"ds": ds},
    ).fetchnumpy()
    had, shown = (np.sort(np.asarray(values, dtype=float))[::-1] for values in counts.values())
    return plots.shares({"what users have": had, "what is recommended": shown})


_TITLES = "(select item_id, title from item_features where ds = $ds)"


def sample_users(lake: duckdb.DuckDBPyConnection, ds: date, landing: Path) -> list[SampleUser]:
    """Users of a fixed order by hash, those first whom the model served."""
    users = lake.execute(
        "select user_id from recommendations where ds = $ds and user_id <> $stranger and rank = 1 "
        f"order by source <> 'two_tower', sha256(user_id) limit {SAMPLE_USERS}",
        {"ds": ds, "stranger": STRANGER},
    ).fetchall()
    found = []
    for (user_id,) in users:
        history = rows_of(
            lake,
            "select title, item_id from (select unnest(history) as item_index, generate_subscripts(history, 1) as age "
            "from user_features where ds = $ds and user_id = $user) join (select item_index, item_id, title from "
            f"item_features where ds = $ds) using (item_index) order by age desc limit {HISTORY_SHOWN}",
            ds=ds,
            user=user_id,
        )
        wanted = rows_of(
            lake,
            f"select rank, item_id, title, score, source from recommendations left join {_TITLES} using (item_id) "
            f"where ds = $ds and user_id = $user and rank <= {LONGEST_LIST} order by rank",
            ds=ds,
            user=user_id,
        )
        for row in (*history, *wanted):
            row["picture"] = _picture(lake, row["item_id"], ds, landing)
        found.append(SampleUser(user_id, history, wanted))
    return found


def _picture(lake: duckdb.DuckDBPyConnection, item_id: str, ds: date, landing: Path) -> str | None:
    """The item's newest picture as a data address; none where there is none, or the file is gone or large."""
    rows = rows_of(
        lake,
        "select arrived_on, file, format from images where item_id = $item and arrived_on <= $ds "
        "order by arrived_on desc limit 1",
        item=item_id,
        ds=ds,
    )
    if not rows:
        return None
    [newest] = rows
    path = landing / IMAGES.name / f"arrived_on={newest['arrived_on']}" / Path(newest["file"]).name
    if not path.is_file() or path.stat().st_size > MOST_PICTURE_BYTES:
        return None
    return f"data:image/{newest['format']};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _runs(lake: duckdb.DuckDBPyConnection, ds: date) -> list[dict[str, Any]]:
    """The newest attempt of each job: what it read and wrote at which version, by which code and settings."""
    return rows_of(
        lake,
        "select job, attempt, status, started_at, ended_at, inputs, versions, code_hash, settings_hash, message "
        "from runs where ds = $ds qualify row_number() over (partition by job order by attempt desc) = 1 "
        "order by started_at",
        ds=ds,
    )
