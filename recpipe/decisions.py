"""What people decide about models: to use another one, or none. Appended to the gate's verdicts; nothing is undone."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from recpipe import delta
from recpipe.errors import UserError
from recpipe.model.anchors import PROMOTED_BY_HAND, Decision, champion, promotions
from recpipe.reader import rows_of
from recpipe.settings import Settings
from recpipe.tables import METRICS, MODEL_VERDICTS, RECOMMENDATIONS_CURRENT, RUNS, WARM

MODELS = """
    select verdicts.ds as anchor, verdict, coalesce(verdicts.model_version, candidates.model_version) as model_version,
           effective_from, sequence, reason, candidate, best_baseline, baseline, users
    from model_verdicts verdicts left join (
        select ds, any_value(model_version) filter (model = 'two_tower') as model_version,
               any_value(value) filter (model = 'two_tower') as candidate,
               arg_max(model, value) filter (model not in ('two_tower', 'champion')) as best_baseline,
               max(value) filter (model not in ('two_tower', 'champion')) as baseline,
               any_value(users) filter (model = 'two_tower') as users
        from metrics where metric = 'ndcg_at_10' and segment = $warm group by ds
    ) candidates on verdicts.ds = candidates.ds
"""
"""Every decision with its model and, of the candidate and the best baseline, NDCG@10."""


@dataclass(frozen=True)
class Made:
    """A decision of people: which model counts from which day on; None: none does."""

    model_version: str | None
    instead_of: str | None
    effective_from: date


def models(settings: Settings) -> list[dict[str, Any]]:
    """Every decision, the newest first by the day that it counts from, and whether its model is the one ``in_use``:
    on the served day, or from the next day on.

    Figures are of the anchor's candidate, whose version a decision has that promoted nothing.
    """
    with delta.connect(settings.lake, [METRICS, MODEL_VERDICTS, RECOMMENDATIONS_CURRENT]) as lake:
        rows = rows_of(lake, f"{MODELS} order by effective_from desc, sequence desc", warm=WARM)
        [(served,)] = lake.sql("select max(model_version) from recommendations_current").fetchall()
    ahead = champion(settings.lake, date.max)
    for row in rows:
        version = row["model_version"]
        uses = {"served": version == served, "from the next night on": ahead and version == ahead.model_version}
        row["in_use"] = [use for use, holds in uses.items() if version and holds]
    return rows


def promote(settings: Settings, model_version: str, reason: str) -> Made:
    """Use the model from the day after the newest that ran, though the gate rejected it.

    Raises:
        UserError: there is no such model, its files are gone, or it is in use already.
    """
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        known = {row["model_version"]: row["anchor"] for row in models(settings) if row["model_version"]}
        if model_version not in known:
            raise UserError(f"expected a model that `recpipe models` lists, found {model_version!r}")
        if model_version not in stored_models(settings.registry):
            raise UserError(f"expected model {model_version} in {settings.registry}, found none; restore the registry")
        following, now = _next_night(settings)
        if now and model_version == now.model_version:
            raise UserError(f"expected a model that is not in use, found {model_version}, which is")
        made = Made(model_version, now and now.model_version, following)
        return _append(settings, known[model_version], made, PROMOTED_BY_HAND, reason)


def withdraw_model(settings: Settings, reason: str) -> Made:
    """Use the model whose place the present one took, or popular items if there was none; never one that was taken
    back before.

    Raises:
        UserError: no model is in use.
    """
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        following, now = _next_night(settings)
        if now is None:
            raise UserError("expected a model in use, found none: popular items serve; see `recpipe models`")
        *others, _ = _standing(one for one in promotions(settings.lake) if one.effective_from <= following)
        before = others[-1] if others else None
        made = Made(before and before.model_version, now.model_version, following)
        return _append(settings, (before or now).anchor, made, "by hand", reason)


def _standing(decisions: Iterable[Decision]) -> list[Decision]:
    """Each in the place of the one before it, the last in use; without those that were taken back."""
    standing: list[Decision] = []
    for one in decisions:
        versions = [other.model_version for other in standing]
        if one.model_version is None:
            standing = []
        elif one.goes_back and one.model_version in versions:
            last = len(versions) - versions[::-1].index(one.model_version)
            standing = [other for other in standing[:last] if other.model_version not in versions[last:]]
        else:
            standing.append(one)
    return standing


def stored_models(registry: Path) -> set[str]:
    """Versions of the models that the registry's files hold.

    Raises:
        UserError: a file is not as it was written.
    """
    return {_version_in(file) for file in registry.glob("artifacts/*/artifacts/checkpoint/checkpoint.json")}


def _version_in(file: Path) -> str:
    try:
        return json.loads(file.read_text(encoding="utf-8"))["model_version"]
    except (ValueError, TypeError, KeyError):
        raise UserError(f"expected a model's settings in {file}, found others; restore the registry") from None


def _next_night(settings: Settings) -> tuple[date, Decision | None]:
    """The day after the newest whose model was chosen, or is being, and the decision that counts on it.

    It is no day before the newest anchor that was decided, whose night may have failed: a model that counted from days
    before its own anchor would know what came after them.

    Raises:
        UserError: no night ran, so there is nothing to decide about.
    """
    with delta.connect(settings.lake, [RUNS, MODEL_VERDICTS]) as lake:
        [(newest,)] = lake.sql(
            "select max(ds) from runs where job = 'embed' and status in ('running', 'success')"
        ).fetchall()
        [(anchor,)] = lake.sql("select max(ds) from model_verdicts").fetchall()
    if newest is None:
        raise UserError("expected nights that ran, found none; run one first: `make backfill FROM=… TO=…`")
    following = max(newest + timedelta(days=1), anchor or newest)
    return following, champion(settings.lake, following)


def _append(settings: Settings, anchor: date, made: Made, how: str, reason: str) -> Made:
    with delta.connect(settings.lake, [MODEL_VERDICTS]) as lake:
        [(last,)] = lake.sql("select max(sequence) from model_verdicts").fetchall()
    row: Mapping[str, Any] = {
        "ds": anchor,
        "verdict": "promoted" if made.model_version else "withdrawn",
        "reason": f"{how}, instead of {made.instead_of or 'no model'}: {reason}",
        "model_version": made.model_version,
        "effective_from": made.effective_from,
        "sequence": last + 1,
    }
    delta.append(settings.lake, MODEL_VERDICTS, [row])
    return made
