"""Which anchor days want a decision, on which rows it rests, and what was decided.

Metadata of the lake and small queries only.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import duckdb

from recpipe import delta
from recpipe.anchors import anchor_days, with_previous
from recpipe.settings import Settings
from recpipe.tables import (
    ARRIVALS,
    ARRIVED_ON,
    EVALUATION_EXAMPLES,
    HAPPENED_AT,
    IMAGES,
    ITEM_FEATURES,
    ITEM_INDEX,
    MODEL_VERDICTS,
    TRAINING_EXAMPLES,
)

PROMOTED_BY_HAND = "promoted by hand"
"""How a reason begins of people's decision for a model. Others of people take back the one in use."""
FROM_ROWS = "from training_examples where ds = ? and until = ?"
FROM_USERS = "from evaluation_examples where ds = ? and cut = ? and until = ? and cut_by = ?"


@dataclass(frozen=True)
class Decision:
    anchor: date
    model_version: str | None  # none: withdrawn, without another in its place
    effective_from: date
    goes_back: bool = False  # people took back the model that was in use


class Rows(NamedTuple):
    """Training examples: of what was known on day ``ds``, all that happened up to ``until``."""

    ds: date
    until: date


class Users(NamedTuple):
    """Evaluation examples: histories up to ``cut``, and what was got after it, up to ``until``."""

    ds: date
    cut: date
    until: date
    cut_by: str


class Plan(NamedTuple):
    """What an anchor's models are made of and judged on.

    Epochs are chosen by training on ``trial`` and ranking for ``chooses``. For as many the candidate is trained on
    ``candidate``, to be judged once on ``judges``, and the champion on ``champion``. All up to the candidate is of what
    was known on the anchor day before; the first anchor has none before it, and cuts what was known on itself.
    """

    trial: Rows
    chooses: Users
    candidate: Rows
    judges: Users
    champion: Rows


class Starts(NamedTuple):
    """Versions of the models that an anchor's trainings start from; None: from random weights."""

    trial: str | None
    candidate: str | None  # and the champion, which is the candidate with more rows


def undecided(settings: Settings, ds: date) -> list[date]:
    """Anchor days up to ``ds`` without a verdict, ascending, whose training examples were made, if only none, as were
    those of the one before.
    """
    decided, ready = delta.days(settings.lake, MODEL_VERDICTS), delta.days(settings.lake, TRAINING_EXAMPLES)

    def is_made(anchor: date) -> bool:
        return anchor in ready or delta.last_commit(settings.lake, TRAINING_EXAMPLES, anchor) is not None

    first = min(delta.days(settings.lake, ARRIVALS), default=None)
    anchors = anchor_days(first, ds, settings.anchor_every_days) if first else []
    return [
        anchor
        for before, anchor in with_previous(anchors)
        if anchor not in decided and is_made(anchor) and (before is None or is_made(before))
    ]


def plan_of(settings: Settings, anchor: date) -> Plan | None:
    """None when too little was known for the cuts."""
    is_first = anchor == min(delta.days(settings.lake, ARRIVALS))
    known_on = anchor if is_first else anchor - timedelta(days=settings.anchor_every_days)
    partitions = delta.open_table(settings.lake, TRAINING_EXAMPLES).partitions()
    untils = {date.fromisoformat(part["until"]) for part in partitions if part["ds"] == known_on.isoformat()}
    before = sorted(until for until in untils if until < anchor)  # of the first its cuts, else also the anchor before
    if len(before) < 2:
        return None
    inner, cut = before[-2:]
    return Plan(
        trial=Rows(known_on, inner),
        chooses=Users(known_on, inner, cut, HAPPENED_AT),
        candidate=Rows(known_on, cut),
        judges=Users(anchor, cut, anchor, HAPPENED_AT if is_first else ARRIVED_ON),
        champion=Rows(anchor, anchor),
    )


def skip_reason(settings: Settings, anchor: date) -> str | None:
    """Why no candidate is to be trained for the anchor; None when one is."""
    plan = plan_of(settings, anchor)
    if plan is None:
        return "too little was known to keep parts back for choosing epochs and for judging"
    with delta.connect(settings.lake, [TRAINING_EXAMPLES, EVALUATION_EXAMPLES]) as lake:
        if plan.candidate.ds < anchor and _is_same(lake, plan):
            return "no interaction came since the anchor before"
        if not _count(lake, f"{FROM_ROWS} and length >= 2", plan.trial):
            return f"no user had two items up to {plan.trial.until}, so there was nothing to learn from"
        for users, purpose in ((plan.chooses, "choose epochs"), (plan.judges, "judge")):
            if not _count(lake, f"{FROM_USERS} and length > 0", users):
                return f"no user had items both up to {users.cut} and after it, so there was nothing to {purpose} on"
    return None


