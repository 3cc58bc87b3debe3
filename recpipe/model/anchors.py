"""Which anchor days want a decision, and what was decided. Metadata of the lake and small queries only."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.tables import EVALUATION_EXAMPLES, ITEM_INDEX, MODEL_VERDICTS, TRAINING_EXAMPLES


@dataclass(frozen=True)
class Decision:
    anchor: date
    model_version: str


def undecided(root: Path, ds: date) -> list[date]:
    """Anchor days up to ``ds`` that have training examples and no verdict, ascending."""
    decided = delta.days(root, MODEL_VERDICTS)
    return [anchor for anchor in sorted(delta.days(root, TRAINING_EXAMPLES)) if anchor <= ds and anchor not in decided]


def is_decided(root: Path, anchor: date) -> bool:
    return anchor in delta.days(root, MODEL_VERDICTS)


def cut_of(root: Path, anchor: date) -> date | None:
    """The day up to which the anchor's candidate is trained; None when there was too little to cut."""
    partitions = delta.open_table(root, TRAINING_EXAMPLES).partitions()
    untils = [date.fromisoformat(part["until"]) for part in partitions if part["ds"] == anchor.isoformat()]
    return min((until for until in untils if until < anchor), default=None)


def skip_reason(root: Path, anchor: date) -> str | None:
    """Why no candidate is to be trained for the anchor; None when one is."""
    cut = cut_of(root, anchor)
    if cut is None:
        return "too little was known to keep a part back for judging"
    if _same_interactions(root, anchor):
        return "no interaction came since the anchor before"
    with delta.connect(root, [TRAINING_EXAMPLES, EVALUATION_EXAMPLES]) as lake:
        [sequences] = lake.execute(
            "select count(*) from training_examples where ds = ? and until = ? and length >= 2", [anchor, cut]
        ).fetchone()
        [users] = lake.execute(
            "select count(*) from evaluation_examples where ds = ? and length > 0 and len(targets) > 0", [anchor]
        ).fetchone()
    if sequences == 0:
        return f"no user had two items up to {cut}, so there was nothing to learn from"
    if users == 0:
        return f"no user had items both up to {cut} and after it, so there was nothing to judge on"
    return None


def champion(root: Path, ds: date) -> Decision | None:
    """The promoted model that day ``ds`` uses: the newest decision by (effective_from, sequence) up to ``ds``."""
    with delta.connect(root, [MODEL_VERDICTS]) as lake:
        found = lake.execute(
            "select ds, model_version from model_verdicts where verdict = 'promoted' and effective_from <= ? "
            "order by effective_from desc, sequence desc limit 1",
            [ds],
        ).fetchone()
    return Decision(*found) if found else None


def item_numbering(root: Path, anchor: date) -> str:
    """SHA-256 of the items and their numbers as of the anchor: a model means these items by its numbers."""
    with delta.connect(root, [ITEM_INDEX]) as lake:
        [found] = lake.execute(
            "select sha256(coalesce(string_agg(item_index || ' ' || item_id, chr(10) order by item_index), '')) "
            "from item_index where first_arrived_on <= ?",
            [anchor],
        ).fetchone()
    return found


def examples_hash(root: Path, anchor: date) -> str:
    """A hash of the anchor's training and evaluation rows, whatever files and order they lie in."""
    with delta.connect(root, [TRAINING_EXAMPLES, EVALUATION_EXAMPLES]) as lake:
        training = lake.execute(
            "select count(*), bit_xor(hash(until, items, days, shuffle_key)) from training_examples where ds = ?",
            [anchor],
        ).fetchone()
        evaluation = lake.execute(
            "select count(*), bit_xor(hash(cut, user_id, items, days, seen, targets)) from evaluation_examples "
            "where ds = ?",
            [anchor],
        ).fetchone()
    return "-".join(str(part) for part in (*training, *evaluation))


def _same_interactions(root: Path, anchor: date) -> bool:
    """Whether the anchor before has the same rows. A new interaction changes its user's row, even a full one."""
    before = max((day for day in delta.days(root, TRAINING_EXAMPLES) if day < anchor), default=None)
    if before is None:
        return False
    with delta.connect(root, [TRAINING_EXAMPLES]) as lake:
        rows = lake.sql("select ds, items, days from training_examples where until = ds")
        now, then = (rows.filter(f"ds = date '{day}'").project("items, days") for day in (anchor, before))
        return len(now) == len(then) and len(now.except_(then)) == 0  # except_ counts equal rows