def promotions(root: Path) -> list[Decision]:
    """The decisions to use a model or none, in the order in which they count: by (effective_from, sequence)."""
    with delta.connect(root, [MODEL_VERDICTS]) as lake:
        found = lake.execute(
            "select ds, model_version, effective_from, sequence > 0 and not starts_with(reason, ?) from model_verdicts "
            "where verdict in ('promoted', 'withdrawn') order by effective_from, sequence",
            [PROMOTED_BY_HAND],
        ).fetchall()
    return [Decision(*row) for row in found]


def champion_of(promotions: Sequence[Decision], ds: date) -> Decision | None:
    """The promoted model that day ``ds`` uses: that of the last of ``promotions`` that counts by then."""
    place = bisect_right(promotions, ds, key=attrgetter("effective_from"))
    return promotions[place - 1] if place and promotions[place - 1].model_version else None


def champion(root: Path, ds: date) -> Decision | None:
    return champion_of(promotions(root), ds)


def champion_before(root: Path, anchor: date, ds: date) -> Decision | None:
    """The champion of ``ds`` when only earlier anchors were decided, so that ``anchor`` meets the same one again."""
    return champion_of([decision for decision in promotions(root) if decision.anchor < anchor], ds)


def opponent(root: Path, anchor: date, plan: Plan, replaced: Decision | None) -> Decision | None:
    """The champion that the candidate of ``anchor`` meets: ``replaced``, whose place it would take, unless that one
    knows what the candidate is judged on, as after a change of the rhythm; then the newest that does not."""
    if replaced is None or replaced.anchor <= plan.candidate.ds:
        return replaced
    return champion_of([one for one in promotions(root) if one.anchor <= plan.candidate.ds], anchor)


def starts_of(settings: Settings, anchor: date, plan: Plan) -> Starts:
    """The champion of the last day of each training's rows. A later one has seen what the training is judged on."""
    if not settings.model.warm_start:
        return Starts(None, None)
    found = (champion_before(settings.lake, anchor, rows.until) for rows in (plan.trial, plan.candidate))
    return Starts(*(decision and decision.model_version for decision in found))


def item_numbering(root: Path, known_on: date) -> str:
    """SHA-256 of the items and their numbers as of a day: a model that knew it means these items by its numbers."""
    with delta.connect(root, [ITEM_INDEX]) as lake:
        [found] = lake.execute(
            "select sha256(coalesce(string_agg(item_index || ' ' || item_id, chr(10) order by item_index), '')) "
            "from item_index where first_arrived_on <= ?",
            [known_on],
        ).fetchone()
    return found


def examples_hash(settings: Settings, plan: Plan) -> str:
    """A hash of the rows that make and judge the anchor's models, whatever files and order they lie in."""
    content = (
        "select count(*), bit_xor(hash(item_index, categories, brand, price_band, tokens)) from item_features "
        "where ds = ?"
    )
    titles = "select count(title), bit_xor(hash(item_index, title)) from item_features where ds = ?"
    training = f"select count(*), bit_xor(hash(items, days, types, attributes, shuffle_key)) {FROM_ROWS}"
    evaluation = f"select count(*), bit_xor(hash(user_id, items, days, types, attributes, seen, targets)) {FROM_USERS}"
    pictures = "select count(*), bit_xor(hash(arrived_on, item_id, sha256)) from images where arrived_on <= ?"
    wanted = {"sentence": titles, "image": pictures}
    with delta.connect(settings.lake, [IMAGES, ITEM_FEATURES, TRAINING_EXAMPLES, EVALUATION_EXAMPLES]) as lake:
        hashes = [_one(lake, training, rows) for rows in (plan.trial, plan.candidate, plan.champion)]
        hashes += [_one(lake, evaluation, users) for users in (plan.chooses, plan.judges)]
        told = [content, *(query for name, query in wanted.items() if name in settings.model.item_inputs)]
        days = [rows.ds for rows in (plan.candidate, plan.champion)]
        hashes += [lake.execute(query, [day]).fetchone() for query in told for day in days]
    return "-".join(str(part) for found in hashes for part in found)


def _count(lake: duckdb.DuckDBPyConnection, from_where: str, values: Rows | Users) -> int:
    return _one(lake, f"select count(*) {from_where}", values)[0]


def _one(lake: duckdb.DuckDBPyConnection, query: str, values: Rows | Users) -> tuple[int, ...]:
    [row] = lake.sql(query, params=list(values)).fetchall()
    return row


def _is_same(lake: duckdb.DuckDBPyConnection, plan: Plan) -> bool:
    """Whether nothing came since the anchor before that a model would be trained or judged on.

    A new interaction changes its user's row, even a full one.
    """
    if _count(lake, FROM_USERS, plan.judges):
        return False
    now, then = (
        lake.sql(f"select items, days, types {FROM_ROWS}", params=list(rows))
        for rows in (plan.champion, plan.candidate)
    )
    return len(now) == len(then) and len(now.except_(then)) == 0  # except_ counts equal rows
